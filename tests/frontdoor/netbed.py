"""A small network of real daemons: one namespace a node, one bridge, cables that
can delay, and packet filters on the bridge that lose and cut.

Nothing outside these namespaces is touched: addresses, filter tables and routes
live and die with them. Clients use a node's Unix socket, which no cut reaches.
"""
import glob
import itertools
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from support import BIN, GOSSIPCTL, GOSSIPD, PATIENCE_SECONDS, Client, Skip, eventually, expect

BUILD = os.path.dirname(BIN)
HELPERS = ("tests/frontdoor/delay", "tests/frontdoor/gossipd-newer")
DELAY, NEWER = (os.path.join(BUILD, helper) for helper in HELPERS)
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
PEER_PORT = 7100
NO_FAKETIME = "there is no libfaketime: apt-get install -y --no-install-recommends faketime"
STOP_SECONDS = 5  # what gossipd --help promises of SIGTERM
YEAR_SECONDS = 365 * 86400

_serials = itertools.count(1)


class Violation(Exception):
    """What must never happen; the text says what, and where."""


def run(*words, text=None, seconds=PATIENCE_SECONDS):
    done = subprocess.run(list(map(str, words)), input=text, capture_output=True, text=True,
                          timeout=seconds)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def why_not():
    """Why a network cannot be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nft"):
        if not shutil.which(program):
            return f"there is no {program}; scripts/install-deps.sh installs it"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun for the cables"
    name = f"gf{os.getpid()}-try"
    try:
        run("ip", "netns", "add", name)
    except RuntimeError as error:
        return f"no namespace can be made here: {error}"
    try:
        run("ip", "netns", "exec", name, "nft", "-f", "-",
            text="table bridge t { chain c { type filter hook forward priority 0; "
                 "numgen random mod 100 < 5 drop; }; }")
        return None
    except RuntimeError as error:
        return f"nft cannot drop packets on a bridge here: {error}"
    finally:
        run("ip", "netns", "del", name)


def sweep():
    """Removes the namespaces of test beds whose process is gone, and what runs in
    them: a killed test cannot clean up behind itself."""
    for line in run("ip", "netns", "list").splitlines():
        found = re.match(r"gf(\d+)-", line)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            remove_namespace(line.split()[0])


def remove_namespace(name):
    for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True,
                              text=True).stdout.split():
        subprocess.run(["kill", "-KILL", pid], capture_output=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


class UnixClient(Client):
    """A client on a node's Unix socket."""

    def __init__(self, path, timeout):  # of its base it has all but the TCP socket
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rb")


class Node:
    def __init__(self, bed, number):
        self.bed, self.number = bed, number
        self.name = f"n{number}"
        self.namespace = f"{bed.prefix}-{number}"
        self.address = f"10.99.0.{number}"
        self.directory = os.path.join(bed.directory, str(number))
        self.data = os.path.join(self.directory, "data")
        self.socket_path = os.path.join(self.directory, "s")
        self.log_path = os.path.join(self.directory, "log")
        self.clock_path = os.path.join(self.directory, "clock")
        self.binary = GOSSIPD
        self.is_clock_faked = False
        self.is_paused = False
        self.process = None
        os.makedirs(self.data)
        self.key = run(GOSSIPCTL, "keygen", "--dir", self.data).strip()

    def configure(self):
        with open(os.path.join(self.directory, "gossipd.conf"), "w", encoding="utf-8") as file:
            file.write(f'name = "{self.name}"\ncluster = "net bed"\ndir = "{self.data}"\n'
                       f'unixsocket = "{self.socket_path}"\nport = 6379\n'
                       f'peer-address = "{self.address}:{PEER_PORT}"\n'
                       f'peer-source = "{self.address}"\n')
            for peer in self.bed.nodes.values():
                if peer is not self:
                    file.write(f'peer {peer.name} {{ key = "{peer.key}" '
                               f'address = "{peer.address}:{PEER_PORT}" }}\n')

    def client(self, timeout=PATIENCE_SECONDS):
        return UnixClient(self.socket_path, timeout)

    def ask(self, *words, timeout=PATIENCE_SECONDS):
        client = self.client(timeout)
        try:
            return client(*words)
        finally:
            client.close()

    def info(self, field):
        found = re.search(rf"^{field}:(.*?)\r?$", self.ask("INFO"), re.M)
        expect(found, f"INFO of {self.name} has no {field}")
        return found[1]

    # ---- Its process ----

    def set_clock(self, seconds_ahead):
        """The node's clock, while it runs too, if it was started with a faked one."""
        with open(self.clock_path + ".new", "w", encoding="utf-8") as file:
            file.write(f"+{seconds_ahead}\n")
        os.rename(self.clock_path + ".new", self.clock_path)

    def launch(self):
        environment = dict(os.environ)
        if self.is_clock_faked:
            environment.update(LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=self.clock_path,
                               FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
                               FAKETIME_CACHE_DURATION="1")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, self.binary, "-c",
                 os.path.join(self.directory, "gossipd.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True)

    def serves(self):
        self.expect_alive()
        try:
            return self.ask("PING", timeout=5) == "PONG"
        except OSError:
            return False

    def start(self):
        self.launch()
        eventually(self.serves, f"{self.name} serves")

    def expect_alive(self):
        if self.process and self.process.poll() is not None:
            raise Violation(f"{self.name} has ended by itself, with {self.process.returncode}; "
                            f"its last words: {self.last_words()}")

    def last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return " | ".join(log.read().splitlines()[-5:])

    def kill(self):
        self.expect_alive()
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM, and what it promises."""
        self.expect_alive()
        start = time.monotonic()
        self.process.terminate()
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        if code != 0:
            raise Violation(f"{self.name} exits with {code} after SIGTERM: {self.last_words()}")
        if time.monotonic() - start > STOP_SECONDS + 1:
            raise Violation(f"{self.name} took {time.monotonic() - start:.1f} s to stop")

    def signal(self, number, is_paused):
        self.expect_alive()
        os.kill(self.process.pid, number)
        self.is_paused = is_paused


class Bed:
    """COUNT nodes, all running and converged when it is made."""

    def __init__(self, count):
        self.prefix = f"gf{os.getpid()}-{next(_serials)}"
        self.hub = f"{self.prefix}-hub"
        self.directory = tempfile.mkdtemp(prefix="gf-", dir="/tmp")
        self.nodes, self.cuts, self.losses = {}, {}, {}
        self.delay = None
        self.is_kept = False  # stores and logs, for people to look at
        try:
            self.nodes.update((number, Node(self, number)) for number in range(1, count + 1))
            self.wire()
            for node in self.nodes.values():
                node.configure()
                node.launch()
            for node in self.nodes.values():
                eventually(node.serves, f"{node.name} serves")
            eventually(self.is_converged, "all have converged after the start")
        except BaseException:
            self.close()
            raise

    @property
    def log_paths(self):
        return [node.log_path for node in self.nodes.values()]

    def wire(self):
        for name in (self.hub, *(node.namespace for node in self.nodes.values())):
            run("ip", "netns", "add", name)
        self.delay = subprocess.Popen(
            ["ip", "netns", "exec", self.hub, DELAY, str(len(self.nodes))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        expect(self.delay.stdout.readline() == "ready\n", "the cables are not ready")
        run("ip", "-n", self.hub, "-b", "-", text="link add bridge type bridge\n"
            "link set bridge up\n" + "".join(
                f"link set b{number} master bridge\nlink set b{number} up\n"
                f"link set n{number} netns {node.namespace}\n"
                for number, node in self.nodes.items()))
        for number, node in self.nodes.items():
            run("ip", "-n", node.namespace, "-b", "-", text="link set lo up\n"
                f"link set n{number} up\naddress add {node.address}/24 dev n{number}\n")

    def apply_filters(self):
        """What the bridge drops, replaced as a whole."""
        pairs = sorted(set().union(*self.cuts.values()) if self.cuts else ())
        rules = [f'iifname "b{source}" oifname "b{target}" drop' for source, target in pairs]
        rules += [f"numgen random mod 100 < {percent} drop" for percent in self.losses.values()]
        run("ip", "netns", "exec", self.hub, "nft", "-f", "-",
            text="table bridge faults\ndelete table bridge faults\ntable bridge faults {\n"
                 "chain forward { type filter hook forward priority 0; policy accept;\n"
                 + "\n".join(rules) + "\n}\n}\n")

    def cut(self, tag, pairs):
        """Drops what goes from a to b for every (a, b), until heal(tag)."""
        self.cuts[tag] = set(pairs)
        self.apply_filters()

    def lose(self, tag, percent):
        self.losses[tag] = percent
        self.apply_filters()

    def heal(self, tag):
        self.cuts.pop(tag, None)
        self.losses.pop(tag, None)
        self.apply_filters()

    def set_delay(self, number, delay_ms, jitter_ms):
        self.delay.stdin.write(f"{number} {delay_ms} {jitter_ms}\n")
        self.delay.stdin.flush()

    def is_converged(self):
        digests = set()
        for node in self.nodes.values():
            node.expect_alive()
            digests.add(node.ask("CRDT.DIGEST"))
        return len(digests) == 1 and digests.pop().count(" ") == 2

    def statuses(self):
        """What `gossipctl status` exits with, by node."""
        return {node.name: subprocess.run(
            [GOSSIPCTL, "--socket", node.socket_path, "status"], capture_output=True,
            timeout=PATIENCE_SECONDS).returncode for node in self.nodes.values()}

    def close(self):
        for node in self.nodes.values():
            if node.process and node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        if self.delay:
            self.delay.kill()
            self.delay.wait()
            self.delay.stdin.close()
            self.delay.stdout.close()
        for name in (*(node.namespace for node in self.nodes.values()), self.hub):
            remove_namespace(name)
        if not self.is_kept:
            shutil.rmtree(self.directory, ignore_errors=True)


def build_helpers():
    """A release build leaves them out, and scripts/test.sh runs in one as it is."""
    run("ninja", "-j2", "-C", BUILD, *HELPERS, seconds=10 * PATIENCE_SECONDS)


def make_bed(stage, count):
    """A bed that goes with the stage, or the reason why there is none."""
    reason = why_not()
    if reason:
        raise Skip(reason)
    build_helpers()
    sweep()
    bed = Bed(count)
    stage.daemons.append(bed)
    return bed
