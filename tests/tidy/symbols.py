"""What the archives import and the shared library exports, as nm tells it."""
import pathlib
import re
import subprocess

# What compilers add by themselves: sanitizers, stack protection, coverage.
COMPILER = re.compile(r"^(__(asan|ubsan|tsan|msan|sanitizer|sancov|gcov|stack_chk)_\w+"
                      r"|_GLOBAL_OFFSET_TABLE_|__llvm_\w+)$")


def _nm(path, *options):
    result = subprocess.run(["nm", *options, str(path)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"nm {path}: {result.stderr.strip()}")
    return result.stdout


def _undefined(archive):
    names = re.findall(r"^\s+[Uw] (\S+)$", _nm(archive, "-u"), re.M)
    return {name.split("@")[0] for name in names}


def _defined(archive):
    # Weak ones too; an instrumented object may define a name several times.
    return set(re.findall(r"^[0-9a-f]* [A-TV-Z] (\S+)$", _nm(archive, "--defined-only"), re.M))


def _allowed(section):
    """The names in symbols.txt under `[section]`."""
    names, current = set(), None
    text = (pathlib.Path(__file__).parent / "symbols.txt").read_text()
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            current = line.strip("[]")
        elif line and current == section:
            names.update(line.split())
    return names


def _check(tree, archives, lent, section):
    """Yields every symbol that `archives` import, beyond the allowed ones and
    those that they or the archives `lent` to them define."""
    for name in (*archives, *lent):
        if not (tree.build / name).exists():
            yield name, "not built: build everything first"
            return
    own = set().union(*(_defined(tree.build / name) for name in (*archives, *lent)))
    allowed = _allowed(section)
    for name in archives:
        for symbol in sorted(_undefined(tree.build / name) - own - allowed):
            # The checked forms that _FORTIFY_SOURCE puts in stand for the plain ones.
            plain = re.sub(r"^__(\w+)_chk$", r"\1", symbol)
            if plain not in allowed and not COMPILER.match(symbol):
                yield symbol, f"imported by {name}; symbols.txt [{section}] does not allow it"


def libcrdt_imports(tree):
    return _check(tree, ["libcrdt/libcrdt.a"], [], "libcrdt")


def core_imports(tree):
    return _check(tree, ["gossipd/core/libgossipd_core.a", "gossipd/wire/libgossipd_wire.a"],
                  ["libcrdt/libcrdt.a"], "core")


def exports(tree):
    library = tree.build / "libcrdt/libcrdt.so"
    if not library.exists():
        yield "libcrdt/libcrdt.so", "not built: build everything first"
        return
    names = re.findall(r"^[0-9a-f]+ ([A-Z]) (\S+)$", _nm(library, "-D", "--defined-only"), re.M)
    found = False
    for kind, name in names:
        name = name.split("@")[0]
        found = found or name.startswith("crdt_")
        # A version node (kind A) and what sanitizers add are not ours.
        if kind != "A" and not name.startswith("crdt_") and not COMPILER.match(name):
            yield name, "exported by libcrdt.so"
    if not found:
        yield "libcrdt/libcrdt.so", "exports no crdt_* at all"
