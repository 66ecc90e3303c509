"""What the daemon's benches share: a cluster with its own settings, clients that
pipeline, figures read from outside."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLUSTER = os.path.join(ROOT, "scripts", "cluster.sh")


def encode(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)


class Client:
    """A RESP2 client on one socket."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def __call__(self, *words):
        self.socket.sendall(encode(*words))
        return self.read()

    def send(self, commands):
        """Commands at once, their replies awaited; any error ends the bench."""
        commands = list(commands)
        self.socket.sendall(b"".join(commands))
        for _ in commands:
            reply = self.read()
            if isinstance(reply, str) and reply.startswith("-"):
                sys.exit(f"bench: a write was refused: {reply}")

    def read(self):
        line = self.file.readline()
        if not line:
            sys.exit("bench: the daemon closed the connection; see its log")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2].decode("latin-1")
        if kind == b":":
            return int(rest)
        return line[:-2].decode("latin-1") if kind == b"-" else rest.decode("latin-1")

    def info(self):
        lines = self("INFO").split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)


class Nodes:
    """N nodes of scripts/cluster.sh with lines of configuration of our own."""

    def __init__(self, count, durability, settings):
        self.directory = tempfile.mkdtemp(prefix="gossipd-bench-")
        self.count = count
        base = int(os.environ.get("CLUSTER_BASE", "7000"))
        self.base = base
        lines = " ".join(f"{name}={value}" for name, value in settings.items())
        self.environment = dict(os.environ, DURABILITY=durability, CLUSTER_BASE=str(base),
                                CLUSTER_SETTINGS=lines)
        self.run("start", count, self.directory)

    def run(self, *words):
        done = subprocess.run([CLUSTER, *map(str, words)], env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"bench: cluster.sh {' '.join(map(str, words))}: exit {done.returncode}")

    def kill(self, node):
        self.run("kill", self.directory, node)

    def restart(self, node):
        self.run("restart", self.directory, node)

    def client(self, node):
        return Client(self.base + node)

    def status(self, node):
        client = self.client(node)
        status = json.loads(client("CRDT.STATUS"))
        client.close()
        return status

    def digests(self):
        digests = set()
        for node in range(1, self.count + 1):
            client = self.client(node)
            digests.add(client("CRDT.DIGEST"))
            client.close()
        return digests

    def wait_equal(self, seconds):
        """Seconds until all digests are equal."""
        begun = time.monotonic()
        while len(self.digests()) > 1:
            if time.monotonic() - begun > seconds:
                sys.exit(f"bench: no equal digests within {seconds} s; logs: {self.directory}")
            time.sleep(0.2)
        return time.monotonic() - begun

    def memory(self, node):
        """Resident bytes of the process."""
        pid = self.client(node).info()["process_id"]
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def disk(self, node):
        """Bytes of the store with its write-ahead log."""
        data = f"{self.directory}/{node}/data"
        return sum(os.path.getsize(f"{data}/{name}") for name in os.listdir(data)
                   if name.startswith("store.db"))

    def close(self):
        self.run("stop", self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
