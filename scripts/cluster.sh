#!/usr/bin/env bash
# Runs N gossipd nodes on this machine, and kills, cuts off and heals them.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${GOSSIPD_BIN:-$top/build/gossipd}
start_seconds=${CLUSTER_START_SECONDS:-60} # how long `start` waits for convergence

usage() {
    cat <<'TEXT'
usage: scripts/cluster.sh start N DIR     start nodes 1..N (N <= 50); returns when converged
       scripts/cluster.sh stop DIR        stop them all, remove every cut
       scripts/cluster.sh status DIR      one line a node; exit 0 when all run and have converged
       scripts/cluster.sh wait DIR [SECS] wait until all that run have converged (default 30 s)
       scripts/cluster.sh kill DIR I      SIGKILL node I
       scripts/cluster.sh restart DIR I   start node I again; returns when it serves
       scripts/cluster.sh cut DIR I       cut node I off from its peers; its clients still reach it
       scripts/cluster.sh heal DIR I      undo the cut; convergence follows within 5 s

Node I: clients 127.0.0.1:7000+I, peers 127.0.1.I:7100+I, files
DIR/I/{gossipd.conf, data/, log}. A DIR that was used before starts the same nodes
again. Cuts need nft and root (or sudo -n); else every peer link runs through a small
relay (127.0.1.I:7300+I) that the cut stops.

Environment: DURABILITY=always|everysec|no (default always), GOSSIPD_BIN (folder
of the binaries, default build/gossipd, built if absent), CLUSTER_CUTS=nft|relay,
CLUSTER_BASE (default 7000: moves all ports), CLUSTER_SETTINGS (further lines of
every configuration: "history=none log-budget=64mb").

Exit: 0 done, 1 failed or not converged, 2 packages are missing, 3 links cannot
be cut on this machine, 64 usage.
TEXT
}

die() {
    echo "cluster: $*" >&2
    exit 1
}
bad_usage() {
    echo "cluster: $*" >&2
    echo "try: scripts/cluster.sh --help" >&2
    exit 64
}

# ---- What a cluster directory remembers ----

dir='' count='' base='' cuts=''

load_cluster() {
    [ -d "$1" ] || bad_usage "no such directory: $1"
    dir=$(cd "$1" && pwd)
    [ -f "$dir/cluster" ] || die "$dir holds no cluster; make one: scripts/cluster.sh start N $1"
    read -r count base cuts <"$dir/cluster"
}
check_node() {
    if ! [[ "$1" =~ ^[1-9][0-9]?$ ]] || [ "$1" -gt "$count" ]; then
        bad_usage "node '$1' is not one of 1..$count"
    fi
}

# ---- Processes ----

# Prints the pid in file $1 if that process still has the argument $2: a pid may
# have been reused.
running_pid() {
    local pid words='' try
    pid=$(cat "$1" 2>/dev/null) || return 1
    # In the middle of exec a process has no words; so has one that has ended.
    for try in 1 2 3 4 5; do
        words=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline") || return 1
        [ -z "$words" ] || break
        sleep "0.0$try"
    done
    grep -qxF "$2" <<<"$words" || return 1
    echo "$pid"
}
pid_of() {
    running_pid "$dir/$1/pid" "$dir/$1/gossipd.conf"
}
relay_pid() {
    running_pid "$dir/relay.pid" "$top/scripts/relay.py"
}
# Waits until process $1 is gone, at most $2 seconds. A zombie is gone too: its
# parent may be a container's init that does not reap.
wait_gone() {
    local end=$((SECONDS + $2)) state
    while state=$(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null) &&
        [ -n "$state" ] && [ "$state" != Z ]; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}
# Starts a program as a process of its own session, since Ctrl-C on the script
# that called us is not for it. $1 gets its pid, $2 its output, the rest is it.
launch() {
    local pidfile=$1 log=$2 pid
    shift 2
    setsid "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$pidfile"
    # Until exec, the child still has our command line and pid_of is blind to it.
    while kill -0 "$pid" 2>/dev/null && ! running_pid "$pidfile" "${!#}" >/dev/null; do
        [ "$(awk '/^State:/ {print $2}' "/proc/$pid/status" 2>/dev/null)" != Z ] || break
        sleep 0.01
    done
}
launch_node() {
    launch "$dir/$1/pid" "$dir/$1/log" "$bin/gossipd" -c "$dir/$1/gossipd.conf"
}
# Asks node I with a Redis command; silence after 5 s is no answer.
ask() {
    timeout 5 redis-cli -h 127.0.0.1 -p $((base + $1)) "${@:2}" 2>/dev/null
}
# Another program on the port may answer PING as well: ours must be running.
serves() {
    pid_of "$1" >/dev/null && [ "$(ask "$1" PING)" = PONG ]
}
show_log() {
    echo "cluster: the last lines of $dir/$1/log:" >&2
    tail -n 15 "$dir/$1/log" >&2 || true
}
wait_serving() {
    local end=$((SECONDS + start_seconds))
    until serves "$1"; do
        if ! pid_of "$1" >/dev/null; then
            show_log "$1"
            die "node $1 has ended instead of serving"
        fi
        if [ "$SECONDS" -ge "$end" ]; then
            show_log "$1"
            die "node $1 does not answer on port $((base + $1)) after $start_seconds s"
        fi
        sleep 0.1
    done
}

# ---- Convergence ----

# Prints the status of node I; its exit code is that of gossipctl (0 converged).
status_of() {
    "$bin/gossipctl" --address "127.0.0.1:$((base + $1))" status --json 2>/dev/null
}
# Exit 0 only if every running node says that it has converged, with equal
# digests: two nodes may each be content with what they knew a moment ago.
all_converged() {
    local node digest first='' allowed=0
    for ((node = 1; node <= count; node++)); do
        # 3 says that some are down: right only if some do not run.
        pid_of "$node" >/dev/null || allowed=3
    done
    for ((node = 1; node <= count; node++)); do
        pid_of "$node" >/dev/null || continue
        status_of "$node" >/dev/null || [ $? -eq "$allowed" ] || return 1
        digest=$(ask "$node" CRDT.DIGEST) || return 1
        first=${first:-$digest}
        [ -n "$digest" ] && [ "$digest" = "$first" ] || return 1
    done
    [ -n "$first" ]
}
wait_converged() {
    local end=$((SECONDS + $1))
    until all_converged; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# ---- Cuts ----

nft_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        nft "$@"
    else
        sudo -n nft "$@"
    fi
}
# Which way cuts are made here; decided at `start`, for the life of the nodes.
choose_cuts() {
    case "${CLUSTER_CUTS:-}" in
    nft | relay) echo "$CLUSTER_CUTS" && return ;;
    '') ;;
    *) bad_usage "CLUSTER_CUTS is '$CLUSTER_CUTS', not nft or relay" ;;
    esac
    # Listing works where changing is forbidden, so a table is made and deleted.
    local probe='add table inet gossipd_probe; delete table inet gossipd_probe'
    if command -v nft >/dev/null && nft_as_root "$probe" 2>/dev/null; then
        echo nft
    elif command -v python3 >/dev/null; then
        echo relay
    else
        echo none
    fi
}
table_prefix() {
    printf 'gossipd_%s' "$(cksum <<<"$dir" | cut -d ' ' -f 1)"
}
remove_tables() {
    local table
    for table in $(nft_as_root list tables inet 2>/dev/null | awk '{print $3}'); do
        case "$table" in "$(table_prefix)_"*) nft_as_root delete table inet "$table" ;; esac
    done
}
# Drops what comes from or goes to the address of node $1, on peer ports only:
# silently, as a dead network does. Packets of both directions pass `input`.
cut_by_nft() {
    local table address="127.0.1.$1" ports="$((base + 101))-$((base + 150))"
    table="$(table_prefix)_$1"
    nft_as_root -f - <<RULES
table inet $table
delete table inet $table
table inet $table {
    chain cut {
        type filter hook input priority 0; policy accept;
        ip saddr $address tcp dport $ports drop
        ip saddr $address tcp sport $ports drop
        ip daddr $address tcp dport $ports drop
        ip daddr $address tcp sport $ports drop
    }
}
RULES
}

# ---- Commands ----

ensure_binaries() {
    "$top/scripts/install-deps.sh" build
    if [ -x "$bin/gossipd" ] && [ -x "$bin/gossipctl" ]; then return; fi
    [ -z "${GOSSIPD_BIN:-}" ] || die "no gossipd and gossipctl in $bin (GOSSIPD_BIN)"
    "$top/scripts/build.sh"
}

write_configuration() {
    local node=$1 peer peer_port=100 address
    [ "$cuts" = relay ] && peer_port=300
    cat <<CONF
# Node $node of $count, written by scripts/cluster.sh at every start.
name = "n$node"
cluster = "cluster.sh $base"
dir = "$dir/$node/data"
bind = "127.0.0.1"
port = $((base + node))
http-address = "127.0.0.1:$((base + 200 + node))"
peer-address = "127.0.1.$node:$((base + 100 + node))"
peer-source = "127.0.1.$node"
durability = "${DURABILITY:-always}"
CONF
    local setting
    for setting in ${CLUSTER_SETTINGS:-}; do
        echo "${setting%%=*} = \"${setting#*=}\""
    done
    for ((peer = 1; peer <= count; peer++)); do
        [ "$peer" -ne "$node" ] || continue
        address="127.0.1.$peer:$((base + peer_port + peer))"
        echo "peer n$peer { key = \"${keys[$peer]}\" address = \"$address\" }"
    done
}
# The public keys of all nodes, made at the first start.
keys=()
collect_keys() {
    local node data
    for ((node = 1; node <= count; node++)); do
        data=$dir/$node/data
        mkdir -p "$data"
        if [ -f "$data/node.key" ]; then
            keys[node]=$("$bin/gossipctl" pubkey --dir "$data")
        else
            keys[node]=$("$bin/gossipctl" keygen --dir "$data")
        fi
        [[ "${keys[$node]}" =~ ^[0-9a-f]{64}$ ]] || die "gossipctl gave no public key for $data"
    done
}
# Returns when the relay has dropped the links of node $1.
cut_by_relay() {
    local end=$((SECONDS + 5))
    [ -s "$dir/$1/cut" ] && return
    : >"$dir/$1/cut"
    until [ -s "$dir/$1/cut" ]; do
        if ! relay_pid >/dev/null || [ "$SECONDS" -ge "$end" ]; then
            die "the relay does not answer: node $1 is not cut off"
        fi
        sleep 0.02
    done
}
start_relay() {
    [ "$cuts" = relay ] || return 0
    rm -f "$dir"/*/cut
    relay_pid >/dev/null && return
    rm -f "$dir/relay.log"
    launch "$dir/relay.pid" "$dir/relay.log" python3 "$top/scripts/relay.py" "$dir" "$count" "$base"
    local end=$((SECONDS + 10))
    until grep -q ready "$dir/relay.log"; do
        if ! relay_pid >/dev/null || [ "$SECONDS" -ge "$end" ]; then
            tail -n 5 "$dir/relay.log" >&2
            die "the relay does not start; are ports $((base + 301)) and above free?"
        fi
        sleep 0.1
    done
}

do_start() {
    local node old
    if ! [[ "$1" =~ ^[1-9][0-9]?$ ]] || [ "$1" -gt 50 ]; then
        bad_usage "N is '$1', not a number from 1 to 50"
    fi
    case "${DURABILITY:-always}" in
    always | everysec | no) ;;
    *) bad_usage "DURABILITY is '$DURABILITY', not always, everysec or no" ;;
    esac
    ensure_binaries
    mkdir -p "$2"
    dir=$(cd "$2" && pwd) count=$1 base=${CLUSTER_BASE:-7000}
    if [ -f "$dir/cluster" ]; then
        read -r old base _ <"$dir/cluster"
        [ "$old" -eq "$count" ] || die "$2 holds $old nodes; give that number or another directory"
        base=${CLUSTER_BASE:-$base}
        for ((node = 1; node <= count; node++)); do
            ! pid_of "$node" >/dev/null ||
                die "node $node runs already; first: scripts/cluster.sh stop $2"
        done
    fi
    cuts=$(choose_cuts)
    if [ "$cuts" = none ]; then
        echo "cluster: neither nft as root nor python3 for the relay: links cannot be cut here" >&2
        exit 3
    fi
    echo "$count $base $cuts" >"$dir/cluster"
    collect_keys
    start_relay
    for ((node = 1; node <= count; node++)); do
        write_configuration "$node" >"$dir/$node/gossipd.conf"
        launch_node "$node"
    done
    for ((node = 1; node <= count; node++)); do wait_serving "$node"; done
    if ! wait_converged "$start_seconds"; then
        do_status >&2 || true
        die "the nodes run but have not converged after $start_seconds s; logs: $dir/*/log"
    fi
    echo "cluster: $count nodes serve on 127.0.0.1:$((base + 1))..$((base + count)) (cuts by $cuts)"
}

do_stop() {
    local node pid pids=() failed=0
    for ((node = 1; node <= count; node++)); do
        if pid=$(pid_of "$node"); then
            kill "$pid" 2>/dev/null || true
            pids+=("$pid")
        fi
    done
    for pid in "${pids[@]}"; do
        if ! wait_gone "$pid" 6; then
            echo "cluster: process $pid did not end within 6 s of SIGTERM and was killed" >&2
            kill -KILL "$pid" 2>/dev/null || true
            failed=1
        fi
    done
    if pid=$(relay_pid); then kill "$pid" 2>/dev/null || true; fi
    rm -f "$dir"/*/pid "$dir"/*/cut "$dir/relay.pid"
    [ "$cuts" != nft ] || remove_tables
    return "$failed"
}

do_status() {
    local node json code all=0 word
    for ((node = 1; node <= count; node++)); do
        json='' word='not running' code=0
        if pid_of "$node" >/dev/null; then
            json=$(status_of "$node") || code=$?
            case $code in
            0) word=converged ;;
            1) word='not converged' ;;
            3) word='converged with those that answer' ;;
            *) word='no answer' ;;
            esac
        fi
        [ "$word" = converged ] || all=1
        echo "n$node 127.0.0.1:$((base + node)) $word $json"
    done
    return "$all"
}

do_kill() {
    local pid
    pid=$(pid_of "$1") || die "node $1 does not run"
    kill -KILL "$pid"
    wait_gone "$pid" 10 || die "node $1 (process $pid) does not go away"
    rm -f "$dir/$1/pid"
}

do_restart() {
    local pid
    if pid=$(pid_of "$1"); then
        kill "$pid"
        wait_gone "$pid" 6 || die "node $1 (process $pid) did not end within 6 s of SIGTERM"
    fi
    launch_node "$1"
    wait_serving "$1"
}

do_cut() {
    if [ "$cuts" = nft ]; then cut_by_nft "$1"; else cut_by_relay "$1"; fi
}
do_heal() {
    if [ "$cuts" = nft ]; then
        nft_as_root delete table inet "$(table_prefix)_$1" 2>/dev/null || true
    else
        rm -f "$dir/$1/cut"
    fi
}

command=${1:-}
case "$command" in
-h | --help | help)
    usage
    exit 0
    ;;
start)
    [ $# -eq 3 ] || bad_usage "start needs N and DIR"
    ;;
stop | status)
    [ $# -eq 2 ] || bad_usage "$command needs DIR"
    ;;
wait)
    [ $# -eq 2 ] || [ $# -eq 3 ] || bad_usage "wait needs DIR, and may have SECONDS"
    ;;
kill | restart | cut | heal)
    [ $# -eq 3 ] || bad_usage "$command needs DIR and I"
    ;;
*)
    bad_usage "no such command: '$command'"
    ;;
esac
PATH="$PATH:/usr/sbin:/sbin" # nft is there, and not on everyone's path

case "$command" in
start) do_start "$2" "$3" ;;
stop)
    # Stopping what was never started is done.
    [ -f "$2/cluster" ] || exit 0
    load_cluster "$2"
    do_stop
    ;;
status)
    load_cluster "$2"
    do_status
    ;;
wait)
    load_cluster "$2"
    wait_converged "${3:-30}" ||
        die "not converged after ${3:-30} s; see: scripts/cluster.sh status $2"
    ;;
kill | restart | cut | heal)
    load_cluster "$2"
    check_node "$3"
    "do_$command" "$3"
    ;;
esac
