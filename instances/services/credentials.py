"""Storing SSH keys."""

from django.db import transaction

from instances.audit import Actor, audit
from instances.errors import Invalid
from instances.models import Credential
from instances.remote.keys import KeyUnusable, generate_ed25519, public_line
from instances.secret import Secret
from instances.services.saving import save_clean


def credential_create(*, actor: Actor, name: str, private_key: Secret | None = None) -> Credential:
    """Store an SSH key, or make an Ed25519 one where none is given.

    Raises:
        Invalid: The name is taken or the key is not one that the panel can use.
    """
    try:
        if private_key is None:
            private_key, public = generate_ed25519(f"redoubt-{name}")
        else:
            public = public_line(private_key)
    except KeyUnusable as error:
        raise Invalid("private_key", str(error)) from error
    credential = Credential(name=name, private_key=private_key, public_key=public)
    with transaction.atomic():
        save_clean(credential)
        audit(actor, "credential.create", credential)
    return credential
