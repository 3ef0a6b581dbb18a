"""Forms about what exists. They only shape the input: the services judge it."""

import re
from collections.abc import Iterable
from typing import Any, cast

from django import forms

from instances.models import Node
from instances.remote.keys import KeyUnusable, public_line
from instances.secret import Secret
from instances.services import NodeRequest

NEW_KEY = "+"
"""The choice that makes a key. It cannot be a credential's name."""


class SecretTextarea(forms.Textarea):
    """A text area whose content goes to the panel and never back."""

    def get_context(
        self,
        name: str,
        value: Any,  # noqa: ARG002 -- what was typed
        attrs: dict[str, Any] | None,
    ) -> dict[str, Any]:
        """Draw it empty."""
        return super().get_context(name, None, attrs)


class EnvironmentForm(forms.Form):
    """A new environment."""

    name = forms.CharField(
        max_length=63,
        help_text="Lower-case letters, digits and hyphens, such as shop-production.",
    )
    region = forms.CharField(
        max_length=63, required=False, help_text="A label for your own use, such as eu-west."
    )


class GroupForm(forms.Form):
    """A new node group."""

    name = forms.CharField(
        max_length=63,
        help_text="What these servers do in the environment, such as cache or sessions.",
    )


class RemoveForm(forms.Form):
    """The name of what is to be removed, typed to confirm it."""

    typed = forms.CharField(max_length=63, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        """Ask for a name.

        Args:
            name: What has to be typed.
        """
        super().__init__(*args, **kwargs)
        self._name = name
        self.fields["typed"].label = f"Type {name} to confirm"

    def clean_typed(self) -> str:
        """Refuse another name."""
        typed = str(self.cleaned_data["typed"])
        if typed != self._name:
            raise forms.ValidationError("This is another name.")
        return typed


class CredentialForm(forms.Form):
    """A key made here, or one that exists."""

    name = forms.CharField(max_length=63, help_text="Such as default or payments.")
    private_key = forms.CharField(
        label="Private key",
        required=False,
        widget=SecretTextarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
        help_text=(
            "Leave it empty and Redoubt makes an Ed25519 key. It is stored encrypted and never "
            "shown again."
        ),
    )

    def clean_private_key(self) -> str:
        """Refuse what is no key at once: it is not sent back to the browser to be mended."""
        text = str(self.cleaned_data["private_key"]).strip()
        try:
            if text:
                public_line(Secret(text))
        except KeyUnusable as error:
            raise forms.ValidationError(str(error)) from error
        return text

    def secret(self) -> Secret | None:
        """Return the pasted key, or None to make one."""
        text = self.cleaned_data["private_key"]
        return Secret(f"{text}\n") if text else None


class ServerForm(forms.Form):
    """What an operator states of a server."""

    client_addresses = forms.CharField(
        label="Names and addresses that clients use",
        required=False,
        help_text="Separated by commas. They go into the certificate. Empty: the address above.",
    )
    server_username = forms.CharField(
        label="Redis user", max_length=128, required=False, help_text="Empty for the default user."
    )
    server_password = forms.CharField(
        label="Redis password",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="If the server asks for one. It is stored encrypted and never shown.",
    )
    unit = forms.CharField(
        label="systemd unit",
        max_length=128,
        required=False,
        help_text="Only where several servers share the machine.",
    )
    config_path = forms.CharField(
        label="Configuration file",
        max_length=512,
        required=False,
        help_text="Only where several servers share the machine.",
    )

    def addresses(self) -> list[str]:
        """Return the names and addresses that clients use, as typed."""
        return [word for word in re.split(r"[\s,]+", self.cleaned_data["client_addresses"]) if word]

    def remind_of_password(self) -> None:
        """Say that a typed password has to be typed again."""
        if self.data.get("server_password") and "server_password" not in self.errors:
            self.add_error("server_password", "Type it again: it is not sent back to the browser.")


class LoginForm(forms.Form):
    """How the panel logs in."""

    ssh_port = forms.IntegerField(label="SSH port", min_value=1, max_value=65535, initial=22)
    user = forms.CharField(
        label="SSH user",
        max_length=32,
        initial="root",
        help_text="root, or a user with sudo that asks for no password.",
    )
    credential = forms.ChoiceField(label="SSH key")
    new_key_name = forms.CharField(
        label="Name of the new key", max_length=63, required=False, initial="default"
    )

    def __init__(self, *args: Any, credentials: list[str], **kwargs: Any) -> None:
        """Offer the keys there are, and a new one.

        Args:
            credentials: The names of the keys there are.
        """
        super().__init__(*args, **kwargs)
        choice = self.fields["credential"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101 -- declared above
        choice.choices = [*((name, name) for name in credentials), (NEW_KEY, "Make a new key")]
        if NEW_KEY in credentials or not credentials:
            self.initial.setdefault("credential", NEW_KEY)

    @property
    def wants_new_key(self) -> bool:
        """Whether a key is to be made first."""
        return bool(self.cleaned_data["credential"] == NEW_KEY)

    def clean(self) -> dict[str, Any]:
        """Ask for the name of a key that is to be made."""
        cleaned = super().clean() or {}
        if cleaned.get("credential") == NEW_KEY and not cleaned.get("new_key_name"):
            self.add_error("new_key_name", "A new key needs a name.")
        return cleaned


class NodeForm(LoginForm, ServerForm):
    """A server and how to reach its machine."""

    address = forms.CharField(
        max_length=253, help_text="The IP address or name by which the panel reaches it with SSH."
    )
    name = forms.CharField(max_length=63, required=False, help_text="Empty: made from the address.")
    host_key = forms.CharField(
        label="Expected host key",
        max_length=64,
        required=False,
        help_text=(
            "SHA256:… as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows it on the "
            "machine. Empty: Redoubt shows what it sees and asks you before the first login."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the password again where the form comes back: it is not sent to the browser."""
        cleaned = super().clean()
        if self.errors:
            self.remind_of_password()
        return cleaned

    def request(self, credential: str) -> NodeRequest:
        """Return what is asked for.

        Args:
            credential: The name of the key to log in with.
        """
        typed = dict(self.cleaned_data)
        return NodeRequest(
            address=typed["address"].strip(),
            name=typed["name"],
            ssh_port=typed["ssh_port"],
            user=typed["user"],
            credential=credential,
            host_key=typed["host_key"].strip(),
            unit=typed["unit"],
            config_path=typed["config_path"],
            client_addresses=self.addresses(),
            server_username=typed["server_username"],
            server_password=Secret(typed["server_password"]),
        )


class ManyNodesForm(LoginForm):
    """A pasted list of nodes, and what holds for those of them that say nothing else."""

    text = forms.CharField(
        label="List of nodes",
        max_length=500_000,
        strip=False,  # or the lines would be counted otherwise
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "autocomplete": "off"}),
    )
    only = forms.CharField(
        label="Only this Ansible group",
        max_length=100,
        required=False,
        help_text="Of an inventory with several groups. Empty: all of its hosts.",
    )
    known_hosts = forms.CharField(
        label="known_hosts",
        max_length=1_000_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
        help_text="A host key that stands here is taken as compared. Paste only what you trust.",
    )


class SharedPasswordForm(forms.Form):
    """The Redis user and password that all nodes of a list share, asked for at the end."""

    server_username = forms.CharField(label="Redis user", max_length=128, required=False)
    server_password = forms.CharField(
        label="Redis password",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="If these servers ask for one and share it; else edit each node later.",
    )


class NodeEditForm(ServerForm):
    """What is stated of a server that is registered; its password is written, never read."""

    name = forms.CharField(max_length=63, help_text="What people call it; no file depends on it.")
    forget_password = forms.BooleanField(label="Forget the stored password", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Say that an empty password keeps the stored one."""
        super().__init__(*args, **kwargs)
        self.fields["server_password"].help_text = "Empty keeps what is stored. It is never shown."
        self.fields["client_addresses"].required = True
        self.fields[
            "client_addresses"
        ].help_text = "Separated by commas. They go into the certificate with the next run."

    def clean(self) -> dict[str, Any]:
        """Refuse a password that is both given and to be forgotten."""
        cleaned = super().clean() or {}
        if cleaned.get("forget_password") and cleaned.get("server_password"):
            self.add_error("forget_password", "Either type a new password or forget the stored.")
        if self.errors:
            self.remind_of_password()
        return cleaned

    def changes(self, node: Node) -> dict[str, Any]:
        """Return what differs from a node, as `node_update` takes it."""
        wanted: dict[str, Any] = {
            name: self.cleaned_data[name].strip()
            for name in ("name", "unit", "config_path", "server_username")
        } | {"client_addresses": self.addresses()}
        changed = {name: value for name, value in wanted.items() if getattr(node, name) != value}
        typed = self.cleaned_data["server_password"]
        if typed or self.cleaned_data["forget_password"]:
            changed["server_password"] = Secret(typed)
        return changed


class NodeMoveForm(forms.Form):
    """Into which group of its environment a node is to go."""

    group = forms.ChoiceField(label="Node group")

    def __init__(self, *args: Any, groups: Iterable[str], **kwargs: Any) -> None:
        """Offer these groups, by name."""
        super().__init__(*args, **kwargs)
        choice = cast("forms.ChoiceField", self.fields["group"])
        choice.choices = [(name, name) for name in groups]


def node_stated(node: Node) -> dict[str, str]:
    """Return what is stated of a node as `NodeEditForm` shows it at first."""
    names = ("name", "unit", "config_path", "server_username")
    stated = {name: str(getattr(node, name)) for name in names}
    return stated | {"client_addresses": ", ".join(node.client_addresses)}
