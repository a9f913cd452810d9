#!/usr/bin/env python3
"""Writes the figures of build/bench/results.json into README.md, between its markers.

    tests/bench/readme_table.py            after a whole `make bench`
    tests/bench/readme_table.py --print    to the terminal instead

HTTP/1.1, the edge (TLS, HTTP/2, TCP), mail (rows mail-*) and the control plane (rows control-*) have a table each; one of
which nothing was measured stays as it is. Refuses rows of a quick run: what stands in the README was measured in full.
"""

import json
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(TOP, "build", "bench", "results.json")
README = os.path.join(TOP, "README.md")
BLOCKS = {
    name: re.compile(rf"(<!-- {name}: begin.*?-->\n).*?(\n<!-- {name}: end -->)", re.S)
    for name in ("figures", "edge figures", "mail figures", "control figures")
}
PEERS = {"mail figures": ("nginx", "dovecot", "haproxy", "perdition", "imapproxy", "straight", "lbd+cache")}
EDGE = ("tls", "h2", "grpc", "tcp", "idle-tls", "idle-h2", "idle-websocket", "idle-tcp")


def block_of(row):
    if row.startswith("control-"):
        return "control figures"
    if row.startswith("mail-"):
        return "mail figures"
    return "edge figures" if row.startswith(EDGE) else "figures"


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


def rows_of(results, block):
    """{name: row} of one of the tables."""
    return {name: row for name, row in results["rows"].items() if block_of(name) == block}


def table(results, block):
    rows = rows_of(results, block)
    peers = PEERS.get(block, ("nginx", "haproxy"))
    ratios = peers if block not in PEERS else ("nginx",)
    lines = [
        "| " + " | ".join(["row", "unit", "lbd", *peers, *(f"lbd/{peer}" for peer in ratios), "asked, and kept?"]) + " |",
        "|---|---|" + "---:|" * (1 + len(peers) + len(ratios)) + "---|",
    ]
    for row in rows.values():
        values = row["values"]
        verdict = "; ".join(("" if v["good"] else "**no:** ") + v["text"] for v in row["verdicts"])
        cells = [row["title"], row["unit"]]
        cells += [number(values.get(kind)) for kind in ("lbd", *peers)]
        cells += [*(ratio(values, peer) for peer in ratios), verdict]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for name, row in rows.items():
        if block == "control figures":
            lines += [f"- {name.removeprefix('control-')}: {note}" for note in row["notes"]]
        elif block == "figures":
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
    measured = [block for block in BLOCKS if rows_of(results, block)]
    if "--print" in sys.argv[1:]:
        for block in measured:
            print(table(results, block))
        return 0
    quick = [name for name, row in results["rows"].items() if row["quick"]]
    if quick:
        print("measured with --quick, not for the README: " + ", ".join(quick), file=sys.stderr)
        return 1
    with open(README, encoding="utf-8") as file:
        readme = file.read()
    for block in measured:
        text = table(results, block)
        readme, count = BLOCKS[block].subn(lambda match: match.group(1) + "\n" + text + "\n" + match.group(2), readme)
        if count != 1:
            print(f"README.md has no place for the {block}", file=sys.stderr)
            return 1
    with open(README, "w", encoding="utf-8") as file:
        file.write(readme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
