"""What is asked for a client's certificate. The service judges it."""

from typing import Any

from django import forms

from addons.clients.handout import LIFETIME, ClientRequest, Form
from addons.clients.issue import SHORTEST_PASSPHRASE
from addons.pki.keys import KeyType
from addons.pki.validity import LONGEST_LIFETIME
from instances.secret import Secret

LONGEST_REQUEST = 65536
"""Bytes of a signing request; a large one has four thousand."""
KEPT = ("holder", "lifetime_days", "form", "key_type", "replaces")
"""What an address may hold to begin the form with: none of it is secret."""


class ClientCertificateForm(forms.Form):
    """Who, how long, and in which form."""

    holder = forms.CharField(
        max_length=64,
        help_text=(
            "The application or person that it is for, such as billing. It becomes the "
            "certificate's common name."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    lifetime_days = forms.IntegerField(
        label="Lifetime, days",
        min_value=1,
        max_value=LONGEST_LIFETIME,
        initial=LIFETIME,
        help_text=(
            "Redis cannot be told to refuse a single certificate: the shorter it holds, the better."
        ),
    )
    form = forms.ChoiceField(
        label="Download as",
        choices=[
            (Form.ZIP, "ZIP archive: client.crt, client.key, root.crt and a how-to"),
            (Form.PKCS12, "PKCS #12 file: for Java, .NET and key stores, under a pass-phrase"),
            (Form.PEM, "One PEM file: key, certificate and authorities"),
            (Form.CSR, "Signed from a request: the key stays with its holder"),
        ],
        initial=Form.ZIP,
        widget=forms.RadioSelect,
    )
    key_type = forms.ChoiceField(
        label="Key type",
        choices=[
            (KeyType.EC_P256.value, "EC P-256: small and quick"),
            (KeyType.RSA_3072.value, "RSA 3072: for clients that know nothing else"),
        ],
        initial=KeyType.EC_P256.value,
    )
    passphrase = forms.CharField(
        label="Pass-phrase of the file",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=f"At least {SHORTEST_PASSPHRASE} characters. Redoubt does not keep it.",
    )
    again = forms.CharField(
        label="Pass-phrase again",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    csr = forms.FileField(
        label="Signing request",
        required=False,
        allow_empty_file=True,
        help_text=(
            "A PEM file, as `openssl req -new` writes it. Its key has to be EC P-256 or longer, or "
            "RSA of 2048 bits or more. The names in it are left out: the holder's name stands."
        ),
    )
    once = forms.UUIDField(required=False, widget=forms.HiddenInput)
    replaces = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """Check what the chosen form of download needs."""
        cleaned = super().clean() or {}
        typed = cleaned.get("passphrase", "")
        if cleaned.get("form") == Form.PKCS12 and typed != cleaned.get("again", ""):
            self.add_error("again", "The two pass-phrases differ.")
        if cleaned.get("form") == Form.CSR and "csr" not in self.errors:
            self._check_request()
        if self.errors:
            self.remind_of_passphrase()
        return cleaned

    def _check_request(self) -> None:
        given = self.cleaned_data.get("csr")
        if not given:
            self.add_error("csr", "Choose the file of the request.")
        elif given.size > LONGEST_REQUEST:
            self.add_error("csr", "This is too large for a signing request.")

    def remind_of_passphrase(self) -> None:
        """Say that a typed pass-phrase has to be typed again."""
        if self.data.get("passphrase") and self.data.get("form") == Form.PKCS12:
            self.add_error("passphrase", "Type it again: it is not sent back to the browser.")

    def request(self) -> ClientRequest:
        """Return what is asked for."""
        typed = self.cleaned_data
        pkcs12, csr = typed["form"] == Form.PKCS12, typed["form"] == Form.CSR
        return ClientRequest(
            holder=typed["holder"],
            form=typed["form"],
            lifetime_days=typed["lifetime_days"],
            key_type=KeyType(typed["key_type"]),
            passphrase=Secret(typed["passphrase"] if pkcs12 else ""),
            csr=typed["csr"].read().decode("ascii", "replace") if csr else "",
            once=typed["once"],
            replaces=typed["replaces"],
        )
