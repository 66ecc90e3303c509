#!/usr/bin/env bash
# Every mutant says what it breaks and fits the tree in $1. Speaks TAP.
set -uo pipefail
cd "$1" || exit 1

number=0
for file in tests/mutants/*.patch; do
    number=$((number + 1))
    name=$(basename "$file" .patch)
    problem=''
    if [ "$(head -c 4 "$file")" = '--- ' ]; then
        problem="its first lines do not say which rule it breaks"
    elif ! said=$(patch --dry-run -p1 -F0 -s -N -r - <"$file" 2>&1); then
        problem="does not fit the tree any more: make it anew (${said//$'\n'/; })"
    fi
    if [ -z "$problem" ]; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name: $problem"
    fi
done
echo "1..$number"
