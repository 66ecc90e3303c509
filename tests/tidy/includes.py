"""Who may include whom."""

# A folder is a storey; the longest prefix decides. crdt.h is everybody's.
STOREYS = [
    ("libcrdt/base/", 1), ("libcrdt/clock/", 2), ("libcrdt/codec/", 3),
    ("libcrdt/document/", 4), ("libcrdt/types/", 5),
    ("gossipd/limits.h", 6), ("gossipd/wire/", 6), ("gossipd/core/", 7),
    ("gossipd/host/", 8), ("gossipd/", 9),
    ("tests/", 10), ("fuzz/", 10), ("bench/", 10), ("examples/", 10),
]

# What has no effects; everything else is for host/ and the mains.
PURE = {"assert.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h",
        "stdint.h", "stdlib.h", "string.h", "crdt.h", "sodium.h"}
PURE_BY_ROOM = {
    "libcrdt/codec/": {"msgpack/pack.h", "msgpack/unpack.h", "msgpack/unpack_define.h",
                       "msgpack/unpack_template.h", "msgpack/pack_define.h",
                       "msgpack/pack_template.h", "msgpack/sysdep.h"},
    "gossipd/core/": {"jansson.h"},
}

# core/ has two kinds of files. Parts hold one thing each and know of one another
# only the materials; deciders see every part through machine.h and are called by
# core.c or one another. Who decides is named here, so that a new decider is a
# decision and not an accident.
CORE_MATERIALS = {"core.h", "commands.h", "random.h", "memory.h", "vector.h", "held.h", "outputs.h"}
CORE_DECIDERS = {"core.c", "machine.h", "replay.c", "generation.c", "own.c", "receive.c",
                 "links.c", "sync.c", "serve.c", "perform.c", "snapshots.c", "forks.c", "tell.c",
                 "freeze.c", "vouch.c", "drop.c", "offer.c", "join.c", "source.c", "source.h",
                 "swap.c", "status.c"}
SEAM = {"gossipd/core/core.h", "gossipd/core/random.h", "gossipd/wire/resp.h"}


def storey_of(path):
    for prefix, storey in STOREYS:
        if path.startswith(prefix):
            return storey
    return 0


def _each(tree, prefix):
    for path in tree.c:
        if path.startswith(prefix):
            for line, is_system, name in tree.includes(path):
                yield path, line, is_system, name


def storey(tree):
    for path, line, is_system, name in _each(tree, ""):
        if not is_system and storey_of(name) > max(storey_of(path), 0):
            yield path, f"line {line}: includes the higher storey {name}"


def front_door(tree):
    for room in ("gossipd/", "examples/"):
        for path, line, _, name in _each(tree, room):
            if name.startswith("libcrdt/"):
                yield path, f"line {line}: includes {name}; only <crdt.h> is public"
    for path, line, is_system, name in _each(tree, ""):
        if name == "crdt.h" and not is_system:
            yield path, f'line {line}: write <crdt.h>, not "crdt.h"'


def system(tree):
    for room in ("include/", "libcrdt/", "gossipd/wire/", "gossipd/core/"):
        allowed = PURE.union(*(names for prefix, names in PURE_BY_ROOM.items()
                               if room.startswith(prefix) or prefix.startswith(room)))
        for path, line, is_system, name in _each(tree, room):
            if not is_system:
                continue
            if name.startswith("sodium/"):
                continue
            if name not in allowed or _is_for_other_room(path, name):
                yield path, f"line {line}: <{name}> is not for this room"


def _is_for_other_room(path, name):
    rooms = [prefix for prefix, names in PURE_BY_ROOM.items() if name in names]
    return bool(rooms) and not any(path.startswith(prefix) for prefix in rooms)


def sibling(tree):
    """Parts return facts, deciders decide. The commands know commands.h and their
    own headers."""
    for path, line, is_system, name in _each(tree, "gossipd/core/"):
        folder, _, file = path.rpartition("/")
        if is_system or not name.startswith("gossipd/core/"):
            continue
        included_folder, _, included = name.rpartition("/")
        is_in_core = included_folder == "gossipd/core"
        if is_in_core and included in CORE_MATERIALS:
            continue
        is_own = name.rsplit(".", 1)[0] == path.rsplit(".", 1)[0]
        is_in_commands = folder == included_folder == "gossipd/core/commands"
        is_decider = folder == "gossipd/core" and file in CORE_DECIDERS and is_in_core
        if not (is_own or is_in_commands or is_decider):
            yield path, f"line {line}: {file} includes its sibling {name}"


def seam(tree):
    for path, line, is_system, name in _each(tree, "tests/sim/"):
        if not is_system and not name.startswith(("tests/sim/", "tests/support/")) \
                and name not in SEAM:
            yield path, f"line {line}: needs {name}: then the seam is wrong"


def exists(tree):
    known = set(tree.paths)
    for path, line, is_system, name in _each(tree, ""):
        if not is_system and name not in known:
            yield path, f'line {line}: no file "{name}" from the root'
