#!/usr/bin/env python3
"""Rounds of faults, drawn from a seed, against real daemons that are written to.

usage: faults.py BIN [--seconds S] [--seed N] [--nodes N]

scripts/faults.sh calls this; its --help says the rest. A round draws some faults,
lets them last, heals them, and checks: see Storm.check.
"""
import argparse
import collections
import heapq
import itertools
import random
import signal
import sys
import time

from ledger import Writer, complaints
from netbed import FAKETIME, NEWER, YEAR_SECONDS, Bed, Violation, sweep, why_not
from support import GOSSIPD, Failure, eventually

CONVERGED_SECONDS = 10  # after the last heal: what issue 3 asks
FOREVER = 1e9
ALL_KINDS = ("loss", "delay", "one-way", "partition", "flap", "pause", "kill", "newer", "rolling",
             "clock")
NODE_KINDS = ("pause", "kill", "newer", "rolling", "clock")
EXCLUSIVE_KINDS = ("rolling", "clock")


def both_ways(groups):
    """Every (a, b) of nodes that stand in different groups."""
    return {(a, b) for one, two in itertools.permutations(groups, 2) for a in one for b in two}


def drawn_groups(draw, numbers):
    while True:
        side = {number: draw.randrange(draw.randint(2, len(numbers))) for number in numbers}
        groups = [[n for n in numbers if side[n] == s] for s in sorted(set(side.values()))]
        if len(groups) > 1:
            return groups


def drawn_ways(draw, numbers):
    ways = list(itertools.permutations(numbers, 2))
    return set(draw.sample(ways, draw.randint(1, len(ways) // 2)))


def arrows(ways):
    return " ".join(f"{a}>{b}" for a, b in sorted(ways))


def walls(groups):
    return " | ".join(" ".join(map(str, group)) for group in groups)


# ---- The faults: each yields what it is, then how long to wait for its next move.
# It is closed when the round ends, and leaves nothing behind. ----

def loss(bed, draw, _):
    percent = draw.choice((1, 5, 20))
    yield f"loss {percent} %"
    try:
        bed.lose("loss", percent)
        yield FOREVER
    finally:
        bed.heal("loss")


def delay(bed, draw, _):
    cables = {number: (draw.choice((5, 30, 150)), draw.choice((0, 10, 100)))
              for number in draw.sample(sorted(bed.nodes), draw.randint(1, len(bed.nodes)))}
    yield "delay " + " ".join(f"{n}:{ms}+{jitter}ms" for n, (ms, jitter) in sorted(cables.items()))
    try:
        for number, (delay_ms, jitter_ms) in cables.items():
            bed.set_delay(number, delay_ms, jitter_ms)
        yield FOREVER
    finally:
        for number in cables:
            bed.set_delay(number, 0, 0)


def one_way(bed, draw, _):
    ways = drawn_ways(draw, sorted(bed.nodes))
    yield f"one-way cut {arrows(ways)}"
    try:
        bed.cut("one-way", ways)
        yield FOREVER
    finally:
        bed.heal("one-way")


def partition(bed, draw, _):
    groups = drawn_groups(draw, sorted(bed.nodes))
    yield f"partition {walls(groups)}"
    try:
        bed.cut("partition", both_ways(groups))
        yield FOREVER
    finally:
        bed.heal("partition")


def flap(bed, draw, _):
    numbers = sorted(bed.nodes)
    if draw.random() < 0.5:
        ways = drawn_ways(draw, numbers)
        yield f"flapping {arrows(ways)}"
    else:
        groups = drawn_groups(draw, numbers)
        ways = both_ways(groups)
        yield f"flapping {walls(groups)}"
    try:
        while True:
            bed.cut("flap", ways)
            yield draw.uniform(0.1, 4)
            bed.heal("flap")
            yield draw.uniform(0.1, 2)
    finally:
        bed.heal("flap")


def pause(_, draw, node):
    seconds = draw.uniform(1, 10)
    yield f"SIGSTOP {node.name} for at most {seconds:.1f} s"
    try:
        node.signal(signal.SIGSTOP, True)
        yield seconds
    finally:
        node.signal(signal.SIGCONT, False)
    yield FOREVER


def kill(_, draw, node):
    times = draw.randint(1, 3)
    yield f"SIGKILL {node.name} x{times}"
    try:
        for _ in range(times):
            node.kill()
            yield draw.uniform(0, 2)
            node.start()
            yield draw.uniform(0, 2)
    finally:
        if not node.process:
            node.start()
    yield FOREVER


def newer(_, draw, node):
    """Up to the next minor version, or back from it; it stays so."""
    node.binary = GOSSIPD if node.binary == NEWER else NEWER
    yield f"{node.name} becomes {'newer' if node.binary == NEWER else 'older'}"
    try:
        node.stop()
        yield draw.uniform(0, 1)
    finally:
        node.start()
    yield FOREVER


def rolling(bed, draw, _):
    order = draw.sample(sorted(bed.nodes), len(bed.nodes))
    yield f"rolling restart {' '.join(map(str, order))}"
    for number in order:
        bed.nodes[number].stop()
        try:
            yield draw.uniform(0, 0.5)
        finally:
            bed.nodes[number].start()
        yield draw.uniform(0, 0.5)
    yield FOREVER


KINDS = {"loss": loss, "delay": delay, "one-way": one_way, "partition": partition, "flap": flap,
         "pause": pause, "kill": kill, "newer": newer, "rolling": rolling}


# ---- A clock a year ahead: a round with a plot of its own ----

class Clock:
    """Node `ahead` has it; `other` is any other node."""

    def __init__(self, bed, ahead, other, key):
        self.bed, self.ahead, self.other, self.key = bed, ahead, other, key

    def reads(self, want, when):
        """All nodes come to read `want`, while others write on."""
        def wrong():
            return {node.name: value for node in self.bed.nodes.values()
                    if (value := node.ask("GET", self.key)) != want}
        try:
            eventually(lambda: not wrong(), "", CONVERGED_SECONDS)
        except Failure:
            raise Violation(f"{when}: want {want!r} everywhere, but {wrong()}") from None

    def apart(self, first, second):
        """Two nodes assign without knowing of each other; the first one 1.5 s earlier."""
        rest = [number for number in self.bed.nodes if number != self.ahead.number]
        self.bed.cut("clock", both_ways([[self.ahead.number], rest]))
        first[0].ask("SET", self.key, first[1])
        time.sleep(1.5)
        second[0].ask("SET", self.key, second[1])
        self.bed.heal("clock")

    def set_clock(self, seconds):
        self.ahead.set_clock(seconds)
        eventually(lambda: abs(int(self.ahead.ask("TIME")[0]) - time.time() - seconds) < 60,
                   f"the clock of {self.ahead.name} is {seconds} s ahead")

    def play(self):
        self.ahead.is_clock_faked = True
        self.ahead.set_clock(YEAR_SECONDS)
        self.ahead.stop()
        self.ahead.start()
        self.set_clock(YEAR_SECONDS)
        self.apart((self.ahead, "ahead"), (self.other, "later"))
        self.reads("ahead", "a concurrent SET with a clock a year ahead")
        self.other.ask("SET", self.key, "saw it")
        self.reads("saw it", "a SET that saw the one with the clock a year ahead")
        self.apart((self.ahead, "ahead again"), (self.other, "later again"))
        self.reads("ahead again", "a second concurrent SET with a clock a year ahead")
        self.set_clock(0)
        self.ahead.ask("SET", self.key, "back")
        self.reads("back", "a SET after the clock is right again")
        self.other.ask("SET", self.key, "other")
        self.reads("other", "a SET elsewhere after the clock is right again")
        self.apart((self.ahead, "early"), (self.other, "late"))
        self.reads("late", "the later of two concurrent SETs after the clock is right again")
        self.ahead.is_clock_faked = False
        self.ahead.stop()
        self.ahead.start()


# ---- Rounds ----

class Storm:
    def __init__(self, bed, seed, say=print, longest_seconds=10):
        self.bed, self.say, self.longest_seconds = bed, say, longest_seconds
        self.draw = random.Random(seed)
        self.writers = [Writer(node, seed) for node in bed.nodes.values()]
        self.ledgers = [writer.ledger for writer in self.writers]
        self.generations = {node.name: node.info("crdt_generation")
                            for node in bed.nodes.values()}
        self.rounds = 0
        self.counts = collections.Counter()
        self.deck = []
        self.slowest = 0.0
        for writer in self.writers:
            writer.start()

    def acknowledged(self):
        return sum(ledger.acknowledged for ledger in self.ledgers)

    def writes(self):
        return (f"{self.acknowledged()} writes acknowledged, "
                f"{sum(ledger.unknown for ledger in self.ledgers)} unknown, "
                f"{sum(ledger.refused for ledger in self.ledgers)} refused")

    def close(self):
        for writer in self.writers:
            writer.is_over.set()
        for writer in self.writers:
            writer.join()

    def drawn_kinds(self):
        """One to three kinds that go together; every kind comes once per deck."""
        kinds = []
        for _ in range(self.draw.randint(1, 3)):
            if not self.deck:
                kinds_here = [kind for kind in ALL_KINDS if FAKETIME or kind != "clock"]
                self.deck = self.draw.sample(kinds_here, len(kinds_here))
            kind = self.deck[-1]
            is_alone = any(one in EXCLUSIVE_KINDS for one in (*kinds, kind))
            if kind in kinds or (kinds and is_alone and (
                    "clock" in (*kinds, kind)
                    or kind in NODE_KINDS and any(one in NODE_KINDS for one in kinds))):
                break
            kinds.append(self.deck.pop())
        return kinds

    def play(self, kinds=None):
        """One round; a Violation ends it."""
        self.rounds += 1
        kinds = kinds or self.drawn_kinds()
        self.counts.update(kinds)
        acknowledged = self.acknowledged()
        for writer in self.writers:
            writer.go_on(self.rounds)
        if kinds == ["clock"]:
            ahead, other = self.draw.sample(sorted(self.bed.nodes), 2)
            self.say(f"round {self.rounds}: the clock of n{ahead} is a year ahead")
            Clock(self.bed, self.bed.nodes[ahead], self.bed.nodes[other],
                  f"clock:{self.rounds}").play()
        else:
            self.last(kinds, self.draw.uniform(2, self.longest_seconds))
        healed = time.monotonic()
        time.sleep(0.5)
        seconds = self.check(healed)
        self.say(f"round {self.rounds}: {self.acknowledged() - acknowledged} writes acknowledged, "
                 f"converged {seconds:.1f} s after the heal")

    def last(self, kinds, seconds):
        """Lets the faults make their moves for so long, then ends them."""
        nodes = self.draw.sample(list(self.bed.nodes.values()), len(self.bed.nodes))
        faults = [KINDS[kind](self.bed, random.Random(self.draw.random()), nodes.pop())
                  for kind in kinds]
        self.say(f"round {self.rounds}: " + ", ".join(next(fault) for fault in faults)
                 + f"; {seconds:.1f} s")
        end = time.monotonic() + seconds
        agenda = [(0.0, index) for index in range(len(faults))]
        try:
            while agenda[0][0] < end:
                due, index = heapq.heappop(agenda)
                time.sleep(max(0.0, due - time.monotonic()))
                heapq.heappush(agenda, (time.monotonic() + next(faults[index]), index))
            time.sleep(max(0.0, end - time.monotonic()))
        finally:
            for fault in faults:
                fault.close()

    def check(self, healed, rounds=None):
        """Equal digests and `gossipctl status` 0 in time; and on every node exactly
        what clients were told, no fork, no new generation. Returns the seconds."""
        for writer in self.writers:
            writer.rest()
        found = [writer.violation for writer in self.writers if writer.violation]
        seconds = self.converged(healed)
        for node in self.bed.nodes.values():
            client = node.client()
            found += [f"at {node.name}: {text}" for text in
                      complaints(self.ledgers, client, rounds or [self.rounds])]
            client.close()
            if node.info("crdt_forks") != "0":
                found.append(f"{node.name} counts {node.info('crdt_forks')} forks")
            if node.info("crdt_generation") != self.generations[node.name]:
                found.append(f"{node.name} began a new generation without a reason")
        if found:
            raise Violation("; ".join(found[:10]) + (f" and {len(found) - 10} more"
                                                     if len(found) > 10 else ""))
        return seconds

    def converged(self, healed):
        patience = 6 * CONVERGED_SECONDS  # late and never are different findings

        def waits_for(condition, what):
            try:
                eventually(condition, "", max(1, healed + patience - time.monotonic()))
            except Failure:
                raise Violation(f"{what()}, {time.monotonic() - healed:.0f} s after the heal"
                                ) from None
            return time.monotonic() - healed
        nodes = self.bed.nodes.values()
        seconds = waits_for(self.bed.is_converged, lambda: "digests differ: " + str(
            {node.name: node.ask("CRDT.DIGEST") for node in nodes}))
        told = waits_for(lambda: set(self.bed.statuses().values()) == {0},
                         lambda: f"gossipctl status exits with {self.bed.statuses()}")
        if not self.bed.is_converged():
            raise Violation("equal digests differ again, and nobody writes")
        self.slowest = max(self.slowest, seconds)
        if seconds > CONVERGED_SECONDS:
            raise Violation(f"digests were equal only {seconds:.1f} s after the heal")
        if told > CONVERGED_SECONDS + 2:  # two heartbeats: peers' words are that old
            raise Violation(f"gossipctl status said so only {told:.1f} s after the heal")
        return seconds


def storm(bed, seed, seconds, say, longest_seconds=10):
    """Rounds for so long, at least one; then everything is checked once more.
    Returns the storm and the violations."""
    state = Storm(bed, seed, say, longest_seconds)
    end = time.monotonic() + seconds
    violations = []
    try:
        while state.rounds == 0 or time.monotonic() < end:
            state.play()
        state.check(time.monotonic(), range(1, state.rounds + 1))
    except (Violation, Failure) as violation:
        violations.append(f"round {state.rounds}: {violation}")
    finally:
        state.close()
    return state, violations


def summary(state, seed, seconds, violations):
    kinds = ", ".join(f"{kind} {state.counts[kind]}" for kind in ALL_KINDS)
    return (f"faults: seed {seed}, {len(state.bed.nodes)} nodes, {state.rounds} rounds in "
            f"{seconds:.0f} s ({kinds}), {state.writes()}, "
            f"slowest heal {state.slowest:.1f} s, "
            f"{len(violations)} violations")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--nodes", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = why_not()
    if reason:
        print(f"faults: {reason}", file=sys.stderr)
        return 3
    sweep()
    print(f"faults: seed {options.seed}, {options.nodes} nodes, {options.seconds} s", flush=True)
    start = time.monotonic()
    bed = Bed(options.nodes)
    try:
        state, violations = storm(bed, options.seed, options.seconds,
                                  lambda text: print(text, flush=True))
        for violation in violations:
            print(f"VIOLATION in {violation}")
            for node in bed.nodes.values():
                print(f"  {node.name}: {node.last_words()}")
        if violations:
            bed.is_kept = True
            print(f"stores and logs are kept in {bed.directory}")
        print(summary(state, options.seed, time.monotonic() - start, violations), flush=True)
        return 1 if violations else 0
    finally:
        bed.close()


if __name__ == "__main__":
    sys.exit(main())
