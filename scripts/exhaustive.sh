#!/usr/bin/env bash
# Plays every small history of three replicas against the oracle.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/exhaustive.sh [OPS]

Builds tests/exhaustive (build-exhaustive/, release with asserts) and plays every
history of three replicas with up to OPS operations (1 to 5, default 4) at two
nested keys: assign, put, add, remove key, remove map, reset, take, fold. Each in
every delivery order, early batches included, with every snapshot joined and every
log collected in between. No two replicas with equal contexts may differ, and
every one must be what the oracle says. A line every 5 seconds; the last line is
the summary. OPS 3 takes seconds, 4 some minutes, 5 many hours.

Of histories that differ only in the names of the replicas one is played; up to
OPS - 1 operations, all of them, and there each replica is also walked through
every order of batches, snapshots and collections, step by step.

Exit 0: nothing was found. 1: a difference; the history is printed. 64: usage.
TEXT
}

case "${1:-}" in
-h | --help)
    usage
    exit 0
    ;;
esac
ops="${1:-4}"
if [ "$#" -gt 1 ] || ! [[ "$ops" =~ ^[1-5]$ ]]; then
    usage >&2
    exit 64
fi

cd "$(dirname "$0")/.."
if [ ! -f build-exhaustive/build.ninja ]; then
    meson setup build-exhaustive --buildtype=release -Db_ndebug=false >/dev/null || {
        echo "exhaustive.sh: meson could not set up build-exhaustive;" \
            "see build-exhaustive/meson-logs/meson-log.txt" >&2
        exit 1
    }
fi
# Prints nothing unless the build fails.
log="$(ninja -j2 -C build-exhaustive tests/exhaustive/exhaustive 2>&1)" || {
    printf '%s\n' "$log" >&2
    exit 1
}
exec build-exhaustive/tests/exhaustive/exhaustive --ops "$ops" \
    --named "$((ops - 1))" --walk "$((ops - 1))"
