"""A disk whose fsync fails: the process ends, and starts again with all that it
acknowledged."""
import glob
import os
import sys

from support import Client, Daemon, ReplyError, case, cli, comment, expect, expect_equal, run

MODULE = os.path.abspath(sys.argv.pop())
EXIT_FSYNC_FAILED = 70


def start(stage, durability):
    """A daemon whose next fsync fails once the file that is returned exists."""
    trigger = os.path.join(stage.directory, "bad-sync")
    daemon = Daemon(stage, durability)
    daemon.stop()
    # The sanitizers want to be loaded first, and would refuse.
    daemon.arguments = ["env", f"LD_PRELOAD={MODULE}", f"BAD_SYNC={trigger}",
                        "ASAN_OPTIONS=verify_asan_link_order=0"] + daemon.arguments
    daemon.start()
    return daemon, trigger


def write_until_it_ends(daemon, first):
    """Adds numbers from `first` on; returns those that were acknowledged."""
    acknowledged = set()
    try:
        client = Client(daemon.port)
        for number in range(first, first + 100_000):
            reply = client("SADD", "s", number)
            if isinstance(reply, ReplyError):
                break
            acknowledged.add(number)
    except OSError:
        pass
    return acknowledged


def expect_recovered(stage, durability, may_lose):
    daemon, trigger = start(stage, durability)
    acknowledged = set()
    for life in range(3):
        first = life * 1_000_000
        cli(daemon.port, "SADD", "s", first)
        acknowledged.add(first)
        open(trigger, "w").close()
        acknowledged |= write_until_it_ends(daemon, first + 1)
        expect_equal(daemon.process.wait(30), EXIT_FSYNC_FAILED, "exit code")
        expect(not os.path.exists(trigger), "no fsync has failed")
        with open(daemon.log_path) as log:
            expect("event=store-fsync-failed" in log.read(), "the log does not say why")
        daemon.start()
        there = {int(number) for number in cli(daemon.port, "SMEMBERS", "s").split()}
        missing = acknowledged - there
        comment(f"life {life}: {len(acknowledged)} acknowledged, {len(missing)} missing")
        expect(may_lose or not missing, f"acknowledged and gone: {sorted(missing)[:5]}")
        # What everysec lost was the unsynced tail; it is not asked for again.
        acknowledged -= missing
    expect_equal(glob.glob(f"{daemon.directory}/*.corrupt"), [], "nothing was put aside")


@case("after a failed fsync the process ends with 70 and starts again with all acknowledged")
def always(stage):
    expect_recovered(stage, "always", may_lose=False)


@case("after a failed fsync in everysec it starts again by itself, too")
def everysec(stage):
    expect_recovered(stage, "everysec", may_lose=True)


if __name__ == "__main__":
    run()
