"""Many writes at once, and the memory that is left afterwards."""
import subprocess
import time

from support import (IS_FULL, Cluster, Daemon, case, cli, comment, expect, expect_equal, info,
                     pipe, run)

BENCHMARK_REQUESTS = 100_000 if IS_FULL else 4_000
INCREMENTS = 100_000 if IS_FULL else 3_000
FOLDED_BYTES_MAX = 40 << 10  # 3000 contributions not folded are far more
ELEMENTS = 300_000
LEFT_BYTES_MAX = 3 << 20
SETTLE_SECONDS = 5


@case(f"redis-benchmark -n {BENCHMARK_REQUESTS} completes and the nodes converge after it")
def benchmark(stage):
    cluster = Cluster(stage)
    done = subprocess.run(["redis-benchmark", "-p", str(cluster.port(1)), "-q",
                           "-t", "set,get,incr,sadd,hset,spop,mset", "-n",
                           str(BENCHMARK_REQUESTS)], capture_output=True, text=True, timeout=900)
    text = done.stdout.replace("\r", "\n")
    results = [line for line in text.splitlines() if "requests per second" in line]
    comment("\n".join(results))
    expect_equal(done.returncode, 0, f"exit code ({done.stderr})")
    expect_equal(len(results), 7, f"finished tests in {text!r}")
    cluster.converged(120)


def expect_memory_back(daemon, before):
    time.sleep(SETTLE_SECONDS)
    left = int(info(daemon.port, "used_memory")) - before
    comment(f"{left} bytes more than before")
    expect(left <= LEFT_BYTES_MAX, f"{left} bytes are still held")


def elements(verb):
    """ELEMENTS elements of one set, a hundred a command."""
    return [(verb, "s", *(f"element:{number}" for number in range(start, start + 100)))
            for start in range(0, ELEMENTS, 100)]


@case("300,000 elements added and removed leave used_memory within 3 MB")
def removed(stage):
    daemon = Daemon(stage)
    before = int(info(daemon.port, "used_memory"))
    pipe(daemon.port, elements("SADD"))
    expect_equal(cli(daemon.port, "SCARD", "s"), str(ELEMENTS), "SCARD")
    expect(int(info(daemon.port, "used_memory")) > before + ELEMENTS * 20,
           "used_memory does not count the elements")
    pipe(daemon.port, elements("SREM"))
    expect_equal(cli(daemon.port, "DBSIZE"), "0", "DBSIZE")
    expect_memory_back(daemon, before)


@case("300,000 elements one a command, then DEL, leave used_memory within 3 MB")
def deleted(stage):
    daemon = Daemon(stage)
    before = int(info(daemon.port, "used_memory"))
    pipe(daemon.port, [("SADD", "s", f"element:{number}") for number in range(ELEMENTS)])
    expect_equal(cli(daemon.port, "SCARD", "s"), str(ELEMENTS), "SCARD")
    expect_equal(cli(daemon.port, "DEL", "s"), "1", "DEL")
    expect_memory_back(daemon, before)


@case("300,000 keys set and flushed leave used_memory within 3 MB")
def flushed(stage):
    daemon = Daemon(stage)
    before = int(info(daemon.port, "used_memory"))
    pipe(daemon.port, [("SET", f"key:{number}", number) for number in range(ELEMENTS)])
    expect_equal(cli(daemon.port, "DBSIZE"), str(ELEMENTS), "DBSIZE")
    expect_equal(cli(daemon.port, "FLUSHALL"), "OK", "FLUSHALL")
    expect_memory_back(daemon, before)


@case(f"{INCREMENTS:,} INCR one after the other keep their counter small")
def folded(stage):
    daemon = Daemon(stage)
    cli(daemon.port, "INCR", "n")
    before = int(info(daemon.port, "used_memory"))
    cli(daemon.port, "-r", INCREMENTS, "INCR", "n")
    expect_equal(cli(daemon.port, "GET", "n"), str(INCREMENTS + 1), "GET")
    growth = int(info(daemon.port, "used_memory")) - before
    comment(f"{growth} bytes more than before")
    expect(growth < FOLDED_BYTES_MAX, f"{growth} bytes are held for one counter")


@case("a restart brings back 300,000 elements")
def restarted(stage):
    daemon = Daemon(stage)
    pipe(daemon.port, elements("SADD"))
    digest = cli(daemon.port, "CRDT.DIGEST")
    expect_equal(daemon.stop()[0], 0, "exit code")
    start = time.monotonic()
    daemon.start()
    comment(f"served again after {time.monotonic() - start:.2f} s")
    expect_equal(cli(daemon.port, "SCARD", "s"), str(ELEMENTS), "SCARD")
    expect_equal(cli(daemon.port, "CRDT.DIGEST"), digest, "CRDT.DIGEST")


run()
