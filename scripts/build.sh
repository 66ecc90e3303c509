#!/usr/bin/env bash
# Builds the release binaries into build/: build/gossipd/{gossipd,gossipctl}.
set -euo pipefail

case "${1:-}" in
'') ;;
*)
    echo "usage: scripts/build.sh"
    echo
    echo "Installs what is missing and builds into build/ (optimised, asserts on)."
    [[ "$1" == -h || "$1" == --help ]] && exit 0
    exit 64
    ;;
esac

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$top/scripts/install-deps.sh" build
log=$(mktemp)
trap 'rm -f "$log"' EXIT

if ! {
    { [ -f "$top/build/build.ninja" ] || meson setup "$top/build" "$top"; } &&
        ninja -C "$top/build" gossipd/gossipd gossipd/gossipctl
} >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "build: failed; the last lines are above" >&2
    exit 1
fi
