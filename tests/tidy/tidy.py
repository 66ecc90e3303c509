#!/usr/bin/env python3
"""The house rules of docs/architecture.md and CONTRIBUTING.md, as a test.

usage: tidy.py SOURCE_ROOT BUILD_ROOT

Speaks TAP: one case a rule; what breaks it follows as comments. An exception
is a line `rule subject  # why` in exceptions.txt beside this file; one that
excuses nothing any more is itself a failure, and so is one without a reason.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import includes  # noqa: E402
import shape     # noqa: E402
import symbols   # noqa: E402
from tree import Tree  # noqa: E402

# name of the rule, what is claimed, the function that yields (subject, text).
RULES = [
    ("storey", "a file includes its own storey and lower ones only", includes.storey),
    ("front-door", "gossipd sees libcrdt only through <crdt.h>", includes.front_door),
    ("system", "only host/ and the mains include what has effects", includes.system),
    ("sibling", "in core/ only deciders include their siblings", includes.sibling),
    ("seam", "the simulator sees the core only through the seam", includes.seam),
    ("exists", "every included file exists and is written from the root", includes.exists),
    ("file-length", "files have at most 500 lines", shape.file_length),
    ("function-length", "functions have at most 70 lines", shape.function_length),
    ("columns", "lines have at most 100 columns", shape.columns),
    ("characters", "no tabs, trailing blanks or control characters", shape.characters),
    ("unfinished", "nothing is marked as left to do", shape.unfinished),
    ("typedef", "structs are not typedefed", shape.typedef),
    ("dead-file", "every file is built, included or called by something", shape.dead_file),
    ("shell", "shellcheck has nothing to say about the scripts", shape.shell),
    ("libcrdt-symbols", "libcrdt imports only allowed symbols", symbols.libcrdt_imports),
    ("core-symbols", "core/ and wire/ import only allowed symbols", symbols.core_imports),
    ("exports", "libcrdt.so exports only crdt_*", symbols.exports),
]


def read_exceptions(path):
    """Returns {(rule, subject)} and complaints about malformed lines."""
    known, complaints = set(), []
    names = {name for name, _, _ in RULES}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        body, _, reason = line.partition("#")
        if not body.strip():
            continue
        words = body.split()
        if len(words) != 2 or words[0] not in names or len(reason.split()) < 3:
            complaints.append(f"exceptions.txt:{number}: want `rule subject  # why`: {line}")
        else:
            known.add((words[0], words[1]))
    return known, complaints


def report(number, claim, complaints):
    print(f"{'ok' if not complaints else 'not ok'} {number} - {claim}")
    for complaint in complaints:
        print(f"#   {complaint}")


def main():
    tree = Tree(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    exceptions, complaints = read_exceptions(pathlib.Path(__file__).parent / "exceptions.txt")
    used, failed = set(), 0
    print(f"1..{len(RULES) + 1}")
    for number, (name, claim, rule) in enumerate(RULES, 1):
        found = []
        for subject, text in rule(tree):
            if (name, subject) in exceptions:
                used.add((name, subject))
            else:
                found.append(f"{name} {subject}: {text}")
        report(number, claim, found)
        failed += bool(found)
    complaints += [f"exceptions.txt: `{rule} {subject}` excuses nothing: take it out"
                   for rule, subject in sorted(exceptions - used)]
    report(len(RULES) + 1, "every exception is argued and needed", complaints)
    return 1 if failed or complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main())
