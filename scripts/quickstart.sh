#!/usr/bin/env bash
# Three gossipd nodes do a real job, lose one another, and prove that they agree.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$top/build/quickstart
cluster=$top/scripts/cluster.sh
unset CLUSTER_BASE DURABILITY # the texts below name the ports
export LC_ALL=C # one byte is one character, and one sorting order, for awk and sort

usage() {
    cat <<'TEXT'
usage: scripts/quickstart.sh [--keep]

Installs what is missing, builds, starts three gossipd nodes and counts this
machine's own packages with them: every node takes a third of the list of
`dpkg-query`, through redis-cli, while node 3 is cut off from the others. Then
the cut is healed, and the three nodes must hold the same state, equal to what
awk computes from the same list. At most 5 minutes on two cores.

  --keep   leave the three nodes running, to play with

Exit: 0 only if all of that held; 1 if not; 2 packages are missing and may not be
installed (the line to run is printed); 3 links cannot be cut here; 64 usage.
TEXT
}

keep=0
for option in "$@"; do
    case "$option" in
    --keep) keep=1 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
done

step() {
    printf '\n[%3d s] %s\n' "$SECONDS" "$*"
}
fail() {
    printf '\nquickstart: %s\n' "$*" >&2
    exit 1
}
clean_up() {
    local code=$?
    trap - EXIT INT TERM
    if [ "$code" -ne 0 ] && compgen -G "$work/nodes/*/log" >/dev/null; then
        printf '\nThe last lines of the nodes'\'' logs (%s/nodes/*/log):\n' "$work" >&2
        tail -n 8 "$work"/nodes/*/log >&2 || true
    fi
    if [ "$code" -ne 0 ] || [ "$keep" -eq 0 ]; then "$cluster" stop "$work/nodes" || true; fi
    exit "$code"
}

node() { # node I COMMAND...: what node I answers
    timeout 60 redis-cli -h 127.0.0.1 -p $((7000 + $1)) "${@:2}"
}

# ---- The list, and what awk makes of it ----

# Prints `NAME SECTION SIZE`, once a name: with two architectures dpkg lists it
# twice, and packages of third parties may lack a section or a size.
package_list() {
    # shellcheck disable=SC2016 # dpkg-query, not the shell, fills these in
    dpkg-query -W -f '${Package} ${Section} ${Installed-Size}\n' | awk '
        !seen[$1]++ {
            size = $NF ~ /^[0-9]+$/ && NF > 1 ? $NF : 0
            section = NF > 2 || (NF == 2 && $2 !~ /^[0-9]+$/) ? $2 : "unknown"
            print $1, section, size
        }'
}

# Prints everything that the nodes must know in the end, one fact a line.
expected_facts() {
    awk '
        {
            size[$2] += $3; count[$2]++
            print "member", $2, $1
            print "package", $1, "section", "register", $2
            print "package", $1, "installed-size", "counter", $3
        }
        END {
            for (section in size) {
                printf "size %s %.0f\n", section, size[section]
                print "count", section, count[section]
                keys += 2
            }
            print "keys", keys + 1
        }' "$work/list" | sort
}

# ---- Feeding: RESP for `redis-cli --pipe` ----

# Prints the commands of share $1 (0, 1, 2): every third package.
commands_of_share() {
    awk -v share="$1" '
        function say(text,  words, n, i) {
            n = split(text, words, " ")
            printf "*%d\r\n", n
            for (i = 1; i <= n; i++) printf "$%d\r\n%s\r\n", length(words[i]), words[i]
        }
        NR % 3 == share {
            say("INCRBY size:" $2 " " $3)
            say("SADD section:" $2 " " $1)
            say("CRDT.UPDATE package 2 " $1 " section SET " $2)
            say("CRDT.UPDATE package 2 " $1 " installed-size INCR " $3)
        }' "$work/list"
}
feed() {
    local node=$1
    commands_of_share $((node - 1)) |
        timeout 120 redis-cli -h 127.0.0.1 -p $((7000 + node)) --pipe >"$work/feed.$node" 2>&1 ||
        return 1
    grep -q 'errors: 0,' "$work/feed.$node"
}

# ---- Asking: everything that a node knows, as facts ----

questions() {
    awk '{print $2}' "$work/list" | sort -u | awk '{
        print "ECHO \"#size " $1 "\""; print "GET size:" $1
        print "ECHO \"#count " $1 "\""; print "SCARD section:" $1
        print "ECHO \"#member " $1 "\""; print "SMEMBERS section:" $1
    }'
    awk '{
        print "ECHO \"#package " $1 " section\""; print "CRDT.GET package 2 " $1 " section"
        print "ECHO \"#package " $1 " installed-size\""
        print "CRDT.GET package 2 " $1 " installed-size"
    }' "$work/list"
    echo 'ECHO "#keys"'
    echo DBSIZE
}
# Joins each answer with the mark before it; [type, value] comes as two lines.
facts_of() {
    questions | timeout 120 redis-cli -h 127.0.0.1 -p $((7000 + $1)) | awk '
        /^#/ { mark = substr($0, 2); type = ""; next }
        mark ~ /^package/ && type == "" { type = $0; next }
        mark ~ /^package/ { print mark, type, $0; next }
        { print mark, $0 }' | sort
}

# ---- The story ----

digests_differ() {
    [ "$(node 1 CRDT.DIGEST)" != "$(node 3 CRDT.DIGEST)" ]
}

prepare() {
    step "installing what is missing"
    "$top/scripts/install-deps.sh" build
    step "building gossipd (build/, optimised, asserts on)"
    "$top/scripts/build.sh"
    if [ -d "$work/nodes" ]; then "$cluster" stop "$work/nodes"; fi
    rm -rf "$work"
    mkdir -p "$work"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    package_list >"$work/list"
    [ -s "$work/list" ] || fail "dpkg-query lists no packages"
    packages=$(wc -l <"$work/list")
    sections=$(awk '{print $2}' "$work/list" | sort -u | wc -l)
    expected_facts >"$work/expected"
}

feed_while_cut() {
    local share feeders=()
    step "cutting node 3 off from nodes 1 and 2"
    "$cluster" cut "$work/nodes" 3
    step "feeding $packages packages in $sections sections, a third to each node"
    for share in 1 2 3; do
        feed "$share" &
        feeders+=($!)
    done
    for share in 1 2 3; do
        wait "${feeders[$((share - 1))]}" || {
            cat "$work/feed.$share" >&2
            fail "node $share did not take its third"
        }
        echo "  node $share: $(awk -F '[:, ]+' '/replies/ {print $NF}' "$work/feed.$share")" \
            "writes acknowledged"
    done
    digests_differ || fail "node 3 knows what the others wrote although it is cut off"
    echo "  node 3 is alone with its third: the digests of nodes 1 and 3 differ, as they must"
}

heal_and_wait() {
    local healed=$EPOCHREALTIME
    step "healing the cut"
    "$cluster" heal "$work/nodes" 3
    "$cluster" wait "$work/nodes" 30 || fail "the nodes did not converge within 30 s of the heal"
    awk -v from="$healed" -v to="$EPOCHREALTIME" \
        'BEGIN {printf "  converged %.1f s after it\n", to - from}'
}

compare() {
    local i digest first=''
    step "asking every node for everything, and comparing with awk"
    for i in 1 2 3; do
        digest=$(node "$i" CRDT.DIGEST)
        first=${first:-$digest}
        [ "$digest" = "$first" ] || fail "node $i has another digest: $digest, node 1: $first"
        facts_of "$i" >"$work/facts.$i"
        if ! diff "$work/expected" "$work/facts.$i" >"$work/difference.$i"; then
            head -n 12 "$work/difference.$i" >&2
            fail "node $i differs from awk (< awk, > node); all of it: $work/difference.$i"
        fi
        digests[i]=${digest##* }
    done
}

table() {
    local i kib members
    printf '\n%-6s %-16s %9s %9s %12s  %s\n' node address sections packages 'KiB in all' digest
    for i in awk 1 2 3; do
        local facts=$work/expected address='' digest=''
        if [ "$i" != awk ]; then
            facts=$work/facts.$i address=127.0.0.1:$((7000 + i)) digest=${digests[i]:0:16}...
        fi
        kib=$(awk '/^size / {sum += $3} END {printf "%.0f", sum}' "$facts")
        members=$(grep -c '^member ' "$facts")
        printf '%-6s %-16s %9s %9s %12s  %s\n' "$i" "$address" \
            "$(grep -c '^count ' "$facts")" "$members" "$kib" "$digest"
    done
    printf '\nThe five largest sections, as node 3 tells it:\n'
    awk '/^size / {print $3, $2}' "$work/facts.3" | sort -rn | head -n 5 |
        awk '{printf "  %-14s %10d KiB\n", $2, $1}'
}

what_next() {
    if [ "$keep" -eq 1 ]; then
        cat <<TEXT

The nodes keep running. Try:
  redis-cli -p 7001 INCR visits; redis-cli -p 7003 GET visits
  scripts/cluster.sh cut build/quickstart/nodes 2     # then write on both sides
  scripts/cluster.sh heal build/quickstart/nodes 2
  redis-cli -p 7002 CRDT.GET package 1 bash
  build/gossipd/gossipctl --address 127.0.0.1:7001 status
  scripts/cluster.sh stop build/quickstart/nodes
TEXT
    else
        cat <<'TEXT'

All nodes agreed with one another and with awk; they are stopped now. Next:
  scripts/quickstart.sh --keep                        # the same, and play with them
  scripts/cluster.sh start 5 /tmp/five                # five nodes of your own
  build/gossipd/gossipd --help                        # one node, one directory
  scripts/test.sh                                     # every test there is
TEXT
    fi
}

packages='' sections='' digests=()
prepare
step "starting three nodes"
"$cluster" start 3 "$work/nodes"
feed_while_cut
heal_and_wait
compare
table
what_next
