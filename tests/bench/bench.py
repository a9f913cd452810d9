#!/usr/bin/python3
"""bench - lbd beside nginx and haproxy: CPU per request, memory per connection, change under load.

    bench.py [--list] [--rounds 5] [--quick] [--only nginx,haproxy,lbd] [--lbd BINARY] [ROW ...]

All rows when none is named. The proxy has one worker on the first core, clients and origin share the
second. Prints a table and writes build/bench/results.json. `--quick` takes a sixth of the requests and
one round: for a look, not for a figure. Exits 1 when a promise is missed or a request failed.
"""

import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import contenders  # noqa: E402
import control_rows  # noqa: E402
import mail_rows  # noqa: E402
import procfs  # noqa: E402
import rows  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROWS = {**rows.ROWS, **control_rows.ROWS, **mail_rows.ROWS}
KINDS = {kind.name: kind for kind in (contenders.Nginx, contenders.Haproxy, contenders.Lbd)}


class Bench:
    """What the rows share: where things are, who contends, how often."""

    def __init__(self, args):
        self.tools = args.tools
        self.where = os.path.join(TOP, "build", "bench", "run")
        self.quick = args.quick
        self.rounds = 1 if args.quick and args.rounds == 5 else args.rounds
        self.proxy_core, self.load_core = contenders.cores()
        self.kinds = [kind for name, kind in KINDS.items() if name in args.only and kind.program()]
        self.origins = {}
        os.makedirs(self.where, exist_ok=True)

    def origin(self, addresses=0, stall_ms=0):
        key = (addresses, stall_ms)
        if key not in self.origins:
            self.origins[key] = contenders.Origin(self.tools, self.load_core, addresses, stall_ms)
        return self.origins[key]

    def start(self, setup, kinds=None):
        """Starts the contenders (or those of `kinds` that contend), all on the proxy's core."""
        names = {kind.name for kind in self.kinds}
        chosen = [kind for kind in kinds or self.kinds if kind.name.split("+")[0] in names]
        running = []
        try:
            for kind in chosen:
                running.append(kind(self.where).start(setup, self.proxy_core))
        except BaseException:
            self.stop(running)
            raise
        return running

    @staticmethod
    def stop(running):
        for proxy in running:
            proxy.stop()

    def close(self):
        for origin in self.origins.values():
            origin.stop()


def show(name, result):
    print(f"\n{name}: {result.title} [{result.unit}]")
    digits = 0 if result.unit.startswith("bytes") or result.unit.startswith("p99") else 2
    for key, value in result.values.items():
        ratio = ""
        if key != "lbd" and "lbd" in result.values and " " not in key and value:
            ratio = f"   lbd/{key} {result.values['lbd'] / value:.2f}"
        print(f"    {key:<18}{value:>12,.{digits}f}{ratio}")
    for note in result.notes:
        print(f"    {note}")
    for sentence, good in result.verdicts:
        print(f"    {'ok  ' if good else 'MISS'} {sentence}")
    sys.stdout.flush()


def table(results):
    """One line per row."""
    print(f"\n{'row':<24}{'nginx':>10}{'haproxy':>10}{'lbd':>10}{'lbd/ngx':>9}{'lbd/hap':>9}  verdict")
    for name, result in results.items():
        cells = [result.values.get(one) for one in ("nginx", "haproxy", "lbd")]
        digits = 0 if max((cell or 0) for cell in cells) >= 1000 else 2
        line = f"{name:<24}" + "".join(f"{'-' if cell is None else f'{cell:,.{digits}f}':>10}" for cell in cells)
        for peer in cells[:2]:
            line += f"{cells[2] / peer:>9.2f}" if cells[2] is not None and peer else f"{'-':>9}"
        bad = [sentence for sentence, good in result.verdicts if not good]
        print(line + ("  " + ("MISS: " + "; ".join(bad) if bad else "ok") if result.verdicts else ""))


def write_results(results, bench, args):
    path = args.json or os.path.join(TOP, "build", "bench", "results.json")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    old = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as before:
            old = json.load(before).get("rows", {})
    taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    new = {name: {"title": result.title, "unit": result.unit, "values": result.values, "taken": taken,
                  "rounds_count": bench.rounds, "quick": bench.quick,
                  "verdicts": [{"text": text, "good": good} for text, good in result.verdicts],
                  "notes": result.notes, "rounds": result.rounds} for name, result in results.items()}
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"machine": procfs.machine(), "versions": {kind.name: kind.version() for kind in bench.kinds},
                   "rows": {**old, **new}}, out, indent=1)
        out.write("\n")
    print(f"\nwritten: {os.path.relpath(path)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--list", action="store_true", help="names the rows")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, the median counts")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="nginx,haproxy,lbd", type=lambda text: text.split(","))
    parser.add_argument("--lbd", default=os.path.join(TOP, "build", "release", "bin", "lbd"))
    parser.add_argument("--tools", default=os.path.join(TOP, "build", "release", "bench"))
    parser.add_argument("--json", help="where the results go; rows not run now keep their last figures")
    args = parser.parse_args()
    if args.list:
        for name, row in ROWS.items():
            print(f"{name:<24}{row.title}")
        return 0
    unknown = [name for name in args.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row named {', '.join(unknown)}; see --list")

    contenders.Lbd.binary = os.path.abspath(args.lbd)
    bench = Bench(args)
    os.sched_setaffinity(0, {bench.load_core})
    missing = [name for name in args.only if name not in {kind.name for kind in bench.kinds}]
    if missing:
        print(f"not here, left out: {', '.join(missing)}")
    results = {}
    try:
        for name in args.rows or ROWS:
            results[name] = ROWS[name](bench)
            show(name, results[name])
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        bench.close()
    if results:
        table(results)
        write_results(results, bench, args)
    good = all(verdict for result in results.values() for _, verdict in result.verdicts)
    return 0 if results and good else 1


if __name__ == "__main__":
    sys.exit(main())
