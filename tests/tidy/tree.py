"""The files that the rules look at, read once."""
import functools
import os
import re

ROOMS = ("include", "libcrdt", "gossipd", "tests", "fuzz", "bench", "examples")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


class Tree:
    def __init__(self, source, build):
        self.source, self.build = source, build
        self.paths = sorted(self._walk())
        self.c = [path for path in self.paths
                  if path.endswith((".c", ".h", ".cpp")) and path.split("/")[0] in ROOMS]
        self.text = [path for path in self.paths if path.endswith(
            (".c", ".h", ".cpp", ".py", ".sh", ".md", "meson.build", ".txt", ".map"))]

    def _walk(self):
        """Everything but builds and hidden folders, as paths from the root."""
        for folder, folders, files in os.walk(self.source):
            folders[:] = [name for name in folders
                          if not name.startswith((".", "build-", "__")) and name != "build"
                          and not os.path.exists(os.path.join(folder, name, "build.ninja"))]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.source)

    @functools.lru_cache(maxsize=None)
    def read(self, path):
        return (self.source / path).read_text(encoding="utf-8", errors="replace")

    @functools.lru_cache(maxsize=None)
    def includes(self, path):
        """Yields (line, is_system, name) of every include."""
        text = self.read(path)
        return [(text.count("\n", 0, match.start()) + 1, match[1] == "<", match[2])
                for match in INCLUDE.finditer(text)]

    @functools.lru_cache(maxsize=None)
    def code(self, path):
        """The text with comments and literals blanked out, line for line."""
        return blank(self.read(path))


TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text):
    return TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
