"""What is remembered of who speaks plaintext: the plain port of a node, and its clients."""

from __future__ import annotations

from django.db import models

from instances.models import Node


class PlainPort(models.Model):
    """What the samples of a node's plain port came to.

    ``since`` is when the first of the ``samples`` was taken, ``quiet_since`` and ``quiet_samples``
    the same of the latest ones, in a row, that met nobody; None and 0 while somebody is there.
    ``connections`` and ``addresses`` are of the latest sample, ``nameless`` why it has no names and
    users. ``port`` is 0 while the server has none; nothing is counted then. ``forgotten`` counts
    the addresses that were dropped because there were too many.
    """

    node = models.OneToOneField(Node, models.CASCADE, primary_key=True, related_name="plain_port")
    port = models.PositiveIntegerField()
    sampled_at = models.DateTimeField()
    since = models.DateTimeField()
    samples = models.PositiveIntegerField(default=0)
    quiet_since = models.DateTimeField(null=True, blank=True)
    quiet_samples = models.PositiveIntegerField(default=0)
    connections = models.PositiveIntegerField(default=0)
    addresses = models.PositiveIntegerField(default=0)
    forgotten = models.PositiveIntegerField(default=0)
    nameless = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"port {self.port} of {self.node}"


class PlaintextClient(models.Model):
    """An address from which somebody spoke plaintext to a node.

    ``names``, ``users``, ``libraries`` and ``kinds`` hold one a line, the latest first, and not
    more than a page can show: none of them can hold a line break. ``connections`` and ``age``, of
    the longest-lived, in seconds, are of the sample that met it last; ``age`` is None where only
    the kernel told of it. ``sightings`` counts the samples.
    """

    node = models.ForeignKey(Node, models.CASCADE, related_name="plaintext_clients")
    address = models.CharField(max_length=45)
    names = models.TextField(blank=True)
    users = models.TextField(blank=True)
    libraries = models.TextField(blank=True)
    kinds = models.TextField(blank=True)
    connections = models.PositiveIntegerField()
    age = models.PositiveIntegerField(null=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    sightings = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "address"], name="plaintext_client_once_a_node")
        ]
        indexes = [
            # All that counting a group's addresses needs.
            models.Index(fields=["node", "last_seen", "address"], name="plaintext_client_seen"),
            models.Index(fields=["last_seen"], name="plaintext_client_forgotten"),
        ]

    def __str__(self) -> str:
        return f"{self.address} on {self.node}"
