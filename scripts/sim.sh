#!/usr/bin/env bash
# Runs the simulator with fresh seeds for some minutes.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/sim.sh [MINUTES]

Builds the simulator (build-sim/, release with asserts) and plays fresh seeds for
MINUTES (default 10): whole clusters of real cores under virtual time, with
crashes, cuts, full disks, lost and reordered messages; every invariant is checked
after every step. A line every 5 seconds; the last line is the summary.

Exit 0: nothing was found. 1: a rule was broken; the seed and the command that
shows it again are printed. 64: usage.
TEXT
}

case "${1:-}" in
-h | --help)
    usage
    exit 0
    ;;
esac
minutes="${1:-10}"
if [ "$#" -gt 1 ] || ! [[ "$minutes" =~ ^[0-9]+([.][0-9]+)?$ ]]; then
    usage >&2
    exit 64
fi

cd "$(dirname "$0")/.."
if [ ! -f build-sim/build.ninja ]; then
    meson setup build-sim --buildtype=release -Db_ndebug=false >/dev/null || {
        echo "sim.sh: meson could not set up build-sim; see build-sim/meson-logs/meson-log.txt" >&2
        exit 1
    }
fi
# Prints nothing unless the build fails.
log="$(ninja -j2 -C build-sim tests/sim/sim_run 2>&1)" || {
    printf '%s\n' "$log" >&2
    exit 1
}
exec build-sim/tests/sim/sim_run --minutes "$minutes"
