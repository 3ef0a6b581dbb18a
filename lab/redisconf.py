"""Small edits of the distribution's redis.conf that keep its comments and order."""

import re


def opened(config: str, *, wildcard: str) -> str:
    """Listen on every address, without protected mode.

    Args:
        config: the distribution's file.
        wildcard: ``*`` from Redis 6.2 on; 6.0 knows only real addresses.
    """
    every = "* -::*" if wildcard == "*" else f"{wildcard} ::"
    config = re.sub(r"^bind .*$", f"bind {every}", config, flags=re.MULTILINE)
    return re.sub(r"^protected-mode .*$", "protected-mode no", config, flags=re.MULTILINE)


def with_password(config: str, password: str) -> str:
    """Set requirepass right after the stock file's commented example."""
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    line = f'requirepass "{escaped}"'
    example = re.search(r"^# requirepass .*$", config, flags=re.MULTILINE)
    if example is None:
        return f"{config}\n{line}\n"
    return f"{config[: example.end()]}\n{line}{config[example.end() :]}"


def without_monitors(config: str) -> str:
    """Let a Sentinel watch nothing yet."""
    return re.sub(r"^sentinel .*\n", "", config, flags=re.MULTILINE | re.IGNORECASE)
