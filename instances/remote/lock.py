"""The run's lock on a machine: a flock that the run's shell holds as descriptor 9.

It lives as long as that shell: a lost connection ends the shell, and with it the lock.
"""

from dataclasses import dataclass

PATH = "/run/redoubt.lock"
HELD = 75

# Path and descriptor are compared after the flock: a holder unlinks the file as it lets go, and
# a lock on an unlinked file keeps nobody out.
TAKE = r"""
local lock=$1 run=$2 attempt=$3 tries=0
if ! [ "$lock" -ef "/proc/$$/fd/9" ]; then
  while :; do
    tries=$((tries + 1)); [ $tries -le 20 ] || return 70
    { exec 9<>"$lock"; } || return 71
    flock -n 9
    case $? in
      0) [ "$lock" -ef "/proc/$$/fd/9" ] && break; exec 9>&- ;;
      1) exec 9>&-; cat -- "$lock" 2>/dev/null; return 75 ;;
      *) exec 9>&-; return 72 ;;
    esac
  done
fi
printf '%s %s %s\n' "$run" "$attempt" "$$" >"$lock"
"""

RELEASE = r"""
if [ "$1" -ef "/proc/$$/fd/9" ]; then rm -f -- "$1"; fi
exec 9>&-
"""

END = r"""
lock=$1 pid=$2
is_free() { flock -n "$lock" true; }
session() {
  local line
  IFS= read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  set -- ${line##*) }
  sid=$4
}
members() {
  local stat
  for stat in /proc/[0-9]*; do
    session "${stat#/proc/}" && [ "$sid" = "$wanted" ] && echo "${stat#/proc/}"
  done
}
wait_free() {
  local i
  for ((i = 0; i < $1; i++)); do is_free && return 0; sleep 0.05; done
  return 1
}
is_free && exit 0
[ "/proc/$pid/fd/9" -ef "$lock" ] || { echo "process $pid does not hold $lock" >&2; exit 75; }
exe=$(readlink "/proc/$pid/exe")
[ "${exe##*/}" = bash ] || { echo "process $pid is $exe, not bash" >&2; exit 75; }
session $$ && own=$sid
session "$pid" && wanted=$sid || exit 0
[ "$wanted" != "$own" ] || { echo "process $pid shares our session" >&2; exit 75; }
kill -TERM $(members) 2>/dev/null
wait_free 30 && exit 0
kill -KILL $(members) 2>/dev/null
wait_free 60 && exit 0
exit 75
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a machine: run, attempt, and the process id of the shell there."""

    run: int
    attempt: int
    pid: int


def parse_holder(text: str) -> Holder | None:
    """The holder a lock file names, or None where it is being written."""
    words = text.split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return None
    run, attempt, pid = (int(word) for word in words)
    return Holder(run, attempt, pid)
