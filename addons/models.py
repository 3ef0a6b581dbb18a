"""Authorities, certificates, installations, runs and what the runs did."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.urls import reverse

from addons.encryption.models import PlainPort, PlaintextClient
from instances.fields import EncryptedJSONField, EncryptedTextField
from instances.models import Environment, Machine, Node, NodeGroup

__all__ = ["PlainPort", "PlaintextClient"]

PATIENCE = 6
"""How many workers in a row may die of a run before a person has to look."""


class Authority(models.Model):
    """A certificate authority. Its key is encrypted at rest and never on a node."""

    name = models.CharField(max_length=100)
    certificate = models.TextField(help_text="PEM")
    private_key = EncryptedTextField()
    key_type = models.CharField(max_length=16)
    fingerprint = models.CharField(max_length=95)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    warned = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Within how many days it was last warned that it ends."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class EnvironmentAuthority(models.Model):
    """Which authorities an environment trusts, and the one it issues from."""

    class Purpose(models.TextChoices):
        SERVERS = "servers"

    class Phase(models.TextChoices):
        ISSUING = "issuing"
        TRUSTED = "trusted"

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="authority_links")
    authority = models.ForeignKey(Authority, models.PROTECT, related_name="environment_links")
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.SERVERS)
    phase = models.CharField(max_length=16, choices=Phase, default=Phase.ISSUING)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "purpose"],
                condition=Q(phase="issuing"),
                name="one_issuing_authority",
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment}: {self.authority} ({self.phase})"


class Installation(models.Model):
    """An add-on on a node group: what is wanted, and which generation of wishes that is."""

    group = models.ForeignKey(NodeGroup, models.PROTECT, related_name="installations")
    addon = models.CharField(max_length=32)
    spec = models.JSONField(default=dict)
    generation = models.PositiveIntegerField(default=0)
    wanted = models.BooleanField(default=True, help_text="False once it is to be uninstalled.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "addon"], name="addon_once_a_group")
        ]

    def __str__(self) -> str:
        return f"{self.addon} on {self.group}"


class NodeInstallation(models.Model):
    """An add-on on one node: what was last observed, and the way back.

    ``baseline`` holds, by step, a layer for each run that changed something: {run, state}, the
    state being what that run would put back. Each layer is written before its change, a put-back
    drops it again, and an uninstall follows all of them. ``conditions`` are {type, status, reason,
    message, generation, since}; ``health`` is what they come to, ``not_after`` when the observed
    certificate ends: what `addons.health` judges by. ``checked_at`` is when a look was last begun,
    whatever it came to; ``drift`` what that found other than wanted: {step, place, lines}.
    """

    class Health(models.TextChoices):
        OK = "ok"
        BAD = "bad"
        UNKNOWN = "unknown"

    installation = models.ForeignKey(Installation, models.PROTECT, related_name="nodes")
    node = models.ForeignKey(Node, models.PROTECT, related_name="installations")
    observed_generation = models.PositiveIntegerField(default=0)
    baseline = EncryptedJSONField(default=dict)
    observed = models.JSONField(default=dict)
    observed_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    drift = models.JSONField(default=list)
    conditions = models.JSONField(default=list)
    health = models.CharField(max_length=8, choices=Health, default=Health.UNKNOWN)
    not_after = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["installation", "node"], name="installed_once_a_node")
        ]
        indexes = [
            models.Index(fields=["health", "not_after"], name="installed_by_health"),
            models.Index(
                fields=["health", "observed_at", "not_after", "installation"],
                name="installed_by_age",
            ),
            models.Index(fields=["checked_at"], name="installed_by_check"),
            # All that judging one node needs.
            models.Index(
                fields=["node", "health", "not_after", "installation", "observed_at"],
                name="installed_on_node",
            ),
            # All that counting a group's nodes by state needs.
            models.Index(
                fields=["installation", "health", "not_after", "observed_at"],
                name="installed_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.installation.addon} on {self.node}"


class Certificate(models.Model):
    """What is public of a certificate. ``abandoned`` ones never reached their node.

    One that a person had issued for a client has no node, but a ``holder``, a ``form`` in which it
    left, and who issued it. ``once`` is the page it was asked for on, from which no second one
    comes; ``downloaded_at`` is empty where the download broke off.
    """

    class State(models.TextChoices):
        ISSUED = "issued"
        SERVING = "serving"
        REPLACED = "replaced"
        ABANDONED = "abandoned"

    class Form(models.TextChoices):
        ZIP = "zip", "ZIP archive"
        PKCS12 = "pkcs12", "PKCS #12 file"
        PEM = "pem", "One PEM file"
        CSR = "csr", "Signed request"

    authority = models.ForeignKey(Authority, models.PROTECT, related_name="certificates")
    node = models.ForeignKey(
        Node, models.PROTECT, null=True, blank=True, related_name="certificates"
    )
    run = models.ForeignKey("Run", models.PROTECT, null=True, blank=True, related_name="+")
    purpose = models.CharField(max_length=16)
    state = models.CharField(max_length=16, choices=State, default=State.ISSUED)
    serial = models.CharField(max_length=40, unique=True)
    subject = models.CharField(max_length=200)
    names = models.JSONField(default=list)
    first_name = models.GeneratedField(
        expression=KT("names__0"), output_field=models.CharField(max_length=253), db_persist=True
    )
    fingerprint = models.CharField(max_length=95, unique=True)
    key_type = models.CharField(max_length=16, blank=True)
    key_digest = models.CharField(max_length=64, blank=True, help_text="Of its file on a node.")
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    renew_at = models.DateTimeField(help_text="When a third of its life is left.")
    warned = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Within how many days it was last warned that it ends."
    )
    holder = models.CharField(max_length=64, blank=True)
    form = models.CharField(max_length=8, choices=Form, blank=True)
    issued_by = models.CharField(max_length=150, blank=True)
    once = models.UUIDField(null=True, blank=True, unique=True)
    downloaded_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["not_after"]
        indexes = [
            # All that counting what ends when needs.
            models.Index(fields=["state", "not_after", "node"], name="certificate_ending"),
            models.Index(fields=["state", "renew_at", "node"], name="certificate_due"),
            models.Index(
                fields=["state", "warned"],
                condition=Q(warned__isnull=False),
                name="certificate_warned",
            ),
            models.Index(
                fields=["subject"], opclasses=["varchar_pattern_ops"], name="certificate_subject"
            ),
            models.Index(
                fields=["first_name"], opclasses=["varchar_pattern_ops"], name="certificate_name"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.serial}"


class Run(models.Model):
    """One action on one installation.

    A run is *previewed* (inspected, nothing touched), then *queued* by a person's confirmation,
    *running*, and ends in one of the other states. ``attempt`` counts the workers that took it;
    a lease says which worker holds it and until when.
    """

    class State(models.TextChoices):
        PREVIEWING = "previewing", "Preparing the preview"
        PREVIEWED = "previewed", "Waiting for confirmation"
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        PUTTING_BACK = "putting_back", "Putting back"
        SUCCEEDED = "succeeded", "Done"
        PUT_BACK = "put_back", "Put back"
        REFUSED = "refused", "Refused, nothing was changed"
        STUCK = "stuck", "Stuck"
        RESOLVED = "resolved", "Resolved by hand"
        DISCARDED = "discarded", "Discarded"

    WAITING = (State.PREVIEWING, State.QUEUED)
    ACTIVE = (State.RUNNING, State.PUTTING_BACK)
    ENDED = (
        State.SUCCEEDED,
        State.PUT_BACK,
        State.REFUSED,
        State.STUCK,
        State.RESOLVED,
        State.DISCARDED,
    )
    REPEATABLE = (State.PUT_BACK, State.REFUSED, State.RESOLVED)

    installation = models.ForeignKey(Installation, models.PROTECT, related_name="runs")
    action = models.CharField(max_length=32)
    cause = models.TextField(blank=True, help_text="Why the panel started it by itself.")
    spec = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    bundle = models.UUIDField(
        null=True, blank=True, db_index=True, help_text="Shared by runs started by one click."
    )
    stop_requested = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField(default=0)
    patience = models.PositiveIntegerField(
        default=PATIENCE, help_text="The attempt after which nobody tries again by itself."
    )
    lease_holder = models.CharField(max_length=36, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    failure = models.JSONField(
        default=dict, help_text="The first error: {node, step, reason, message, next_step}."
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.action} {self.installation}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in self.ENDED


class RunNode(models.Model):
    """One node of a run: its preview, and how far it is."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        UNCHANGED = "unchanged"
        FAILED = "failed"
        PUT_BACK = "put_back"
        STUCK = "stuck"

    run = models.ForeignKey(Run, models.PROTECT, related_name="nodes")
    node = models.ForeignKey(Node, models.PROTECT, related_name="run_nodes")
    position = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    preview = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "node"], name="node_once_a_run"),
        ]

    def __str__(self) -> str:
        return f"{self.node} in run {self.run_id}"


class MachineLock(models.Model):
    """One active run a machine, across groups: the key is the machine.

    Taken when a worker takes the run, given back at its end; a stuck run keeps it until somebody
    resolves it.
    """

    machine = models.OneToOneField(
        Machine, models.PROTECT, primary_key=True, related_name="active_run"
    )
    run = models.ForeignKey(Run, models.PROTECT, related_name="locks")

    def __str__(self) -> str:
        return f"{self.machine} held by run {self.run_id}"


class StepRecord(models.Model):
    """What one step saw before, did and says. Insert-only."""

    class Kind(models.TextChoices):
        BEFORE = "before"
        APPLIED = "applied"
        SKIPPED = "skipped"
        FAILED = "failed"
        UNDONE = "undone"
        UNDO_FAILED = "undo_failed"
        HELD = "held"
        RELEASED = "released"
        VERIFIED = "verified"
        NOTE = "note"

    run = models.ForeignKey(Run, models.PROTECT, related_name="records")
    node = models.ForeignKey(Node, models.PROTECT, null=True, related_name="+")
    attempt = models.PositiveIntegerField()
    step = models.CharField(max_length=32)
    kind = models.CharField(max_length=16, choices=Kind)
    at = models.DateTimeField()
    says = models.TextField(blank=True)
    state = EncryptedJSONField(default=dict, help_text="What was seen before.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "node", "step"],
                condition=Q(kind="before"),
                name="before_state_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.kind}: {self.says}"
