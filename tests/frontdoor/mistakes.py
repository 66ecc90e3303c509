"""What goes wrong around a daemon - a wrong address, a lost key, a path that is taken,
bytes that are no command - and what it does and says then."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from stores import mesh
from support import (GOSSIPCTL, GOSSIPD, PATIENCE_SECONDS, Client, Daemon, case, cli, encode,
                     eventually, expect, expect_equal, free_base, run)


def call(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def start_refused(*words, exit_code=1):
    """Starts a gossipd that has to end by itself; what it says."""
    base = free_base(1)
    done = call(GOSSIPD, "--port", base + 1, "--peer-address", f"127.0.0.1:{base + 101}", *words)
    expect_equal(done.returncode, exit_code, f"exit code ({done.stderr[-600:]})")
    return done.stderr


def member(node, name):
    """What a node says of a member."""
    members = json.loads(node.cli("CRDT.STATUS"))["members"]
    return next(member for member in members if member["name"] == name)


# ---- Links ----

@case("an address that leads to another member is named, and that member's link stays")
def wrong_address(stage):
    a, b, c = mesh(stage, ["a", "b", "c"])
    a.stop()
    with open(a.configuration) as file:
        text = file.read()
    with open(a.configuration, "w") as file:
        file.write(text.replace(f":{c.peer_port}", f":{b.peer_port}"))
    c.stop()
    a.start()
    eventually(lambda: "it answered with the key of b; it should be c: check the address of "
                       "peer c" in a.log(), "a says what is wrong")
    eventually(lambda: member(a, "b")["state"] == "up", "b is up at a")
    time.sleep(4)
    expect(member(a, "b")["since_ms"] > 3000, f"the link to b was replaced: {member(a, 'b')}")
    expect_equal(a.log().count("answered with the key of"), 1, "lines about it in 4 s")
    knocks = b.log().count("closed in the handshake")
    expect(knocks <= 1, f"{knocks} lines about it at b")


# ---- Files ----

@case("a unixsocket path that holds something else is refused, and left alone")
def socket_is_a_file(stage):
    path = os.path.join(stage.directory, "precious")
    with open(path, "w") as file:
        file.write("data")
    said = start_refused("--dir", os.path.join(stage.directory, "d"), "--unixsocket", path)
    expect(path in said and "not a socket" in said, said)
    with open(path) as file:
        expect_equal(file.read(), "data", "the file")


@case("a unixsocket that another process listens at is not taken over, a dead one is replaced")
def socket_is_alive(stage):
    daemon = Daemon(stage)
    path = os.path.join(daemon.directory, "gossipd.sock")
    said = start_refused("--dir", os.path.join(stage.directory, "d"), "--unixsocket", path)
    expect(path in said and "another process" in said, said)
    done = call(GOSSIPCTL, "--socket", path, "status")
    expect_equal(done.returncode, 0, "status through the first one's socket")
    daemon.kill()
    daemon.start()
    eventually(lambda: call(GOSSIPCTL, "--socket", path, "status").returncode == 0,
               "the socket of the killed one is replaced")
    os.remove(path)
    with open(path, "w"):
        pass
    expect_equal(daemon.stop()[0], 0, "exit code")
    expect(os.path.exists(path), "what another one put there was removed")


@case("a directory behind -c and an empty --bind are refused in clear words")
def bad_words(stage):
    said = start_refused("-c", stage.directory)
    expect("is a directory" in said, said)
    said = start_refused("--dir", os.path.join(stage.directory, "d"), "--bind", "")
    expect("expected an address" in said, said)


@case("a lost node.key beside data stops the start; gossipctl keygen goes on as a new member")
def lost_key(stage):
    daemon = Daemon(stage, has_peer=True)
    cli(daemon.port, "SET", "k", "v")
    expect_equal(daemon.stop()[0], 0, "exit code")
    key = os.path.join(daemon.directory, "node.key")
    shutil.move(key, key + ".away")
    said = call(*daemon.arguments)
    expect_equal(said.returncode, 1, "exit code without the key")
    expect("node.key" in said.stderr and "gossipctl keygen" in said.stderr, said.stderr)
    expect(not os.path.exists(key), "a key was made")
    expect_equal(call(GOSSIPCTL, "keygen", "--dir", daemon.directory).returncode, 0, "keygen")
    daemon.start()
    expect_equal(cli(daemon.port, "GET", "k"), "v", "GET as a new member")
    with open(daemon.log_path) as log:
        expect("event=key-changed" in log.read(), "no warning about the key")


@case("a store whose snapshot lacks what was dropped is refused: exit 1, and what to do")
def floor_above_snapshot(stage):
    daemon = Daemon(stage)
    daemon.arguments += ["--snapshot-bytes", "64kb"]
    expect_equal(daemon.stop()[0], 0, "exit code")
    daemon.start()
    for number in range(40):
        cli(daemon.port, "SET", f"k{number}", "x" * 8000)

    def log():
        with open(daemon.log_path) as file:
            return file.read()
    eventually(lambda: "event=snapshot-written" in log(), "a snapshot is made")
    expect_equal(daemon.stop()[0], 0, "exit code")
    store = sqlite3.connect(os.path.join(daemon.directory, "store.db"))
    store.execute("INSERT OR REPLACE INTO floor SELECT key, generation, 1000000 FROM batch LIMIT 1")
    store.commit()
    store.close()
    start = time.monotonic()
    done = call(*daemon.arguments)
    expect_equal(done.returncode, 1, f"exit code ({done.stderr[-800:]})")
    expect(time.monotonic() - start < 5, "it took long")
    expect("event=cannot-start" in done.stderr and "restore" in done.stderr, done.stderr[-800:])


# ---- Signals and words ----

@case("SIGHUP is said to have no effect, and the node serves on")
def hang_up(stage):
    daemon = Daemon(stage)
    daemon.process.send_signal(signal.SIGHUP)

    def is_said():
        with open(daemon.log_path) as log:
            return "event=hang-up" in log.read()
    eventually(is_said, "a line about it")
    expect_equal(cli(daemon.port, "PING"), "PONG", "PING")
    expect_equal(daemon.stop()[0], 0, "exit code of SIGTERM")


@case("gossipctl refuses flags that a command does not take")
def foreign_flags(stage):
    directory = os.path.join(stage.directory, "d")
    for words in (("status", "--dir", directory), ("backup", "b", "--dir", directory),
                  ("unfreeze", "ab", "1", "--dir", directory), ("backup", "b", "--json"),
                  ("keygen", "--dir", directory, "--json"), ("verify", directory, "--socket", "s"),
                  ("forks", "--dir", directory, "--json")):
        done = call(GOSSIPCTL, *words)
        expect_equal(done.returncode, 64, f"{words}: {done.stderr}")
    expect(not os.path.exists(directory), "a refused keygen made a key")


@case("gossipctl status does not call a member equal that has said nothing equal yet")
def status_by_equality(stage):
    a, b, c = mesh(stage, ["a", "b", "c"])
    for name in ("b", "c"):
        eventually(lambda: member(a, name)["equal"] is True, f"{name} is equal")
    c.kill()
    eventually(lambda: member(a, "c")["state"] != "up", "c is missed")
    expect(member(a, "c")["equal"] is False, f"a member that is away is equal: {member(a, 'c')}")
    eventually(lambda: a.ctl("status").returncode == 3, "3 with b alone")


# ---- Clients ----

@case("a protocol error is said behind the replies of the commands before it")
def error_in_order(stage):
    daemon = Daemon(stage)
    for _ in range(20):
        client = Client(daemon.port)
        client.socket.sendall(encode("SET", "a", "1") + encode("INCR", "a") + b"*1\r\n!garbage\r\n")
        answers = []
        try:
            while True:
                answers.append(client.read())
        except (ConnectionError, OSError):
            pass
        expect_equal(answers[:2], ["OK", 2], "replies before the error")
        expect(len(answers) == 3 and "Protocol error" in answers[2], f"the error: {answers[2:]}")
        client.close()
    raw = socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_SECONDS)
    raw.sendall(b"*99999999999\r\n")
    expect(raw.recv(200).startswith(b"-ERR Protocol error"), "an error as the first bytes")
    raw.close()


@case("slow commands of one client leave the others their turn")
def slow_commands(stage):
    daemon = Daemon(stage, durability="no")
    loader = Client(daemon.port)
    for start in range(0, 60000, 5000):
        loader.pipeline([("SET", f"key:{number}", 1) for number in range(start, start + 5000)])
    slow = Client(daemon.port)
    other = Client(daemon.port)
    slow.socket.sendall(encode("KEYS", "nothing*") * 600)
    worst = 0
    for _ in range(20):
        begun = time.monotonic()
        expect_equal(other("PING"), "PONG", "PING")
        worst = max(worst, time.monotonic() - begun)
    took = time.monotonic()
    for _ in range(600):
        expect_equal(slow.read(), [], "KEYS")
    print(f"#   worst PING {worst * 1000:.0f} ms, the rest of KEYS took "
          f"{time.monotonic() - took:.1f} s")
    expect(worst < 0.5, f"a PING took {worst:.2f} s")


run()
