"""The state is written down while clients go on, and a start begins with it."""
import threading

from support import Client, Daemon, case, eventually, expect, expect_equal, info, run

KEYS = 20_000


def write(client, round_number):
    for first in range(0, KEYS, 500):
        client.pipeline([("SET", f"key:{number}", f"{round_number}:{number}")
                         for number in range(first, first + 500)])


def logged(daemon, text):
    with open(daemon.log_path, encoding="utf-8") as log:
        return log.read().count(text)


def start(stage, *arguments):
    daemon = Daemon(stage)
    daemon.stop()
    daemon.arguments += arguments
    daemon.start()
    return daemon


@case("a node killed under load starts from its snapshot with all that it acknowledged")
def killed(stage):
    daemon = start(stage, "--snapshot-bytes", "500kb")
    client = Client(daemon.port)
    for round_number in range(4):
        write(client, round_number)
    eventually(lambda: int(info(daemon.port, "crdt_snapshots")) >= 1, "a snapshot is made")
    stopping = threading.Event()
    counted = []

    def count():
        other = Client(daemon.port)
        try:
            while not stopping.is_set():
                counted.append(other("INCR", "count"))
        except OSError:
            pass

    thread = threading.Thread(target=count)
    thread.start()
    made = int(info(daemon.port, "crdt_snapshots"))
    write(client, 4)
    write(client, 5)
    eventually(lambda: int(info(daemon.port, "crdt_snapshots")) > made, "another one is made")
    rows = int(client("INCR", "marker"))
    expect_equal(rows, 1, "marker")
    daemon.kill()
    stopping.set()
    thread.join()
    daemon.start()
    client = Client(daemon.port)
    expect_equal(client("DBSIZE"), KEYS + 2, "keys")
    for number in (0, 1, KEYS // 2, KEYS - 1):
        expect_equal(client("GET", f"key:{number}"), f"5:{number}", f"key {number}")
    expect(int(client("GET", "count")) >= counted[-1], "an acknowledged INCR is lost")
    expect(logged(daemon, "what=loaded") >= 1, "it did not start from a snapshot")
    expect_equal(client("INCR", "marker"), 2, "it writes on")


@case("a clean stop waits for no snapshot, and the next start replays what no snapshot has")
def stopped(stage):
    daemon = start(stage, "--snapshot-bytes", "500kb")
    client = Client(daemon.port)
    for round_number in range(4):
        write(client, round_number)
    eventually(lambda: int(info(daemon.port, "crdt_snapshots")) >= 1, "a snapshot is made")
    digest = client("CRDT.DIGEST")
    behind = int(info(daemon.port, "crdt_replay_bytes"))
    code, seconds = daemon.stop()
    expect_equal(code, 0, "exit code")
    expect(seconds < 5, f"the stop took {seconds:.1f} s")
    daemon.start()
    expect_equal(Client(daemon.port)("CRDT.DIGEST"), digest, "digest")
    expect(int(info(daemon.port, "crdt_replay_bytes")) <= behind, "more was replayed than before")
    expect(logged(daemon, "what=loaded") >= 1, "it did not start from a snapshot")


run()
