#!/usr/bin/env bash
# Runs gossipd nodes on a network that fails, while clients write and a checker watches.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/faults.sh SECONDS [--seed N] [--nodes N]

Builds gossipd (build-faults/, release with asserts) and runs rounds for SECONDS:
3 to 5 real nodes (default 4), each in a network namespace of its own, one client
at each that writes counters, sets and hashes, and faults drawn from the seed:
loss (1, 5, 20 %), delay, one-way cuts, partitions, flapping, SIGSTOP, SIGKILL,
rolling restarts, a clock a year ahead, a node of the next minor version of the
wire format. After every round all faults are healed, and within 10 s all digests
must be equal and `gossipctl status` must exit with 0 on every node; what the
nodes hold must be what clients were told, no more and no less but for writes
whose reply never came. Nothing outside the namespaces is touched.

Two lines a round; the last line is the summary. The same seed draws the same
faults; what they meet depends on the machine's timing.

Exit 0: no violation. 1: a violation; it is printed, stores and logs are kept.
2: packages are missing. 3: this machine cannot do it; the reason is printed.
64: usage.
TEXT
}
bad_usage() {
    echo "faults: $*" >&2
    echo "try: scripts/faults.sh --help" >&2
    exit 64
}

case "${1:-}" in
-h | --help) usage && exit 0 ;;
esac
[[ "${1:-}" =~ ^[1-9][0-9]{0,6}$ ]] || bad_usage "SECONDS is '${1:-}', not a positive number"
options=(--seconds "$1")
shift
while [ $# -gt 0 ]; do
    case "$1" in
    --seed) [[ "${2:-}" =~ ^[0-9]{1,18}$ ]] || bad_usage "--seed needs a number" ;;
    --nodes) [[ "${2:-}" =~ ^[3-5]$ ]] || bad_usage "--nodes needs a number from 3 to 5" ;;
    *) bad_usage "'$1' is not expected" ;;
    esac
    options+=("$1" "$2")
    shift 2
done
if [ "$(id -u)" -ne 0 ]; then
    echo "faults: network namespaces need root; run it as root or with sudo" >&2
    exit 3
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/sbin:/sbin" # nft and ip are there, and not on everyone's path
scripts/install-deps.sh build
if ! compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; then
    echo "faults: libfaketime is missing; run: apt-get install -y --no-install-recommends faketime" >&2
    exit 2
fi
build='build-faults'
log=$(mktemp)
if ! {
    { [ -f $build/build.ninja ] || meson setup --buildtype=release -Db_ndebug=false $build; } &&
        ninja -j2 -C $build gossipd/gossipd gossipd/gossipctl tests/frontdoor/delay \
            tests/frontdoor/gossipd-newer
} >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    echo "faults: the build failed; the last lines are above" >&2
    exit 1
fi
rm -f "$log"

# shellcheck disable=SC2317 # called by the trap
# The namespaces carry the pid of the program below, which removes them; when it is
# killed outright, this does.
clean_up() {
    local namespace
    for namespace in $(ip netns list | awk -v mine="gf$child-" 'index($1, mine) == 1 {print $1}'); do
        ip netns pids "$namespace" | xargs -r kill -KILL || true
        ip netns del "$namespace" || true
    done
}
python3=$(command -v /usr/bin/python3 || command -v python3)
PYTHONDONTWRITEBYTECODE=1 "$python3" tests/frontdoor/faults.py $build/gossipd "${options[@]}" &
child=$!
trap clean_up EXIT
trap 'kill -TERM "$child" 2>/dev/null || true' INT TERM HUP
code=0
wait "$child" || code=$?
# A signal ends the wait before the program has cleaned up.
while kill -0 "$child" 2>/dev/null; do
    wait "$child" || code=$?
done
exit "$code"
