#!/usr/bin/env python3
"""Runs the examples in README.md and docs/*.md.

usage: docs.py SOURCE_ROOT BUILD_ROOT SANITIZERS COMPILER...

A comment on the line before a fenced block says what the test does with it:

    <!-- test: compile -->                  compiles a ```c block against
    <!-- test: compile output="2" -->       include/ and libcrdt, runs it: exit 0
                                            and, if given, exactly this output
    <!-- test: compile output -->           likewise; the next fenced block is
                                            the output
    <!-- test: run -->                      runs a ```sh block with bash -eu from
    <!-- test: run output="..." -->         the root of the source; BUILD is the
    <!-- test: run output -->               build folder. Keep these quick.
    <!-- test: skip why -->                 says why a ```c block is not compiled

In output="..." a \\n is a new line. A block without `main(` is wrapped: <crdt.h>,
<assert.h>, <stdio.h>, <string.h>, then the block as the body of main. Every ```c
block must carry a comment, so that no example rots unseen. TAP: a case a block.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

MARK = re.compile(r'^<!--\s*test:\s*(compile|run|skip)\b\s*(.*?)\s*-->$')
FENCE = re.compile(r'^```(\w*)\s*$')
FIRST_CODE_LINES_MAX = 14  # issue 2: the first code in the README
WRAP = """#include <crdt.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
#line 1
%s
    return 0;
}
"""


class Block:
    def __init__(self, path, line, language, mark, argument):
        self.path, self.line, self.language = path, line, language
        self.mark, self.argument = mark, argument
        self.lines = []
        self.following = None  # the next block: where `output` may stand

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def wanted_output(self):
        """What it must print, or None when anything will do."""
        given = re.fullmatch(r'output="(.*)"', self.argument)
        if given:
            return given[1].replace("\\n", "\n")
        if self.argument == "output":
            return self.following.text if self.following else "(a block with the output)"
        return None


def blocks_of(path, text):
    """Every fenced block of a file, each with the mark right before it."""
    found, current, mark = [], None, (None, "")
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if current is not None and line.startswith("```"):
            current = None
        elif current is not None:
            current.lines.append(line)
        elif fence:
            current = Block(path, number, fence[1], *mark)
            if found:
                found[-1].following = current
            found.append(current)
            mark = (None, "")
        elif MARK.match(line):
            mark = MARK.match(line).groups()
        elif line.strip():
            mark = (None, "")
    return found


class Bench:
    """Where blocks are compiled and run."""

    def __init__(self, source, build, sanitizers, compiler):
        self.source, self.build = source, build
        self.compiler = list(compiler)
        if sanitizers != "none":
            self.compiler.append(f"-fsanitize={sanitizers}")

    def run(self, command, **options):
        return subprocess.run(command, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, **options)

    def compile(self, block, directory):
        code = block.text if "main(" in block.text else WRAP % block.text.rstrip()
        file, program = f"{directory}/block.c", f"{directory}/block"
        pathlib.Path(file).write_text(code)
        libraries = self.run(["pkg-config", "--libs", "libsodium"]).stdout.split()
        done = self.run([*self.compiler, "-std=c17", "-Wall", "-Wextra", "-Werror",
                         f"-I{self.source}/include", file, f"{self.build}/libcrdt/libcrdt.a",
                         *libraries, "-o", program])
        return program, done

    def try_block(self, block):
        """Returns what is wrong, or None."""
        with tempfile.TemporaryDirectory() as directory:
            if block.mark == "compile":
                command, done = self.compile(block, directory)
                if done.returncode != 0:
                    return f"does not compile:\n{done.stderr}"
                done = self.run([command], cwd=directory)
            else:
                done = self.run(["bash", "-euo", "pipefail", "-c", block.text], cwd=self.source,
                                env=dict(os.environ, BUILD=str(self.build)))
        if done.returncode != 0:
            return f"exits with {done.returncode}:\n{done.stdout}{done.stderr}"
        want = block.wanted_output()
        if want is not None and done.stdout.strip() != want.strip():
            return f"prints:\n{done.stdout}instead of:\n{want}"
        return None


def first_code(blocks):
    """What is wrong with the first code of the README, or None."""
    code = [block for block in blocks if block.path == "README.md" and block.language == "c"]
    if not code:
        return "README.md has no C code"
    if code[0].mark != "compile" or not code[0].argument:
        return f"README.md:{code[0].line}: is not compiled and compared with its output"
    if len(code[0].lines) > FIRST_CODE_LINES_MAX:
        return f"README.md:{code[0].line}: more than {FIRST_CODE_LINES_MAX} lines"
    return None


def cases(blocks, bench):
    """Yields (claim, what is wrong or None)."""
    yield "the first code of the README is short, compiled and compared", first_code(blocks)
    for block in blocks:
        name = f"{block.path}:{block.line}: {block.language or 'text'}"
        if block.mark in ("compile", "run"):
            yield f"{name} does what it says", bench.try_block(block)
        elif block.mark == "skip":
            yield f"{name} says why it is not compiled", \
                None if len(block.argument.split()) >= 3 else "no reason after skip"
        elif block.language == "c":
            yield f"{name} is marked", "no <!-- test: ... --> on the line before it"


def main(source, build, sanitizers, *compiler):
    source = pathlib.Path(source)
    paths = [path for path in [source / "README.md", *sorted((source / "docs").glob("*.md"))]
             if path.exists()]
    blocks = []
    for path in paths:
        blocks += blocks_of(str(path.relative_to(source)), path.read_text())
    number = failed = 0
    for claim, wrong in cases(blocks, Bench(source, build, sanitizers, compiler)):
        number += 1
        failed += wrong is not None
        print(f"{'ok' if wrong is None else 'not ok'} {number} - {claim}")
        for line in (wrong or "").splitlines():
            print(f"#   {line}")
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
