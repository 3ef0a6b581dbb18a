"""A file sealed with a pass-phrase, written and read in pieces, so that its size does not matter.

scrypt (RFC 7914) makes the key; AES-256-GCM seals pieces of 4 MiB in the manner of the STREAM
construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce holds a counter and a mark on
the last piece, so that pieces cannot be left out, swapped or cut off. The header is bound to each.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from instances.errors import Invalid
from instances.secret import Secret

_MAGIC = b"redoubt backup 1\n"
_PIECE = 4 * 1024 * 1024
_TAG = 16
_PREFIX_BYTES = 7
# 128 MiB and about half a second: OWASP's advice for scrypt, N = 2^17, r = 8, p = 1.
_COST = {"n": 2**17, "r": 8, "p": 1}
_MEMORY = 256 * 1024 * 1024


def seal(source: BinaryIO, target: BinaryIO, passphrase: Secret) -> None:
    """Write everything that is read from `source`, sealed, to `target`."""
    header = {**_COST, "salt": secrets.token_hex(16), "prefix": secrets.token_hex(_PREFIX_BYTES)}
    line = json.dumps(header).encode() + b"\n"
    target.write(_MAGIC + line)
    cipher = AESGCM(_key(passphrase, header))
    target.writelines(
        cipher.encrypt(_nonce(header, number, last=last), piece, line)
        for number, (piece, last) in enumerate(_pieces(source, _PIECE))
    )


def unseal(source: BinaryIO, target: BinaryIO, passphrase: Secret) -> None:
    """Write what `seal` sealed to `target`. Use it only once this has returned.

    Raises:
        Invalid: It is not a backup, the pass-phrase is wrong, or the file is damaged.
    """
    if source.read(len(_MAGIC)) != _MAGIC:
        raise Invalid("file", "This is not a backup of Redoubt.", "Choose another file.")
    line = source.readline(1024)
    header = _header(line)
    cipher = AESGCM(_key(passphrase, header))
    for number, (piece, last) in enumerate(_pieces(source, _PIECE + _TAG)):
        try:
            target.write(cipher.decrypt(_nonce(header, number, last=last), piece, line))
        except InvalidTag:
            raise Invalid(
                "passphrase",
                "The backup does not open: the pass-phrase is wrong, or the file is damaged.",
                "Try the pass-phrase again, or another copy of the file.",
            ) from None


def write_private(path: Path) -> BinaryIO:
    """Open a new file of mode 0600.

    Raises:
        Invalid: There is one already, or it cannot be written.
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
        return path.open("wb")
    except FileExistsError:
        raise Invalid("file", f"{path} exists already.", "Choose another name.") from None
    except OSError as error:
        raise Invalid(
            "file", f"{path} cannot be written: {error.strerror}.", "Choose another place."
        ) from error


def _header(line: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(line)
        # Whoever alters the header must not make us work or allocate without end.
        if {name: header[name] for name in _COST} != _COST:
            raise ValueError
        bytes.fromhex(header["salt"])
        bytes.fromhex(header["prefix"])
    except (ValueError, KeyError, TypeError):
        raise Invalid(
            "file", "The backup's first lines are damaged.", "Try another copy."
        ) from None
    return header


def _key(passphrase: Secret, header: dict[str, Any]) -> bytes:
    return hashlib.scrypt(
        passphrase.reveal().encode(),
        salt=bytes.fromhex(header["salt"]),
        n=header["n"],
        r=header["r"],
        p=header["p"],
        maxmem=_MEMORY,
        dklen=32,
    )


def _nonce(header: dict[str, Any], number: int, *, last: bool) -> bytes:
    return bytes.fromhex(header["prefix"]) + number.to_bytes(4, "big") + bytes([last])


def _pieces(source: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces, each with whether it is the last one; an empty source is one empty piece."""
    piece = source.read(size)
    while True:
        following = source.read(size)
        yield piece, not following
        if not following:
            return
        piece = following
