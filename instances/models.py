"""Environments, node groups, machines, nodes, credentials, the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Left, Lower, Upper
from django.urls import reverse

from instances.fields import EncryptedTextField
from instances.windows import Window

NAME = RegexValidator(
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "Use 1 to 63 lower-case letters, digits and hyphens; begin and end with a letter or digit.",
)
PORT = [MinValueValidator(1), MaxValueValidator(65535)]
NAME_TAKEN = "name_taken"
_LIVING = Q(archived_at=None)
ArchivableT = TypeVar("ArchivableT", bound="Archivable")


def _read_from(path: str) -> models.GeneratedField:
    """Return a column that the database keeps equal to one text of a JSON column.

    Lists of ten thousand nodes are narrowed by it, which parsing as many documents would delay.
    """
    output = models.CharField(max_length=200)
    return models.GeneratedField(expression=KT(path), output_field=output, db_persist=True)


def _listed(name: str, *fields: str) -> models.Index:
    """Return an index of what is not archived.

    It says so once more in its last column: SQLite would read each row to know it.
    """
    return models.Index(fields=[*fields, "archived_at"], condition=_LIVING, name=name)


class Living(models.Manager[ArchivableT]):
    """What is not archived. The default, so that no list, count or picker can forget it."""

    def get_queryset(self) -> models.QuerySet[ArchivableT]:
        """Leave out what is archived."""
        return super().get_queryset().filter(archived_at=None)


class Archivable(models.Model):
    """What can be put away with its record kept, and brought back.

    What is archived with the whole it belongs to has the very moment of the whole.
    """

    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = Living()
    recorded = models.Manager()  # noqa: DJ012 -- the first manager is the default one

    class Meta:
        abstract = True


class Environment(Archivable):
    """Servers that belong together and trust one authority, such as one application's."""

    name = models.CharField(max_length=63, validators=[NAME])
    region = models.CharField(max_length=63, blank=True, help_text="A label, such as eu-west.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(archived_at=None),
                name="environment_name",
                violation_error_code=NAME_TAKEN,
                violation_error_message="An environment with this name already exists.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        if self.archived_at:
            return reverse("archived", args=["environment", self.pk])
        return reverse("environment", args=[self.name])


class MaintenanceWindow(models.Model):
    """When work that nobody asked for may begin in an environment; at any time where it has none.

    ``weekdays`` are numbers, Monday being 0; ``start`` is by the clocks of ``zone``.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="windows")
    weekdays = models.JSONField(default=list)
    start = models.TimeField()
    hours = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(24)]
    )
    zone = models.CharField(max_length=64)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.environment}: {self.window.days} {self.start:%H:%M} {self.zone}"

    @property
    def window(self) -> Window:
        """The window, to reckon with."""
        return Window(
            frozenset(self.weekdays), self.start, timedelta(hours=self.hours), ZoneInfo(self.zone)
        )


class NodeGroup(Archivable):
    """A layer of an environment: nodes with one role in it. Its topology is observed.

    ``disagreement`` is the gravest contradiction between what its nodes say of each other ({reason,
    message, next_step}), empty where there is none; ``disagreement_reason`` what it says of that.
    """

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="groups")
    name = models.CharField(max_length=63, validators=[NAME])
    disagreement = models.JSONField(default=dict, blank=True)
    disagreement_reason = _read_from("disagreement__reason")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["environment__name", "name"]
        indexes = [
            models.Index(
                fields=["disagreement_reason"],
                condition=_LIVING & Q(disagreement_reason__isnull=False),
                name="group_disagrees",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "name"],
                condition=Q(archived_at=None),
                name="group_name_in_environment",
                violation_error_code=NAME_TAKEN,
                violation_error_message="This environment has a node group with this name already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment.name} / {self.name}"

    def get_absolute_url(self) -> str:
        if self.archived_at:
            return reverse("archived", args=["group", self.pk])
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
        indexes = [
            # For what an address begins with, on PostgreSQL.
            models.Index(
                fields=["address"], opclasses=["varchar_pattern_ops"], name="machine_by_address"
            ),
            models.Index(
                fields=["id"],
                condition=Q(host_key_confirmed_at=None) & ~Q(host_key=""),
                name="machine_to_confirm",
            ),
        ]

    def __str__(self) -> str:
        return self.address if self.ssh_port == 22 else f"{self.address}:{self.ssh_port}"


class Node(Archivable):
    """One Redis or Valkey server on a machine.

    ``unit`` and ``config_path`` are set by hand only where several servers share a machine; else
    the facts say. ``client_addresses`` are the names and addresses that clients use: they go into
    the certificate. ``facts`` is what was last seen, without secrets; ``fault`` why the last look
    failed ({reason, message, next_step}), empty when it did not. ``product``, ``version``,
    ``system`` and ``fault_reason`` are what those say, None where they do not; ``called`` is the
    text that a name or address is searched in.
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
    product = _read_from("facts__server__product")
    version = _read_from("facts__server__version")
    system = _read_from("facts__os__name")
    fault_reason = _read_from("fault__reason")
    called = models.GeneratedField(
        expression=Lower(Left(Cast("client_addresses", models.TextField()), 500)),
        output_field=models.CharField(max_length=500),
        db_persist=True,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["group", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "name"],
                condition=Q(archived_at=None),
                name="node_name_in_group",
                violation_error_code=NAME_TAKEN,
                violation_error_message="This node group has a node with this name already.",
            ),
            models.UniqueConstraint(
                fields=["machine", "unit"],
                condition=Q(archived_at=None),
                name="one_node_a_unit",
                violation_error_message="A node with this machine and unit is registered already.",
            ),
        ]
        indexes = [
            # It is searched while it is read in the order of names, and so has all that is asked.
            _listed("node_by_name", "name", "id", "called", "machine"),
            _listed("node_by_version", "product", "version", "id"),
            _listed("node_by_system", "system"),
            _listed("node_by_age", "facts_at", "id"),
            models.Index(
                fields=["fault_reason"],
                condition=_LIVING & Q(fault_reason__isnull=False),
                name="node_faulty",
            ),
            models.Index(
                fields=["id"], condition=Q(archived_at__isnull=False), name="node_archived"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        if self.archived_at:
            return reverse("archived", args=["node", self.pk])
        return reverse("node", args=[self.pk])

    @property
    def address(self) -> str:
        """The first name or address that clients use."""
        return str(self.client_addresses[0]) if self.client_addresses else self.machine.address

    @property
    def is_sentinel(self) -> bool:
        """Whether the latest look saw a Sentinel, which holds no data."""
        return bool(self.facts.get("server", {}).get("sentinel"))


class NodeTopology(models.Model):
    """What a node last said of the servers around it, and as whom those may speak of it.

    ``seen`` is as `instances.nodeconf.topology.seen` stores it, empty while it never told; beside
    the node, for lists of ten thousand have no use for it. ``hosts`` and ``ports`` are those of the
    latest look; ``member`` is the id that its cluster knows it by, empty where it is in none.
    """

    node = models.OneToOneField(Node, models.CASCADE, primary_key=True, related_name="topology")
    hosts = models.JSONField(default=list)
    ports = models.JSONField(default=list)
    member = models.CharField(max_length=64, blank=True, default="", db_index=True)
    seen = models.JSONField(default=dict, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"topology of {self.node}"


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
        indexes = [
            # As the list's filter asks for a person, whichever case the letters are in.
            models.Index(
                Upper("actor_name"), F("at").desc(), F("id").desc(), name="audit_of_a_person"
            ),
        ]

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
