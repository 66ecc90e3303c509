"""Three connected nodes read the same."""
import subprocess
import threading
import time

from support import Client, Cluster, case, eventually, expect, expect_equal, run


@case("1000 INCR on each of three nodes at once read 3000 on all")
def increments(stage):
    cluster = Cluster(stage)
    writers = [subprocess.Popen(["redis-cli", "-p", str(cluster.port(node)), "-r", "1000",
                                 "INCR", "visits"], stdout=subprocess.DEVNULL)
               for node in (1, 2, 3)]
    expect_equal([writer.wait(120) for writer in writers], [0, 0, 0], "redis-cli exits")
    cluster.converged()
    expect_equal(cluster.everywhere("GET", "visits"), ["3000"] * 3, "GET visits")


@case("every type written on one node is read on the others")
def types(stage):
    cluster = Cluster(stage)
    for words in (("SET", "greeting", "hello"), ("SADD", "fruit", "pear", "fig"),
                  ("HSET", "user", "name", "Ada"), ("HINCRBY", "user", "logins", 5),
                  ("CRDT.UPDATE", "cart", 2, "milk", "quantity", "INCR", 3)):
        cluster.cli(1, *words)
    cluster.converged()
    expect_equal(cluster.everywhere("GET", "greeting"), ["hello"] * 3, "GET")
    expect_equal(cluster.everywhere("SCARD", "fruit"), ["2"] * 3, "SCARD")
    expect_equal(cluster.everywhere("HGET", "user", "name"), ["Ada"] * 3, "HGET")
    expect_equal(cluster.everywhere("HGET", "user", "logins"), ["5"] * 3, "HGET of a counter")
    expect_equal(cluster.everywhere("CRDT.GET", "cart", 2, "milk", "quantity"),
                 ["counter\n3"] * 3, "CRDT.GET")
    expect_equal(cluster.everywhere("DBSIZE"), ["4"] * 3, "DBSIZE")


def write_rounds(cluster, rounds, keys):
    client = cluster.client(1)
    for number in range(1, rounds + 1):
        replies = client.pipeline([("MULTI",)] + [("SET", key, number) for key in keys]
                                  + [("EXEC",)])
        expect(isinstance(replies[-1], list), f"EXEC says {replies[-1]!r}")
    client.close()


def read_whole(port, keys, last, seen, torn):
    """Reads all keys in one EXEC, again and again, until the last round."""
    client = Client(port)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        values = client.pipeline([("MULTI",)] + [("GET", key) for key in keys] + [("EXEC",)])[-1]
        if len(set(values)) != 1:
            torn.append(values)
            return
        seen.add(values[0])
        if values[0] == last:
            return


@case("a MULTI of 100 commands is seen by other nodes whole or not at all")
def transactions(stage):
    cluster = Cluster(stage)
    keys, rounds = [f"key:{number}" for number in range(100)], 300
    seen, torn = {2: set(), 3: set()}, []
    readers = [threading.Thread(target=read_whole, args=(cluster.port(node), keys, str(rounds),
                                                         seen[node], torn)) for node in (2, 3)]
    for reader in readers:
        reader.start()
    write_rounds(cluster, rounds, keys)
    for reader in readers:
        reader.join()
    expect(not torn, f"a transaction was seen in part: {torn[:1]}")
    for node in (2, 3):
        expect(str(rounds) in seen[node], f"node {node} never saw the last round")
        expect(len(seen[node]) > 3, f"node {node} saw {len(seen[node])} rounds: too few to tell")


@case("FLUSHALL on one node empties all")
def flush(stage):
    cluster = Cluster(stage)
    cluster.cli(1, "SADD", "s", *range(100))
    cluster.cli(2, "INCR", "n")
    cluster.converged()
    expect_equal(cluster.cli(3, "FLUSHALL"), "OK", "FLUSHALL")
    cluster.converged()
    expect_equal(cluster.everywhere("DBSIZE"), ["0"] * 3, "DBSIZE")


@case("gossipctl says converged on every node once writes have stopped")
def status(stage):
    cluster = Cluster(stage)
    cluster.cli(2, "INCR", "n")
    eventually(lambda: all(cluster.status(node)["converged"] for node in (1, 2, 3)),
               "converged on every node")
    for node in (1, 2, 3):
        members = cluster.status(node)["members"]
        expect(all(member["state"] == "up" for member in members), f"node {node}: {members}")


run()
