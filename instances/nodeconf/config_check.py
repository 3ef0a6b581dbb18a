"""Asking the server's own program whether it would start with a configuration.

There is no flag for it; both ways are REDIS_FACTS 7. Neither touches the running server.
"""

import re
from dataclasses import dataclass

from instances.nodeconf.command import Command, Result
from instances.nodeconf.conf_diff import mask_line

_PROBE = "zz-check"
_FATAL = re.compile(r"at line (\d+)\s*\n>>> '(.*)'\n(.*)")
_READY = "eady to accept connections"
# Prints what the server says until it is ready or gone, then ends it.
_UNTIL_READY = f"""exec 3< <(exec timeout 10 "$@" 2>&1)
while IFS= read -r line <&3; do
  printf '%s\\n' "$line"
  # One that is still ending would be taken for a second server.
  case $line in *'{_READY}'*) kill $!; wait $!; exit 0 ;; esac
done
exit 1"""
# "123:M 22 Nov 2026 05:00:00.000 # text": the level of warnings and errors is "#".
_LOGGED = re.compile(r"^\d+:[A-Z] .*? # (.*)$")
_TELLING = re.compile(
    r"fail|fatal|can't|cannot|could not|error|unable|no tls-|expired", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """Why the server would not start.

    Args:
        reason: BadLine, Unreadable, DoesNotStart, or NotChecked where the check itself failed.
        message: For people, secrets masked.
        line_number: Of the main file or of an include, which the server does not tell apart; 0
            where it is about no line.
        line: That line as the server read it, masked.
    """

    reason: str
    message: str
    line_number: int = 0
    line: str = ""


def as_user(user: str, group: str) -> tuple[str, ...]:
    """Return the words before a command that run it as the server's user."""
    if user in {"", "root"}:
        return ()
    return ("setpriv", f"--reuid={user}", f"--regid={group or user}", "--init-groups", "--")


def syntax_check_command(
    exe: str, config_path: str, user: str, group: str = "", *, sentinel: bool = False
) -> Command:
    """Parse a configuration and its includes; nothing listens and no data is loaded.

    TLS files and the aclfile are not looked at: see `dry_run_command`.

    Args:
        exe: The server's program (`ServerFacts.exe`).
        config_path: The file, which the user must be able to read.
        user: Who runs the server.
        group: Their group; named like the user where it is left out.
        sentinel: The file is a Sentinel's.
    """
    mode = ("--sentinel",) if sentinel else ()
    # An unknown directive at the very end, so that there is always one complaint: about it alone.
    argv = ("timeout", "10", *as_user(user, group), exe, config_path, *mode, f"--{_PROBE}", "1")
    return Command(argv, timeout=20.0, ok=frozenset({1}))


def parse_syntax_check(result: Result) -> ConfigProblem | None:
    """Return what is wrong with the configuration; None where everything parsed."""
    said = _said(result)
    found = _FATAL.search(said)
    if found is None:
        return _other_problem(said)
    number, line, why = int(found[1]), found[2], found[3].strip()
    if line.startswith(_PROBE):
        return None
    line = mask_line(line)
    return ConfigProblem("BadLine", f"Line {number}, “{line}”: {why}", number, line)


def _said(result: Result) -> str:
    return (result.stdout + b"\n" + result.stderr).decode(errors="replace")


def _other_problem(said: str) -> ConfigProblem:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    unreadable = next((line for line in lines if "can't open config file" in line), None)
    if unreadable:
        logged = _LOGGED.match(unreadable)
        return ConfigProblem("Unreadable", logged[1] if logged else unreadable)
    last = mask_line(lines[-1]) if lines else "nothing"
    return ConfigProblem("NotChecked", f"The server's program did not check it; it said: {last}")


def dry_run_command(
    exe: str, config_path: str, user: str, group: str = "", *, tls_port: int, directory: str
) -> Command:
    """Start a second server with the configuration, on loopback, and end it as soon as it is ready.

    It loads TLS files, modules and the aclfile; it neither loads nor writes data, joins no
    replication and no cluster. Not for a Sentinel, which rewrites its own file.

    Args:
        exe: The server's program.
        config_path: The file, which the user must be able to read.
        user: Who runs the server: so the key's permissions are tested too.
        group: Their group; named like the user where it is left out.
        tls_port: A free port; 0 leaves TLS files unchecked.
        directory: An empty directory which that user can write to.
    """
    options = (
        ("port", "0"),
        ("tls-port", str(tls_port)),
        ("bind", "127.0.0.1"),
        ("dir", directory),
        ("save", ""),
        ("appendonly", "no"),
        ("logfile", ""),
        # At a quieter level the server does not say that it is ready.
        ("loglevel", "notice"),
        ("syslog-enabled", "no"),
        ("pidfile", ""),
        ("daemonize", "no"),
        ("supervised", "no"),
        ("dbfilename", "none.rdb"),
        ("unixsocket", f"{directory}/dry-run.sock"),
        ("cluster-enabled", "no"),
        ("replicaof", "no", "one"),
    )
    words = [word for name, *values in options for word in (f"--{name}", *values)]
    # A build without TLS does not know the directive.
    if not tls_port:
        words = words[:2] + words[4:]
    argv = ("bash", "-c", _UNTIL_READY, "dry-run", *as_user(user, group), exe, config_path, *words)
    return Command(argv, timeout=20.0, ok=frozenset({0, 1}))


def parse_dry_run(result: Result) -> ConfigProblem | None:
    """Return why the server would not start; None where it did."""
    said = _said(result)
    if _READY in said:
        return None
    if _FATAL.search(said):
        return parse_syntax_check(result)
    logged = [found[1] for found in map(_LOGGED.match, said.splitlines()) if found]
    telling = [
        mask_line(line)
        for line in logged
        # "WARNING Memory overcommit ..." is about the machine and comes at every start.
        if _TELLING.search(line) and not line.startswith("WARNING")
    ]
    if not telling:
        return _other_problem(said)
    return ConfigProblem("DoesNotStart", "; ".join(dict.fromkeys(telling)))
