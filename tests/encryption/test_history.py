"""The way back: whatever runs followed each other, it leads to what was there at first."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from addons.encryption.history import LAYERS, former_values, merge_values

FIRST = {"port": "6379", "tls-replication": "no", "tls-auth-clients": "yes", "tls-port": "0"}
SETTINGS = st.fixed_dictionaries(
    {"tls-auth-clients": st.sampled_from(["yes", "optional"]), "tls-port": st.just("6380")},
    optional={
        "port": st.sampled_from(["6379", "0"]),
        "tls-replication": st.sampled_from(["yes", "no"]),
    },
)


@given(st.lists(st.tuples(st.sampled_from(sorted(LAYERS)), SETTINGS), min_size=1, max_size=6))
def test_runs_live_and_by_restart_in_any_order_lead_back_to_the_first(
    runs: list[tuple[str, dict[str, str]]],
) -> None:
    running, folded = dict(FIRST), dict[str, Mapping[str, Any]]()
    for step, wanted in runs:
        found = {name: running[name] for name in wanted}
        folded[step] = merge_values(step, folded, {LAYERS[step]: found})
        running |= wanted

    back = former_values(folded)

    assert running | back == FIRST
    assert list(back)[-1] == "tls-port"


def test_what_a_live_run_changed_first_is_not_recorded_again_by_a_restart() -> None:
    """As on 6.0: installed by restart, links led to TLS live, the plain port closed by restart."""
    installed = {"running": {"tls-port": "0"}}
    led = {"values": {"tls-replication": "no", "tls-port": "6380"}}
    closed = {"running": {"tls-replication": "yes", "port": "6379", "tls-port": "6380"}}
    folded: dict[str, Mapping[str, Any]] = {}
    for step, state in (("restart", installed), ("runtime", led), ("restart", closed)):
        folded[step] = merge_values(step, folded, state)

    assert former_values(folded) == {"tls-replication": "no", "port": "6379", "tls-port": "0"}
