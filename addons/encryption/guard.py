"""The guard: a unit on the node that puts the old configuration back if the panel goes silent.

It is armed before a restart and disarmed after the proof. Its timer starts again after a reboot,
so a node that reboots in between is put back too. AccuracySec: without it systemd may wait up to a
minute longer (systemd.timer(5)).

While it works there is a file `firing`, renamed to `fired` once the server was told to restart:
whoever comes then, or after a reboot in the middle, reads that the old file is back.
"""

from instances.nodeconf.command import Command

SECONDS = 120
ALREADY_BACK = 66
"""The code by which arming ends where an earlier guard has put the old file back."""

_UNIT_DIRECTORY = "/etc/systemd/system"

# A oneshot service that runs is "activating", which is-active does not count.
_WAIT = r"""
while case $(systemctl show -p ActiveState -p Job -- "$unit.service") in
  *=active* | *activating* | *reloading* | *Job=[1-9]*) true ;;
  *) false ;;
esac; do sleep 0.1; done
"""

# In place of the path, only root can change what the unit runs: the workspace is root's, 0700.
_ARM = (
    r"""
set -eu
unit=$1 workspace=$2 server=$3 conf=$4 backup=$5 after=$6 seconds=$7
if [ -e "$8/$unit.timer" ] || [ -e "$8/$unit.service" ]; then
  # A dead worker's: stopped, so that the start below begins a new deadline.
  systemctl stop --quiet -- "$unit.timer" || :
"""
    + _WAIT
    + rf"""
fi
if [ -e "$backup" ] && [ "$(sha256sum <"$backup")" = "$(sha256sum <"$conf")" ]; then
  exit {ALREADY_BACK}
fi
"""
    + r"""
mkdir -p -m 0700 -- "$workspace"
rm -f -- "$workspace/firing" "$workspace/fired"
cat >"$workspace/guard.sh" <<'SCRIPT'
#!/bin/sh
set -e
server=$1 conf=$2 backup=$3 after=$4 workspace=$5 unit=$6
path=$(readlink -e -- "$conf") || path=$conf
# Without a backup the file was not changed, so there is none to put back.
if [ -e "$backup" ] && [ "$(sha256sum <"$path" | cut -d' ' -f1)" = "$after" ]; then
  cp --attributes-only --preserve=all -- "$path" "$path.redoubt-guard"
  cat -- "$backup" >"$path.redoubt-guard"
  : >"$workspace/firing"
  mv -fT -- "$path.redoubt-guard" "$path"
fi
if [ -e "$workspace/firing" ]; then
  systemctl reset-failed -- "$server" || :
  # A server that loads long goes on doing so; whoever disarms does not wait for that.
  timeout 10 systemctl restart -- "$server" || :
  mv -fT -- "$workspace/firing" "$workspace/fired"
fi
systemctl disable --no-reload -- "$unit.timer"
rm -f -- "/etc/systemd/system/$unit.timer" "/etc/systemd/system/$unit.service"
SCRIPT
cat >"$8/$unit.service" <<UNIT
[Unit]
Description=Redoubt puts the old configuration of $server back
[Service]
Type=oneshot
ExecStart=/bin/sh $workspace/guard.sh "$server" "$conf" "$backup" "$after" "$workspace" "$unit"
UNIT
cat >"$8/$unit.timer" <<UNIT
[Unit]
Description=Redoubt waits for the panel to confirm a change of $server
[Timer]
OnActiveSec=$seconds
AccuracySec=100ms
[Install]
WantedBy=timers.target
UNIT
# A reload of systemd is what takes time here: one, not one more for each verb.
systemctl enable --no-reload --quiet -- "$unit.timer"
systemctl daemon-reload
systemctl start -- "$unit.timer"
"""
)

_DISARM = (
    r"""
unit=$1 workspace=$2
if [ -e "$3/$unit.timer" ] || [ -e "$3/$unit.service" ]; then
  systemctl stop --quiet -- "$unit.timer" 2>/dev/null
  systemctl disable --no-reload --quiet -- "$unit.timer" 2>/dev/null
"""
    + _WAIT
    + r"""
  rm -f -- "$3/$unit.timer" "$3/$unit.service"
  systemctl daemon-reload
fi
if [ -e "$workspace/firing" ] || [ -e "$workspace/fired" ]; then echo fired; fi
exit 0
"""
)


def unit_name(run: int, node: int) -> str:
    """Return the guard's unit; several nodes of a run may be on one machine."""
    return f"redoubt-guard-{run}-{node}"


def arm_command(
    run: int,
    node: int,
    *,
    workspace: str,
    server: str,
    config: str,
    backup: str,
    after: str,
    loading: int = 0,
) -> Command:
    """Arm the guard, in place of one that a dead worker left; ALREADY_BACK where that one fired.

    Args:
        server: The unit to restart.
        config: The path of the configuration file.
        backup: Where the old one waits.
        after: SHA-256 of the new one: a file that others changed since is left alone.
        loading: Seconds that the server may need for its data, on top of the usual.
    """
    argv = (
        "bash", "-c", _ARM, "arm",
        unit_name(run, node), workspace, server, config, backup, after, str(SECONDS + loading),
        _UNIT_DIRECTORY,
    )  # fmt: skip
    return Command(argv, ok=frozenset({0, ALREADY_BACK}))


def disarm_command(run: int, node: int, *, workspace: str) -> Command:
    """Disarm the guard, waiting for one that is at work; prints ``fired`` where it was."""
    unit = unit_name(run, node)
    return Command(("bash", "-c", _DISARM, "disarm", unit, workspace, _UNIT_DIRECTORY))
