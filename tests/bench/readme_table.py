#!/usr/bin/env python3
"""Writes the figures of build/bench/results.json into README.md, between its two markers.

    tests/bench/readme_table.py            after a whole `make bench`
    tests/bench/readme_table.py --print    to the terminal instead

Refuses rows of a quick run: what stands in the README was measured in full.
"""

import json
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(TOP, "build", "bench", "results.json")
README = os.path.join(TOP, "README.md")
BLOCK = re.compile(r"(<!-- figures: begin.*?-->\n).*?(\n<!-- figures: end -->)", re.S)


def number(value):
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def ratio(values, peer):
    if not values.get(peer) or "lbd" not in values:
        return ""
    return f"{values['lbd'] / values[peer]:.2f}"


def table(results):
    rows = results["rows"]
    lines = [
        "| row | unit | lbd | nginx | haproxy | lbd/nginx | lbd/haproxy | asked, and kept? |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows.values():
        values = row["values"]
        verdict = "; ".join(("" if v["good"] else "**no:** ") + v["text"] for v in row["verdicts"])
        cells = [row["title"], row["unit"]]
        cells += [number(values.get(kind)) for kind in ("lbd", "nginx", "haproxy")]
        cells += [ratio(values, "nginx"), ratio(values, "haproxy"), verdict]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for row in rows.values():
        lines += [f"- {note}" for note in row["notes"] if "on paper" in note or "kernel" in note or "changed" in note]
    taken = sorted(row["taken"][:10] for row in rows.values())
    versions = "; ".join(results["versions"].values())
    machine = results["machine"]
    lines += [
        "",
        f"Taken {taken[0]} on one core each for proxy and load of a shared {machine['cpu']}, "
        f"Linux {machine['kernel']}; {versions}.",
    ]
    return "\n".join(lines)


def main():
    with open(RESULTS, encoding="utf-8") as file:
        results = json.load(file)
    quick = [name for name, row in results["rows"].items() if row["quick"]]
    text = table(results)
    if "--print" in sys.argv[1:]:
        print(text)
        return 0
    if quick:
        print("measured with --quick, not for the README: " + ", ".join(quick), file=sys.stderr)
        return 1
    with open(README, encoding="utf-8") as file:
        readme = file.read()
    changed, count = BLOCK.subn(lambda match: match.group(1) + "\n" + text + "\n" + match.group(2), readme)
    if count != 1:
        print("README.md has no place for the figures", file=sys.stderr)
        return 1
    with open(README, "w", encoding="utf-8") as file:
        file.write(changed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
