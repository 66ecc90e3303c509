"""Two processes of one key under one generation: the fork is proved, frozen on every
node, told to people, and the cluster goes on."""
import json
import os
import shutil
import sqlite3

from stores import Node, call, converge, copy_directory, mesh
from support import GOSSIPCTL, case, eventually, expect, expect_equal, free_base, run


def residence(path):
    with sqlite3.connect(path) as store:
        return store.execute("SELECT value FROM mark WHERE name = 'residence'").fetchone()[0]


def clone(stage, node, peers):
    """A copy of a stopped node's directory that cannot see that it is one: the mark
    that tells where the store lives is forged."""
    twin = Node(stage, "twin", node.directory + ".twin", free_base(1) + 1)
    copy_directory(node.directory, twin.directory)
    twin.configure([])
    twin.start()  # writes down where it lives
    twin.stop()
    store = os.path.join(twin.directory, "store.db")
    lives_at = residence(store)
    with open(os.path.join(node.directory, "store.db"), "rb") as source, open(store, "r+b") as file:
        file.truncate()  # the file stays, its content is the original's
        shutil.copyfileobj(source, file)
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE mark SET value = ? WHERE name = 'residence'", (lives_at,))
    twin.configure(peers)
    return twin


def forks(node):
    done = node.ctl("forks", "--json")
    return done.returncode, json.loads(done.stdout)


@case("a fork by two processes of one key is proved and frozen everywhere, and all else goes on")
def fork(stage):
    a, b, c = mesh(stage, "abc")
    a.cli("SADD", "s", "both")
    converge([a, b, c])
    before = a.generation()
    expect_equal(forks(b), (0, []), "forks before")
    a.stop()
    twin = clone(stage, a, [c])
    b.stop()
    twin.start()
    expect_equal(twin.generation(), before, "the generation of the copy")
    twin.cli("SADD", "s", "twin")
    eventually(lambda: c.cli("SISMEMBER", "s", "twin") == "1", "c has what the copy wrote")
    twin.stop()
    c.stop()
    a.start()
    a.cli("SADD", "s", "original")
    b.start()
    eventually(lambda: b.cli("SISMEMBER", "s", "original") == "1", "b has what a wrote")
    c.start()
    for node in (a, b, c):
        eventually(lambda: any(fork["frozen"] for fork in forks(node)[1]),
                   f"{node.name} has the proof")
        code, found = forks(node)
        expect_equal(code, 1, "exit code of forks --json")
        frozen = [fork for fork in found if fork["frozen"]]
        expect_equal([(fork["generation"], fork["member"]) for fork in frozen], [(before, "a")],
                     f"forks on {node.name}")
        expect(frozen[0]["head_a"] != frozen[0]["head_b"], "the two heads are one")
        status = json.loads(node.cli("CRDT.STATUS"))
        expect(any(member.get("frozen") for member in status["members"]), "no frozen in status")
        expect("event=fork" in node.log(), f"no alarm in the log of {node.name}")
    expect(a.generation() != before, "a goes on under the forked generation")
    # a and b follow one history: between them everything goes on.
    a.cli("SADD", "s", "later")
    eventually(lambda: b.cli("SISMEMBER", "s", "later") == "1", "b has what a wrote later")
    done = b.ctl("forks")
    expect_equal(done.returncode, 1, "exit code of forks")
    expect("fork of a" in done.stdout and "Stop all but one" in done.stdout,
           f"it says {done.stdout!r}")
    # The proof outlives the process, and anyone can check it.
    b.stop()
    done = call(GOSSIPCTL, "forks", "--dir", b.directory)
    expect_equal(done.returncode, 1, f"exit code of forks --dir ({done.stderr})")
    expect("holds: both headers are signed" in done.stdout, f"it says {done.stdout!r}")
    b.start()
    found = [fork for fork in forks(b)[1] if fork["frozen"]]
    expect_equal(len(found), 1, "forks after a restart")
    # Nobody else has it while b is alone: unfrozen, it stays so.
    a.stop()
    c.stop()
    done = b.ctl("unfreeze", found[0]["origin"], found[0]["generation"])
    expect_equal(done.returncode, 0, f"exit code of unfreeze ({done.stderr})")
    expect(not any(fork["frozen"] for fork in forks(b)[1]), "still frozen")


run()
