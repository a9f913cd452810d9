#!/usr/bin/python3
"""count_tests BROKEN LOG... - sums what ctest ran: `N passed, N failed`.

Reads ctest's LastTest.log files. A program that says how many tests it holds
(Check, unittest) counts as that many, every other one as one. BROKEN is what
failed before there was a log (a build), counted as failures. Exits 1 if any did.
"""

import re
import sys

BLOCK = re.compile(r"^\d+/\d+ Testing: (\S+)$", re.MULTILINE)
CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.MULTILINE)
RAN = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
BAD = re.compile(r"(failures|errors|unexpected successes)=(\d+)")
SKIPPED = re.compile(r"skipped=(\d+)")


def judge(text):
    """(passed, failed) of one test program from what it printed."""
    ok = re.search(r"^Test Passed\.", text, re.MULTILINE) is not None
    check, ran = CHECK.search(text), RAN.search(text)
    if check:
        total, bad = int(check.group(1)), int(check.group(2)) + int(check.group(3))
    elif ran:
        verdict = text[ran.end():]
        bad = sum(int(count) for _, count in BAD.findall(verdict))
        total = int(ran.group(1)) - sum(int(count) for count in SKIPPED.findall(verdict))
    else:
        total, bad = 1, 0
    if not ok:
        bad = max(bad, 1)
    total = max(total, bad)
    return total - bad, bad


def main():
    passed, failed = 0, int(sys.argv[1])
    names = []
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8", errors="replace") as log:
            text = log.read()
        starts = list(BLOCK.finditer(text))
        for here, after in zip(starts, [*starts[1:], None]):
            good, bad = judge(text[here.end():after.start() if after else len(text)])
            passed += good
            failed += bad
            if bad:
                names.append(f"{here.group(1)} ({path.rsplit('/', 1)[-1][:-4]})")
    if names:
        print("failed: " + ", ".join(names))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
