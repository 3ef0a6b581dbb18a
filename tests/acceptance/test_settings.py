"""Keys, client certificates, other settings on an installed add-on, and an operator's own edits."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from addons.encryption import plan
from addons.encryption.probe import Verified, verify
from addons.engine.step import StepFailed
from instances.reason import Reason
from tests.acceptance.outside import ping_over_tls, reachable
from tests.acceptance.panel import refused, said, unchanged
from tests.acceptance.photograph import cli, shell
from tests.acceptance.stage import STAYS_IN_6_2, Stage

pytestmark = pytest.mark.lab


def test_the_server_reads_its_own_key_and_nobody_else_reads_any(stage: Stage) -> None:
    names = ["cache", "valkey", "etcconf"]
    stage.register(*names)
    stage.panel.install("cache")
    for name in names:
        service = "valkey" if name == "valkey" else "redis"
        server = f"/etc/{service}/tls/server/server.key"
        client = f"/etc/{service}/tls/client/client.key"

        assert _may_read(stage, name, service, server)
        assert not _may_read(stage, name, service, client)
        assert not _may_read(stage, name, "nobody", server)
        assert not _may_read(stage, name, "nobody", client)
        modes = shell(stage.lab, name, f"stat -c '%U:%G %a' {server} {client}").splitlines()
        assert modes == [f"root:{service} 640", "root:root 600"]
        assert not shell(stage.lab, name, "find / -xdev -path '*tls*.key' -type f -perm /o=r")
    stage.panel.uninstall("cache")


def _may_read(stage: Stage, name: str, user: str, path: str) -> bool:
    argv = ["runuser", "-u", user, "--", "cat", path]
    return b"PRIVATE KEY" in stage.lab.exec(name, argv).stdout


def _client_pair(stage: Stage, name: str) -> tuple[Path, Path]:
    """The node's own client pair, fetched as root."""
    pair = (stage.scratch / "client.crt", stage.scratch / "client.key")
    for path in pair:
        path.write_text(shell(stage.lab, name, f"cat /etc/redis/tls/client/{path.name}"))
    return pair


def test_required_client_certificates_let_only_their_holders_in(stage: Stage) -> None:
    stage.register("cache")
    stage.panel.install("cache", tls_auth_clients="required")
    address, root = stage.address("cache"), stage.root
    pair = _client_pair(stage, "cache")

    assert "+PONG" in ping_over_tls(address, root, client=pair)
    assert "+PONG" not in ping_over_tls(address, root)

    stage.panel.install("cache", tls_auth_clients="optional")

    assert "+PONG" in ping_over_tls(address, root)
    stage.panel.uninstall("cache")


def _served(stage: Stage, name: str, *, port: int = 6380) -> x509.Certificate:
    """The certificate that a client is shown."""
    printed = ping_over_tls(stage.address(name), stage.root, port=port)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    body = printed.split(begin, 1)[1].split(end, 1)[0]
    return x509.load_pem_x509_certificate(f"{begin}{body}{end}".encode())


def _days(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days


def test_an_rsa_key_and_a_short_life_are_what_is_served(stage: Stage) -> None:
    stage.register("cache")

    stage.panel.install("cache", key_type="rsa-3072", lifetime_days="30")

    assert stage.speaks_tls("cache")
    served = _served(stage, "cache")
    key = served.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072
    assert _days(served) == 30
    stage.panel.uninstall("cache")


VERSIONS = ["cache", "legacy", "six-two"]


@pytest.mark.parametrize("apply", ["live", pytest.param("restart", marks=pytest.mark.long)])
def test_new_certificates_at_the_same_place_are_served(apply: str, stage: Stage) -> None:
    stage.register(*VERSIONS)
    before = stage.photographs(*VERSIONS)
    stage.panel.install("cache", apply=apply)
    first = {name: _served(stage, name) for name in VERSIONS}

    stage.panel.install("cache", lifetime_days="30")

    second = {name: _served(stage, name) for name in VERSIONS}
    assert [name for name in VERSIONS if second[name] == first[name]] == []
    assert {_days(certificate) for certificate in second.values()} == {30}
    assert unchanged(stage.panel.install("cache"))
    stage.panel.uninstall("cache")
    assert stage.trace(before, but=STAYS_IN_6_2 if apply == "live" else {}) == {}


def test_other_settings_on_an_installed_add_on_and_then_no_trace(stage: Stage) -> None:
    stage.register(*VERSIONS)
    before = stage.photographs(*VERSIONS)
    stage.panel.install("cache")

    stage.panel.install("cache", tls_port="7443")

    for name in VERSIONS:
        assert stage.speaks_tls(name, port=7443)
        assert not reachable(stage.address(name), 6380)

    stage.panel.install("cache", directory="/etc/ssl/redoubt/redis", lifetime_days="90")

    for name in VERSIONS:
        assert stage.speaks_tls(name, port=7443)
        assert _days(_served(stage, name, port=7443)) == 90
        assert "/etc/redis/tls" not in shell(stage.lab, name, "find /etc/redis")
    assert unchanged(stage.panel.install("cache"))

    stage.panel.uninstall("cache")

    assert stage.trace(before, but=STAYS_IN_6_2) == {}


def _shaken(stage: Stage, name: str, *options: str) -> bool:
    """Whether openssl, with these options, comes to a session."""
    place = f"{stage.address(name)}:6380"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", place, *options],
        input=b"Q\n",
        capture_output=True,
        timeout=20,
        check=False,
    )
    return b"Cipher is (NONE)" not in done.stdout and done.returncode == 0


CBC = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA@SECLEVEL=0")
GCM = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")


def test_versions_and_ciphers_are_those_of_the_settings(stage: Stage) -> None:
    stage.register(*VERSIONS)
    before = stage.photographs(*VERSIONS)
    stage.panel.install("cache")
    assert [_shaken(stage, name, *CBC) for name in VERSIONS] == [False] * len(VERSIONS)
    assert [_shaken(stage, name, *GCM) for name in VERSIONS] == [True] * len(VERSIONS)

    stage.panel.install("cache", ciphers="server")
    assert [_shaken(stage, name, *CBC) for name in VERSIONS] == [True] * len(VERSIONS)
    for name in VERSIONS:
        assert not shell(stage.lab, name, "grep ^tls-ciphers /etc/redis/redis.conf || true")

    stage.panel.install("cache", tls_minimum="1.3")
    assert [_shaken(stage, name, *GCM) for name in VERSIONS] == [False] * len(VERSIONS)
    assert [_shaken(stage, name, "-tls1_3") for name in VERSIONS] == [True] * len(VERSIONS)
    stage.panel.uninstall("cache")
    assert stage.trace(before, but=STAYS_IN_6_2) == {}


def test_more_names_are_in_each_certificate(stage: Stage) -> None:
    stage.register("cache")
    stage.panel.install("cache")
    first = _served(stage, "cache")
    stage.panel.install("cache", sans="db.example.org, 192.0.2.7")
    served = _served(stage, "cache")
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db.example.org"]
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {stage.address("cache"), "192.0.2.7"}
    assert served.serial_number != first.serial_number
    assert unchanged(stage.panel.install("cache"))
    stage.panel.uninstall("cache")


def test_live_and_restart_may_take_turns_and_leave_no_trace(stage: Stage) -> None:
    stage.register("cache")
    before = stage.photograph("cache")

    stage.panel.install("cache", apply="live")
    stage.panel.install("cache", apply="restart", tls_port="7443")
    stage.panel.install("cache", apply="live", tls_auth_clients="no")
    stage.panel.uninstall("cache", apply="restart")

    assert before.differences(stage.photograph("cache")) == []


@pytest.mark.parametrize("apply", ["live", pytest.param("restart", marks=pytest.mark.long)])
def test_what_an_operator_edited_meanwhile_survives_the_uninstall(apply: str, stage: Stage) -> None:
    stage.register("cache")
    path = stage.hosts["cache"].config_path
    before = shell(stage.lab, "cache", f"cat {path}")
    stage.panel.install("cache", apply=apply)
    shell(stage.lab, "cache", f"sed -i 's/^timeout .*/timeout 77/; 3i # mine' {path}")
    cli(stage.lab, "cache", "CONFIG", "SET", "timeout", "77")

    stage.panel.uninstall("cache")

    lines = before.splitlines()
    lines.insert(2, "# mine")
    expected = ["timeout 77" if line.startswith("timeout ") else line for line in lines]
    assert shell(stage.lab, "cache", f"cat {path}").splitlines() == expected
    assert not reachable(stage.address("cache"), 6380)
    stage.make_anew("cache")


def test_a_line_of_ours_that_an_operator_changed_is_left_and_reported(stage: Stage) -> None:
    stage.register("cache")
    path = stage.hosts["cache"].config_path
    stage.panel.install("cache")
    shell(stage.lab, "cache", f"sed -i 's/^tls-auth-clients .*/tls-auth-clients yes/' {path}")

    run = stage.panel.uninstall("cache")

    assert any("tls-auth-clients" in text and "left" in text for text in said(run))
    left = shell(stage.lab, "cache", f"grep ^tls {path}").splitlines()
    assert left == ["tls-auth-clients yes"]
    stage.make_anew("cache")


def test_a_directory_that_was_there_keeps_owner_mode_and_files(stage: Stage) -> None:
    make = "install -d -o redis -g redis -m 0750 /etc/redis/tls; echo own >/etc/redis/tls/own.pem"
    shell(stage.lab, "cache", make)
    stage.register("cache")
    before = stage.photograph("cache")

    stage.panel.install("cache")

    assert stage.speaks_tls("cache")
    stage.panel.uninstall("cache")
    assert before.differences(stage.photograph("cache")) == []
    shell(stage.lab, "cache", "rm -r /etc/redis/tls")


@pytest.mark.parametrize("taken", ["mkdir server", "echo own >client"])
def test_what_stands_where_certificates_belong_is_not_overwritten(taken: str, stage: Stage) -> None:
    shell(stage.lab, "cache", f"mkdir /etc/redis/tls; cd /etc/redis/tls; {taken}")
    stage.register("cache")
    before = stage.photograph("cache")

    assert refused(stage.panel.try_install("cache")) == "PathTaken"

    assert before.differences(stage.photograph("cache")) == []
    shell(stage.lab, "cache", "rm -r /etc/redis/tls")


def test_a_directory_inside_the_former_one_leaves_no_trace(stage: Stage) -> None:
    stage.register("cache")
    before = stage.photograph("cache")
    stage.panel.install("cache")
    stage.panel.install("cache", directory="/etc/redis/tls/a/b")
    assert stage.speaks_tls("cache")
    stage.panel.install("cache", directory="/etc/redis/tls")
    stage.panel.install("cache", directory="/etc/redis/tls/c")

    stage.panel.uninstall("cache")

    assert before.differences(stage.photograph("cache")) == []


@pytest.mark.parametrize(
    ("name", "apply"), [("cache", "live"), ("six-two", "live"), ("cache", "restart")]
)
def test_a_failed_change_of_settings_leads_back_to_the_former_ones(
    name: str, apply: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.register(name)
    before = stage.photograph(name)
    stage.panel.install(name)
    installed, first = stage.photograph(name), _served(stage, name)
    proofs: Iterator[bool] = iter(())

    def fails_once(*arguments: Any, **options: Any) -> Verified:
        if not next(proofs, True):
            raise StepFailed(Reason("NoPong", "made to fail"))
        return verify(*arguments, **options)

    for settings in (
        {"tls_port": "7443", "directory": "/etc/ssl/redoubt", "tls_auth_clients": "required"},
        {"lifetime_days": "30"},
    ):
        proofs = iter([False, True])
        monkeypatch.setattr(plan, "verify", fails_once)

        run = stage.panel.try_install(name, apply=apply, **settings)

        assert run.state == "put_back", said(run)
        assert installed.differences(stage.photograph(name)) == []
        assert stage.speaks_tls(name)
        assert _served(stage, name) == first

    stage.panel.uninstall(name)
    assert before.differences(stage.photograph(name), but=STAYS_IN_6_2.get(name, ())) == []


def test_a_symbolic_link_to_the_configuration_stays_one(stage: Stage) -> None:
    path = stage.hosts["cache"].config_path
    shell(stage.lab, "cache", f"mv {path} /etc/redis/real.conf; ln -s real.conf {path}")
    stage.register("cache")
    before = stage.photograph("cache")

    for apply in ("live", "restart"):
        stage.panel.install("cache", apply=apply)
        assert stage.speaks_tls("cache")
        assert "tls-port 6380" in shell(stage.lab, "cache", "cat /etc/redis/real.conf")
        stage.panel.uninstall("cache")
        assert before.differences(stage.photograph("cache")) == []

    shell(stage.lab, "cache", f"mv /etc/redis/real.conf {path}")
