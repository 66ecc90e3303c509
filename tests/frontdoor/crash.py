"""A node dies without a word and comes back."""
import resource
import subprocess
import threading
import time

from support import (Client, Cluster, Daemon, ReplyError, case, cli, eventually, expect,
                     expect_equal, run)


class Load:
    """Clients that write to one node until it dies, and remember what it
    acknowledged."""

    def __init__(self, port, clients=4):
        self.elements, self.increments, self.sent = set(), 0, 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.write, args=(port, number))
                        for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def write(self, port, number):
        client = Client(port)
        try:
            for step in range(1_000_000):
                element = f"{number}:{step}"
                with self.lock:
                    self.sent += 1
                added, count = client.pipeline([("SADD", "elements", element), ("INCR", "count")])
                if isinstance(added, ReplyError) or isinstance(count, ReplyError):
                    return
                with self.lock:
                    self.elements.add(element)
                    self.increments += 1
        except OSError:
            pass  # it was killed: what was not acknowledged does not count

    def join(self):
        for thread in self.threads:
            thread.join()


def kill_under_load(cluster, writes=300):
    """SIGKILLs node 1 once it has acknowledged enough; returns the load."""
    load = Load(cluster.port(1))
    eventually(lambda: len(load.elements) >= writes, f"{writes} acknowledged writes")
    cluster.kill(1)
    load.join()
    return load


def expect_all_there(load, cluster, node):
    """Every acknowledged write is there, and nothing that was never sent."""
    client = cluster.client(node)
    missing = load.elements - set(client("SMEMBERS", "elements"))
    expect(not missing, f"node {node} lost {len(missing)} acknowledged elements: "
                        f"{sorted(missing)[:5]}")
    count = int(client("GET", "count"))
    expect(load.increments <= count <= load.sent,
           f"node {node} counts {count}; {load.increments} acknowledged, {load.sent} sent")


@case("after SIGKILL under load in `always` every acknowledged write is there, and on the others")
def always(stage):
    cluster = Cluster(stage, durability="always")
    before = cluster.status(1)["generation"]
    load = kill_under_load(cluster)
    cluster.restart(1)
    expect_all_there(load, cluster, 1)
    cluster.converged()
    for node in (1, 2, 3):
        expect_all_there(load, cluster, node)
    expect_equal(cluster.status(1)["generation"], before, "the generation after a crash in always")


@case("five SIGKILLs in a row in `always` lose nothing")
def always_again(stage):
    cluster = Cluster(stage, durability="always")
    loads = []
    for _ in range(5):
        loads.append(kill_under_load(cluster, writes=60))
        cluster.restart(1)
    cluster.converged()
    want = set().union(*(load.elements for load in loads))
    for node in (1, 2, 3):
        missing = want - set(cluster.client(node)("SMEMBERS", "elements"))
        expect(not missing, f"node {node} lost {sorted(missing)[:5]}")


@case("after SIGKILL in `everysec` the node goes on under a new generation, digests equal")
def everysec(stage):
    cluster = Cluster(stage, durability="everysec")
    cluster.cli(1, "SET", "old", "kept")
    cluster.converged()
    before = cluster.status(1)["generation"]
    load = kill_under_load(cluster)
    cluster.restart(1)
    cluster.cli(1, "INCR", "after")
    cluster.converged()
    after = cluster.status(1)["generation"]
    expect(after != before, f"the generation is still {before}")
    expect_equal(cluster.everywhere("GET", "after"), ["1"] * 3, "GET after")
    expect_equal(cluster.everywhere("GET", "old"), ["kept"] * 3, "GET old")
    counts = cluster.everywhere("GET", "count")
    expect(len(set(counts)) == 1 and int(counts[0]) <= load.sent, f"counts {counts}")


@case("a node that was down gets what it missed")
def catches_up(stage):
    cluster = Cluster(stage)
    cluster.cli(3, "INCR", "n")
    cluster.converged()
    cluster.kill(3)
    for node in (1, 2):
        client = cluster.client(node)
        client.pipeline([("INCR", "n")] * 500 + [("SADD", "s", f"{node}:{i}") for i in range(500)])
    cluster.restart(3)
    cluster.converged()
    expect_equal(cluster.everywhere("GET", "n"), ["1001"] * 3, "GET n")
    expect_equal(cluster.everywhere("SCARD", "s"), ["1000"] * 3, "SCARD s")


@case("nodes killed all at once come back with everything in `always`")
def all_at_once(stage):
    cluster = Cluster(stage)
    for node in (1, 2, 3):
        cluster.cli(node, "SADD", "s", f"from-{node}")
    acknowledged = time.monotonic()
    for node in (1, 2, 3):
        cluster.kill(node)
    expect(time.monotonic() - acknowledged < 60, "the machine is too slow for this to say much")
    for node in (1, 2, 3):
        cluster.restart(node)
    cluster.converged()
    expect_equal([sorted(text.split()) for text in cluster.everywhere("SMEMBERS", "s")],
                 [["from-1", "from-2", "from-3"]] * 3, "SMEMBERS s")


def start_with(daemon, mebibytes):
    """The lengths of what a start with so much memory serves; None: it does not."""
    def limit():
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 18, 1 << 18))
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(daemon.arguments, stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL, preexec_fn=limit)

    def has_said():
        return daemon.process.poll() is not None or cli(daemon.port, "PING") == "PONG"
    eventually(has_said, "gossipd serves, or ends")
    if daemon.process.poll() is not None:
        return None
    try:
        return [Client(daemon.port)("STRLEN", f"k{number}") for number in range(12)]
    except OSError:
        return None  # memory was out while it served: it ends, and says so
    finally:
        daemon.kill()


@case("a start under any limit on memory serves all that was acknowledged, or nothing")
def short_of_memory(stage):
    daemon = Daemon(stage)
    size = 1 << 20
    Client(daemon.port).pipeline([("SET", f"k{number}", "x" * size) for number in range(12)])
    daemon.kill()
    served = [start_with(daemon, mebibytes) for mebibytes in range(16, 200, 8)]
    expect(None in served and served[-1] is not None, "no limit was between too little and enough")
    for lengths in served:
        expect(lengths in (None, [size] * 12), f"it served keys of {lengths} bytes")
    with open(daemon.log_path) as log:
        expect("out of memory before all of the store" in log.read(), "no start said why")


run()
