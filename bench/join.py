#!/usr/bin/env python3
"""A late returner's snapshot join under load.

    bench/join.py [--leaves N] [--rate N] [--log-budget SIZE]

Three nodes; node 3 is killed, node 1 gets N keys (default a million), so that the
log of the others no longer reaches back to what node 3 has.
Then writes go on at `rate` a second (default 20,000) on node 1 and node 3 comes
back. A client on each node asks PING every 2 ms: the longest answer is the
longest pause of that node's loop, as its clients see it.

Exit: 0 done, 1 something failed.
"""
import argparse
import sys
import threading
import time

from nodes import Nodes, encode

BATCH = 200
SETTINGS = {"snapshot-bytes": "16mb", "unacked-log": "16mb"}


def fill(nodes, leaves):
    client = nodes.client(1)
    for first in range(0, leaves, 20 * BATCH):
        client.send(encode("SET", b"key:%012d" % index, b"value:%010d" % index)
                    for index in range(first, min(leaves, first + 20 * BATCH)))
    client.close()


class Load(threading.Thread):
    """`rate` writes a second, spread over the keys."""

    def __init__(self, nodes, leaves, rate):
        super().__init__()
        self.client, self.leaves, self.rate = nodes.client(1), leaves, rate
        self.is_over = threading.Event()
        self.count = 0

    def run(self):
        begun = time.monotonic()
        while not self.is_over.is_set():
            index = self.count * 7919
            self.client.send(encode("SET", b"key:%012d" % ((index + step * 31) % self.leaves),
                                    b"again:%010d" % (index + step)) for step in range(BATCH))
            self.count += BATCH
            ahead = self.count / self.rate - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
        self.seconds = time.monotonic() - begun


class Pings(threading.Thread):
    """The longest PING of one node."""

    def __init__(self, nodes, node):
        super().__init__()
        self.client = nodes.client(node)
        self.is_over = threading.Event()
        self.longest = []

    def run(self):
        while not self.is_over.is_set():
            begun = time.monotonic()
            self.client("PING")
            self.longest = sorted(self.longest + [time.monotonic() - begun])[-5:]
            time.sleep(0.002)

    def text(self):
        return " ".join(f"{1000 * seconds:.1f}" for seconds in reversed(self.longest))


def is_joined(nodes):
    """The returner has all that was written before it came back."""
    client = nodes.client(3)
    info = client.info()
    client.close()
    return int(info["crdt_joins"]) > 0


def measure(nodes, options):
    load = Load(nodes, options.leaves, options.rate)
    load.start()
    time.sleep(2)
    begun = time.monotonic()
    nodes.restart(3)
    pings = [Pings(nodes, node) for node in (1, 3)]
    for ping in pings:
        ping.start()
    while not is_joined(nodes):
        time.sleep(0.1)
        if time.monotonic() - begun > 300:
            sys.exit(f"join: no join within 300 s; logs: {nodes.directory}")
    joined_s = time.monotonic() - begun
    time.sleep(2)
    for ping in pings:
        ping.is_over.set()
        ping.join()
    load.is_over.set()
    load.join()
    equal_s = nodes.wait_equal(120)
    return load, pings, joined_s, equal_s


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--log-budget", default="8mb")
    options = parser.parse_args()
    nodes = Nodes(3, "everysec", dict(SETTINGS, **{"log-budget": options.log_budget}))
    try:
        nodes.kill(3)
        fill(nodes, options.leaves)
        load, pings, joined_s, equal_s = measure(nodes, options)
        client = nodes.client(3)
        keys = client("DBSIZE")
        client.close()
        print(f"join: {keys} keys joined {joined_s:.1f} s after the start of the returner, under "
              f"{load.count / load.seconds:.0f} writes/s; equal {equal_s:.1f} s after the last; "
              f"longest PINGs, ms: node 1 {pings[0].text()}, node 3 {pings[1].text()}")
    finally:
        nodes.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
