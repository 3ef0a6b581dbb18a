"""Environments, node groups, machines, nodes, credentials, the audit log."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse

from instances.fields import EncryptedTextField

NAME = RegexValidator(
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "Use 1 to 63 lower-case letters, digits and hyphens; begin and end with a letter or digit.",
)
PORT = [MinValueValidator(1), MaxValueValidator(65535)]


class Environment(models.Model):
    """Servers that belong together and trust one authority, such as one application's."""

    name = models.CharField(max_length=63, unique=True, validators=[NAME])
    region = models.CharField(max_length=63, blank=True, help_text="A label, such as eu-west.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("environment", args=[self.name])


class NodeGroup(models.Model):
    """A layer of an environment: nodes with one role in it. Its topology is observed."""

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="groups")
    name = models.CharField(max_length=63, validators=[NAME])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["environment__name", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "name"], name="group_name_in_environment"
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment.name} / {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("group", args=[self.environment.name, self.name])


class Credential(models.Model):
    """An SSH private key with which the panel logs in."""

    name = models.CharField(max_length=63, unique=True, validators=[NAME])
    private_key = EncryptedTextField()
    public_key = models.TextField(help_text="The line for authorized_keys.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Machine(models.Model):
    """A host that the panel reaches by SSH.

    ``host_key`` is the pinned key as "TYPE BASE64"; while ``host_key_confirmed_at`` is empty the
    panel does not log in. ``expected_fingerprint`` is what an operator gave beforehand: a scanned
    key that matches it is confirmed by that.
    """

    address = models.CharField(max_length=253)
    ssh_port = models.PositiveIntegerField(default=22, validators=PORT)
    user = models.CharField(max_length=32, default="root")
    credential = models.ForeignKey(Credential, models.PROTECT, related_name="machines")
    jump_host = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="+")
    host_key = models.TextField(blank=True)
    host_key_confirmed_at = models.DateTimeField(null=True, blank=True)
    expected_fingerprint = models.CharField(max_length=64, blank=True)
    firewall_backend = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["address", "ssh_port"]
        constraints = [
            models.UniqueConstraint(fields=["address", "ssh_port"], name="machine_address_and_port")
        ]

    def __str__(self) -> str:
        return self.address if self.ssh_port == 22 else f"{self.address}:{self.ssh_port}"


class Node(models.Model):
    """One Redis or Valkey server on a machine.

    ``unit`` and ``config_path`` are set by hand only where several servers share a machine; else
    the facts say. ``client_addresses`` are the names and addresses that clients use: they go into
    the certificate. ``facts`` is what was last seen, without secrets; ``fault`` why the last look
    failed ({reason, message, next_step}), empty when it did not.
    """

    group = models.ForeignKey(NodeGroup, models.PROTECT, related_name="nodes")
    machine = models.ForeignKey(Machine, models.PROTECT, related_name="nodes")
    name = models.CharField(max_length=63, validators=[NAME])
    unit = models.CharField(max_length=128, blank=True)
    config_path = models.CharField(max_length=512, blank=True)
    client_addresses = models.JSONField(default=list)
    server_username = models.CharField(max_length=128, blank=True)
    server_password = EncryptedTextField(blank=True, default="")
    facts = models.JSONField(default=dict, blank=True)
    facts_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    fault = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["group", "name"]
        constraints = [
            models.UniqueConstraint(fields=["group", "name"], name="node_name_in_group"),
            models.UniqueConstraint(fields=["machine", "unit"], name="one_node_a_unit"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """The first name or address that clients use."""
        return str(self.client_addresses[0]) if self.client_addresses else self.machine.address


class AuditEvent(models.Model):
    """Who did what to what, from where, when. Append-only: saving again or deleting raises."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    source = models.CharField(max_length=64, blank=True, help_text="An IP address, or `terminal`.")
    verb = models.CharField(max_length=64, db_index=True)
    target = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.target}"

    def save(self, **_kwargs: object) -> None:
        """Insert the event.

        Raises:
            TypeError: The event is stored already.
        """
        if not self._state.adding:
            raise TypeError("the audit log is append-only")
        super().save(force_insert=True)

    def delete(self, *_args: object, **_kwargs: object) -> tuple[int, dict[str, int]]:
        """Raise TypeError: the audit log is append-only."""
        raise TypeError("the audit log is append-only")


class KeyCheck(models.Model):
    """A canary per key ring: what tells at start that the key file belongs to this database."""

    token = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"key check {self.pk}"
