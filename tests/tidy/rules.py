#!/usr/bin/env python3
"""Breaks every rule of tidy.py once, in a small tree of its own, and sees it
found; and sees a tree that keeps them all pass. Speaks TAP."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tidy  # noqa: E402
from tree import Tree  # noqa: E402

LONG_FUNCTION = "void f(void)\n{\n" + "    g();\n" * 80 + "}\n"
SHORT_FUNCTIONS = "void f(void)\n{\n" + "    g();\n" * 40 + "}\n"

# A tree that keeps every rule that files can break.
GOOD = {
    "include/crdt.h": "struct a;\n",
    "libcrdt/base/a.h": "#include <crdt.h>\nstruct b {\n    int x;\n};\n"
                        "typedef enum crdt_status (*f)(void);\n",
    "libcrdt/base/a.c": '#include "libcrdt/base/a.h"\n' + SHORT_FUNCTIONS
                        + SHORT_FUNCTIONS.replace("f(", "h("),
    "libcrdt/meson.build": "files('base/a.c')\n",
    "gossipd/core/core.h": "#include <crdt.h>\n",
    "gossipd/core/peer.h": '#include "gossipd/core/core.h"\n',
    "gossipd/core/machine.h": '#include "gossipd/core/peer.h"\n',
    "gossipd/core/core.c": '#include "gossipd/core/machine.h"\n',
    "gossipd/core/meson.build": "files('core.c')\n",
}

# rule -> a file that breaks it.
BAD = {
    "storey": ("libcrdt/base/a.c", '#include "gossipd/core/core.h"\n'),
    "front-door": ("gossipd/core/core.c", '#include "libcrdt/base/a.h"\n'),
    "system": ("gossipd/core/core.c", "#include <time.h>\n"),
    "sibling": ("gossipd/core/clients.c", '#include "gossipd/core/peer.h"\n'),
    "seam": ("tests/sim/world.c", '#include "gossipd/core/peer.h"\n'),
    "exists": ("libcrdt/base/a.c", '#include "a.h"\n'),
    "file-length": ("libcrdt/base/a.c", "int a;\n" * 501),
    "function-length": ("libcrdt/base/a.c", LONG_FUNCTION),
    "columns": ("libcrdt/base/a.c", "int " + "a" * 100 + ";\n"),
    "characters": ("libcrdt/base/a.c", "\tint a;\n"),
    "unfinished": ("libcrdt/base/a.c", "/* TO" "DO: more */\n"),
    "typedef": ("libcrdt/base/a.c", "typedef struct a a;\n"),
    "shell": ("scripts/run.sh", "#!/bin/bash\necho $unquoted\n"),
    "dead-file": ("libcrdt/base/dead.c", "int a;\n"),
}

FUNCTIONS = {key: function for key, _, function in tidy.RULES}


def offences(rule, files):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return list(FUNCTIONS[rule](Tree(pathlib.Path(folder), pathlib.Path(folder))))


def archive(folder, name, code, is_shared=False):
    """Compiles code into what the symbol rules look at."""
    source, target = pathlib.Path(folder, "x.c"), pathlib.Path(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(code)
    if is_shared:
        subprocess.run(["cc", "-shared", "-fPIC", source, "-o", target], check=True)
    else:
        subprocess.run(["cc", "-c", source, "-o", f"{folder}/x.o"], check=True)
        subprocess.run(["ar", "rcs", target, f"{folder}/x.o"], check=True)


def symbol_offences(rule, code):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("libcrdt/libcrdt.a", "gossipd/core/libgossipd_core.a",
                     "gossipd/wire/libgossipd_wire.a"):
            archive(folder, name, code)
        archive(folder, "libcrdt/libcrdt.so", code, is_shared=True)
        return list(FUNCTIONS[rule](Tree(pathlib.Path(folder), pathlib.Path(folder))))


GOOD_SYMBOLS = "void *malloc(unsigned long); void *crdt_f(void) { return malloc(1); }"
SYMBOLS = {
    "libcrdt-symbols": "long time(long *); void crdt_f(void) { time(0); }",
    "core-symbols": "void randombytes_buf(void *, unsigned long);"
                    "void crdt_f(void) { randombytes_buf(0, 0); }",
    "exports": "void crdt_f(void) {} void helper(void) {}",
}


def cases():
    for rule in BAD:
        yield f"a tree that keeps the rules passes {rule}", not offences(rule, GOOD)
    for rule, (path, text) in BAD.items():
        if rule == "shell" and not shutil.which("shellcheck"):
            continue
        yield f"{rule} is found broken", bool(offences(rule, {**GOOD, path: text}))
    if not (shutil.which("cc") and shutil.which("ar")):
        return
    for rule, code in SYMBOLS.items():
        if rule != "core-symbols":
            yield f"allowed symbols pass {rule}", not symbol_offences(rule, GOOD_SYMBOLS)
        yield f"{rule} is found broken", bool(symbol_offences(rule, code))
    broken = set(BAD) | set(SYMBOLS)
    yield "no rule is left untried", broken == set(FUNCTIONS)


def main():
    results = list(cases())
    print(f"1..{len(results)}")
    for number, (claim, holds) in enumerate(results, 1):
        print(f"{'ok' if holds else 'not ok'} {number} - {claim}")
    return 0 if all(holds for _, holds in results) else 1


if __name__ == "__main__":
    sys.exit(main())
