"""Real daemons on a network that fails: the short form of scripts/faults.sh, and
the proofs that its faults bite and that its checker sees."""
import contextlib
import os
import random
import re
import subprocess
import sys
import time

from faults import Storm, both_ways, storm
from ledger import REFUSED, Ledger, complaints
from netbed import FAKETIME, NEWER, NO_FAKETIME, PEER_PORT, Violation, make_bed
from support import (GOSSIPD, IS_FULL, Failure, Skip, case, comment, eventually, expect,
                     expect_equal, run)

SEED = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 31)))
STORM_SECONDS = 300 if IS_FULL else 8
ROUND_SECONDS = 10 if IS_FULL else 3

# Listens at an address and prints, per peer that dials, the minor of its HELLO.
LISTENER = """
import socket, sys, time
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
listener.settimeout(10)
end, seen = time.monotonic() + 10, set()
while len(seen) < int(sys.argv[3]) and time.monotonic() < end:
    link, (address, _) = listener.accept()
    link.settimeout(3)
    data = b""
    while b"gossipd" not in data or len(data) < data.index(b"gossipd") + 9:
        data += link.recv(1000) or sys.exit("a peer hung up")
    if address not in seen:
        print(address, *data[data.index(b"gossipd") + 7:][:2])
    seen.add(address)
"""


def in_namespace(node, code, *words):
    done = subprocess.run(["ip", "netns", "exec", node.namespace, sys.executable, "-c", code,
                           *map(str, words)], capture_output=True, text=True, timeout=60)
    expect(done.returncode == 0, f"in the namespace of {node.name}: {done.stderr}")
    return done.stdout


def noticed(function, *words):
    """The violation that function(*words) must find."""
    try:
        function(*words)
    except Violation as violation:
        return str(violation)
    raise Failure("nothing was noticed")


# ---- The checker sees ----

@case("the checker notices each kind of broken promise")
def checker(_):
    ledger = Ledger()
    ledger.add("own", 5, 5, True)
    ledger.add("own", 1, None, True)
    ledger.put("set:1", "in", True, 1)
    ledger.put("set:1", "out", False, 1)
    ledger.put("set:1", "perhaps", True, None)
    ledger.put("set:1", "refused", True, REFUSED)
    ledger.assign("hash:1", "f", "refused", REFUSED)
    ledger.assign("hash:1", "refused", "v", REFUSED)
    ledger.add("own", 100, REFUSED, True)
    ledger.assign("hash:1", "f", "a", 1)
    ledger.assign("hash:1", "f", "b", 0)
    good = {"GET": "5", "SMEMBERS": ["in"], "HGETALL": ["f", "b"]}
    for fine in ({}, {"GET": "6"}, {"SMEMBERS": ["perhaps", "in"]}):
        expect_equal(list(complaints([ledger], lambda *w: {**good, **fine}[w[0]], [1])), [],
                     f"complaints about {fine}")
    for broken in ({"GET": "4"}, {"GET": "7"}, {"GET": None}, {"SMEMBERS": []},
                   {"SMEMBERS": ["in", "out"]}, {"SMEMBERS": ["in", "refused"]},
                   {"SMEMBERS": ["in", "stranger"]},
                   {"HGETALL": ["f", "a"]}, {"HGETALL": []}, {"HGETALL": ["f", "b", "g", "x"]}):
        found = list(complaints([ledger], lambda *w: {**good, **broken}[w[0]], [1]))
        expect(len(found) == 1, f"about {broken} it says {found}")
    noticed(ledger.add, "own", 1, 5, True)
    noticed(ledger.put, "set:1", "new", True, 0)
    noticed(ledger.assign, "hash:1", "f", "c", 1)


@case("loss, delay and cuts do what they say")
def bites(stage):
    bed = make_bed(stage, 2)
    connect = "import socket, sys, time\nstart = time.monotonic()\n" \
              "socket.create_connection((sys.argv[1], int(sys.argv[2])), 20).close()\n" \
              "print(time.monotonic() - start)"

    def connect_seconds():
        return float(in_namespace(bed.nodes[1], connect, bed.nodes[2].address, PEER_PORT))
    plain = connect_seconds()
    bed.set_delay(2, 150, 0)
    slow = connect_seconds()
    expect(slow >= plain / 2 + 0.29, f"150 ms each way: {slow:.3f} s instead of {plain:.3f} s")
    bed.set_delay(2, 0, 0)
    bed.lose("loss", 20)
    send = "import socket, sys\nsender = socket.socket(type=socket.SOCK_DGRAM)\n" \
           "for _ in range(1000): sender.sendto(b'x', (sys.argv[1], 9))"
    in_namespace(bed.nodes[1], send, bed.nodes[2].address)
    time.sleep(1)  # they are on their way
    received = in_namespace(bed.nodes[2], "print(open('/proc/net/snmp').read())")
    # Nobody listens on that port, so the kernel counts what arrived as NoPorts.
    arrived = int(re.findall(r"Udp: \d+ (\d+)", received)[0])
    expect(700 <= arrived <= 890, f"of 1000 datagrams at 20 % loss {arrived} arrived")
    bed.heal("loss")
    for ways in ({(1, 2)}, {(2, 1)}, both_ways([[1], [2]])):
        bed.cut("cut", ways)
        for node in bed.nodes.values():
            node.ask("INCR", "during the cut")
        time.sleep(1)
        expect(not bed.is_converged(), f"with the cut {sorted(ways)} the nodes agree")
        bed.heal("cut")
        eventually(bed.is_converged, f"equal digests after the cut {sorted(ways)}", 10)


@case("what a client was not told is found on a real cluster, and so is divergence")
def sees(stage):
    bed = make_bed(stage, 2)
    state = Storm(bed, SEED, comment, ROUND_SECONDS)
    try:
        state.play(["loss"])
        victim = next(element for (key, element), is_in in state.ledgers[0].elements.items()
                      if key == "set:1" and is_in)
        expect_equal(bed.nodes[2].ask("SREM", "set:1", victim), 1, "SREM behind the clients' back")
        expect(victim in noticed(state.check, time.monotonic()), "another violation")
        bed.nodes[2].ask("SADD", "set:1", victim)
        state.check(time.monotonic())
        bed.nodes[1].ask("INCR", "own:1")
        expect("own:1" in noticed(state.check, time.monotonic()), "another violation")
        bed.nodes[1].ask("DECR", "own:1")
        bed.cut("cut", both_ways([[1], [2]]))
        bed.nodes[1].ask("INCR", "apart")
        expect("differ" in noticed(state.check, time.monotonic() - 1000), "another violation")
        bed.heal("cut")
        bed.nodes[1].kill()
        expect("itself" in noticed(kill_from_outside, bed.nodes[2]), "another violation")
    finally:
        state.close()


def kill_from_outside(node):
    os.kill(node.process.pid, 9)
    node.process.wait()
    node.expect_alive()


# ---- The faults ----

@case("acknowledged writes survive drawn faults, and all nodes converge")
def drawn(stage):
    comment(f"FAULTS_SEED={SEED}")
    bed = make_bed(stage, 4)
    state, violations = storm(bed, SEED, STORM_SECONDS, comment, ROUND_SECONDS)
    comment(state.writes())
    expect(not violations, f"seed {SEED}: {violations}")


@case("a clock a year ahead wins concurrent SETs, and nothing else, and only while it is ahead")
def clock(stage):
    if not FAKETIME:
        raise Skip(NO_FAKETIME)
    with played(make_bed(stage, 3)) as play:
        play(["clock"])


@case("a paused, a killed and a restarted node lose nothing")
def processes(stage):
    with played(make_bed(stage, 3)) as play:
        play(["pause", "kill"])
        play(["rolling", "one-way"])


@case("a node of the next minor version and today's understand each other")
def newer(stage):
    bed = make_bed(stage, 3)
    one, _, three = bed.nodes.values()
    one.stop()
    one.binary = NEWER
    one.start()
    three.stop()
    hellos = in_namespace(three, LISTENER, three.address, PEER_PORT, 2).splitlines()
    three.start()
    expect_equal(sorted(hellos), ["10.99.0.1 1 1", "10.99.0.2 1 0"], "version in each HELLO")
    # While new and old are apart, each writes; node 2 relays what node 1 signed.
    with played(bed) as play:
        play(["partition", "delay"])
        play(["one-way", "loss"])
        for binary in (NEWER, GOSSIPD):  # stores with both kinds of batches, read by either
            for node in (three, one):
                node.stop()
                node.binary = binary
                node.start()
            play(["loss"])


@contextlib.contextmanager
def played(bed):
    """A storm that plays the rounds it is told."""
    state = Storm(bed, SEED, comment, ROUND_SECONDS)
    try:
        yield state.play
    except Violation as violation:
        raise Failure(f"FAULTS_SEED={SEED}: {violation}") from None
    finally:
        state.close()


if __name__ == "__main__":
    run()
