"""Backups of running nodes: whole, in their turn, and with everything acknowledged before."""
import os
import shutil
import stat
import threading
import time

from stores import call, verify
from support import (GOSSIPCTL, Client, Daemon, ReplyError, case, cli, eventually, expect,
                     expect_equal, run)


@case("a backup of a running node is whole, private, and never replaces a file")
def backup(stage):
    daemon = Daemon(stage)
    cli(daemon.port, "SADD", "s", *range(1000))
    path = os.path.join(stage.directory, "backup.db")
    address = f"127.0.0.1:{daemon.port}"
    done = call(GOSSIPCTL, "--address", address, "backup", path)
    expect_equal(done.returncode, 0, f"backup ({done.stderr})")
    expect_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode of the backup")
    expect_equal(verify(path), cli(daemon.port, "CRDT.DIGEST"), "digest of the backup")
    before = open(path, "rb").read()
    done = call(GOSSIPCTL, "--address", address, "backup", path)
    expect_equal(done.returncode, 1, "exit code of a backup onto a file")
    expect("exists already" in done.stderr, f"it says {done.stderr!r}")
    expect_equal(open(path, "rb").read(), before, "the first backup")
    done = call(GOSSIPCTL, "--address", address, "backup", f"{stage.directory}/none/backup.db")
    expect_equal(done.returncode, 1, "exit code of a backup to nowhere")
    expect_equal(sorted(os.listdir(stage.directory)), ["backup.db", "data", "log"], "files left")
    expect_equal(cli(daemon.port, "SADD", "s", "more"), "1", "SADD afterwards")
    daemon.stop()
    expect_equal(call(GOSSIPCTL, "--address", address, "backup", path + "2").returncode, 2,
                 "exit code without a node")


@case("replies behind a backup on one connection keep their order")
def backup_order(stage):
    daemon = Daemon(stage)
    path = os.path.join(stage.directory, "backup.db")
    replies = Client(daemon.port).pipeline([
        ("SET", "k", "1"), ("CRDT.BACKUP", path), ("GET", "k"), ("CRDT.BACKUP", path), ("PING",)])
    expect_equal(replies[:3], ["OK", "OK", "1"], "replies")
    expect(isinstance(replies[3], ReplyError) and "exists" in replies[3], f"fourth: {replies[3]}")
    expect_equal(replies[4], "PONG", "the last reply")


@case("a backup under load holds all that was acknowledged before, and commits go on")
def backup_under_load(stage):
    daemon = Daemon(stage)
    filler = Client(daemon.port)
    for number in range(64):  # 64 MiB: the copy takes a while
        filler.pipeline([("SET", f"fill:{number}:{part}", "x" * 65536) for part in range(16)])
    acknowledged, slowest, is_over = [], [0.0], threading.Event()

    def write_on():
        client = Client(daemon.port)
        while not is_over.is_set():
            begun = time.monotonic()
            expect_equal(client("SADD", "s", len(acknowledged)), 1, "SADD")
            slowest[0] = max(slowest[0], time.monotonic() - begun)
            acknowledged.append(str(len(acknowledged)))
    writer = threading.Thread(target=write_on)
    writer.start()
    eventually(lambda: len(acknowledged) > 50, "50 writes")
    before = list(acknowledged)
    path = os.path.join(stage.directory, "backup.db")
    begun = time.monotonic()
    done = call(GOSSIPCTL, "--address", f"127.0.0.1:{daemon.port}", "backup", path)
    seconds, during = time.monotonic() - begun, len(acknowledged) - len(before)
    is_over.set()
    writer.join()
    expect_equal(done.returncode, 0, f"backup ({done.stderr})")
    print(f"#   {os.path.getsize(path) >> 20} MiB in {seconds:.2f} s, {during} commits meanwhile, "
          f"the slowest {slowest[0] * 1000:.0f} ms")
    expect(during > 0, "no commit while the backup was made")
    restored = os.path.join(stage.directory, "restored")
    os.mkdir(restored)
    shutil.copy2(f"{daemon.directory}/node.key", restored)
    done = call(GOSSIPCTL, "restore", path, "--dir", restored)
    expect_equal(done.returncode, 0, f"restore ({done.stderr})")
    daemon.stop()
    daemon.arguments[daemon.arguments.index("--dir") + 1] = restored
    daemon.start()
    missing = set(before) - set(Client(daemon.port)("SMEMBERS", "s"))
    expect(not missing, f"{len(missing)} elements acknowledged before are not in the backup")


@case("a backup right behind a write has it, in every mode of durability")
def backup_behind_a_write(stage):
    daemon = Daemon(stage)
    client = Client(daemon.port)
    missing = []
    for number, mode in enumerate(("always", "everysec", "no") * 8):
        client("CONFIG", "SET", "durability", mode)
        client("SADD", "s", number)
        client("SADD", "s", f"behind {number}")  # waits for its batch to close, but in `always`
        path = os.path.join(stage.directory, f"{number}.db")
        expect_equal(client("CRDT.BACKUP", path), "OK", "backup")
        if verify(path) != client("CRDT.DIGEST"):
            missing.append((number, mode))
    expect_equal(missing, [], "backups without the write that was acknowledged before them")


run()
