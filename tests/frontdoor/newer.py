#!/usr/bin/env python3
"""Writes the sources of a gossipd that speaks the next minor version of the wire
format: its HELLO, its batches and its requests carry a field that today's readers
do not know. docs/wire-format.md says that they must skip it.

usage: newer.py SOURCE_ROOT OUTPUT_DIRECTORY

Every replacement must fit exactly once: else the sources have moved on, and this
file must follow.
"""
import os
import re
import sys

MINOR = r"(#define CRDT_WIRE_MINOR )(\d+)"

# file: [(text, what stands there instead)]
CHANGES = {
    "libcrdt/document/batch.c": [
        ("    if (minor <= CRDT_WIRE_MINOR && input.size > 0)\n",
         "    uint64_t added;\n"
         "    if (minor >= CRDT_WIRE_MINOR\n"
         "        && crdt_read_uint(&input, UINT64_MAX, &added) != CRDT_OK)\n"
         "        return CRDT_ERR_MALFORMED;\n"
         "    if (minor <= CRDT_WIRE_MINOR && input.size > 0)\n"),
        ("        status = crdt_write_bytes(buffer, (struct crdt_bytes){body_hash,"
         " CRDT_HASH_BYTES});\n",
         "        status = crdt_write_bytes(buffer, (struct crdt_bytes){body_hash,"
         " CRDT_HASH_BYTES});\n"
         "    if (status == CRDT_OK)\n"
         "        status = crdt_write_uint(buffer, 4711);\n"),
    ],
    "libcrdt/document/snapshot.c": [
        ("        status = crdt_write_bytes(buffer, (struct crdt_bytes){0});\n    return status;\n",
         "        status = crdt_write_bytes(buffer, (struct crdt_bytes)"
         "{(const uint8_t *)\"newer\", 5});\n    return status;\n"),
        ("minor <= CRDT_WIRE_MINOR && extension.size > 0",
         "minor < CRDT_WIRE_MINOR && extension.size > 0"),
    ],
    "gossipd/wire/handshake.c": [
        ("    return status == CRDT_OK ? crdt_write_bytes(reply, nonce) : status;\n",
         "    status = status == CRDT_OK ? crdt_write_bytes(reply, nonce) : status;\n"
         "    return status == CRDT_OK ? crdt_write_uint(reply, 4711) : status;\n"),
        ("        (input.size > 0 && minor <= CRDT_WIRE_MINOR)) {\n",
         "        (minor >= CRDT_WIRE_MINOR &&\n"
         "            crdt_read_uint(&input, UINT32_MAX, &(uint64_t){0}) != CRDT_OK) ||\n"
         "        (input.size > 0 && minor <= CRDT_WIRE_MINOR)) {\n"),
    ],
}


def read(source, path):
    with open(os.path.join(source, path), encoding="utf-8") as file:
        return file.read()


def write(output, name, text):
    with open(os.path.join(output, name), "w", encoding="utf-8") as file:
        file.write(text)


def main(source, output):
    header = read(source, "include/crdt.h")
    if len(re.findall(MINOR, header)) != 1:
        sys.exit("newer.py: include/crdt.h does not define CRDT_WIRE_MINOR just once")
    write(output, "crdt.h", re.sub(MINOR, lambda found: found[1] + str(int(found[2]) + 1), header))
    for path, replacements in CHANGES.items():
        text = read(source, path)
        for old, new in replacements:
            if text.count(old) != 1:
                sys.exit(f"newer.py: {path} has {text.count(old)} times, not once: {old.strip()}")
            text = text.replace(old, new)
        write(output, "newer_" + os.path.basename(path), text)


if __name__ == "__main__":
    main(*sys.argv[1:])
