#!/usr/bin/env bash
# Fuzzes the harnesses of fuzz/ for a while. Exits 0 only if nothing was found.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"

usage() {
    cat <<'TEXT'
usage: scripts/fuzz.sh SECONDS [HARNESS...]

Builds fuzz/fuzz_*.c in build-fuzz/ with clang, libFuzzer, AddressSanitizer and
UBSan, and divides SECONDS among the harnesses named, or all of them.

New inputs gather in build-fuzz/corpus/HARNESS, which is only read from
fuzz/corpus/HARNESS at first. An input that breaks something is left in
build-fuzz/found/HARNESS-*; minimise it with
    build-fuzz/fuzz/HARNESS -minimize_crash=1 -runs=10000 FILE
and put it into fuzz/corpus/HARNESS, where the tests replay it.

The last line is the summary, with the executions of each harness.
Exit: 0 nothing found, 1 something found, 2 no clang, 64 usage.
TEXT
}

case "${1:-}" in
-h | --help) usage && exit 0 ;;
'' | *[!0-9]*) usage >&2 && exit 64 ;;
esac
seconds=$1
shift

if ! command -v clang >/dev/null; then
    echo "fuzz.sh: clang is missing; run: apt-get install clang" >&2
    exit 2
fi

harnesses=("$@")
if [ ${#harnesses[@]} -eq 0 ]; then
    for file in fuzz/fuzz_*.c; do
        harnesses+=("$(basename "$file" .c)")
    done
fi
for harness in "${harnesses[@]}"; do
    if [ ! -f "fuzz/$harness.c" ]; then
        echo "fuzz.sh: no harness fuzz/$harness.c; there are: $(cd fuzz && echo fuzz_*.c)" >&2
        exit 64
    fi
done

build="build-fuzz"
# Frame pointers and -O1 keep reports readable; leaks are found too.
if [ ! -f $build/build.ninja ]; then
    CC=clang CXX=clang++ meson setup $build -Dfuzz=true -Dbuildtype=debugoptimized \
        -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined' >/dev/null
fi
targets=()
for harness in "${harnesses[@]}"; do
    targets+=("fuzz/$harness")
done
ninja -j2 -C $build "${targets[@]}" >/dev/null || {
    echo "fuzz.sh: the harnesses do not build; see: ninja -C $build ${targets[*]}" >&2
    exit 1
}

each=$((seconds / ${#harnesses[@]}))
if [ $each -lt 1 ]; then each=1; fi
found=0
summary=''
mkdir -p $build/found
for harness in "${harnesses[@]}"; do
    corpus=$build/corpus/$harness
    log=$build/$harness.log
    mkdir -p "$corpus"
    seeds=()
    if [ -d "fuzz/corpus/$harness" ]; then seeds=("fuzz/corpus/$harness"); fi
    echo "== $harness for $each s"
    status=0
    "$build/fuzz/$harness" -max_total_time=$each -timeout=30 -rss_limit_mb=2048 -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="$build/found/$harness-" \
        "$corpus" ${seeds[@]+"${seeds[@]}"} >"$log" 2>&1 || status=$?
    runs=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    if [ -z "$runs" ]; then
        # A crash ends the statistics: the last line of progress says how far it came.
        runs=$(awk '/^#[0-9]/ { sub("#", "", $1); n = $1 } END { print n + 0 }' "$log")
    fi
    summary="$summary $harness $runs"
    if [ $status -ne 0 ]; then
        found=$((found + 1))
        summary="$summary (FOUND)"
        tail -n 40 "$log"
        input=$(grep -ao "$build/found/[^ ]*" "$log" | tail -n 1)
        echo "fuzz.sh: $harness found something; the input: $input"
    fi
done
echo "fuzz:$summary executions in $seconds s, $found found"
exit $((found > 0))
