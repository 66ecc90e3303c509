"""SIGKILL in a loop under load, in each durability, judged by what clients were
told and nothing else.

usage: kill.py BIN [CLAIM [ROUNDS]]: ROUNDS (default 10) are shared among the modes.
KILL_SEED repeats the choices of a run (not its timing). scripts/kill.sh runs longer.
"""
import os
import random
import sys
import threading
import time

from stores import expect_one_history
from support import Client, Cluster, Daemon, ReplyError, case, expect, expect_equal, run

ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 10
SEED = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
ALONE = max(1, ROUNDS * 3 // 10)
WEAKER = max(1, ROUNDS // 5)  # in everysec, and in no
NODES = 3
CLIENTS = 2        # per node
STEPS = 3000       # of one client in one round, so that long runs stay in memory
SAFE_SECONDS = 1   # everysec, no: what was acknowledged so long before a SIGKILL is there


class Told:
    """What clients sent to the nodes and were told, and when nodes were killed."""

    def __init__(self, durability):
        self.durability = durability
        self.lock = threading.Lock()
        self.added, self.removed = {}, {}   # element -> (node, time acknowledged or None)
        self.increments = []                # the same
        self.registers = {}                 # key -> list of (node, time or None) by step
        self.kills = []                     # (node, time)
        self.refusals = []                  # of writes that a serving node must take
        self.acknowledged = 0

    def is_safe(self, write):
        """Whether a write must be there: acknowledged, and durable by its mode."""
        node, acknowledged = write
        if acknowledged is None:
            return False
        return self.durability == "always" or not any(
            killed == node and acknowledged <= at < acknowledged + SAFE_SECONDS
            for killed, at in self.kills)

    def expect_taken(self, rounds):
        """Rounds in which nobody's write was taken show nothing."""
        expect(not self.refusals, f"writes were refused: {self.refusals[:3]}")
        expect(self.acknowledged >= 10 * rounds,
               f"{self.acknowledged} writes were acknowledged in {rounds} rounds")

    def expect_set(self, present, name, only_of=None):
        unknown = present - set(self.added)
        expect(not unknown, f"{name} has elements nobody added: {sorted(unknown)[:5]}")
        for element, added in self.added.items():
            removed = self.removed.get(element)
            if only_of is not None and (added[0] != only_of or (removed or added)[0] != only_of):
                continue
            if removed is None and self.is_safe(added):
                expect(element in present, f"{name} lost {element}, acknowledged {added}, "
                                           f"kills {self.kills[-3:]}")
            if removed is not None and self.is_safe(removed):
                expect(element not in present, f"{name} resurrected {element}, removed {removed}")

    def expect_numbers(self, client, name):
        count = int(client("GET", "count") or 0)
        least = sum(self.is_safe(write) for write in self.increments)
        expect(least <= count <= len(self.increments),
               f"{name} counts {count}: {least} must be there, {len(self.increments)} were sent")
        for key, steps in self.registers.items():
            value = int(client("GET", key) or -1)
            safe = [step for step, write in enumerate(steps) if self.is_safe(write)]
            expect(max(safe, default=-1) <= value < len(steps),
                   f"{name} reads {key} = {value}, of {len(steps)} steps {safe[-1:]} must be there")


class Writer(threading.Thread):
    """One client on one node, until told to stop or its node dies."""

    def __init__(self, told, node, port, name, seed):
        super().__init__()
        self.told, self.node, self.port, self.label = told, node, port, name
        self.random = random.Random(seed)
        self.mine = []
        self.is_over = threading.Event()

    def note(self, table, key, at):
        with self.told.lock:
            table[key] = (self.node, at)

    def write(self, client, words, table, key):
        """One write: noted as sent, then as acknowledged. False: it was refused. A node
        that is starting says LOADING; nothing else is a reason here."""
        self.note(table, key, None)
        reply = client(*words)
        if isinstance(reply, ReplyError):
            if not str(reply).startswith("LOADING"):
                self.told.refusals.append(f"{' '.join(map(str, words))}: {reply}")
            return False
        self.note(table, key, time.monotonic())
        with self.told.lock:
            self.told.acknowledged += 1
        return True

    def step(self, client, number):
        kind = self.random.randrange(10)
        if kind < 5:
            element = f"{self.label}:{number}"
            self.mine.append(element)
            return self.write(client, ("SADD", "s", element), self.told.added, element)
        if kind < 7 and self.mine:
            element = self.mine.pop(self.random.randrange(len(self.mine)))
            return self.write(client, ("SREM", "s", element), self.told.removed, element)
        if kind < 9:
            with self.told.lock:
                self.told.increments.append(None)
                index = len(self.told.increments) - 1
            return self.write(client, ("INCR", "count"), self.told.increments, index)
        with self.told.lock:
            steps = self.told.registers.setdefault(f"r:{self.label}", [])
            steps.append(None)
        return self.write(client, ("SET", f"r:{self.label}", len(steps) - 1), steps,
                          len(steps) - 1)

    def run(self):
        try:
            client = Client(self.port)
            number = 0
            while number < STEPS and not self.is_over.is_set() and self.step(client, number):
                number += 1
            client.close()
        except OSError:
            pass  # its node was killed: what was not acknowledged is open


def one_round(cluster, told, rng, number):
    writers = [Writer(told, node, cluster.port(node), f"{number}.{node}.{client}", rng.random())
               for node in range(1, NODES + 1) for client in range(CLIENTS)]
    for writer in writers:
        writer.start()
    victim = rng.randrange(NODES) + 1
    time.sleep(rng.uniform(0.05, 1 if told.durability == "always" else 2.5))
    cluster.kill(victim)
    with told.lock:
        told.kills.append((victim, time.monotonic()))
    time.sleep(rng.uniform(0, 0.3))
    for writer in writers:
        writer.is_over.set()
        writer.join()
    cluster.restart(victim)
    client = cluster.client(victim)
    if told.durability == "always":
        told.expect_set(set(client("SMEMBERS", "s")), f"node {victim} at once", only_of=victim)
    cluster.converged()
    for node in range(1, NODES + 1):
        client = cluster.client(node)
        told.expect_set(set(client("SMEMBERS", "s")), f"node {node}")
        told.expect_numbers(client, f"node {node}")


def loop(stage, durability, rounds):
    rng = random.Random(f"{SEED} {durability}")
    print(f"#   KILL_SEED={SEED} rounds={rounds}")
    cluster = Cluster(stage, NODES, durability=durability)
    told = Told(durability)
    for number in range(rounds):
        generation = cluster.status(1)["generation"]
        one_round(cluster, told, rng, number)
        if durability == "always":
            expect_equal(cluster.status(1)["generation"], generation, "generation in always")
        if (number + 1) % 10 == 0:
            print(f"#   {number + 1} rounds")
            sys.stdout.flush()
    told.expect_taken(rounds)
    cluster.run("stop", cluster.directory)
    expect_one_history([f"{cluster.directory}/{node}/data" for node in range(1, NODES + 1)])
    print(f"#   {rounds} SIGKILLs, {told.acknowledged} acknowledged writes, each accounted for")


@case("SIGKILLs of a node without peers in `always`: no one else can give back what it lost")
def alone(stage):
    rng = random.Random(f"{SEED} alone")
    print(f"#   KILL_SEED={SEED} rounds={ALONE}")
    daemon = Daemon(stage)
    told = Told("always")
    for number in range(ALONE):
        writers = [Writer(told, 1, daemon.port, f"{number}.{client}", rng.random())
                   for client in range(8)]
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0.05, 1))
        daemon.kill()
        for writer in writers:
            writer.join()
        daemon.start()
        client = Client(daemon.port)
        told.expect_set(set(client("SMEMBERS", "s")), "the node")
        told.expect_numbers(client, "the node")
    told.expect_taken(ALONE)
    print(f"#   {ALONE} SIGKILLs, {told.acknowledged} acknowledged writes, each accounted for")


@case("SIGKILLs under load in `always`: every acknowledged write is there, none comes back")
def always(stage):
    loop(stage, "always", max(1, ROUNDS - ALONE - 2 * WEAKER))


@case("SIGKILLs under load in `everysec`: all but the last moment is there, no dot used twice")
def everysec(stage):
    loop(stage, "everysec", WEAKER)


@case("SIGKILLs under load in `no`: all but the last moment is there, no dot used twice")
def no(stage):
    loop(stage, "no", WEAKER)


run()
