import subprocess
from pathlib import Path

import pytest

from instances.remote.keys import KeyUnusable, generate_ed25519, public_line
from instances.secret import Secret


def test_a_generated_pair_belongs_together(tmp_path: Path) -> None:
    private, line = generate_ed25519("redoubt@panel")
    assert line.endswith(" redoubt@panel")
    assert line.startswith(public_line(private))
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text(private.reveal())
    openssh = subprocess.run(
        ["ssh-keygen", "-yf", tmp_path / "key"], capture_output=True, check=True
    )
    assert openssh.stdout.decode().split()[:2] == line.split()[:2]


@pytest.mark.parametrize("form", [[], ["-m", "PEM"], ["-m", "PKCS8"]])
def test_a_key_with_a_passphrase_is_told_from_nonsense(tmp_path: Path, form: list[str]) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "secret", *form, "-f", str(tmp_path / "key")]
    subprocess.run(argv, check=True)
    with pytest.raises(KeyUnusable, match="passphrase"):
        public_line(Secret((tmp_path / "key").read_text()))


@pytest.mark.parametrize("text", ["", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_what_is_no_key_is_said_without_showing_it(text: str) -> None:
    with pytest.raises(KeyUnusable, match="no private key") as raised:
        public_line(Secret(text))
    assert "AAAA" not in str(raised.value)
