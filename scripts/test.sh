#!/usr/bin/env bash
# Builds with both compilers and sanitizers, runs every test, counts the cases.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"

usage() {
    cat <<'TEXT'
usage: scripts/test.sh [--quick]

Installs what is missing (scripts/install-deps.sh test), then
  build-gcc/    gcc, AddressSanitizer, UBSan: unit, law, oracle, scenario,
                simulator, tidy and documentation tests
  build-clang/  the same with clang
  build-tsan/   clang, ThreadSanitizer: the tests of gossipd/host, which has threads
  build/        the release build: front-door tests, real daemons through redis-cli

  --quick       only build-gcc, and no front-door tests

Nothing in this list is skipped in silence: the last line is
`N passed, N failed`, and `, N skipped` where a test says that it cannot run here.
Exit: 0 if nothing failed, 1 if something did, 2 packages are missing, 64 usage.
TEXT
}

quick=0
for option in "$@"; do
    case "$option" in
    --quick) quick=1 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
done

passed=0 failed=0 skipped=0
started=$SECONDS
step() {
    printf '\n== [%3d s] %s\n' $((SECONDS - started)) "$*"
}
finish() {
    step "done"
    local rest=''
    if [ "$skipped" -gt 0 ]; then rest=", $skipped skipped"; fi
    echo "$passed passed, $failed failed$rest"
    exit $((failed > 0))
}
# A build that fails is one failed case: the tests in it could not speak.
build_failed() {
    tail -n 60 "$1"
    echo "FAILED: $2 does not build; the end of $1 is above"
    failed=$((failed + 1))
}

# Configures build folder $1 with compiler $2 and the meson options that follow.
# A folder configured before is configured again, so that options always hold.
configure() {
    local folder=$1 compiler=$2
    shift 2
    mkdir -p "$folder"
    local mode=()
    [ ! -f "$folder/build.ninja" ] || mode=(--reconfigure)
    CC=$compiler meson setup "${mode[@]}" "$folder" "$@" >"$folder.log" 2>&1
}
build() {
    local folder=$1
    step "build $folder ($2${3:+, ${*:3}})"
    if ! configure "$@" || ! ninja -C "$folder" >>"$folder.log" 2>&1; then
        build_failed "$folder.log" "$folder"
        return 1
    fi
    rm -f "$folder.log"
}

# Runs `meson test` with its arguments in build folder $1 and adds up the cases.
run_tests() {
    local folder=$1 count
    shift
    step "test $folder $*"
    rm -f "$folder/meson-logs/testlog.json"
    meson test -C "$folder" --print-errorlogs "$@" || true
    count=$(/usr/bin/python3 scripts/count-tests.py "$folder/meson-logs/testlog.json") || {
        echo "FAILED: the tests in $folder left no log to count"
        failed=$((failed + 1))
        return
    }
    read -r p f s <<<"$count"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    echo "$folder: $p passed, $f failed, $s skipped"
}

step "install what is missing"
scripts/install-deps.sh test

sanitizers=(-Dbuildtype=debugoptimized -Dwerror=true "-Db_sanitize=address,undefined")
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=1}
# Tests fork: Check does, and the store's test watches a process end.
export TSAN_OPTIONS=${TSAN_OPTIONS:-die_after_fork=0:halt_on_error=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
slow=(--no-suite frontdoor --timeout-multiplier 4)

if build build-gcc gcc "${sanitizers[@]}"; then
    run_tests build-gcc --no-rebuild "${slow[@]}"
fi
[ "$quick" -eq 0 ] || finish

if build build-clang clang "${sanitizers[@]}" -Db_lundef=false; then
    run_tests build-clang --no-rebuild "${slow[@]}"
fi
# Here meson builds what these tests need, and no more.
step "configure build-tsan (clang, ThreadSanitizer)"
if configure build-tsan clang -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false; then
    run_tests build-tsan --suite host --timeout-multiplier 4
else
    build_failed build-tsan.log build-tsan
fi
step "build build/ (release)"
if scripts/build.sh; then
    # As well: the module and the programs that these tests lend to gossipd.
    run_tests build --suite frontdoor --num-processes 1
else
    failed=$((failed + 1))
fi
finish
