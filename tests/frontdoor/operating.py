"""What an operator does to a daemon, and what the daemon answers."""
import json
import os
import re
import stat
import subprocess
import threading

from support import (GOSSIPCTL, GOSSIPD, Client, Cluster, Daemon, case, cli, eventually, expect,
                     expect_equal, free_base, is_free, run)

STOP_SECONDS = 5  # from SIGTERM to exit 0


def call(*words, cwd=None):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, cwd=cwd)


def write(stage, name, text):
    path = os.path.join(stage.directory, name)
    with open(path, "w") as file:
        file.write(text)
    return path


# ---- Stopping and starting ----

@case("SIGTERM ends an idle node with exit 0 within 5 s")
def stop_idle(stage):
    daemon = Daemon(stage)
    cli(daemon.port, "SET", "k", "v")
    code, seconds = daemon.stop()
    expect_equal(code, 0, "exit code")
    expect(seconds < STOP_SECONDS, f"it took {seconds:.1f} s")
    daemon.start()
    expect_equal(cli(daemon.port, "GET", "k"), "v", "GET after a clean restart")


@case("SIGTERM under load exits 0 within 5 s, and what was acknowledged is there")
def stop_busy(stage):
    daemon = Daemon(stage)
    acknowledged = []

    def write_on():
        client = Client(daemon.port)
        try:
            for number in range(1_000_000):
                if client("SADD", "s", number) != 1:
                    return
                acknowledged.append(str(number))
        except OSError:
            pass
    writer = threading.Thread(target=write_on)
    writer.start()
    eventually(lambda: len(acknowledged) > 100, "100 writes")
    code, seconds = daemon.stop()
    writer.join()
    expect_equal(code, 0, "exit code")
    expect(seconds < STOP_SECONDS, f"it took {seconds:.1f} s")
    daemon.start()
    missing = set(acknowledged) - set(Client(daemon.port)("SMEMBERS", "s"))
    expect(not missing, f"lost {len(missing)} acknowledged elements")


@case("a clean stop in `everysec` keeps everything and the generation")
def stop_everysec(stage):
    daemon = Daemon(stage, durability="everysec")
    cli(daemon.port, "SADD", "s", *range(50))
    before = json.loads(cli(daemon.port, "CRDT.STATUS"))["generation"]
    expect_equal(daemon.stop()[0], 0, "exit code")
    daemon.start()
    expect_equal(cli(daemon.port, "SCARD", "s"), "50", "SCARD")
    expect_equal(json.loads(cli(daemon.port, "CRDT.STATUS"))["generation"], before, "generation")


@case("a second gossipd on one directory is refused by name, and the first serves on")
def second(stage):
    daemon = Daemon(stage)
    base = free_base(1)
    done = call(GOSSIPD, "--dir", daemon.directory, "--port", base + 1,
                "--peer-address", f"127.0.0.1:{base + 101}")
    expect(done.returncode not in (0, None), f"exit code {done.returncode}")
    expect(daemon.directory in done.stderr, f"it does not name the directory: {done.stderr}")
    expect(str(daemon.process.pid) in done.stderr, f"it does not name the process: {done.stderr}")
    expect_equal(cli(daemon.port, "PING"), "PONG", "PING of the first")


@case("a killed node's directory is not locked for ever")
def lock_is_released(stage):
    daemon = Daemon(stage)
    daemon.kill()
    daemon.start()


# ---- Configuration ----

def expect_refused(stage, text, line, word):
    """A file with `text` is refused: exit 1, FILE:LINE and a word about it."""
    base = free_base(1)
    path = write(stage, "gossipd.conf", text.replace("PORT", str(base + 1)))
    done = call(GOSSIPD, "-c", path, cwd=stage.directory)
    expect_equal(done.returncode, 1, f"exit code for {text!r} ({done.stderr.strip()})")
    expect(f"{path}:{line}" in done.stderr or f"gossipd.conf:{line}" in done.stderr,
           f"no file:line {line} in {done.stderr!r}")
    expect(word in done.stderr, f"nothing about {word!r} in {done.stderr!r}")
    expect(is_free("127.0.0.1", base + 1), "a port is open")


@case("an unknown key in the configuration is refused with file and line")
def unknown_key(stage):
    expect_refused(stage, 'name = "a"\nport = PORT\ncolour = "blue"\n', 3, "colour")


@case("a value out of range is refused with file and line")
def bad_values(stage):
    expect_refused(stage, 'name = "a"\n\ndurability = "sometimes"\nport = PORT\n', 3, "durability")
    expect_refused(stage, 'dir = "d"\nport = 99999\n', 2, "port")
    expect_refused(stage, 'port = "seven"\n', 1, "port")


@case("a peer with a bad key or without a cluster name is refused")
def bad_peers(stage):
    expect_refused(stage, 'port = PORT\ncluster = "c"\npeer b { key = "beef" '
                          'address = "127.0.0.1:9" }\n', 3, "key")
    path = write(stage, "gossipd.conf", 'peer b { key = "%s" address = "127.0.0.1:9" }\n'
                 % ("ab" * 32))
    done = call(GOSSIPD, "-c", path, cwd=stage.directory)
    expect_equal(done.returncode, 1, "exit code")
    expect("cluster" in done.stderr, f"nothing about the cluster name in {done.stderr!r}")


@case("a missing file and an unknown flag are refused")
def bad_flags(stage):
    done = call(GOSSIPD, "-c", os.path.join(stage.directory, "absent.conf"))
    expect_equal(done.returncode, 1, "exit code")
    expect("absent.conf" in done.stderr, f"the file is not named: {done.stderr!r}")
    done = call(GOSSIPD, "--colour", "blue", cwd=stage.directory)
    expect(done.returncode != 0 and "colour" in done.stderr, f"the flag passes: {done.stderr!r}")


@case("CONFIG SET durability holds, other settings are refused")
def config_set(stage):
    daemon = Daemon(stage)
    for value in ("everysec", "no", "always"):
        expect_equal(cli(daemon.port, "CONFIG", "SET", "durability", value), "OK", "CONFIG SET")
        expect_equal(cli(daemon.port, "CONFIG", "GET", "durability"), f"durability\n{value}",
                     "CONFIG GET")
        expect_equal(cli(daemon.port, "SET", "k", value), "OK", "SET")
    expect(cli(daemon.port, "CONFIG", "SET", "durability", "maybe").startswith("ERR"),
           "durability maybe passes")
    expect(cli(daemon.port, "CONFIG", "SET", "port", "1").startswith("ERR"), "port can be set")
    expect_equal(cli(daemon.port, "CONFIG", "GET", "port"), f"port\n{daemon.port}", "CONFIG GET")


@case("--help and --version of both programs exit 0 and speak")
def helps(stage):
    for program in (GOSSIPD, GOSSIPCTL):
        for flag, word in (("--help", "usage"), ("--version", "0.1.0")):
            done = call(program, flag)
            expect_equal(done.returncode, 0, f"{program} {flag}")
            expect(word in done.stdout.lower(), f"{program} {flag} says {done.stdout!r}")


# ---- gossipctl ----

@case("gossipctl keygen prints the key alone, guards the file, and never overwrites")
def keygen(stage):
    directory = os.path.join(stage.directory, "node")
    done = call(GOSSIPCTL, "keygen", "--dir", directory)
    expect_equal(done.returncode, 0, f"exit code ({done.stderr})")
    expect(re.fullmatch(r"[0-9a-f]{64}\n", done.stdout), f"stdout is {done.stdout!r}")
    path = os.path.join(directory, "node.key")
    expect_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode of node.key")
    again = call(GOSSIPCTL, "keygen", "--dir", directory)
    expect(again.returncode not in (0, 64), f"keygen again exits {again.returncode}")
    expect_equal(call(GOSSIPCTL, "pubkey", "--dir", directory).stdout, done.stdout, "pubkey")


@case("gossipctl status: 0 converged, 2 no answer, 64 usage")
def status_codes(stage):
    daemon = Daemon(stage)
    address = f"127.0.0.1:{daemon.port}"
    done = call(GOSSIPCTL, "--address", address, "status", "--json")
    expect_equal(done.returncode, 0, "a single node")
    status = json.loads(done.stdout)
    expect(status["converged"] is True, done.stdout)
    expect({"converged", "digest", "lag_ms", "members"} <= set(status), done.stdout)
    expect_equal(call(GOSSIPCTL, "--address", address, "status").returncode, 0, "for people")
    done = call(GOSSIPCTL, "--socket", os.path.join(daemon.directory, "gossipd.sock"), "status")
    expect_equal(done.returncode, 0, "through the Unix socket")
    daemon.stop()
    expect_equal(call(GOSSIPCTL, "--address", address, "status").returncode, 2, "nobody answers")
    expect_equal(call(GOSSIPCTL, "dance").returncode, 64, "an unknown command")
    expect_equal(call(GOSSIPCTL).returncode, 64, "no command")


@case("gossipctl status: 3 while a member is down, 0 again when it is back")
def status_down(stage):
    cluster = Cluster(stage)

    def code():
        return call(GOSSIPCTL, "--address", f"127.0.0.1:{cluster.port(1)}", "status").returncode
    eventually(lambda: code() == 0, "0 at first")
    cluster.kill(3)
    eventually(lambda: code() == 3, "3 with node 3 dead")
    expect_equal(cluster.status(1)["lag_ms"], 0, "lag_ms with a dead member")
    cluster.restart(3)
    eventually(lambda: code() == 0, "0 with node 3 back")


@case("a node takes writes while every peer is down")
def alone(stage):
    cluster = Cluster(stage)
    cluster.kill(2)
    cluster.kill(3)
    expect_equal(cluster.cli(1, "SET", "k", "v"), "OK", "SET on the last node")
    cluster.kill(1)
    cluster.restart(1)  # its start waits 2 s for a peer, then goes on
    expect_equal(cluster.cli(1, "GET", "k"), "v", "GET after a restart alone")


@case("a node of another cluster is not let in")
def other_cluster(stage):
    cluster = Cluster(stage)
    cluster.run("stop", cluster.directory)
    path = f"{cluster.directory}/3/gossipd.conf"
    with open(path) as file:
        text = re.sub(r'cluster = "[^"]*"', 'cluster = "another"', file.read())
    text = text.replace("/3/data", "/3/other")
    data = f"{cluster.directory}/3/data"
    os.makedirs(f"{cluster.directory}/3/other")
    with open(f"{data}/node.key", "rb") as key:
        fd = os.open(f"{cluster.directory}/3/other/node.key", os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(fd, key.read())
        os.close(fd)
    with open(path, "w") as file:
        file.write(text)
    for node in (1, 2, 3):
        cluster.restart(node)
    cluster.cli(3, "SET", "stranger", "1")
    eventually(lambda: cluster.cli(1, "CRDT.DIGEST") == cluster.cli(2, "CRDT.DIGEST"), "1 and 2")
    expect_equal(cluster.everywhere("EXISTS", "stranger"), ["0", "0", "1"], "EXISTS")
    states = {member["name"]: member["state"] for member in cluster.status(1)["members"]}
    expect(states.get("n3") != "up", f"n3 is {states}")


run()
