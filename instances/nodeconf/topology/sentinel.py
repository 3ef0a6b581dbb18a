"""Reading what a Sentinel watches."""

from collections.abc import Mapping, Sequence
from typing import Any

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.seen import Down, Watch, Watched

_UNASKED: Sequence[Any] = ()


def watches_seen(
    primaries: Sequence[Any],
    replicas: Mapping[str, Sequence[Any]],
    sentinels: Mapping[str, Sequence[Any]],
) -> tuple[Watch, ...]:
    """Return what a Sentinel watches.

    Args:
        primaries: SENTINEL MASTERS: for each a flat list of fields and values.
        replicas: SENTINEL SLAVES, by the primary's name.
        sentinels: SENTINEL SENTINELS, by the primary's name: the others, without who tells.
    """
    found = []
    for told in map(_fields, primaries):
        name = told.get("name", "")
        found.append(
            Watch(
                name=name,
                primary=_watched(told),
                quorum=_count(told, "quorum"),
                epoch=_count(told, "config-epoch"),
                replicas=tuple(_watched(_fields(x)) for x in replicas.get(name, _UNASKED)),
                sentinels=tuple(_watched(_fields(x)) for x in sentinels.get(name, _UNASKED)),
            )
        )
    return tuple(found)


def _fields(flat: Any) -> dict[str, str]:
    words = [str(word) for word in flat] if isinstance(flat, list) else []
    return dict(zip(words[::2], words[1::2], strict=False))


def _watched(told: Mapping[str, str]) -> Watched:
    flags = told.get("flags", "").split(",")
    # A Sentinel is sure only of its own view of replicas and fellows: nobody votes on them.
    sure = "o_down" in flags or ("s_down" in flags and "master" not in flags)
    unsure = "s_down" in flags or "disconnected" in flags
    return Watched(
        place=Place(told.get("ip", ""), _count(told, "port")),
        id=told.get("runid", ""),
        down=Down.YES if sure else Down.SUSPECTED if unsure else Down.NO,
    )


def _count(told: Mapping[str, str], field: str) -> int:
    text = told.get(field, "")
    return int(text) if text.isascii() and text.isdecimal() else 0
