"""The encryption add-on, as the catalogue knows it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from addons.actions import CONFIGURE, INSTALL, REISSUE, UNINSTALL
from addons.authorities import (
    authority_ensure,
    authority_foreseen,
    trusted_authorities,
)
from addons.catalogue import Action, AddOn, Planner
from addons.encryption.accept import acceptable
from addons.encryption.forms import EncryptionForm
from addons.encryption.history import LAYERS, merge_values
from addons.encryption.installing import InstallPlanner
from addons.encryption.issuer import Issuer
from addons.encryption.plaintext import PlainSample
from addons.encryption.reissue import ReissuePlanner
from addons.encryption.remembering import sample_remember
from addons.encryption.spec import EncryptionSpec, parse
from addons.encryption.steps.certificate import merge_certificates
from addons.encryption.steps.configuration import merge_configuration
from addons.encryption.uninstalling import UninstallPlanner
from addons.engine.step import State
from addons.forms import SettingsForm
from addons.models import Run
from addons.pki.bundle import trust_bundle
from addons.pki.keys import KeyType
from instances.models import Node


class EncryptionAddOn:
    """TLS beside the plain port, certificates, firewall rule, verification."""

    slug = "encryption"
    title = "Encryption in transit"
    summary = (
        "TLS beside the plain port: a certificate for each node, the firewall rule, and a real "
        "handshake as proof. Nobody is disconnected."
    )
    needs: Sequence[str] = (
        "A Redis or Valkey server built with TLS, such as a distribution's package.",
        "A systemd unit where the server is older than Redis 6.2, which restarts once.",
        "A free port: 6380, unless you choose another. Its firewall rule is added.",
    )
    icon = "lock"
    actions: Mapping[str, Action] = {
        INSTALL: Action(INSTALL, "Install encryption", "Installing", "Install", configures=True),
        CONFIGURE: Action(
            CONFIGURE, "Change settings", "Changing settings", "Apply", configures=True
        ),
        REISSUE: Action(
            REISSUE, "Re-issue certificates", "Re-issuing certificates", "Re-issue", partial=True
        ),
        UNINSTALL: Action(
            UNINSTALL, "Uninstall encryption", "Uninstalling", "Uninstall", "from", destroys=True
        ),
    }
    form: type[SettingsForm] = EncryptionForm

    def parse(self, settings: Mapping[str, str]) -> dict[str, Any]:
        return parse(settings).as_json()

    def planner(self, run: Run) -> Planner:
        former = EncryptionSpec.from_json(run.installation.spec)
        # A re-issue that is retried carries the settings of its time.
        spec = former if run.action == REISSUE else EncryptionSpec.from_json(run.spec)
        environment = run.installation.group.environment
        now = timezone.now()
        key_type = KeyType(spec.key_type)
        if run.state == Run.State.PREVIEWING:
            authority = authority_foreseen(environment=environment, key_type=key_type, now=now)
        else:
            authority = authority_ensure(environment=environment, key_type=key_type, now=now)
        trusted = trusted_authorities(environment) or [authority.certificate]
        issuer = Issuer(
            certificate_pem=authority.certificate,
            key=authority.private_key,
            trusted=trust_bundle(trusted, now=now),
            key_type=key_type,
            lifetime_days=spec.lifetime_days,
        )
        number = authority.pk or 0
        if run.action == UNINSTALL:
            return UninstallPlanner(spec, former, issuer, number)
        if run.action == REISSUE:
            return ReissuePlanner(spec, issuer, number)
        installed = run.installation.generation > 0
        return InstallPlanner(spec, former if installed else None, issuer, number)

    def merge_baselines(self, step: str, earlier: Mapping[str, State], later: State) -> State:
        if step in LAYERS:
            return merge_values(step, earlier, later)
        first = earlier.get(step)
        if first is None:
            return later
        if step in {"configuration", "sentinel"}:
            return merge_configuration(first, later)
        if step == "certificate":
            return merge_certificates(first, later)
        if step == "firewall":
            # The later run has moved them, where another backend is in force since.
            return {**first, "backend": later["backend"], "wanted": later["wanted"]}
        return first

    def remember(self, *, node: Node, sample: object, now: datetime) -> None:
        if isinstance(sample, PlainSample):
            sample_remember(node=node, sample=sample, now=now)

    def acceptable(self, drift: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        return acceptable(drift)

    def renews(self, spec: Mapping[str, Any]) -> bool:
        return EncryptionSpec.from_json(spec).renew == "auto"

    def settings_shown(self, spec: Mapping[str, Any]) -> list[tuple[str, str]]:
        shown = EncryptionSpec.from_json(spec)
        fields = self.form().fields
        return [
            (str(field.label), ", ".join(value) if isinstance(value, tuple) else str(value))
            for name, field in fields.items()
            if (value := getattr(shown, name)) not in ("", ())
        ]


ADDON: AddOn = EncryptionAddOn()
