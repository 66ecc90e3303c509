#!/bin/sh
# What `meson install` puts down is all that a stranger needs: headers, both
# libraries, a pkg-config file, and no symbol that crdt.h does not declare.
# Usage: test_install.sh BUILD_DIR SOURCE_DIR
set -eu
build=$1
source=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() { echo "test_install: $*" >&2; exit 1; }

DESTDIR=$place/dest meson install -C "$build" --no-rebuild >"$place/log" 2>&1 ||
    { cat "$place/log" >&2; fail "meson install failed"; }

found() { find "$place/dest" -name "$1" | head -n 1; }
for name in crdt.h libcrdt.so libcrdt.so.0 libcrdt.a libcrdt.pc; do
    [ -n "$(found $name)" ] || fail "$name is not installed"
done
library=$(found libcrdt.so.0)

# Both lists sorted: what is declared, what is exported.
grep -v '^#define' "$source/include/crdt.h" | tr '\n' ' ' | tr ';' '\n' |
    sed -n 's/.*CRDT_API[^(]*[ *]\(crdt_[a-z0-9_]*\)(.*/\1/p' | LC_ALL=C sort >"$place/declared"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    LC_ALL=C sort >"$place/exported"
[ -s "$place/declared" ] || fail "found no declaration in crdt.h"
diff "$place/declared" "$place/exported" >&2 || fail "crdt.h (<) and libcrdt.so (>) differ"

PKG_CONFIG_LIBDIR=$(dirname "$(found libcrdt.pc)")
PKG_CONFIG_SYSROOT_DIR=$place/dest
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
pc=$PKG_CONFIG_LIBDIR/libcrdt.pc
grep -q msgpack "$pc" && fail "libcrdt.pc asks for msgpack, which users do not need"
pkg-config --static --libs libcrdt | grep -q -- -lsodium ||
    fail "libcrdt.pc does not name libsodium for static programs"

cat >"$place/use.c" <<'END'
#include <crdt.h>
#include <stdio.h>
int main(void)
{
    struct crdt_options options;
    struct crdt_document *document;
    struct crdt_transaction *transaction;
    crdt_options_init(&options);
    options.generation = 1;
    if (crdt_open(&options, &document) != CRDT_OK ||
        crdt_begin(document, 0, &transaction) != CRDT_OK ||
        crdt_counter_add(transaction, crdt_root(), 42) != CRDT_OK)
        return 1;
    crdt_commit(transaction);
    printf("%d\n", (int)crdt_counter_value(document, crdt_root()));
    crdt_close(document);
    return 0;
}
END
cp "$place/use.c" "$place/use.cpp"
run() { [ "$(LD_LIBRARY_PATH=$(dirname "$library") "$1")" = 42 ] || fail "$1 does not run"; }
# The words of pkg-config are meant to be split.
# shellcheck disable=SC2046
{
    ${CC:-cc} -std=c17 -Wall -Wextra -Wpedantic -Werror "$place/use.c" -o "$place/shared" \
        $(pkg-config --cflags --libs libcrdt)
    run "$place/shared"
    ${CC:-cc} -std=c17 "$place/use.c" -o "$place/static" $(pkg-config --cflags libcrdt) \
        "$(found libcrdt.a)" $(pkg-config --static --libs-only-l libcrdt | sed 's/-lcrdt//')
    run "$place/static"
    if command -v "${CXX:-c++}" >/dev/null; then
        ${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Werror "$place/use.cpp" \
            -o "$place/cpp" $(pkg-config --cflags --libs libcrdt)
        run "$place/cpp"
    fi
}
