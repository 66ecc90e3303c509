"""Bytes that no friend would send, on both ports."""
import os
import random
import socket

from support import Client, Daemon, case, cli, comment, expect, expect_equal, info, run

GROWTH_BYTES_MAX = 64 << 10  # what a case may leave behind in used_memory
READ_SECONDS = 5

POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 12\r\n\r\nSET evil 1\r\n"


def throw(port, data, seconds=READ_SECONDS):
    """Sends bytes; returns (what came back, whether the daemon closed)."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        try:
            peer.sendall(data)
            while True:
                piece = peer.recv(65536)
                if not piece:
                    return answer, True
                answer += piece
                if answer.startswith(b"-") and answer.endswith(b"\r\n"):
                    peer.settimeout(0.2)  # an error; does it close as well?
        except socket.timeout:
            return answer, False
        except OSError:
            return answer, True  # reset: it had closed while we still sent


def survives(daemon, data, port=None, times=10):
    """Throws `data` many times; the node serves on and keeps nothing of it."""
    throw(port or daemon.port, data)  # first use may warm something up
    before = int(info(daemon.port, "used_memory"))
    for _ in range(times):
        answer, is_closed = throw(port or daemon.port, data, seconds=1)
        expect(is_closed or answer.startswith(b"-"), f"neither closed nor error: {answer[:80]!r}")
    expect_equal(cli(daemon.port, "PING"), "PONG", "PING afterwards")
    growth = int(info(daemon.port, "used_memory")) - before
    expect(growth < GROWTH_BYTES_MAX, f"used_memory grew by {growth} bytes")


@case("dd ff ff ff ff on the client port is an error")
def array_head(stage):
    survives(Daemon(stage), b"\xdd\xff\xff\xff\xff\r\n")


@case("dd ff ff ff ff on the peer port closes the link")
def array_head_peer(stage):
    daemon = Daemon(stage, has_peer=True)
    survives(daemon, b"\xdd\xff\xff\xff\xff" * 4, port=daemon.peer_port, times=5)


@case("a million nested arrays are an error")
def nested(stage):
    daemon = Daemon(stage, has_peer=True)
    survives(daemon, b"*1\r\n" * 1_000_000, times=3)
    survives(daemon, b"\x91" * 1_000_000, port=daemon.peer_port, times=3)


@case("*2147483647 arguments are refused or wait without memory")
def many_arguments(stage):
    daemon = Daemon(stage)
    before = int(info(daemon.port, "used_memory"))
    peers = []
    for _ in range(20):
        peer = socket.create_connection(("127.0.0.1", daemon.port), timeout=READ_SECONDS)
        peer.sendall(b"*2147483647\r\n")
        peers.append(peer)
    answer = peers[0].recv(4096)
    expect(answer == b"" or answer.startswith(b"-ERR Protocol error"), f"got {answer[:80]!r}")
    growth = int(info(daemon.port, "used_memory")) - before
    expect(growth < 1 << 20, f"used_memory grew by {growth} bytes while they wait")
    for peer in peers:
        peer.close()


@case("a bulk of -5 bytes is an error")
def negative_bulk(stage):
    daemon = Daemon(stage)
    survives(daemon, b"$-5\r\n")
    survives(daemon, b"*1\r\n$-5\r\n")
    answer, is_closed = throw(daemon.port, b"*1\r\n$-5\r\n")
    expect(b"invalid bulk length" in answer and is_closed, f"got {answer!r}, closed: {is_closed}")


@case("a huge announced bulk takes no memory")
def huge_bulk(stage):
    daemon = Daemon(stage)
    before = int(info(daemon.port, "used_memory"))
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=READ_SECONDS) as peer:
        peer.sendall(b"*2\r\n$3\r\nGET\r\n$16000000\r\n")
        growth = int(info(daemon.port, "used_memory")) - before
    expect(growth < 1 << 20, f"used_memory grew by {growth} bytes")


@case("an HTTP POST is closed in silence and its body is not run")
def post(stage):
    daemon = Daemon(stage)
    survives(daemon, POST)
    answer, is_closed = throw(daemon.port, POST)
    expect(is_closed, "the connection is still open")
    expect_equal(answer, b"", "the answer")
    expect_equal(cli(daemon.port, "EXISTS", "evil"), "0", "EXISTS evil")


@case("an endless inline command is an error at 64 KiB")
def endless_line(stage):
    daemon = Daemon(stage)
    answer, is_closed = throw(daemon.port, b"a" * 200_000)
    expect(b"too big inline request" in answer or answer == b"", f"got {answer[:80]!r}")
    expect(is_closed, "the connection is still open")


@case("random bytes on both ports do no harm")
def noise(stage):
    daemon = Daemon(stage, has_peer=True)
    seed = int(os.environ.get("GOSSIPD_TEST_SEED", random.randrange(1 << 32)))
    comment(f"GOSSIPD_TEST_SEED={seed}")
    source = random.Random(seed)
    before = int(info(daemon.port, "used_memory"))
    for _ in range(150):
        for port in (daemon.port, daemon.peer_port):
            with socket.create_connection(("127.0.0.1", port), timeout=READ_SECONDS) as peer:
                try:
                    peer.sendall(source.choice((b"", b"*3\r\n$3\r\n", b"\x00\x00\x10\x00"))
                                 + source.randbytes(source.randrange(3000)))
                except OSError:
                    pass  # closed already: as it should
    expect_equal(cli(daemon.port, "PING"), "PONG", "PING afterwards")
    growth = int(info(daemon.port, "used_memory")) - before
    expect(growth < GROWTH_BYTES_MAX, f"used_memory grew by {growth} bytes")


@case("a client that never reads its replies is bounded")
def deaf(stage):
    daemon = Daemon(stage)
    cli(daemon.port, "SET", "big", "x" * 100_000)
    client = Client(daemon.port, timeout=READ_SECONDS)
    try:
        for _ in range(50):
            client.socket.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n" * 100)
    except OSError:
        pass  # it stopped reading, or closed: both bound it
    used = int(info(daemon.port, "used_memory"))
    client.close()
    expect(used < 300 << 20, f"used_memory is {used} while 500 MB of replies are asked for")
    expect_equal(cli(daemon.port, "PING"), "PONG", "PING afterwards")


@case("what Redis has and gossipd has not gets an error that names it")
def unknown(stage):
    daemon = Daemon(stage)
    expect(cli(daemon.port, "LPUSH", "l", 1).startswith("ERR unknown command 'LPUSH'"),
           "LPUSH is not refused by name")
    answer = cli(daemon.port, "SET", "k", "v", "EX", 10)
    expect("EX" in answer and answer.startswith("ERR"), f"SET with EX says {answer!r}")
    expect_equal(cli(daemon.port, "EXISTS", "k"), "0", "EXISTS k")


run()
