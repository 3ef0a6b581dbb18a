"""Encryption of secrets at rest: a key file apart from Django's SECRET_KEY.

AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D, 8.2.2: safe up to 2^32 messages a key).
Each token names its key, so that keys can be rotated while old tokens are still read, and is bound
to the context it was made for: copied into another column or row kind, it does not open.
"""

import base64
import binascii
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from instances.secret import Secret

_SCHEME = "rk1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_CHECK_CONTEXT = "instances.keyring.check"
_CHECK_TEXT = "redoubt"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyRingError(Exception):
    """The key file, or a token, cannot be used.

    Args:
        reason: One CamelCase word. Of the file: ``Missing``, ``Unreadable``, ``Exposed``,
            ``Malformed``, ``Exists``, ``Unwritable``. Of a token: ``TokenMalformed``,
            ``UnknownKey``, ``WrongKey``.
        message: What happened and what to do next. It holds no key and no secret.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by their ids; the primary encrypts, all of them decrypt.

    Args:
        primary: The id of the key that encrypts.
        keys: 32 bytes each.

    Raises:
        KeyRingError: ``Malformed``.
    """

    primary: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.primary not in self.keys:
            raise KeyRingError("Malformed", f"The primary key {self.primary!r} is not in the ring.")
        for key_id, key in self.keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise KeyRingError("Malformed", f"{key_id!r} cannot be the id of a key.")
            if len(key) != _KEY_BYTES:
                raise KeyRingError("Malformed", f"Key {key_id!r} is not {_KEY_BYTES} bytes long.")
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))

    @classmethod
    def load(cls, path: Path) -> "KeyRing":
        """Read a key file.

        Raises:
            KeyRingError: ``Missing``, ``Unreadable``, ``Exposed`` (group or others have any right
                to it) or ``Malformed``.
        """
        return _parse(_read(path), path)

    @classmethod
    def create(cls, path: Path) -> "KeyRing":
        """Make a ring of one new key and write it to a new file, mode 0600.

        The file appears whole or not at all, and never in place of another: of two processes that
        start at once, one gets ``Exists`` and loads what the other wrote.

        Raises:
            KeyRingError: ``Exists`` or ``Unwritable``.
        """
        ring = cls._of_one(new_key_id(), new_key())
        _write(path, ring, replace=False)
        return ring

    @classmethod
    def _of_one(cls, key_id: str, key: bytes) -> "KeyRing":
        return cls(key_id, {key_id: key})

    def save(self, path: Path) -> None:
        """Write the ring over its file, at once and with mode 0600: the end of a rotation.

        Raises:
            KeyRingError: ``Unwritable``.
        """
        _write(path, self, replace=True)

    def rotate(self, *, key_id: str, key: bytes) -> "KeyRing":
        """Return a ring that encrypts with a new key and still reads what the old ones wrote.

        Args:
            key_id: From `new_key_id`.
            key: From `new_key`.

        Raises:
            KeyRingError: ``Exists`` where the ring has a key of that id, or ``Malformed``.
        """
        if key_id in self.keys:
            raise KeyRingError("Exists", f"The ring has a key {key_id!r} already.")
        return KeyRing(key_id, {**self.keys, key_id: key})

    def encrypt(self, secret: Secret | str, *, context: str) -> str:
        """Encrypt a text with the primary key.

        Args:
            secret: The text.
            context: What it is for, such as ``instances.credential.private_key``. The same must
                be given to `decrypt`.

        Returns:
            A token, ``rk1:KEY ID:BASE64URL``, of which only the key's id can be read.
        """
        text = secret.reveal() if isinstance(secret, Secret) else secret
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self.keys[self.primary])
        sealed = cipher.encrypt(nonce, text.encode(), _bound(self.primary, context))
        return f"{_SCHEME}:{self.primary}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, token: str, *, context: str) -> Secret:
        """Return what a token holds.

        Raises:
            KeyRingError: ``UnknownKey`` (its key is not in the ring), ``WrongKey`` (the key of
                that id did not make it, or not for this context, or it was altered) or
                ``TokenMalformed``.
        """
        key_id, sealed = _take_apart(token)
        if key_id not in self.keys:
            raise KeyRingError(
                "UnknownKey",
                f"A stored secret needs the key {key_id!r}, which the key file does not have. "
                "Restore the key file that was in use when it was stored.",
            )
        try:
            text = AESGCM(self.keys[key_id]).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(key_id, context)
            )
        except InvalidTag:
            raise KeyRingError(
                "WrongKey",
                f"A stored secret ({context}) does not open with the key {key_id!r}: the key file "
                "is another one, or the stored value was moved or altered. Restore the key file "
                "and the database from the same backup.",
            ) from None
        return Secret(text.decode())

    def is_current(self, token: str) -> bool:
        """Tell whether a token was made with the primary key, so that rotation may skip it."""
        return key_id_of(token) == self.primary

    def check_token(self) -> str:
        """Return a token to store in the database, with which `verify_check` knows the ring."""
        return self.encrypt(_CHECK_TEXT, context=_CHECK_CONTEXT)

    def verify_check(self, token: str) -> None:
        """Do nothing where this ring, or its forerunner, made the token.

        Raises:
            KeyRingError: As `decrypt`: the key file is not the one that this database needs.
        """
        self.decrypt(token, context=_CHECK_CONTEXT)


def new_key() -> bytes:
    """Draw a key."""
    return secrets.token_bytes(_KEY_BYTES)


def new_key_id() -> str:
    """Draw an id. It is random, so that two files made apart never call two keys the same."""
    return secrets.token_hex(4)


def key_id_of(token: str) -> str:
    """Return the id of the key that made a token.

    Raises:
        KeyRingError: ``TokenMalformed``.
    """
    return _take_apart(token)[0]


def _bound(key_id: str, context: str) -> bytes:
    return f"{_SCHEME}:{key_id}:{context}".encode()


def _take_apart(token: str) -> tuple[str, bytes]:
    scheme, _, rest = token.partition(":")
    key_id, _, encoded = rest.partition(":")
    try:
        sealed = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        sealed = b""
    if scheme != _SCHEME or not _KEY_ID.fullmatch(key_id) or len(sealed) < _NONCE_BYTES + 16:
        raise KeyRingError(
            "TokenMalformed",
            "A stored secret is not in the form that Redoubt writes. Restore it from a backup, or "
            "enter it again.",
        )
    return key_id, sealed


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except FileNotFoundError:
        raise KeyRingError(
            "Missing",
            f"There is no key file at {path}. Restore it from a backup; without it the stored "
            "secrets cannot be read. Make a new one only for a new, empty database.",
        ) from None
    except OSError as error:
        raise KeyRingError(
            "Unreadable",
            f"The key file {path} cannot be read ({error.strerror}). "
            "Give it to the user that runs the panel.",
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise KeyRingError(
            "Exposed",
            f"The key file {path} has mode {stat.S_IMODE(mode):04o}: others than its owner may "
            f"use it. Run: chmod 600 {path}",
        )
    return content


def _parse(content: bytes, path: Path) -> KeyRing:
    try:
        found: Any = json.loads(content)
        keys = {
            key_id: base64.b64decode(key, validate=True) for key_id, key in found["keys"].items()
        }
        return KeyRing(str(found["primary"]), keys)
    except (ValueError, TypeError, KeyError, AttributeError):
        detail = "It is not JSON with a primary id and base64 keys"
    except KeyRingError as error:
        detail = error.message.removesuffix(".")
    # Raised out here: the parser's own error would quote the file.
    raise KeyRingError(
        "Malformed", f"The key file {path} is damaged: {detail}. Restore it from a backup."
    )


def _write(path: Path, ring: KeyRing, *, replace: bool) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_new(temporary, _encode(ring))
        try:
            # A link fails where its target exists; a rename replaces it. Each is atomic.
            (os.replace if replace else os.link)(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError:
        raise KeyRingError(
            "Exists",
            f"There is a key file at {path} already. It is not replaced: the stored secrets may "
            "need it.",
        ) from None
    except OSError as error:
        raise KeyRingError(
            "Unwritable",
            f"The key file {path} cannot be written ({error.strerror}). Let the user that runs "
            f"the panel write to {path.parent}.",
        ) from error


def _encode(ring: KeyRing) -> bytes:
    keys = {key_id: base64.b64encode(key).decode() for key_id, key in ring.keys.items()}
    return json.dumps({"primary": ring.primary, "keys": keys}, indent=2).encode() + b"\n"


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
