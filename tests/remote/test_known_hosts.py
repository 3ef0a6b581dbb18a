import subprocess
from pathlib import Path

import pytest

from instances.remote.keys import generate_ed25519
from instances.remote.known_hosts import find_host_keys, parse

ONE, TWO = (generate_ed25519("")[1] for _ in range(2))


@pytest.mark.parametrize(
    ("names", "address", "port", "found"),
    [
        ("redis-1", "redis-1", 22, True),
        ("redis-1,10.0.0.1", "10.0.0.1", 22, True),
        ("Redis-1", "redis-1", 22, True),
        ("redis-1", "redis-2", 22, False),
        ("redis-1", "redis-1", 2222, False),
        ("[redis-1]:2222", "redis-1", 2222, True),
        ("[redis-1]:2222", "redis-1", 22, False),
        ("[::1]:2222", "::1", 2222, True),
        ("*.example.org", "a.example.org", 22, True),
        ("*.example.org,!b.example.org", "b.example.org", 22, False),
    ],
)
def test_names_are_matched(names: str, address: str, port: int, found: bool) -> None:
    assert find_host_keys(f"# mine\n\n{names} {ONE} comment\n", address, port) == [ONE] * found


def test_hashed_names_are_matched(tmp_path: Path) -> None:
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"redis-1 {ONE}\n[redis-1]:2222 {TWO}\n")
    subprocess.run(["ssh-keygen", "-q", "-Hf", hosts], check=True, capture_output=True)
    assert "redis-1" not in hosts.read_text()
    assert find_host_keys(hosts.read_text(), "redis-1") == [ONE]
    assert find_host_keys(hosts.read_text(), "redis-1", 2222) == [TWO]


def test_a_revoked_key_is_never_given() -> None:
    text = f"redis-1 {ONE}\nredis-1 {TWO}\n@revoked redis-1 {ONE}\n"
    assert find_host_keys(text, "redis-1") == [TWO]


def test_authorities_and_garbage_are_left_out() -> None:
    assert parse(f"@cert-authority * {ONE}\nredis-1\nredis-1 ssh-ed25519 !!\nx y z w\n") == []
