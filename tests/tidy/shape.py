"""Length, width and cleanliness of files."""
import os
import re
import shutil
import subprocess

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# Split, so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# A typedef of a function that returns an enum is another matter.
TYPEDEF = re.compile(r"\btypedef\s+(struct|union|enum)\s*\w*\s*(\{|\w+\s*;)")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def file_length(tree):
    for path in tree.c:
        count = tree.read(path).count("\n")
        if count > FILE_LINES_MAX:
            yield path, f"{count} lines; does it hold one noun?"


def functions(code):
    """Yields (name, first line, lines) of every function body in blanked code.

    A body is a brace at depth 0 whose head, the text since the last thing that
    ended, has an argument list and no initialiser."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", _newlines, code, flags=re.M)
    code = re.sub(r'extern\s+\{', _newlines, code)
    depth, head_start, head, start = 0, 0, "", 0
    for match in re.finditer(r"[{};]", code):
        at = match.start()
        if match[0] == "{":
            if depth == 0:
                head, start = code[head_start:at], head_start
            depth += 1
        elif match[0] == "}":
            depth = max(depth - 1, 0)
            if depth == 0:
                name = re.search(r"(\w+)\s*\(", head)
                if name and "=" not in head and not re.match(r"\s*(struct|union|enum)\s+\w*\s*$",
                                                            head):
                    first = start + len(head) - len(head.lstrip())
                    lines = code.count("\n", first, at) + 1
                    yield name[1], code.count("\n", 0, first) + 1, lines
                head_start = match.end()
        elif depth == 0:
            head_start = match.end()


def _newlines(match):
    return "\n" * match[0].count("\n")


def function_length(tree):
    for path in tree.c:
        for name, line, lines in functions(tree.code(path)):
            if lines > FUNCTION_LINES_MAX:
                yield f"{path}:{name}", f"line {line}: {lines} lines"


def columns(tree):
    for path in tree.text:
        if path.endswith((".md", ".txt", ".map")):
            continue
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            if len(line) > COLUMNS_MAX:
                yield path, f"line {number}: {len(line)} columns"


def characters(tree):
    for path in tree.text:
        if path.endswith((".txt", ".map")):
            continue
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            if CONTROL.search(line) or "\t" in line:
                yield path, f"line {number}: a tab or control character"
            elif line != line.rstrip() and not path.endswith(".md"):
                yield path, f"line {number}: trailing blanks"


def unfinished(tree):
    for path in tree.text:
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            if UNFINISHED.search(line):
                yield path, f"line {number}: {line.strip()}"


def typedef(tree):
    for path in tree.c:
        for match in TYPEDEF.finditer(tree.code(path)):
            line = tree.code(path).count("\n", 0, match.start()) + 1
            yield path, f"line {line}: {match[0]}"


def dead_file(tree):
    """A source must stand in a meson.build above it, a header be included, a
    script be named by another file."""
    included = {name for path in tree.c for _, _, name in tree.includes(path)}
    builds = [path for path in tree.paths if os.path.basename(path) == "meson.build"]
    for path in tree.c:
        if path.endswith(".h"):
            if path not in included and path.removeprefix("include/") not in included:
                yield path, "nothing includes it"
        elif not any(_names(tree, build, path) for build in builds):
            yield path, "no meson.build names it"
    for path in tree.text:
        if path.endswith((".sh", ".py")):
            stem = os.path.basename(path).removesuffix(".py")
            pattern = re.compile(r"\b" + re.escape(stem) + r"\b")
            if not any(pattern.search(tree.read(other)) for other in tree.text + [".ci/run"]
                       if other != path and (tree.source / other).exists()):
                yield path, "no file calls it"


def _names(tree, build, path):
    """Whether `build` names `path`: from its folder, or as a stem of its folder,
    since tables of tests are written by stem."""
    folder = os.path.dirname(build) or "."
    relative = os.path.relpath(path, folder)
    names = [relative]
    if not relative.startswith(".."):
        stem = os.path.splitext(relative)[0]
        names += [stem, stem.removeprefix("test_")]
    text = tree.read(build)
    return any(re.search(r"'" + re.escape(name) + r"'", text) for name in names)


def shell(tree):
    """What shellcheck says; a machine without it cannot tell."""
    if not shutil.which("shellcheck"):
        return
    scripts = [path for path in (*tree.text, ".ci/run")
               if (path.endswith(".sh") or path == ".ci/run") and (tree.source / path).exists()]
    for path in scripts:
        done = subprocess.run(["shellcheck", "--format=gcc", path], cwd=tree.source,
                              capture_output=True, text=True)
        for line in done.stdout.splitlines():
            yield path, line
