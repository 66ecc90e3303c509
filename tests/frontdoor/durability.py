"""Stores that are copied, restored, cloned, put back, damaged, or full; the
power loss that needs no process is in tests/host/test_powerloss.c."""
import os
import shutil
import sqlite3
import subprocess

from stores import (Node, call, converge, copy_directory, dots, expect_one_history, mesh, verify)
from support import (GOSSIPCTL, Client, Daemon, ReplyError, Skip, case, cli, eventually, expect,
                     expect_equal, free_base, info, run)


# ---- Restore ----

@case("restore refuses a directory in use and a damaged backup, and overwrites nothing")
def restore_refuses(stage):
    daemon = Daemon(stage)
    cli(daemon.port, "SET", "k", "v")
    path = os.path.join(stage.directory, "backup.db")
    call(GOSSIPCTL, "--address", f"127.0.0.1:{daemon.port}", "backup", path)
    done = call(GOSSIPCTL, "restore", path, "--dir", daemon.directory)
    expect_equal(done.returncode, 2, "exit code for a directory in use")
    target = os.path.join(stage.directory, "target")
    os.mkdir(target)
    open(os.path.join(target, "notes"), "w").close()
    done = call(GOSSIPCTL, "restore", path, "--dir", target)
    expect_equal(done.returncode, 2, "exit code for a directory that is not empty")
    expect("notes" in done.stderr, f"it says {done.stderr!r}")
    os.remove(os.path.join(target, "notes"))
    damage(path, "UPDATE batch SET signature = zeroblob(64)")
    done = call(GOSSIPCTL, "restore", path, "--dir", target)
    expect_equal(done.returncode, 1, f"exit code for a damaged backup ({done.stderr})")
    expect("store.db" not in os.listdir(target), f"it left {os.listdir(target)}")
    expect_equal(cli(daemon.port, "GET", "k"), "v", "GET on the node")


@case("a restored node begins a new generation, and its peers send it what the backup lacks")
def restored(stage):
    a, b, c = nodes = mesh(stage, "abc")
    a.cli("SADD", "s", *range(100))
    b.cli("INCRBY", "n", 5)
    converge(nodes)
    path = os.path.join(stage.directory, "backup.db")
    expect_equal(a.ctl("backup", path).returncode, 0, "backup")
    a.cli("SADD", "s", *range(100, 200))
    a.cli("SREM", "s", 7)
    a.cli("INCR", "n")
    converge(nodes)
    before = a.generation()
    a.stop()
    shutil.move(a.directory, a.directory + ".lost")
    os.mkdir(a.directory)
    shutil.copy2(f"{a.directory}.lost/node.key", a.directory)
    done = call(GOSSIPCTL, "restore", path, "--dir", a.directory)
    expect_equal(done.returncode, 0, f"restore ({done.stderr})")
    store = sqlite3.connect(f"{a.directory}/store.db")
    expect_equal(store.execute("SELECT value FROM mark WHERE name = 'ahead'").fetchall(), [(1,)],
                 "the mark *ahead*, which does not depend on where the file lies")
    store.close()
    a.start()
    expect(a.generation() != before, "the generation goes on")
    a.cli("INCR", "n")
    a.cli("SADD", "s", "after")
    converge(nodes)
    for node in nodes:
        expect_equal([node.cli("SCARD", "s"), node.cli("GET", "n"), node.cli("SISMEMBER", "s", 7)],
                     ["200", "7", "0"], f"s, n on {node.name}")
        node.stop()
    expect_one_history([node.directory for node in nodes])


@case("a restored node that crashes before its first write still begins a new generation")
def restored_crash(stage):
    a, b = mesh(stage, "ab")
    a.cli("SET", "k", "v")
    path = os.path.join(stage.directory, "backup.db")
    a.ctl("backup", path)
    a.cli("SET", "k", "w")
    converge([a, b])
    before = a.generation()
    a.stop()
    key = open(f"{a.directory}/node.key", "rb").read()
    shutil.rmtree(a.directory)
    os.mkdir(a.directory)
    with open(os.open(f"{a.directory}/node.key", os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(key)
    call(GOSSIPCTL, "restore", path, "--dir", a.directory)
    for _ in range(3):
        a.start()
        a.kill()
    a.start()
    expect(a.generation() != before, "the generation goes on")
    a.cli("SET", "k", "x")
    converge([a, b])
    a.stop()
    b.stop()
    expect_one_history([a.directory, b.directory])


# ---- verify ----

def damage(path, sql):
    store = sqlite3.connect(path)
    store.executescript(sql)
    store.close()


DAMAGES = [
    ("DELETE FROM batch WHERE place = 3", "missing"),
    ("UPDATE batch SET signature = zeroblob(64) WHERE place = 4", "signature"),
    ("UPDATE batch SET signature = (SELECT signature FROM batch WHERE place = 3) WHERE place = 2",
     "signature"),
    ("UPDATE batch SET bytes = substr(bytes, 1, length(bytes) - 1) WHERE place = 5", "claim"),
    ("UPDATE batch SET bytes = bytes || x'00' WHERE place = 5", "claim"),
    ("UPDATE batch SET head = randomblob(32) WHERE place = 2", "columns"),
    ("UPDATE batch SET generation = generation + 1 WHERE place = 2", "columns"),
    ("INSERT INTO batch SELECT 999, key, generation, first, last, previous, head, bytes, "
     "signature, applied_ms FROM batch WHERE place = 2", "already"),
    ("UPDATE batch SET place = -1 WHERE place = (SELECT max(place) FROM batch)", "missing"),
    ("DELETE FROM mark WHERE name = 'cluster'", "cluster"),
    ("UPDATE mark SET value = randomblob(32) WHERE name = 'cluster'", "signature"),
    ("DROP TABLE batch", "store"),
]


@case("verify finds every kind of damage, names the row, and says what to do")
def verify_damage(stage):
    daemon = Daemon(stage)
    for number in range(6):
        cli(daemon.port, "SADD", "s", number)
    path = f"{daemon.directory}/store.db"
    done = call(GOSSIPCTL, "verify", daemon.directory)
    expect_equal(done.returncode, 2, "exit code while a gossipd runs there")
    expect(str(daemon.process.pid) in done.stderr, f"it does not name the process: {done.stderr}")
    digest = cli(daemon.port, "CRDT.DIGEST")
    daemon.stop()
    expect_equal(verify(daemon.directory), digest, "digest")
    copy = os.path.join(stage.directory, "copy.db")
    for sql, word in DAMAGES:
        shutil.copyfile(path, copy)
        damage(copy, sql)
        done = call(GOSSIPCTL, "verify", copy)
        expect_equal(done.returncode, 1, f"exit code after {sql} ({done.stdout}{done.stderr})")
        expect(word in done.stderr, f"after {sql} it says {done.stderr!r}, not {word!r}")
        if "place" in sql and "DELETE" not in sql:
            expect("row " in done.stderr and "restore" in done.stderr, f"it says {done.stderr!r}")
    expect_equal(call(GOSSIPCTL, "verify", f"{stage.directory}/none").returncode, 2, "no store")
    with open(copy, "wb") as file:
        file.write(os.urandom(5000))
    expect_equal(call(GOSSIPCTL, "verify", copy).returncode, 1, "exit code for noise")
    damage_pages(path, copy)


def damage_pages(path, copy):
    """A flipped byte anywhere in the file is found, unless nothing lies there."""
    size = os.path.getsize(path)
    found = 0
    for offset in range(4096, size, size // 24):
        shutil.copyfile(path, copy)
        with open(copy, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0xff]))
        done = call(GOSSIPCTL, "verify", copy)
        expect(done.returncode in (0, 1), f"a byte at {offset}: {done.returncode} {done.stderr}")
        found += done.returncode
    print(f"#   of 24 flipped bytes {found} mattered and were found")


@case("verify finds a batch before what it depends on")
def verify_deps(stage):
    a, b = mesh(stage, "ab")
    a.cli("SET", "k", "1")
    converge([a, b])
    b.cli("SET", "k", "2")
    converge([a, b])
    a.stop()
    b.stop()
    verify(a.directory)
    damage(f"{a.directory}/store.db", "UPDATE batch SET place = -place")
    done = call(GOSSIPCTL, "verify", a.directory)
    expect_equal(done.returncode, 1, "exit code")
    expect("depends on operation 1" in done.stderr, f"it says {done.stderr!r}")


# ---- Clones and amnesia ----

@case("two nodes started from one data directory never use a dot twice, and converge")
def clone(stage):
    a, b = mesh(stage, "ab")
    a.cli("SADD", "s", "both")
    converge([a, b])
    before = a.generation()
    a.stop()
    twin = Node(stage, "twin", a.directory + ".twin", free_base(1) + 1)
    copy_directory(a.directory, twin.directory)
    twin.configure([b])
    a.start()
    twin.start()
    expect_equal(a.generation(), before, "the generation of the one that stayed")
    expect(twin.generation() != before, "the copy goes on under the same generation")
    expect("store-moved" in twin.log(), "nothing about a moved store in the copy's log")
    for number in range(50):
        a.cli("SADD", "s", f"a{number}")
        twin.cli("SADD", "s", f"t{number}")
        b.cli("INCR", "n")
    converge([a, b, twin])
    expect("event=key-twice" in b.log(), "no alarm on the third node")
    for node in (a, b, twin):
        expect_equal(node.cli("SCARD", "s"), "101", f"s on {node.name}")
        node.stop()
    expect_one_history([node.directory for node in (a, b, twin)])
    kinds = {(key, generation) for key, generation, _ in dots(b.directory)}
    expect_equal(len(kinds), 3, "feeds: a's, the copy's, b's")


def forget(node, put_back):
    """Lets a node go on from an older copy of its directory; returns its generation
    before."""
    old = node.directory + ".old"
    node.stop()
    copy_directory(node.directory, old)
    node.start()
    before = node.generation()
    node.cli("SADD", "s", *(f"lost{number}" for number in range(40)))
    node.cli("SREM", "s", "kept")
    return before, lambda: put_back(old, node.directory)


def expect_amnesia_healed(stage, put_back, cause):
    a, b, c = nodes = mesh(stage, "abc")
    a.cli("SADD", "s", "kept", "stays")
    converge(nodes)
    before, go_back = forget(a, put_back)
    converge(nodes)
    a.stop()
    go_back()
    begun = len(a.log())
    a.start()
    a.cli("SADD", "s", "after")
    converge(nodes)
    expect(a.generation() != before, "the generation goes on")
    expect(f"cause={cause}" in a.log()[begun:], f"no cause={cause} in the log")
    for node in nodes:
        expect_equal([node.cli("SCARD", "s"), node.cli("SISMEMBER", "s", "kept")], ["42", "0"],
                     f"s on {node.name}")
        node.stop()
    expect_one_history([node.directory for node in nodes])


@case("an older copy put back in a new file is known by the file, and gets its writes back")
def amnesia_moved(stage):
    def put_back(old, directory):
        for name in os.listdir(directory):
            if name.startswith("store.db"):
                os.remove(os.path.join(directory, name))
        shutil.copyfile(f"{old}/store.db", f"{directory}/new.db")
        os.rename(f"{directory}/new.db", f"{directory}/store.db")
    expect_amnesia_healed(stage, put_back, "own-batches-may-be-lost")


@case("an older copy written into the same file is known by what peers show of it")
def amnesia_in_place(stage):
    def put_back(old, directory):
        inode = os.stat(f"{directory}/store.db").st_ino
        subprocess.run(["cp", f"{old}/store.db", f"{directory}/store.db"], check=True)
        expect_equal(os.stat(f"{directory}/store.db").st_ino, inode, "inode")
    expect_amnesia_healed(stage, put_back, "a-peer-had-own-batches-that-are-not-here")


@case("a node whose store is gone gets everything back from its peers, its own writes too")
def amnesia_total(stage):
    a, b = nodes = mesh(stage, "ab")
    a.cli("SADD", "s", *range(100))
    b.cli("SADD", "s", *range(100, 150))
    converge(nodes)
    a.kill()
    for name in os.listdir(a.directory):
        if name.startswith("store.db"):
            os.remove(os.path.join(a.directory, name))
    a.start()
    a.cli("SADD", "s", "after")
    converge(nodes)
    expect_equal(a.cli("SCARD", "s"), "151", "s on a")
    a.stop()
    b.stop()
    expect_one_history([a.directory, b.directory])


# ---- A full disk ----

class Tmpfs:
    """A disk of a few MiB; for root only. Closed with its stage."""

    def __init__(self, stage, size):
        self.directory = os.path.join(stage.directory, "disk")
        self.log_path = ""
        self.is_mounted = False
        os.mkdir(self.directory)
        if os.geteuid() != 0:
            raise Skip("only root can mount a small disk")
        done = call("mount", "-t", "tmpfs", "-o", f"size={size}", "gossipd-test", self.directory)
        if done.returncode != 0:
            raise Skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        self.is_mounted = True
        stage.daemons.append(self)

    def fill(self):
        """Takes what room is left; the name of the file that did."""
        path = os.path.join(self.directory, "ballast")
        with open(path, "wb") as file:
            try:
                while True:
                    os.write(file.fileno(), b"\0" * 4096)
            except OSError:
                return path

    def leave(self, size):
        """Takes room until only `size` bytes are left; the name of the file that did."""
        path = os.path.join(self.directory, "ballast")
        free = shutil.disk_usage(self.directory).free
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - size)
        return path

    def close(self):
        if self.is_mounted:
            call("umount", self.directory)


def write_until_refused(node, prefix):
    """Elements that were acknowledged until a write was refused, and that error."""
    client, acknowledged = node.client(), []
    for number in range(100_000):
        reply = client("SADD", "s", f"{prefix}{number}:" + "x" * 2000)
        if isinstance(reply, ReplyError):
            return acknowledged, reply
        acknowledged.append(f"{prefix}{number}:" + "x" * 2000)
    raise AssertionError("the disk never fills")


def expect_full_disk_survived(stage, durability):
    disk = Tmpfs(stage, "24m")
    a, b = mesh(stage, "ab", durability)
    a.stop()
    shutil.move(a.directory, os.path.join(disk.directory, "a"))
    a.directory = os.path.join(disk.directory, "a")
    a.configure([b])
    a.start()
    acknowledged, _ = [], a.cli("SADD", "s", "first")
    for turn in range(2):
        ballast = disk.fill()
        more, error = write_until_refused(a, f"{turn}:")
        acknowledged += more
        expect(error.startswith("IOERR"), f"the refusal says {error!r}")
        eventually(lambda: a.cli("SET", "k", "v").startswith("IOERR"), "IOERR again")
        expect_equal(a.cli("SISMEMBER", "s", "first"), "1", "a read on a full disk")
        b.cli("SET", f"from-b{turn}", "v")
        eventually(lambda: a.cli("GET", f"from-b{turn}") == "v", "b's write on a")
        os.remove(ballast)
        eventually(lambda: a.cli("SET", "k", "v") == "OK", "a write when there is room again")
        converge([a, b])
    for node in (a, b):
        missing = set(acknowledged) - set(node.client()("SMEMBERS", "s"))
        expect(not missing, f"{node.name} lost {len(missing)} of {len(acknowledged)}")
    expect("event=store-failed" in a.log() and "event=store-back" in a.log(), "events in the log")
    a.kill()
    a.start()
    converge([a, b])
    missing = set(acknowledged) - set(a.client()("SMEMBERS", "s"))
    expect(not missing, f"after SIGKILL {len(missing)} of {len(acknowledged)} are lost")
    a.stop()
    b.stop()
    expect_one_history([a.directory, b.directory])


@case("before a disk is full clients are refused, while batches can still be dropped")
def short_disk(stage):
    disk = Tmpfs(stage, "64m")
    daemon = Daemon(stage)
    daemon.stop()
    moved = os.path.join(disk.directory, "data")
    shutil.move(daemon.directory, moved)
    daemon.arguments[daemon.arguments.index("--dir") + 1] = moved
    daemon.arguments += ["--snapshot-bytes", "256kb", "--history", "all", "--log-budget", "256kb"]
    daemon.start()
    client = Client(daemon.port)
    for number in range(3000):
        client("SET", f"key:{number % 50}", "x" * 1000)
    ballast = disk.leave(2 << 20)
    eventually(lambda: "nearly full" in str(client("SET", "k", "v")), "a refusal")
    expect_equal(client("GET", "key:7"), "x" * 1000, "a read")
    eventually(lambda: int(info(daemon.port, "crdt_log_bytes")) < 600_000, "batches are dropped")
    os.remove(ballast)
    eventually(lambda: client("SET", "k", "v") == "OK", "a write when there is room again")
    log = open(daemon.log_path).read()
    expect("event=disk-short" in log and "event=disk-enough" in log, "events in the log")
    expect("event=store-failed" not in log, "the store never failed")


@case("a full disk in `always`: -IOERR, reads go on, recovery, nothing acknowledged lost")
def full_always(stage):
    expect_full_disk_survived(stage, "always")


@case("a full disk in `everysec`: -IOERR, reads go on, recovery")
def full_everysec(stage):
    expect_full_disk_survived(stage, "everysec")


@case("a node starts on a full disk and serves reads, also where a snapshot was cut off")
def full_start(stage):
    disk = Tmpfs(stage, "8m")
    daemon = Daemon(stage)
    cli(daemon.port, "SET", "k", "v")
    daemon.stop()
    moved = os.path.join(disk.directory, "data")
    shutil.move(daemon.directory, moved)
    daemon.arguments[daemon.arguments.index("--dir") + 1] = moved
    daemon.start()
    daemon.stop()
    store = sqlite3.connect(f"{moved}/store.db")
    store.execute("INSERT INTO snapshot (number, place, log_bytes) VALUES (1, 1, 0)")
    store.commit()
    store.close()
    ballast = disk.fill()
    daemon.start()
    expect_equal(cli(daemon.port, "GET", "k"), "v", "GET")
    expect("IOERR" in cli(daemon.port, "SET", "k", "w"), "a write passes")
    os.remove(ballast)
    eventually(lambda: cli(daemon.port, "SET", "k", "w") == "OK", "a write")


run()
