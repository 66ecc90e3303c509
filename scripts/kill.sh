#!/usr/bin/env bash
# Kills nodes of a loaded cluster again and again, and accounts for every write.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/kill.sh [ROUNDS]

Builds the release binaries, starts three nodes, writes to all of them and kills
one with SIGKILL at a random moment, ROUNDS times (default 200, 2 to 11 s each), in
the durability always, everysec and no by turns. After each kill a checker that
knows only what the clients were told looks at every node: what was acknowledged
is there, what was removed stays away, what was never sent is nowhere. At the end
the stopped stores are verified and compared: no dot means two things.

KILL_SEED repeats the choices of a run. The last line is the summary.
Exit 0: every write is accounted for. 1: a rule was broken. 64: usage.
TEXT
}

case "${1:-}" in
-h | --help)
    usage
    exit 0
    ;;
esac
rounds="${1:-200}"
if [ "$#" -gt 1 ] || ! [[ "$rounds" =~ ^[1-9][0-9]*$ ]]; then
    usage >&2
    exit 64
fi

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$top/scripts/build.sh"
if PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 /usr/bin/python3 "$top/tests/frontdoor/kill.py" \
    "${GOSSIPD_BIN:-$top/build/gossipd}" "" "$rounds"; then
    echo "kill: $rounds rounds, 0 violations"
else
    echo "kill: broken; the lines above say where" >&2
    exit 1
fi
