"""The add-on's settings as a form: plain explanations, safe defaults."""

from typing import Any

from django import forms

from addons.encryption.spec import EncryptionSpec, parse
from addons.forms import SettingsForm
from addons.pki.keys import KeyType
from instances.errors import Invalid

_DEFAULT = EncryptionSpec()


class EncryptionForm(SettingsForm):
    """Field names are the setting keys; values are text, as behind ``--set``."""

    more = (
        *("tls_minimum", "ciphers", "protected_mode", "lifetime_days", "renew", "key_type"),
        *("sans", "directory", "adopt"),
    )

    tls_port = forms.IntegerField(
        label="TLS port",
        min_value=1,
        max_value=65535,
        initial=_DEFAULT.tls_port,
        help_text="Beside the plain port; or its own number, where that is closed.",
    )
    plaintext = forms.ChoiceField(
        label="Plain port",
        choices=[
            ("keep", "Keep it beside TLS"),
            ("off", "Close it: TLS only"),
        ],
        initial=_DEFAULT.plaintext,
        help_text=(
            "Closing it ends the sessions that are still in plaintext; the preview counts. Where "
            "Sentinels watch it goes together with replication over TLS, and with the plain port's "
            "number as the TLS port; automatic failover is off for the seconds that this takes."
        ),
    )
    tls_auth_clients = forms.ChoiceField(
        label="Client certificates",
        choices=[
            ("optional", "Optional: checked where a client presents one"),
            ("required", "Required: clients without one are refused"),
            ("no", "No: not asked for"),
        ],
        initial=_DEFAULT.tls_auth_clients,
    )
    tls_replication = forms.ChoiceField(
        label="Replication",
        choices=[
            ("off", "As it is"),
            ("on", "Over TLS: replicas follow on the TLS port"),
        ],
        initial=_DEFAULT.tls_replication,
        help_text="Once every node of the group speaks TLS. By a partial resync from Redis 6.2 on.",
    )
    tls_cluster = forms.ChoiceField(
        label="Cluster",
        choices=[
            ("off", "As it is"),
            ("on", "Over TLS: all nodes change at one moment"),
        ],
        initial=_DEFAULT.tls_cluster,
        help_text=(
            "How the nodes of a cluster speak to each other; replicas follow over TLS with it. "
            "Redis 7.0 needs it from the start. No restart, no failover."
        ),
    )
    tls_minimum = forms.ChoiceField(
        label="TLS versions",
        choices=[("1.2", "1.2 and 1.3"), ("1.3", "1.3 alone")],
        initial=_DEFAULT.tls_minimum,
    )
    ciphers = forms.CharField(
        label="Ciphers of TLS 1.2",
        initial=_DEFAULT.ciphers,
        help_text=(
            "aead: the modern ones. server: as the server chooses. Or OpenSSL's names with colons. "
            "Those of TLS 1.3 are all modern."
        ),
    )
    networks = forms.CharField(
        label="Open to",
        required=False,
        help_text="Networks such as 10.0.0.0/8, separated by commas. Empty opens it to anywhere.",
    )
    bind = forms.ChoiceField(
        label="Addresses to listen on",
        choices=[
            ("keep", "Keep them as they are"),
            ("node", "Add the node's own address"),
        ],
        initial=_DEFAULT.bind,
        help_text=(
            "Adding the address exposes the plain port too: without a password Redoubt closes that "
            "one from outside."
        ),
    )
    protected_mode = forms.ChoiceField(
        label="Protected mode",
        choices=[("keep", "Keep it as it is"), ("no", "Switch it off")],
        initial=_DEFAULT.protected_mode,
        help_text="While it is on, a server without a password denies other machines, TLS or not.",
    )
    apply = forms.ChoiceField(
        label="How to apply",
        choices=[
            ("live", "Live where the server can; else one restart"),
            ("restart", "By a restart"),
        ],
        initial=_DEFAULT.apply,
        help_text="Redis from 6.2 on and Valkey take it live: nobody is disconnected.",
    )
    lifetime_days = forms.IntegerField(
        label="Certificate lifetime, days",
        min_value=1,
        max_value=3650,
        initial=_DEFAULT.lifetime_days,
        help_text="Never past the end of the environment's authority.",
    )
    renew = forms.ChoiceField(
        label="Renewal",
        choices=[
            ("auto", "By itself, once a third of a certificate's life is left"),
            ("off", "Off: warnings come 30, 14 and 7 days before the end"),
        ],
        initial=_DEFAULT.renew,
        help_text="Within the environment's maintenance windows, where it has any.",
    )
    key_type = forms.ChoiceField(
        label="Key type",
        choices=[
            (KeyType.EC_P256.value, "EC P-256: small and quick"),
            (KeyType.RSA_3072.value, "RSA 3072: for clients that know nothing else"),
        ],
        initial=_DEFAULT.key_type,
    )
    sans = forms.CharField(
        label="More names in the certificates",
        required=False,
        help_text="DNS names or addresses by which clients reach every node, such as a balancer's.",
    )
    directory = forms.CharField(
        label="Directory on the node",
        required=False,
        help_text="Empty: /etc/redis/tls, or /etc/valkey/tls on Valkey.",
    )
    adopt = forms.ChoiceField(
        label="A server that speaks TLS already",
        choices=[
            ("no", "Refuse, and say so"),
            ("yes", "Take it into view as it is, change nothing"),
        ],
        initial=_DEFAULT.adopt,
    )

    def clean(self) -> dict[str, Any]:
        """Check everything as the terminal does."""
        cleaned = super().clean() or {}
        try:
            parse({key: str(value) for key, value in cleaned.items()})
        except Invalid as error:
            self.add_error(error.field or None, f"{error.reason.message} {error.reason.next_step}")
        return cleaned
