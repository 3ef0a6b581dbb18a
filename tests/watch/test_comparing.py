"""What counts as a difference, what of it a setting can express, what is still as it was put."""

from typing import Any

import pytest

from addons.encryption.accept import acceptable
from addons.encryption.intact import changed_since
from addons.encryption.layout import ownership, parse_list
from addons.engine.drift import drift_of, place_of, places
from addons.engine.step import Change, Line
from tests.engine.doubles import SetValue, ValuePlan
from tests.watch.conftest import DRIFT


class Lines(SetValue):
    """A step whose description has lines."""

    lines: tuple[Line, ...] = ()

    def describe(self, state: Any) -> list[Change]:
        return [Change("It changes.", self.lines)]


def step(key: str, *lines: Line) -> Lines:
    made = Lines(key)
    made.lines = lines
    return made


def test_what_the_plan_would_change_is_drift_and_what_only_follows_is_not() -> None:
    found = step("runtime", Line("hunk", "@@ the running server, by CONFIG SET @@"))
    found.lines += (Line("del", "tls-port 1"), Line("add", "tls-port 2"))
    follows = step("reload", Line("hunk", "@@ x @@"), Line("context", "tls-cert-file /c"))
    right = step("right", Line("add", "never shown"))
    states = {"runtime": {"value": ""}, "reload": {"value": ""}, "right": {"value": "new"}}
    drift = drift_of(ValuePlan([found, follows, right]), states)
    assert [(each["step"], each["place"]) for each in drift] == [("runtime", "the running server")]
    assert [line["text"] for line in drift[0]["lines"]][1:] == ["tls-port 1", "tls-port 2"]
    assert places(drift) == "the running server is not as wanted."


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("@@ -1,4 +1,5 @@ /etc/redis/redis.conf", "/etc/redis/redis.conf"),
        ("@@ nftables @@", "nftables"),
        ("@@ the running server, by a restart @@", "the running server"),
    ],
)
def test_a_place_is_read_from_the_heading(heading: str, place: str) -> None:
    assert place_of(Change("", (Line("hunk", heading),))) == place


def change(step: str, *found: str) -> dict[str, Any]:
    lines = [{"kind": "del", "text": text} for text in found]
    return {"step": step, "place": step, "lines": lines}


def test_a_port_and_client_certificates_can_be_accepted_and_nothing_else() -> None:
    assert acceptable(DRIFT) == {"tls_port": "6390"}
    assert acceptable([change("runtime", "tls-auth-clients yes")]) == {
        "tls_auth_clients": "required"
    }
    for text in ("tls-cert-file /x", "tls-port 0", "tls-port x", "tls-auth-clients maybe", '"'):
        assert acceptable([change("runtime", text)]) == {}
    assert acceptable([change("firewall", "tls-port 6390")]) == {}


def test_what_file_and_server_say_alike_can_be_accepted_and_a_contradiction_cannot() -> None:
    file = change("configuration", 'TLS-Port   "6390"')
    assert acceptable([file, change("runtime", "tls-port 6390")]) == {"tls_port": "6390"}
    assert acceptable([file, change("runtime", "tls-port 6400")]) == {}


STATE: dict[str, Any] = {
    "generation": "ab12",
    "server": {"fingerprint_sha256": "S1"},
    "client": {"fingerprint_sha256": "C1"},
    "trusted": "ROOT",
    "client_trusted": "ROOT",
    "keys": {"server": "s-digest", "client": "c-digest"},
    "modes": {f"generations/ab12/{part}": mode for part, mode in ownership("redis").items()},
}
KNOWN = {"S1": "s-digest", "C1": "c-digest"}


def changed(**more: Any) -> list[str]:
    found = changed_since(STATE | more, known=KNOWN, trusted="ROOT", group="redis")
    return [f"{line.kind} {line.text}" for line in found]


def test_files_that_are_as_they_were_put_differ_in_nothing() -> None:
    assert changed() == []
    assert changed(generation="") == []


def test_each_change_of_a_file_is_named() -> None:
    assert changed(server={"fingerprint_sha256": "X"}) == [
        "del server/server.crt X",
        "add server/server.crt issued by the panel",
    ]
    assert changed(client=None)[0] == "del client/client.crt no certificate"
    assert changed(keys={"server": "other", "client": "c-digest"}) == [
        "del server/server.key another key",
        "add server/server.key of S1",
    ]
    assert changed(keys={"server": "s-digest"})[0] == "del client/client.key no key"
    assert changed(client_trusted="ELSE")[0] == "del client/root.crt other authorities"
    assert changed(trusted="")[0] == "del server/root.crt no authority"
    modes = STATE["modes"] | {"generations/ab12/server/server.key": "644 root:redis"}
    assert changed(modes=modes) == [
        "del server/server.key 644 root:redis",
        "add server/server.key 640 root:redis",
    ]


def test_a_key_whose_digest_is_not_on_record_is_not_judged() -> None:
    found = changed_since(STATE, known={"S1": "", "C1": ""}, trusted="ROOT", group="redis")
    assert found == []


def test_the_listing_tells_modes_and_the_digests_of_keys() -> None:
    text = (
        "l 777 root root server\tgenerations/ab12/server\n"
        "d 755 root root generations/ab12/server\t\n"
        "f 640 root redis generations/ab12/server/server.key\t\n"
        "sha256 server 0123abcd  -\n"
    )
    found = parse_list(text)
    assert found["generation"] == "ab12"
    assert found["keys"] == {"server": "0123abcd"}
    assert found["modes"]["generations/ab12/server/server.key"] == "640 root:redis"
