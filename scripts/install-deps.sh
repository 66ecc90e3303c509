#!/usr/bin/env bash
# Installs the Debian packages that libcrdt and gossipd need and that are missing.
set -euo pipefail

# To build and to run a cluster. Meson needs python3, which drives the relay too,
# and the build files ask for check whatever is built.
build_packages=(
    gcc libc6-dev meson ninja-build pkg-config python3
    libmsgpack-dev libsodium-dev libev-dev libsqlite3-dev
    libconfuse-dev libhiredis-dev libjansson-dev
    check redis-tools nftables iproute2
)
# To test: the second compiler with its sanitizers, Check, and readers of our files.
test_packages=(
    clang libclang-rt-14-dev llvm-14 g++ binutils sqlite3 procps patch faketime shellcheck
)

usage() {
    cat <<'TEXT'
usage: scripts/install-deps.sh [build|test]

  build  what building gossipd and running a cluster needs (the default)
  test   that, and what scripts/test.sh needs

Installs only what is missing, with apt-get, as root or through `sudo -n`.
Exit: 0 everything is there, 1 apt-get failed, 2 missing and no right to install
(the line to run is printed), 64 usage.
TEXT
}

case "${1:-build}" in
build) wanted=("${build_packages[@]}") ;;
test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
-h | --help) usage && exit 0 ;;
*) usage >&2 && exit 64 ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "install-deps: this machine has no apt-get; install the equivalents of: ${wanted[*]}" >&2
    exit 2
fi

# One line `NAME STATE` a package that dpkg has heard of.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
    awk '$2 == "installed" {print $1}' || true)
missing=()
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "install-deps: packages are missing and I may not install. Run as root:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 2
    fi
fi

apt() {
    # A short wait for the lock: an unattended upgrade may be running.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=60 -q "$@" </dev/null
}
install_missing() {
    apt install -y --no-install-recommends "${missing[@]}"
}

echo "install-deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists of a fresh machine may be absent or too old: refresh them
# when they are, or when the first try fails.
have_lists() {
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null
}
if have_lists && install_missing >"$log" 2>&1; then
    exit 0
fi
if ! { apt update && install_missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install-deps: apt-get could not install: ${missing[*]}" >&2
    exit 1
fi
