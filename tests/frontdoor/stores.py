"""What the tests of durability share: nodes with directories of their own that can
be copied and moved, and a look into the stores of stopped nodes."""
import json
import os
import shutil
import sqlite3
import subprocess

from support import (GOSSIPCTL, GOSSIPD, PATIENCE_SECONDS, Client, cli, eventually, expect,
                     expect_equal, free_base)


def call(*words, seconds=PATIENCE_SECONDS):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL)


def verify(path):
    """The digest of a whole store or backup."""
    done = call(GOSSIPCTL, "verify", path)
    expect_equal(done.returncode, 0, f"verify {path}: {done.stderr}")
    return done.stdout.split("digest: ")[1].strip()


def dots(directory):
    """Every batch of a stopped node: (key, generation, first seq) -> (last seq, head)."""
    store = sqlite3.connect(f"file:{directory}/store.db?mode=ro", uri=True)
    rows = store.execute("SELECT key, generation, first, last, head FROM batch").fetchall()
    store.close()
    return {(key, generation, first): (last, head) for key, generation, first, last, head in rows}


def expect_one_history(directories):
    """The stores are whole, say the same, and no dot means two things."""
    known = {}
    for directory in directories:
        for dot, meaning in dots(directory).items():
            expect_equal(meaning, known.setdefault(dot, meaning),
                         f"batch {dot[1]:x}:{dot[2]} in {directory}, and in another store")
    digests = [verify(directory) for directory in directories]
    expect_equal(digests, digests[:1] * len(digests), "digests of the stopped stores")


class Node:
    """One gossipd of a mesh, with a directory, a log and ports of its own."""

    def __init__(self, stage, name, directory, port, durability="always"):
        self.name, self.directory, self.port = name, directory, port
        self.peer_port = port + 100
        self.durability = durability
        self.configuration = os.path.join(stage.directory, f"{name}.conf")
        self.log_path = os.path.join(stage.directory, f"{name}.log")
        self.process = None
        stage.daemons.append(self)

    def key(self):
        return call(GOSSIPCTL, "pubkey", "--dir", self.directory).stdout.strip()

    def configure(self, peers):
        with open(self.configuration, "w") as file:
            file.write(f'name = "{self.name}"\ncluster = "durable"\ndir = "{self.directory}"\n'
                       f'port = {self.port}\npeer-address = "127.0.0.1:{self.peer_port}"\n'
                       f'durability = "{self.durability}"\n')
            for peer in peers:
                file.write(f'peer {peer.name} {{ key = "{peer.key()}" '
                           f'address = "127.0.0.1:{peer.peer_port}" }}\n')

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([GOSSIPD, "-c", self.configuration], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        eventually(self.is_serving, f"{self.name} serves")

    def is_serving(self):
        expect(self.process.poll() is None, f"gossipd ended with {self.process.returncode}")
        return cli(self.port, "PING") == "PONG"

    def stop(self):
        self.process.terminate()
        expect_equal(self.process.wait(PATIENCE_SECONDS), 0, f"exit code of {self.name}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def cli(self, *words):
        return cli(self.port, *words)

    def client(self):
        return Client(self.port)

    def generation(self):
        return json.loads(self.cli("CRDT.STATUS"))["generation"]

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def ctl(self, *words):
        return call(GOSSIPCTL, "--address", f"127.0.0.1:{self.port}", *words)


def mesh(stage, names, durability="always"):
    """Nodes that all know one another, started and converged."""
    base = free_base(len(names))
    nodes = []
    for number, name in enumerate(names, 1):
        directory = os.path.join(stage.directory, name)
        expect_equal(call(GOSSIPCTL, "keygen", "--dir", directory).returncode, 0, "keygen")
        nodes.append(Node(stage, name, directory, base + number, durability))
    for node in nodes:
        node.configure([peer for peer in nodes if peer is not node])
    for node in nodes:
        node.start()
    converge(nodes)
    return nodes


def converge(nodes):
    return eventually(lambda: len({node.cli("CRDT.DIGEST") for node in nodes}) == 1
                      and nodes[0].cli("CRDT.DIGEST").count(" ") == 2,
                      f"equal digests on {', '.join(node.name for node in nodes)}")


def copy_directory(source, target):
    """As an operator would, of a stopped node: new files, new inodes."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock", "lock"))
