#!/usr/bin/python3
"""layers - do all #include arrows point left?

Reads the #include lines of lbd/, conf/, api/ and ctl/, prints the row of rooms
with who leans on whom, and fails when a room includes one right of it, or when a
library is named outside the room that hides it. ARCHITECTURE.md draws the row.
"""

import os
import re
import sys

ROW = ["base", "json", "conf", "stats", "net", "tls", "http", "mail", "balance", "upstream", "filter",
       "proxy", "snapshot", "worker", "control", "api", "main"]

# ctl stands beside the row: it speaks REST and knows nothing of the daemon.
CTL_MAY_SEE = {"base", "json", "tls", "ctl"}
# What of tls leans on net is not for it.
CTL_MAY_NOT_INCLUDE = {"lbd/tls/tls_conn.h"}

# Header prefix -> where it may be named: a room, or one file.
LIBRARIES = {
    "event2/": {"lbd/net/loop.h"},
    "event.h": set(),
    "openssl/": {"tls"},
    "ares": {"lbd/net/resolve.c"},
    "microhttpd": {"api/api_inside.h"},
    "cjson/": {"conf/json/json.c"},
    "pcre2": {"lbd/base/pattern.c"},
    "zlib.h": {"lbd/filter/gzip_coder.c"},
    "brotli/": {"lbd/filter/brotli_coder.c"},
    "zstd.h": {"lbd/filter/zstd_coder.c"},
    "check.h": set(),
    "nghttp2/": set(),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    """'lbd/net/conn.c' -> 'net'; None for what is no room (the generated version header)."""
    parts = path.split("/")
    if parts[0] == "lbd":
        return "main" if len(parts) == 2 else parts[1]
    if parts[0] == "conf":
        return "json" if parts[1] == "json" else "conf"
    return parts[0] if parts[0] in ("api", "ctl", "tests") else None


def sources(top):
    for folder in ("lbd", "conf", "api", "ctl"):
        for here, _, names in os.walk(os.path.join(top, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(here, name), top)


def judge(path, room, target):
    """Why `path` in `room` may not include the project's file `target`, or None."""
    there = room_of(target)
    if there is None or there == room:
        return None
    if room == "ctl":
        if target in CTL_MAY_NOT_INCLUDE:
            return "ctl has no loop"
        return None if there in CTL_MAY_SEE else "ctl sees base, json and tls only"
    if there not in ROW:
        return f"{there} is no room of the row"
    if room not in ROW:
        return f"{room} is no room of the row"
    if ROW.index(there) > ROW.index(room):
        return f"{there} stands right of {room}"
    return None


def judge_library(path, room, header):
    for prefix, allowed in LIBRARIES.items():
        if header.startswith(prefix) and room not in allowed and path not in allowed:
            where = ", ".join(sorted(allowed)) or "tests"
            return f"<{header}> is named only in {where}"
    return None


def main():
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    uses = {}
    files = {}
    wrong = []
    for path in sources(top):
        room = room_of(path)
        uses.setdefault(room, {})
        files[room] = files.get(room, 0) + 1
        with open(os.path.join(top, path), encoding="utf-8", errors="replace") as source:
            text = source.read()
        for match in INCLUDE.finditer(text):
            own, target = match.group(1) == '"', match.group(2)
            line = text.count("\n", 0, match.start()) + 1
            why = judge(path, room, target) if own else None
            why = why or judge_library(path, room, target)
            if own and room_of(target) is not None:
                uses[room][room_of(target)] = uses[room].get(room_of(target), 0) + 1
            if own and "/" in target and not os.path.exists(os.path.join(top, target)):
                why = why or "no such file"
            if own and "/" not in target and target != "lbd_version.h":
                why = why or "written from the repository root, please"
            if why:
                wrong.append(f"{path}:{line}: includes {target}: {why}")

    print("  " + " · ".join(ROW[:-2]) + " │ api │ main      ctl: base, json, tls")
    print("  " + "─" * 100)
    for room in [*ROW, "ctl"]:
        if room in uses:
            order = [other for other in ROW if other != room and other in uses[room]]
            print(f"  {room:>9} {files[room]:4} files  ← {' '.join(order)}")
    print()
    for sentence in wrong:
        print(sentence)
    print(f"{sum(files.values())} files, {len(wrong)} wrong arrows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
