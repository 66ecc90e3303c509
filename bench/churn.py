#!/usr/bin/env python3
"""Churn with a dead member: memory, store and log over time.

    bench/churn.py [--operations N] [--window N] [--csv FILE] [--svg FILE]

Three nodes; one is killed for good before the first write. N elements (default
ten million) are added to sets of one node and removed again, each once `window`
others (default 100,000) were added after it; with every 500 one of ten counters
grows. Once a second the living nodes are looked at: resident memory, bytes of the
store, bytes of the log, live elements. At the end the dead member returns: how long
until all digests are equal.

Exit: 0 done, 1 something failed.
"""
import argparse
import csv
import sys
import threading
import time

from nodes import Nodes, encode
from plot import Panel, write_svg

BATCH = 500  # elements of one command
COUNTERS = 10
SETTINGS = {"log-budget": "64mb", "snapshot-bytes": "32mb", "unacked-log": "64mb"}
MIB = 1 << 20


def words(verb, first):
    """One command about BATCH elements; a thousand sets share them."""
    name = f"set:{first // BATCH % 1000}"
    return encode(verb, name, *(b"element:%012d" % index for index in range(first, first + BATCH)))


class Watch:
    """Figures of the living nodes, once a second."""

    def __init__(self, nodes, progress):
        self.nodes, self.progress = nodes, progress
        self.rows = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.begun = time.monotonic()
        self.thread.start()

    def look(self):
        client = self.nodes.client(1)
        info = client.info()
        client.close()
        return [round(time.monotonic() - self.begun, 1), self.progress[0], self.progress[1],
                self.nodes.memory(1), self.nodes.memory(2), self.nodes.disk(1),
                int(info["crdt_log_bytes"]), int(info["used_memory"])]

    def watch(self):
        while not self.is_over.wait(1):
            self.rows.append(self.look())

    def stop(self):
        self.is_over.set()
        self.thread.join()
        self.rows.append(self.look())


def churn(nodes, operations, window, progress):
    client = nodes.client(1)
    for first in range(0, operations + window, 20 * BATCH):
        commands = []
        for start in range(first, first + 20 * BATCH, BATCH):
            if start < operations:
                commands.append(words("SADD", start))
                commands.append(encode("INCR", f"counter:{start // BATCH % COUNTERS}"))
                progress[0] += BATCH
            if 0 <= start - window < operations:
                commands.append(words("SREM", start - window))
                progress[1] += BATCH
        client.send(commands)
    client.close()


def draw(path, rows, back_s):
    seconds = [row[0] for row in rows]
    write_svg(path, f"Ten million elements added and removed, one of three members dead "
              f"(back and equal after {back_s:.1f} s)", seconds, "seconds", [
                  Panel("elements, millions", {
                      "added": [row[1] / 1e6 for row in rows],
                      "removed": [row[2] / 1e6 for row in rows]}),
                  Panel("resident memory, MiB", {
                      "node 1": [row[3] / MIB for row in rows],
                      "node 2": [row[4] / MIB for row in rows]}),
                  Panel("store, MiB", {
                      "file and write-ahead log": [row[5] / MIB for row in rows],
                      "batches in it": [row[6] / MIB for row in rows]}),
              ])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=10_000_000)
    parser.add_argument("--window", type=int, default=100_000)
    parser.add_argument("--csv")
    parser.add_argument("--svg")
    options = parser.parse_args()
    nodes = Nodes(3, "everysec", SETTINGS)
    progress = [0, 0]
    try:
        nodes.kill(3)
        watch = Watch(nodes, progress)
        churn(nodes, options.operations, options.window, progress)
        watch.stop()
        begun = time.monotonic()
        nodes.restart(3)
        nodes.wait_equal(300)
        back_s = time.monotonic() - begun
        if options.csv:
            with open(options.csv, "w", newline="") as file:
                out = csv.writer(file)
                out.writerow(["seconds", "added", "removed", "memory_1", "memory_2", "store_1",
                              "log_1", "used_memory_1"])
                out.writerows(watch.rows)
        if options.svg:
            draw(options.svg, watch.rows, back_s)
        most = [max(row[column] for row in watch.rows) / MIB for column in range(3, 8)]
        print(f"churn: {progress[0]} added, {progress[1]} removed in {watch.rows[-1][0]:.0f} s; "
              f"at most: memory {most[0]:.0f} and {most[1]:.0f} MiB, store {most[2]:.0f} MiB, "
              f"log {most[3]:.0f} MiB; the dead member was back and equal after {back_s:.1f} s")
    finally:
        nodes.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
