"""Lists of nodes as people have them."""

import pytest

from instances.inventory import Inventory, Row, parse_inventory
from instances.inventory_ansible import expanded

KEY = "SHA256:" + "a" * 43


def read(text: str) -> Inventory:
    return parse_inventory(text)


def wrong(text: str) -> list[tuple[int, str]]:
    return [(each.line, each.message) for each in parse_inventory(text).mistakes]


@pytest.mark.parametrize("between", [" ", "\t", ", ", ",", "  \t "])
def test_a_plain_list_is_an_address_a_name_and_a_fingerprint(between: str) -> None:
    found = read(f"# ours\n\n{between.join(['10.0.0.1', 'cache-1', KEY])}\n10.0.0.2 # spare\n")
    assert found.kind == "list"
    assert found.mistakes == ()
    assert found.rows == (Row(3, "10.0.0.1", "cache-1", host_key=KEY), Row(4, "10.0.0.2"))


def test_a_fingerprint_needs_no_name_and_an_address_may_be_ipv6_or_a_name() -> None:
    found = read(f"fd00::1 {KEY}\nCache-2.shop.example\n")
    assert found.rows == (Row(1, "fd00::1", host_key=KEY), Row(2, "Cache-2.shop.example"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("10.0.0.1 cache-1 extra", "Write an address"),
        ("10.0.0.1 Cache_1", "is no name"),
        ("10.0.0.256", "neither a name nor an IP address"),
        ("-oProxyCommand=x", "neither a name nor an IP address"),
        ("10.0.0.1 SHA256:short", "is no fingerprint"),
        ("10.0.0.9", "stands in line 1 already"),
        ("10.0.0.3 nine", "name nine stands in line 1 already"),
    ],
)
def test_a_mistake_is_said_at_its_line_and_the_others_are_read(line: str, says: str) -> None:
    found = read(f"10.0.0.9 nine\n{line}\n10.0.0.8\n")
    assert [(each.line, says in each.message) for each in found.mistakes] == [(2, True)]
    assert {"10.0.0.9", "10.0.0.8"} <= {row.address for row in found.rows}


def test_csv_has_a_header_and_lists_in_quotes() -> None:
    found = read(
        "# export\n"
        "address,name,user,port,host_key,unit,config_path,client_addresses\n"
        f'10.0.0.1,cache-1,deploy,2222,{KEY},redis.service,/etc/r.conf,"10.0.0.1, c.example"\n'
        "10.0.0.2\n"
    )
    assert found.kind == "csv"
    assert found.rows == (
        Row(
            3,
            "10.0.0.1",
            "cache-1",
            "deploy",
            2222,
            KEY,
            "redis.service",
            "/etc/r.conf",
            ("10.0.0.1", "c.example"),
        ),
        Row(4, "10.0.0.2"),
    )


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("address,colour\n10.0.0.1,red\n", 1, "not colour"),
        ("address,port\n10.0.0.1,ssh\n", 2, "no port"),
        ("address,port\n10.0.0.1,70000\n", 2, "no port"),
        ("address,name\n,cache\n", 2, "address is missing"),
        ("address\n10.0.0.1,10.0.0.2\n", 2, "put lists into quotes"),
    ],
)
def test_csv_that_cannot_be_meant_is_said_at_its_line(text: str, line: int, says: str) -> None:
    assert [(number, says in message) for number, message in wrong(text)] == [(line, True)]


ANSIBLE = """\
; a comment
gate ansible_host=10.0.0.1 ansible_user=admin

[cache]
cache-[01:02].shop.example
10.0.0.5:2222
cache-9 ansible_host=10.0.0.9 ansible_port=2200  # old

[sessions]
session-a ansible_ssh_host=10.0.1.1

[redis:children]
cache
sessions

[redis:vars]
ansible_user=deploy
ansible_password='never shown'

[cache:vars]
ansible_port = 2022
"""


def test_an_ansible_inventory_gives_hosts_with_what_their_groups_say() -> None:
    found = read(ANSIBLE)
    assert (found.kind, found.mistakes) == ("ansible", ())
    seen = [(r.address, r.name, r.user, r.port) for r in found.rows]
    assert seen == [
        ("10.0.0.1", "gate", "admin", 0),
        ("cache-01.shop.example", "", "deploy", 2022),
        ("cache-02.shop.example", "", "deploy", 2022),
        ("10.0.0.5", "", "deploy", 2222),
        ("10.0.0.9", "cache-9", "deploy", 2200),
        ("10.0.1.1", "session-a", "deploy", 0),
    ]
    assert found.rows[1].groups == ("cache", "redis")
    assert "never shown" not in repr(found)


def test_a_port_behind_a_host_counts_and_a_host_in_two_groups_is_one() -> None:
    found = read("[a]\n10.0.0.5:2222\n[b]\n10.0.0.5\n")
    assert [(row.address, row.port, row.groups) for row in found.rows] == [
        ("10.0.0.5", 2222, ("a", "b"))
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("one two", "is no variable"),
        ('one ansible_host="10.0.0.1', "cannot be read"),
        ("one ansible_host={{ip}}", "is a template"),
        ("one ansible_port=ssh", "is no port"),
        ("[broken", "is no section"),
    ],
)
def test_a_mistake_in_an_inventory_is_said_at_its_line(line: str, says: str) -> None:
    assert [(number, says in message) for number, message in wrong(f"[a]\n{line}\n")] == [(2, True)]


def test_a_line_that_cannot_be_read_is_not_repeated_with_its_password() -> None:
    found = read('[a]\none ansible_password="hunter2\n')
    assert "hunter2" not in repr(found)


def test_groups_that_hold_each_other_end() -> None:
    assert read("[a]\none\n[a:children]\nb\n[b:children]\na\n").rows[0].address == "one"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("c[1:3]", ["c1", "c2", "c3"]),
        ("c[08:10:2].x", ["c08.x", "c10.x"]),
        ("c-[a:b][1:2]", ["c-a1", "c-a2", "c-b1", "c-b2"]),
        ("c[1:999999999]", [f"c{n}" for n in range(1, 1001)]),
    ],
)
def test_ranges_are_spelled_out_up_to_a_limit(pattern: str, names: list[str]) -> None:
    assert expanded(pattern) == names


def test_a_list_that_is_too_long_is_said_so() -> None:
    text = "\n".join(f"10.0.{n // 250}.{n % 250 + 1}" for n in range(1001))
    assert wrong(text) == [(1001, "A list holds at most 1000 nodes.")]


def test_an_empty_text_holds_nothing() -> None:
    assert read("\n# nothing\n") == Inventory("list", (), ())
