"""What the front-door tests share: daemons, clusters, clients, and TAP.

A test file defines cases with @case("claim") and ends with run(). Each case gets
a Stage: a directory of its own, ports nobody uses, and daemons that are gone
when it ends. Patience is generous everywhere, since the machine may be slow;
where a time is itself the claim, the case measures it.
"""
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLUSTER = os.path.join(ROOT, "scripts", "cluster.sh")
BIN = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build/gossipd")
GOSSIPD = os.path.join(BIN, "gossipd")
GOSSIPCTL = os.path.join(BIN, "gossipctl")
IS_FULL = bool(os.environ.get("GOSSIPD_FRONTDOOR_FULL"))  # the issue's own numbers
PATIENCE_SECONDS = 60

CASES = []


class Failure(Exception):
    """A claim that does not hold."""


class Skip(Exception):
    """A claim that cannot be looked at on this machine; the text says why."""


def case(claim):
    def register(function):
        CASES.append((claim, function))
        return function
    return register


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_equal(got, want, what):
    expect(got == want, f"{what}: got {got!r}, want {want!r}")


def eventually(condition, what, seconds=PATIENCE_SECONDS):
    """Waits until condition() is true; returns the seconds that took."""
    start = time.monotonic()
    while not condition():
        expect(time.monotonic() - start < seconds, f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


# ---- Clients ----

def cli(port, *words, stdin=None):
    """The output of redis-cli, errors included as text."""
    done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(port), *map(str, words)],
                          input=stdin, capture_output=True, text=True, timeout=PATIENCE_SECONDS * 3)
    return done.stdout.strip()


def encode(*words):
    """One command as RESP."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)


class ReplyError(str):
    """An error reply, as a value: `-ERR ...` without the dash."""


class Client:
    """A RESP2 client on one socket, for what redis-cli is too slow for."""

    def __init__(self, port, timeout=PATIENCE_SECONDS):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def __call__(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        self.socket.sendall(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the daemon closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2].decode("latin-1")
        if kind == b"*":
            return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]
        raise Failure(f"not a reply: {line!r}")


def pipe(port, commands):
    """Feeds commands to `redis-cli --pipe`; all must succeed."""
    data = b"".join(encode(*command) for command in commands)
    done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(port), "--pipe"],
                          input=data, capture_output=True, timeout=PATIENCE_SECONDS * 3)
    text = (done.stdout + done.stderr).decode()
    expect(done.returncode == 0 and "errors: 0," in text, f"redis-cli --pipe says: {text}")


def info(port, field):
    for line in cli(port, "INFO").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise Failure(f"INFO has no {field}")


# ---- Ports ----

_offsets = itertools.count(random.randrange(40))


def is_free(address, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_base(count=5):
    """A CLUSTER_BASE whose ports are all free: below 32768, where the system
    hands out none by itself."""
    for _ in range(80):
        base = 10000 + 500 * (next(_offsets) % 40)
        if all(is_free(f"127.0.{net}.{node if net else 1}", base + offset + node)
               for node in range(1, count + 1) for net, offset in ((0, 0), (0, 200), (1, 100),
                                                                   (1, 300))):
            return base
    raise Failure("no free ports between 10000 and 30000")


# ---- Daemons ----

# A peer that never answers: a node opens its peer port only if it has peers.
ABSENT_PEER = 'cluster = "front door"\npeer absent { key = "%s" address = "127.0.0.1:1" }\n' % (
    "ab" * 32)


class Daemon:
    """One gossipd, under the test's own hand; its only peer, if any, is absent."""

    def __init__(self, stage, durability="always", has_peer=False):
        base = free_base(1)
        self.directory = os.path.join(stage.directory, "data")
        self.port, self.peer_port = base + 1, base + 101
        self.log_path = os.path.join(stage.directory, "log")
        self.arguments = [GOSSIPD, "--dir", self.directory, "--port", str(self.port),
                          "--peer-address", f"127.0.0.1:{self.peer_port}",
                          "--durability", durability]
        if has_peer:
            configuration = os.path.join(stage.directory, "gossipd.conf")
            with open(configuration, "w") as file:
                file.write(ABSENT_PEER)
            self.arguments[1:1] = ["-c", configuration]
        self.process = None
        stage.daemons.append(self)
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        eventually(self.is_serving, "gossipd serves")

    def is_serving(self):
        expect(self.process.poll() is None, f"gossipd ended with {self.process.returncode}")
        return cli(self.port, "PING") == "PONG"

    def stop(self):
        """SIGTERM; returns (exit code, seconds)."""
        start = time.monotonic()
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS), time.monotonic() - start

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Cluster:
    """N nodes under scripts/cluster.sh."""

    def __init__(self, stage, count=3, durability="always", cuts=None, settings=None):
        self.directory = os.path.join(stage.directory, "nodes")
        self.count = count
        self.base = free_base(count)
        self.environment = dict(os.environ, GOSSIPD_BIN=BIN, CLUSTER_BASE=str(self.base),
                                DURABILITY=durability)
        if cuts:
            self.environment["CLUSTER_CUTS"] = cuts
        if settings:
            self.environment["CLUSTER_SETTINGS"] = " ".join(
                f"{name}={value}" for name, value in settings.items())
        stage.daemons.append(self)
        done = self.run("start", count, self.directory)
        if done.returncode == 3:
            raise Skip("links cannot be cut on this machine")
        expect_equal(done.returncode, 0, f"cluster.sh start: {done.stderr}")

    def run(self, *words):
        # To files, not pipes: the daemons would keep a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run([CLUSTER, *map(str, words)], env=self.environment, stdout=out,
                                  stderr=err, stdin=subprocess.DEVNULL,
                                  timeout=PATIENCE_SECONDS * 4)
            out.seek(0)
            err.seek(0)
            done.stdout, done.stderr = out.read(), err.read()
        return done

    def __getattr__(self, command):
        """cluster.kill(1), cluster.cut(3) ...: as the script calls them."""
        if command not in ("kill", "restart", "cut", "heal"):
            raise AttributeError(command)

        def call(node):
            done = self.run(command, self.directory, node)
            expect_equal(done.returncode, 0, f"cluster.sh {command} {node}: {done.stderr}")
        return call

    def port(self, node):
        return self.base + node

    def cli(self, node, *words):
        return cli(self.port(node), *words)

    def client(self, node):
        return Client(self.port(node))

    def everywhere(self, *words):
        """What every node answers, as a list."""
        return [self.cli(node, *words) for node in range(1, self.count + 1)]

    def converged(self, seconds=PATIENCE_SECONDS):
        """Waits until digests are equal on all nodes; returns the seconds."""
        return eventually(lambda: len(set(self.everywhere("CRDT.DIGEST"))) == 1
                          and self.cli(1, "CRDT.DIGEST").count(" ") == 2,
                          "equal digests on all nodes", seconds)

    def info(self, node, field):
        return info(self.port(node), field)

    def status(self, node):
        return json.loads(self.cli(node, "CRDT.STATUS"))

    def close(self):
        self.run("stop", self.directory)

    @property
    def log_paths(self):
        return [f"{self.directory}/{node}/log" for node in range(1, self.count + 1)]


# ---- Cases ----

class Stage:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="gossipd-frontdoor-")
        self.daemons = []

    def logs(self):
        for daemon in self.daemons:
            for path in getattr(daemon, "log_paths", None) or [daemon.log_path]:
                if os.path.exists(path):
                    with open(path, errors="replace") as log:
                        yield path, log.read().splitlines()[-12:]

    def close(self):
        for daemon in reversed(self.daemons):
            try:
                daemon.close()
            except Exception as error:  # the next daemon must still go
                print(f"# while cleaning up: {error}")
        shutil.rmtree(self.directory, ignore_errors=True)


def comment(text):
    for line in str(text).splitlines():
        print(f"#   {line}")


def run_case(number, claim, function):
    stage = Stage()
    start = time.monotonic()
    try:
        function(stage)
        print(f"ok {number} - {claim}")
        return True
    except Skip as reason:
        print(f"ok {number} - {claim} # SKIP {reason}")
        return True
    except Exception as error:
        print(f"not ok {number} - {claim}")
        comment(error if isinstance(error, Failure) else traceback.format_exc())
        for path, lines in stage.logs():
            comment(f"-- {path}")
            comment("\n".join(lines))
        return False
    finally:
        stage.close()
        comment(f"{time.monotonic() - start:.1f} s")
        sys.stdout.flush()


def run():
    """Runs the cases, or those whose claim contains the second argument."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    cases = [(claim, function) for claim, function in CASES if wanted in claim]
    print(f"1..{len(cases)}")
    results = [run_case(number, *entry) for number, entry in enumerate(cases, 1)]
    sys.exit(0 if all(results) else 1)
