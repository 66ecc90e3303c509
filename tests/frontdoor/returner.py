"""The log is bounded while a member is away, and the member comes back whole."""
import glob
import os
import threading

from support import Cluster, case, comment, eventually, expect, expect_equal, run

# So small that a few seconds of writes leave an absent member below the floor.
SETTINGS = {"snapshot-bytes": "128kb", "log-budget": "128kb", "unacked-log": "1mb"}
LOG_BYTES_MAX = (128 << 10) + (256 << 10)  # the budget, what comes between two snapshots
KEYS = 4_000
ROUNDS = 5


def write(client, text):
    for first in range(0, KEYS, 500):
        replies = client.pipeline([("SET", f"key:{number}", f"{text}:{number}")
                                   for number in range(first, first + 500)])
        expect_equal(set(replies), {"OK"}, "replies to SET")


def churn(cluster, node, away):
    """Writes until the member that is away is below the floor of `node`."""
    client = cluster.client(node)
    for round_number in range(ROUNDS):
        write(client, f"round {round_number}")
    write(client, "last")
    client.close()
    for holder in {1, 2, 3} - {away}:
        eventually(lambda: int(cluster.info(holder, "crdt_log_floor_raised")) > KEYS * ROUNDS / 2
                   and int(cluster.info(holder, "crdt_log_bytes")) <= LOG_BYTES_MAX,
                   f"node {holder} keeps no more batches than it may")


def expect_whole(cluster, elements):
    cluster.converged()
    for node in range(1, cluster.count + 1):
        expect_equal(cluster.cli(node, "GET", "key:17"), "last:17", f"key:17 on node {node}")
        expect_equal(cluster.cli(node, "DBSIZE"), str(KEYS + 2), f"keys on node {node}")
        expect_equal(sorted(cluster.cli(node, "SMEMBERS", "basket").split()), sorted(elements),
                     f"basket on node {node}")
        expect_equal(cluster.cli(node, "GET", "visits"), "107", f"visits on node {node}")


@case("the member for which batches are kept is named, until it is back")
def named(stage):
    cluster = Cluster(stage, settings={"snapshot-bytes": "128kb"})
    cluster.kill(3)
    client = cluster.client(1)
    for round_number in range(ROUNDS):
        write(client, f"round {round_number}")
    client.close()
    # For a moment also who is just about to acknowledge, again after each snapshot.
    eventually(lambda: cluster.info(1, "crdt_log_blocked_by") == "n3", "n3 is named, no other")
    eventually(lambda: [member["name"] for member in cluster.status(1)["members"]
                        if member["blocks_log"]] == ["n3"], "CRDT.STATUS names n3, no other")
    expect_equal(cluster.info(1, "crdt_log_floor_raised"), "0", "operations dropped")
    cluster.restart(3)
    eventually(lambda: cluster.info(1, "crdt_log_blocked_by") == "", "nobody is named")
    expect_equal(cluster.info(3, "crdt_joins"), "0", "joins")


@case("a member that was cut off joins by snapshot, keeps its own writes and revives nothing")
def cut_off(stage):
    cluster = Cluster(stage, settings=SETTINGS)
    cluster.cli(1, "SADD", "basket", "apple", "pear", "plum")
    cluster.cli(1, "INCRBY", "visits", 100)
    cluster.cli(1, "SET", "gone", "soon")
    cluster.converged()
    cluster.cut(3)
    # Until its link is given up, what is written waits in it and arrives after all.
    for holder in (1, 2):
        eventually(lambda: cluster.info(holder, "crdt_members_up") == "2", "node 3 is missed")
    cluster.cli(3, "SADD", "basket", "kiwi", "apple")
    cluster.cli(3, "INCRBY", "visits", 7)
    cluster.cli(1, "SREM", "basket", "apple", "pear")
    cluster.cli(1, "DEL", "gone")
    churn(cluster, 1, 3)
    expect_equal(cluster.info(3, "crdt_joins"), "0", "joins before")
    cluster.heal(3)
    eventually(lambda: int(cluster.info(3, "crdt_joins")) > 0, "node 3 joins a snapshot")
    # The remove of `apple` had not seen the add on node 3; that of `pear` had seen all.
    expect_whole(cluster, ["apple", "kiwi", "plum"])
    for node in (1, 2, 3):
        expect_equal(cluster.cli(node, "EXISTS", "gone"), "0", f"what was removed, on node {node}")


@case("a member that lost its disk gets everything back, the log of others being short")
def empty_disk(stage):
    cluster = Cluster(stage, settings=SETTINGS)
    cluster.cli(3, "SADD", "basket", "plum")
    cluster.cli(3, "INCRBY", "visits", 107)
    cluster.converged()
    cluster.kill(3)
    for path in glob.glob(f"{cluster.directory}/3/data/store.db*"):
        os.remove(path)
    churn(cluster, 1, 3)
    cluster.restart(3)
    eventually(lambda: int(cluster.info(3, "crdt_joins")) > 0, "node 3 joins a snapshot")
    expect_whole(cluster, ["plum"])
    expect_equal(cluster.cli(3, "SADD", "basket", "fig"), "1", "a write of the returner")
    cluster.converged()
    expect_equal(cluster.cli(1, "SISMEMBER", "basket", "fig"), "1", "that write on node 1")


@case("a member killed again and again while it joins ends with everything, under load")
def killed_while_joining(stage):
    cluster = Cluster(stage, settings=SETTINGS)
    cluster.cli(1, "SADD", "basket", "plum")
    cluster.cli(1, "INCRBY", "visits", 107)
    cluster.converged()
    cluster.kill(3)
    churn(cluster, 1, 3)
    is_over = threading.Event()

    def load():
        client = cluster.client(2)
        while not is_over.is_set():
            client.pipeline([("SET", "load", number) for number in range(50)])
            is_over.wait(0.01)
        client("DEL", "load")
        client.close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(4):
            cluster.restart(3)
            is_over.wait(0.1)
            cluster.kill(3)
        cluster.restart(3)
        eventually(lambda: cluster.cli(3, "GET", "key:17") == "last:17", "node 3 has the data")
    finally:
        is_over.set()
        thread.join()
    expect_whole(cluster, ["plum"])
    comment(f"joins in the last life: {cluster.info(3, 'crdt_joins')}")


if __name__ == "__main__":
    run()
