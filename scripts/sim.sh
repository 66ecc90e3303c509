#!/usr/bin/env bash
# Runs the simulator with fresh seeds for some minutes, one process per core.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/sim.sh [MINUTES] [OPTION ...]

Builds the simulator (build-sim/, release with asserts) and plays fresh seeds for
MINUTES (default 10), one process per core: whole clusters of real cores under
virtual time, with crashes, partitions, lost and reordered messages, failing and
restored stores, wrong clocks, slow and bad members; every invariant is checked
after every step. A line every 5 seconds; the last line is the summary of all
processes. What follows MINUTES goes to sim_run, for example --mode liveness.

SIM_JOBS=N in the environment: N processes instead of one per core.

Exit 0: nothing was found. 1: a rule was broken; the seed, the commit and the
command that shows it again are printed. 64: usage.
TEXT
}

case "${1:-}" in
-h | --help)
    usage
    exit 0
    ;;
esac
minutes="${1:-10}"
jobs="${SIM_JOBS:-$(nproc)}"
if ! [[ "$minutes" =~ ^[0-9]+([.][0-9]+)?$ && "$jobs" =~ ^[1-9][0-9]*$ ]]; then
    usage >&2
    exit 64
fi
shift || true

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

folder="$(mktemp -d)"
# The program is copied, so that a build meanwhile does not pull it away.
cp build-sim/tests/sim/sim_run "$folder/sim_run"
pids=()
clean() {
    [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 130' INT TERM

for ((job = 1; job <= jobs; job++)); do
    "$folder/sim_run" --minutes "$minutes" --seed-file "$folder/seed-$job" "$@" \
        >"$folder/$job" 2>&1 &
    pids+=("$!")
done

# "12 seeds, 34 operations ..., 5 of 20 rounds; faults: crash 6 ...": adds up the
# last such line of every process. Times and rounds are the longest of them.
summary() {
    for ((job = 1; job <= jobs; job++)); do
        grep -E '[0-9]+ seeds, .*faults:' "$folder/$job" | tail -n 1 || true
    done | awk '
        {
            sub(/^sim: 0 violations in /, "")
            cut = index($0, "; faults:")
            fields = split(substr($0, 1, cut - 1), parts, ", ")
            for (i = 1; i <= fields; i++) {
                number = parts[i] + 0
                word = parts[i]
                sub(/^[^ ]+ /, "", word)
                if (!(word in sums)) names[++name_count] = word
                is_longest = word == "s" || word ~ / rounds/
                if (is_longest) sums[word] = number > sums[word] ? number : sums[word]
                else sums[word] += number
            }
            fields = split(substr($0, cut + 10), parts, " ")
            for (i = 1; i < fields; i += 2) {
                if (!(parts[i] in faults)) kinds[++kind_count] = parts[i]
                faults[parts[i]] += parts[i + 1]
            }
        }
        END {
            for (i = 1; i <= name_count; i++)
                printf "%s%.10g %s", i == 1 ? "" : ", ", sums[names[i]], names[i]
            printf "; faults:"
            for (i = 1; i <= kind_count; i++) printf " %s %d", kinds[i], faults[kinds[i]]
            print ""
        }'
}

is_running() {
    local pid
    for pid in "${pids[@]}"; do
        ! kill -0 "$pid" 2>/dev/null || return 0
    done
    return 1
}

# One process that has found something, or that is gone without its last line, ends
# them all.
has_found() {
    local job
    for ((job = 1; job <= jobs; job++)); do
        if ! kill -0 "${pids[job - 1]}" 2>/dev/null && ! grep -q '^sim: 0 ' "$folder/$job"; then
            return 0
        fi
    done
    return 1
}

shown=$SECONDS
while is_running && ! has_found; do
    sleep 1
    if ((SECONDS - shown >= 5)); then
        shown=$SECONDS
        summary
    fi
done
found=0
if has_found; then
    found=1
    sleep 1
    kill "${pids[@]}" 2>/dev/null || true
fi
# What a kill leaves has ended by itself when its code is none of ours.
codes=()
for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    codes+=("$code")
    [ "$code" -eq 0 ] || found=1
done
pids=()
if [ "$found" -ne 0 ]; then
    for ((job = 1; job <= jobs; job++)); do
        code="${codes[job - 1]}"
        # Ended by us, while another process had found something: nothing to say.
        if [ "$code" -eq 143 ]; then continue; fi
        {
            grep -vE '^[0-9]+ seeds, ' "$folder/$job" || true
            if [ "$code" -ne 0 ] && ! grep -q 'to see it again' "$folder/$job"; then
                echo "sim: process $job ended with code $code in the midst of a seed"
                cat "$folder/seed-$job"
            fi
        } | sed 's|sim_run --seed|build-sim/tests/sim/sim_run --seed|'
    done
    echo "sim: violated after $(summary)"
    exit 1
fi
echo "sim: 0 violations in $(summary)"
