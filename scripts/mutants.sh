#!/usr/bin/env bash
# Breaks one rule at a time and sees which check notices.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
patches=tests/mutants
base=build-mutants/base
copy=build-mutants/tree
folder=build-mutants/build
seeds_s=60

usage() {
    cat <<'TEXT'
usage: scripts/mutants.sh [--list] [--head] [--seconds S] [NAME...]

Each patch in tests/mutants breaks one rule of the design on purpose. For each
NAME (a patch with or without its number and ending; default: all) the tree is
copied to build-mutants/tree, the patch is applied, what it touches is built
(release with asserts), and the checks run, the fast ones first, until one fails:

  unit         tests/libcrdt, tests/wire, tests/host, tests/core
  histories    the library's oracle, laws, random histories, failing allocations
  scenarios    scripted clusters
  exhaustive   every history of 3 operations
  seeds        simulated clusters from seed 1 on, for S seconds (default 60)

A check whose program is the same, byte for byte, as without the patch is left
out. Before all that, every check has to pass without a patch.

  --list       names the patches and the rule that each breaks
  --head       take the last commit instead of the working tree
  --seconds S  time for the simulator, per mutant

A line for each: `NAME  killed by CHECK after N s`, `NAME  SURVIVED` or `NAME
stale: why`. Last line: `N killed, N survived, N stale`. Everything runs one at a
time and at low priority.

Exit: 0 if none survived and none is stale, 1 if not, 2 if the tree fails without
a patch or something is missing, 64 usage.
TEXT
}

list() {
    local file
    for file in "$patches"/*.patch; do
        printf '%s\n' "$(basename "$file" .patch)"
        sed '/^--- /,$d; s/^/    /' "$file"
    done
}

names=()
head=0
while [ "$#" -gt 0 ]; do
    case "$1" in
    --list) list && exit 0 ;;
    --head) head=1 ;;
    --seconds) [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || { usage >&2 && exit 64; }
        seeds_s=$2 && shift ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 64 ;;
    *) names+=("$(basename "$1" .patch)") ;;
    esac
    shift
done

selected=()
if [ "${#names[@]}" -eq 0 ]; then
    selected=("$patches"/*.patch)
fi
for name in "${names[@]}"; do
    found=("$patches"/"$name".patch)
    [ -f "${found[0]}" ] || found=("$patches"/[0-9]*-"$name".patch)
    [ -f "${found[0]}" ] || {
        echo "mutants.sh: there is no mutant '$name'; --list names all" >&2
        exit 64
    }
    selected+=("${found[@]}")
done
for tool in meson ninja patch; do
    command -v "$tool" >/dev/null || {
        echo "mutants.sh: '$tool' is missing: apt-get install $tool" >&2
        exit 2
    }
done
renice -n 10 $$ >/dev/null 2>&1 || true

# ---- the copy ----

# Makes folder $2 equal to $1, whose files come on stdin. Only what differs is
# written, so that what was built before stays valid, and what was built from a
# mutant that an interrupted run left does not.
mirror() {
    local from=$1 to=$2 file
    mkdir -p "$to"
    while IFS= read -r file; do
        [ -f "$from/$file" ] || continue
        cmp -s "$from/$file" "$to/$file" || {
            mkdir -p "$to/$(dirname "$file")"
            cp "$from/$file" "$to/$file"
        }
    done
    (cd "$to" && find . -type f -printf '%P\n') | while IFS= read -r file; do
        [ -f "$from/$file" ] || rm -f "$to/$file"
    done
}

# Takes a mutant out of the copy. The tree itself may change during a long run.
restore() {
    local file
    sed -n 's|^+++ b/||p' "$1" | while IFS= read -r file; do
        cmp -s "$base/$file" "$copy/$file" || cp "$base/$file" "$copy/$file"
    done
}

# ---- the checks, in the order of their cost ----

# check lines: stage, test name, program, arguments
list_checks() {
    meson introspect --tests "$folder" | python3 -c '
import json, os, sys
tests = {test["name"]: test for test in json.load(sys.stdin)}
slow = {"oracle": 2, "laws": 2, "histories": 2, "sim scenarios": 3, "torture": 2,
        "exhaustive histories of 3": 4}
def stage(test):
    name, suites = test["name"], {suite.split(":")[-1] for suite in test["suite"]}
    if name in slow:
        return slow[name]
    return 1 if suites & {"libcrdt", "wire", "core", "host"} else 0
order = ["libcrdt", "wire", "core", "host"]
def rank(test):
    suites = [suite.split(":")[-1] for suite in test["suite"]]
    return min([order.index(suite) for suite in suites if suite in order] or [9])
root = os.path.realpath(sys.argv[1])
def program(test):
    return os.path.relpath(os.path.realpath(test["cmd"][0]), root)
chosen = [t for t in tests.values() if stage(t) and not program(t).startswith("..")]
for test in sorted(chosen, key=lambda t: (stage(t), rank(t))):
    print("\t".join([test["name"], program(test)] + test["cmd"][1:]))
print("\t".join(["seeds", "tests/sim/sim_run", "--seed", "1", "--minutes",
                 format(int(sys.argv[2]) / 60, ".4f")]))
' "$folder" "$seeds_s"
}

# Where a check failed, in a few words: the claim, the seed or the assertion.
first_failure() {
    local line
    line=$(grep -m1 -E '^not ok |^#? ?seed [0-9]+, |Assertion .* failed|the core aborted' \
        "$1") || true
    case "$line" in
    *'Test timeout expired'*) printf 'timeout in ' ;;
    *'Early exit'* | *'Received signal'*) printf 'crash in ' ;;
    esac
    sed -E 's/^not ok [0-9]+ - //; s/^[^ :]*\.c:[^:]*:([^:]*):.*/\1/; s/[[:space:]]+/ /g' \
        <<<"$line" | cut -c1-100
}

# Runs the checks until one fails and says which; silent when all pass. With
# `baseline`, programs are not compared but remembered.
run_checks() {
    local mode=$1 name program arguments failure sum ended
    while IFS=$'\t' read -r name program arguments; do
        ninja -j1 -C "$folder" "$program" >build-mutants/build.log 2>&1 || {
            echo "does not build: see build-mutants/build.log"
            return 2
        }
        sum=$(sha256sum <"$folder/$program")
        if [ "$mode" = baseline ]; then
            built[$program]=$sum
        elif [ "$sum" = "${built[$program]}" ]; then
            continue
        fi
        IFS=$'\t' read -r -a words <<<"$arguments"
        ended=0
        (cd "$folder" && CK_TAP_LOG_FILE_NAME=- CK_VERBOSITY=silent CK_TIMEOUT_MULTIPLIER=4 \
            timeout -k 5 $((seeds_s + 240)) "./$program" "${words[@]}" </dev/null) \
            >build-mutants/check.log 2>&1 || ended=$?
        if [ "$ended" -ne 0 ]; then
            failure=$(first_failure build-mutants/check.log)
            # What `timeout` ends, first by SIGTERM, then by SIGKILL.
            case "$ended" in 124 | 137) failure="timeout${failure:+ in $failure}" ;; esac
            echo "$name${failure:+: $failure}"
            return 1
        fi
    done <<<"$checks"
}

# ---- the run ----

declare -A built=()
if [ "$head" -eq 1 ]; then
    rm -rf build-mutants/head
    mkdir -p build-mutants/head
    git archive HEAD | tar -x -C build-mutants/head
    (cd build-mutants/head && find . -type f -printf '%P\n') | mirror build-mutants/head "$base"
else
    git ls-files -co --exclude-standard | mirror . "$base"
fi
(cd "$base" && find . -type f -printf '%P\n') | mirror "$base" "$copy"
if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" "$copy" --buildtype=release -Db_ndebug=false \
        >build-mutants/build.log 2>&1 || {
        echo "mutants.sh: the copy cannot be configured; see build-mutants/build.log" >&2
        exit 2
    }
fi
ninja -j1 -C "$folder" build.ninja >/dev/null
checks=$(list_checks)
started=$SECONDS
run_checks baseline >build-mutants/verdict || {
    echo "mutants.sh: without any mutant the tree fails in: $(cat build-mutants/verdict)" >&2
    exit 2
}
echo "without a mutant all checks pass ($((SECONDS - started)) s)"

killed=0 survived=0 stale=0
for file in "${selected[@]}"; do
    name=$(basename "$file" .patch)
    started=$SECONDS
    status=0
    if ! patch -d "$copy" -p1 -F0 -s -N -r - <"$file" >build-mutants/patch.log 2>&1; then
        printf '%-42s stale: does not apply (%s)\n' "$name" "$(head -n1 build-mutants/patch.log)"
        stale=$((stale + 1))
    else
        run_checks mutant >build-mutants/verdict || status=$?
        verdict=$(cat build-mutants/verdict)
        case "$status" in
        0) printf '%-42s SURVIVED (%d s)\n' "$name" $((SECONDS - started))
            survived=$((survived + 1)) ;;
        1) printf '%-42s killed by %s after %d s\n' "$name" "$verdict" $((SECONDS - started))
            killed=$((killed + 1)) ;;
        *) printf '%-42s stale: %s\n' "$name" "$verdict"
            stale=$((stale + 1)) ;;
        esac
    fi
    restore "$file"
done
echo "$killed killed, $survived survived, $stale stale"
[ $((survived + stale)) -eq 0 ]
