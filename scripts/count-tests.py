#!/usr/bin/env python3
"""Counts test cases in a meson testlog.json: prints `PASSED FAILED SKIPPED`.

A test that speaks TAP counts as its cases, any other as one. A test that meson
calls failed although every case it reported was ok (it crashed, timed out, or
leaked at the end) counts one failed case on top.
"""
import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b[^\n#]*(#\s*skip)?", re.I | re.M)


def count(test):
    passed = failed = skipped = 0
    for negation, skip in CASE.findall(test.get("stdout", "")):
        if skip:
            skipped += 1
        elif negation:
            failed += 1
        else:
            passed += 1
    if test["result"] == "SKIP" and not skipped:
        skipped += 1
    elif test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed:
        failed += 1
    elif not (passed or failed or skipped):
        passed += 1
    return passed, failed, skipped


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        counts = [count(json.loads(line)) for line in log if line.strip()]
    if not counts:
        sys.exit("count-tests: no test ran")
    print(*map(sum, zip(*counts)))
