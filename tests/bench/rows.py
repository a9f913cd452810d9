"""rows - every measurement of the benchmark: what is asked, of whom, and what counts as good.

A row is a function in ROWS by name; it gets the Bench and returns a Result. The limits are those the
project promised itself; they stand here once.
"""

import dataclasses
import json
import os
import socket
import statistics
import struct
import subprocess
import threading
import time

import contenders
import procfs
from contenders import Setup


@dataclasses.dataclass
class Result:
    title: str
    unit: str
    values: dict = dataclasses.field(default_factory=dict)  # contender -> figure
    verdicts: list = dataclasses.field(default_factory=list)  # (sentence, good)
    rounds: dict = dataclasses.field(default_factory=dict)  # contender -> raw answers
    notes: list = dataclasses.field(default_factory=list)


class Load:
    """A bench_load process, or another program that is told as much; that one is told where to in `args`."""

    def __init__(self, bench, proxy, *args, program="bench_load", **options):
        to = ["--to", f"127.0.0.1:{proxy.port}"] if program == "bench_load" else []
        command = [os.path.join(bench.tools, program), *to,
                   "--cpu-pid", ",".join(map(str, proxy.pids())), *map(str, args)]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {bench.load_core}))

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.wait()}")
        return json.loads(text)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def run_load(bench, proxy, *args, **options):
    load = Load(bench, proxy, *args, **options)
    try:
        return load.line()
    finally:
        load.end()


def check_clean(result, name, answer):
    """A figure counts only when every request was answered rightly."""
    if answer["failed"] or answer["closed"]:
        result.verdicts.append((f"{name}: {answer['failed']} requests failed, "
                                f"{answer['closed']} connections closed", False))


def check_resumed(result, name, answer):
    """Whoever hands out sessions must take them."""
    if answer.get("full"):
        result.verdicts.append((f"{name}: {answer['full']} of {answer['requests']} handshakes were not resumed", False))


# --- processor time per request -----------------------------------------------------------------

def cpu_row(title, limits, setup=None, requests=60000, contend=None, extra=(), serve=None, **options):
    """Makes a row: CPU us per request, interleaved rounds, median; `limits` {peer or "best": ratio},
    `serve`: further members of the Setup."""

    def measure(bench):
        result = Result(title, "CPU us/request")
        origin = bench.origin(1000 if setup == "servers" else 0)
        ask = Setup(origin.many if setup == "servers" else origin.servers,
                    hosts=options.get("hosts", 0), access_log=setup == "log", **serve or {})
        count = requests // 6 if bench.quick else requests
        running = bench.start(ask, contend)
        try:
            for _ in range(bench.rounds):
                for proxy in running:
                    answer = run_load(bench, proxy, *extra, requests=count,
                                      warmup=max(count // 10, 200), **options)
                    answer["us"] = answer["cpu_us"] / answer["requests"]
                    check_clean(result, proxy.name, answer)
                    check_resumed(result, proxy.name, answer)
                    result.rounds.setdefault(proxy.name, []).append(answer)
        finally:
            bench.stop(running)
        for name, answers in result.rounds.items():
            result.values[name] = statistics.median(answer["us"] for answer in answers)
        judge_ratio(result, limits)
        return result

    measure.title = title
    return measure


def judge_ratio(result, limits):
    if "lbd" not in result.values:
        return
    for peer, limit in limits.items():
        rivals = [value for name, value in result.values.items()
                  if peer == name or (peer == "best" and name in ("nginx", "haproxy"))]
        if rivals:
            ratio = result.values["lbd"] / min(rivals)
            result.verdicts.append((f"lbd/{peer} {ratio:.2f} (at most {limit:.2f})", ratio <= limit))


# --- counts -------------------------------------------------------------------------------------

COUNTED = 10000


def busiest_tid(bench, proxy):
    """The thread that does the work: the one that ran most while requests came."""
    before = {tid: procfs.ran_ns(tid) for tid in procfs.tids(proxy.pids())}
    run_load(bench, proxy, requests=COUNTED, warmup=1000, expect=1024)
    return max(before, key=lambda tid: procfs.ran_ns(tid) - before[tid])


def strace_count(bench, proxy, tid):
    """System calls of one run by strace, {name: count}, or None."""
    report = os.path.join(bench.where, "strace")
    try:
        tracer = subprocess.Popen(["strace", "-c", "-U", "calls,name", "-o", report, "-p", str(tid)],
                                  stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return None
    time.sleep(0.5)
    answer = run_load(bench, proxy, requests=COUNTED, warmup=1000, expect=1024)
    tracer.terminate()
    tracer.wait()
    counts = {}
    with open(report, encoding="ascii", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0].isdigit() and words[1] != "total":
                counts[words[1]] = int(words[0])
    # The warm-up ran under the tracer too.
    done = answer["requests"] + 1000
    return {name: count / done for name, count in sorted(counts.items(), key=lambda one: -one[1])}


def syscalls(bench):
    result = Result("system calls per request, 1 KB, 64 connections", "calls/request")
    running = bench.start(Setup(bench.origin().servers))
    try:
        for proxy in running:
            tid = busiest_tid(bench, proxy)
            try:
                answer = run_load(bench, proxy, requests=COUNTED, warmup=2000, expect=1024, syscalls=tid)
                result.values[proxy.name] = answer["syscalls"] / answer["requests"]
                result.rounds[proxy.name] = [answer]
                check_clean(result, proxy.name, answer)
            except RuntimeError:
                result.notes.append(f"{proxy.name}: no tracepoints here, counted by strace")
            by_name = strace_count(bench, proxy, tid)
            if by_name is not None:
                result.values.setdefault(proxy.name, sum(by_name.values()))
                result.notes.append(f"{proxy.name} under strace: " + "  ".join(
                    f"{name} {count:.2f}" for name, count in list(by_name.items())[:8]))
    finally:
        bench.stop(running)
    if "lbd" in result.values:
        result.verdicts.append((f"lbd {result.values['lbd']:.2f} (at most 4.20)", result.values["lbd"] <= 4.2))
    return result


SLOT = struct.Struct("QQQQ")
SLOTS = 256


def read_slots(path):
    with open(path, "rb") as table:
        bytes_ = table.read()
    return {tid: (allocs, frees) for tid, allocs, frees, _ in SLOT.iter_unpack(bytes_) if tid}


def mallocs(bench):
    result = Result("malloc calls per request, 1 KB, 64 connections", "calls/request")
    for kind in bench.kinds:
        table = os.path.join(bench.where, "mallocs")
        with open(table, "wb") as empty:
            empty.write(bytes(SLOT.size * SLOTS))
        os.chmod(table, 0o666)
        setup = Setup(bench.origin().servers, preload={
            "LD_PRELOAD": os.path.join(bench.tools, "libmalloc_count.so"), "MALLOC_COUNT_FILE": table})
        (proxy,) = bench.start(setup, [kind])
        try:
            tid = busiest_tid(bench, proxy)
            answer = run_load(bench, proxy, requests=COUNTED, warmup=5000, expect=1024, snapshot=table)
            check_clean(result, proxy.name, answer)
        finally:
            bench.stop([proxy])
        before, after = read_slots(table + ".start"), read_slots(table + ".end")
        calls = after[tid][0] - before[tid][0]
        others = sum(after[one][0] - before.get(one, (0, 0))[0] for one in after if one != tid)
        result.values[proxy.name] = calls / answer["requests"]
        result.rounds[proxy.name] = [{"calls": calls, "other_threads": others, **answer}]
        if proxy.name == "lbd":
            result.verdicts.append((f"lbd {calls} calls in {answer['requests']} requests (0)", calls == 0))
    return result


# --- memory -------------------------------------------------------------------------------------

def settled_pss(proxy, seconds):
    time.sleep(seconds)
    return procfs.pss_bytes(proxy.pids())


class Peak(threading.Thread):
    """The most memory a proxy was seen to use meanwhile."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.pids, self.most, self.done = proxy.pids(), 0, threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, procfs.pss_bytes(self.pids))

    def end(self):
        self.done.set()
        self.join()
        return self.most


@dataclasses.dataclass
class Held:
    """What kind of connections a memory row holds."""

    serve: dict = dataclasses.field(default_factory=dict)  # members of the Setup
    args: tuple = ()  # of bench_load
    options: dict = dataclasses.field(default_factory=lambda: {"path": "/b/1024", "expect": 1024})


PLAIN = Held()
TLS = Held({"tls": "p256"}, ("--tls", "1.3"))
TLS_HTTP2 = Held({"tls": "p256", "http2": True}, ("--tls", "1.3", "--http2", "1"))
WEBSOCKET = Held({"upgrade": True}, ("--upgrade",), {"path": "/ws"})
TUNNEL = Held({"tcp": True})


def hold(bench, kind, count, act, held):
    """A fresh proxy that holds `count` connections, each of which asked once (and did `act`)."""
    (proxy,) = bench.start(Setup(bench.origin().servers, **held.serve), [kind])
    load = Load(bench, proxy, "--hold", *held.args, connections=count, **held.options)
    try:
        answer = load.tell(f"open {count}")
        if act is not None:
            peak = Peak(proxy)
            answer = act(load, count)
            answer["peak"] = peak.end()
        answer["pss"] = settled_pss(proxy, 3)
        answer["kernel"] = procfs.kernel_memory()
        answer["threads"] = len(procfs.tids(proxy.pids()))
        return answer
    finally:
        load.end()
        bench.stop([proxy])


def kernel_note(few, many, between):
    """Bytes of kernel memory per socket, from the growth of the slabs: both ends live on this machine."""
    (slab_a, tcp_a, objects_a), (slab_b, tcp_b, objects_b) = few["kernel"], many["kernel"]
    parts = []
    for name, (count, size) in objects_b.items():
        grown = (count - objects_a.get(name, (0, 0))[0]) / between / 2
        if grown > 0.1:
            parts.append(f"{name} {size} B x {grown:.2f}")
    return (slab_b - slab_a) / between / 2, (tcp_b - tcp_a) / between / 2, parts


def memory_slope(bench, result, kind, few, many, act, held, name=None):
    """(median of the slopes, the last answers at few and at many)"""
    name = name or kind.name
    slopes = []
    for _ in range(1 if bench.quick else min(bench.rounds, 3)):
        low, high = hold(bench, kind, few, act, held), hold(bench, kind, many, act, held)
        slopes.append((high["pss"] - low["pss"]) / (many - few))
        result.rounds.setdefault(name, []).append({few: low, many: high})
        for answer in (low, high):
            check_clean(result, name, answer)
    return statistics.median(slopes), low, high


def memory_row(title, few, many, limit, act=None, held=PLAIN, beyond=None):
    """Bytes per connection. `beyond`: the limit counts from what lbd needs for connections held so."""

    def measure(bench):
        result = Result(title, "bytes/connection")
        between = many - few
        for kind in bench.kinds:
            result.values[kind.name], low, high = memory_slope(bench, result, kind, few, many, act, held)
            result.notes.append(f"{kind.name}: {low['pss'] / 2**20:.1f} MiB at {few:,}, "
                                f"{high['pss'] / 2**20:.1f} MiB at {many:,}")
            if act is None:
                extrapolate(result, kind.name, low["pss"], few, *kernel_note(low, high, between))
            else:
                result.notes.append(f"{kind.name}: {(high['peak'] - low['peak']) / between:,.0f} B each while "
                                    "all are in flight")
            if kind.name == "lbd":
                result.verdicts.append((f"lbd threads {low['threads']} and {high['threads']} (the same)",
                                        low["threads"] == high["threads"]))
        if "lbd" in result.values and limit is not None:
            base = 0
            if beyond is not None:
                base, _, _ = memory_slope(bench, result, contenders.Lbd, few, many, act, beyond, "lbd without")
            result.verdicts.append((f"lbd {result.values['lbd'] - base:.0f} B"
                                    + (f" beyond {base:.0f}" if base else "") + f" (at most {limit})",
                                    result.values["lbd"] - base <= limit))
        return result

    measure.title = title
    return measure


def extrapolate(result, name, base, few, each, buffers, parts):
    """On paper: what 100,000 and 1,000,000 idle connections take, user and kernel."""
    slope = result.values[name]
    for count in (100_000, 1_000_000):
        user, kernel = base + (count - few) * slope, count * (each + buffers)
        result.notes.append(f"{name}: {count:,} connections on paper: user {user / 2**20:,.0f} MiB, "
                            f"kernel {kernel / 2**20:,.0f} MiB")
    result.notes.append(f"{name}: kernel {each:.0f} B of slabs + {buffers:.0f} B of TCP buffers per socket"
                        f" ({', '.join(parts)})")


def burst(load, count):
    """Every connection asks again at the same moment: the origin answers once all requests are there."""
    return load.tell(f"burst /gate/{count}/1024")


def slow_readers(bench):
    readers, rate, size = 1000, 10 * 1024, 100 * 1024
    result = Result("1,000 clients reading 100 KB at 10 KB/s", "bytes/client")
    for kind in bench.kinds:
        (proxy,) = bench.start(Setup(bench.origin().servers), [kind])
        try:
            run_load(bench, proxy, requests=2000, warmup=100, path=f"/b/{size}", expect=size)
            before = settled_pss(proxy, 2)
            load = Load(bench, proxy, connections=readers, path=f"/b/{size}", expect=size, slow=rate, settle=3)
            flowing = load.line()["flowing"]
            during = procfs.pss_bytes(proxy.pids())
            answer = load.line()
            load.end()
            after = settled_pss(proxy, 2)
        finally:
            bench.stop([proxy])
        check_clean(result, proxy.name, answer)
        result.values[proxy.name] = (during - before) / readers
        result.rounds[proxy.name] = [{"before": before, "during": during, "after": after,
                                      "flowing": flowing, **answer}]
        if flowing < readers:
            result.verdicts.append((f"{proxy.name}: only {flowing} clients were reading", False))
    if "lbd" in result.values:
        result.verdicts.append((f"lbd {result.values['lbd']:.0f} B (at most 2048)", result.values["lbd"] <= 2048))
    return result


# --- change under load --------------------------------------------------------------------------

CHANGES = 1000
RELOADS = 5
UNCHANGED = 1.25  # p99.9 with changes over p99.9 without: what the undisturbed rounds differ by themselves


class Changer(threading.Thread):
    """Spreads changes over the run; counts those that were refused."""

    def __init__(self, seconds, count, change):
        super().__init__(daemon=True)
        self.seconds, self.count, self.change = seconds, count, change
        self.refused = 0
        self.slowest_ms = 0.0

    def run(self):
        # This thread shares a core with clients and origin: who makes the changes must not be what they wait for.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        start = time.monotonic() + 1  # the load's warm-up
        for i in range(self.count):
            time.sleep(max(0, start + i * self.seconds / self.count - time.monotonic()))
            began = time.monotonic()
            if not self.change(i):
                self.refused += 1
            self.slowest_ms = max(self.slowest_ms, (time.monotonic() - began) * 1000)


class Patcher:
    """One keep-alive connection to lbd's API."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)

    def __call__(self, i):
        body = b'{"weight": %d}' % (50 + i % 100)
        self.socket.sendall(b"PATCH /v1/pools/origin/servers/s0 HTTP/1.1\r\nHost: lbd\r\n"
                            b"Content-Type: application/merge-patch+json\r\n"
                            b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.socket.recv(65536)
            if not more:
                return False
            got += more
        head, rest = got.split(b"\r\n\r\n", 1)
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                left = int(line.split(b":")[1]) - len(rest)
                while left > 0:
                    left -= len(self.socket.recv(left)) or left
        return head.startswith(b"HTTP/1.1 200")


def change_run(bench, proxy, seconds, disturbed):
    """One open-loop run, with or without changes."""
    changer = None
    if disturbed and proxy.name == "lbd":
        changer = Changer(seconds, CHANGES // 10 if bench.quick else CHANGES, Patcher(proxy.api()))
    elif disturbed:
        def reload(_):
            proxy.reload()
            return True
        changer = Changer(seconds, RELOADS, reload)
    load = Load(bench, proxy, rate=3000, seconds=seconds, connections=1000, path="/b/1024", expect=1024)
    if changer is not None:
        changer.start()
    try:
        answer = load.line()
    finally:
        load.end()
    if changer is not None:
        changer.join()
        answer.update(changes=changer.count, refused=changer.refused, slowest_ms=round(changer.slowest_ms, 2))
    return answer


def changes(bench):
    seconds = 3 if bench.quick else 10
    result = Result(f"{CHANGES} changes (lbd) or {RELOADS} reloads under 3,000 req/s on 1,000 connections",
                    "p99.9 us")
    running = bench.start(Setup(bench.origin().servers, master=True))
    try:
        for _ in range(bench.rounds):
            for proxy in running:
                for disturbed in (False, True):
                    key = proxy.name + (" changed" if disturbed else "")
                    result.rounds.setdefault(key, []).append(change_run(bench, proxy, seconds, disturbed))
    finally:
        bench.stop(running)
    for key, answers in result.rounds.items():
        result.values[key] = statistics.median(answer["p999_us"] for answer in answers)
        if key.endswith(" changed"):
            failed = [answer["failed"] for answer in answers]
            closed = [answer["closed"] for answer in answers]
            result.notes.append(f"{key}: failed {failed}, connections closed {closed}, "
                                f"slowest change {max(answer['slowest_ms'] for answer in answers)} ms")
    if "lbd" in result.values:
        changed = result.rounds["lbd changed"]
        for what in ("failed", "closed", "refused"):
            total = sum(answer[what] for answer in changed)
            result.verdicts.append((f"lbd {what} {total} (0)", total == 0))
        ratio = result.values["lbd changed"] / max(result.values["lbd"], 1)
        result.verdicts.append((f"lbd p99.9 with changes / without {ratio:.2f} (at most {UNCHANGED})",
                                ratio <= UNCHANGED))
    return result


# --- handshakes beside requests -----------------------------------------------------------------

STORM_CONNECTIONS = 64


def storm_run(bench, proxy, seconds, stormy):
    """Open requests at an even rate; meanwhile clients that connect, ask once and go, as fast as they can."""
    storm = None
    if stormy:
        storm = Load(bench, proxy, "--close", tls="1.3", connections=STORM_CONNECTIONS, requests=10**9, path="/b/1",
                     expect=1)
        # The clients that are measured must not wait for those that make the storm.
        os.setpriority(os.PRIO_PROCESS, storm.process.pid, 19)
    began = sum(map(procfs.ran_ns, procfs.tids(proxy.pids())))
    load = Load(bench, proxy, tls="1.3", rate=1000, seconds=seconds, connections=100, path="/b/1024", expect=1024)
    try:
        answer = load.line()
    finally:
        load.end()
        if storm is not None:
            storm.process.kill()
            storm.end()
    answer["busy"] = (sum(map(procfs.ran_ns, procfs.tids(proxy.pids()))) - began) / 1e9 / (seconds + 1)
    return answer


def tls_storm(bench):
    seconds = 2 if bench.quick else 5
    result = Result(f"1,000 TLS requests/s on 100 connections, {STORM_CONNECTIONS} others handshake all the time",
                    "p99 us")
    running = bench.start(Setup(bench.origin().servers, tls="p256"))
    try:
        for _ in range(bench.rounds):
            for proxy in running:
                for stormy in (False, True):
                    key = proxy.name + ("" if stormy else " quiet")
                    result.rounds.setdefault(key, []).append(storm_run(bench, proxy, seconds, stormy))
    finally:
        bench.stop(running)
    for key, answers in result.rounds.items():
        result.values[key] = statistics.median(answer["p99_us"] for answer in answers)
        result.notes.append(f"{key}: p50 {statistics.median(answer['p50_us'] for answer in answers):.0f}, "
                            f"p99.9 {statistics.median(answer['p999_us'] for answer in answers):.0f} us, "
                            f"core busy {statistics.median(answer['busy'] for answer in answers):.2f}")
        for answer in answers:
            check_clean(result, key, answer)
    return result


# --- servers in trouble -------------------------------------------------------------------------

SLOW_SERVERS = 10
STALL_MS = 200
NO_WORSE = 1.05  # than the best of the peers: what is measured is the stall itself
STORM_REQUESTS = 8000
STORM_MOST = 1.2


def slow_server(bench):
    """One server of ten takes 200 ms for everything; who sends it how much?"""
    seconds = 3 if bench.quick else 10
    result = Result(f"one server of {SLOW_SERVERS} takes {STALL_MS} ms; 3,000 req/s on 200 connections", "p99.9 us")
    origin = bench.origin(SLOW_SERVERS, STALL_MS)
    running = bench.start(Setup(origin.many, least=True),
                          [contenders.Nginx, contenders.Haproxy, contenders.Lbd, contenders.LbdEwma])
    try:
        for _ in range(bench.rounds):
            for proxy in running:
                answer = run_load(bench, proxy, rate=3000, seconds=seconds, connections=200, path="/b/1024", expect=1024)
                check_clean(result, proxy.name, answer)
                result.rounds.setdefault(proxy.name, []).append(answer)
    finally:
        bench.stop(running)
    for name, answers in result.rounds.items():
        result.values[name] = statistics.median(answer["p999_us"] for answer in answers)
        result.notes.append(f"{name}: p50 {statistics.median(answer['p50_us'] for answer in answers):.0f}, "
                            f"p99 {statistics.median(answer['p99_us'] for answer in answers):.0f} us")
    peers = [result.values[name] for name in ("nginx", "haproxy") if name in result.values]
    for name, limit in (("lbd", NO_WORSE), ("lbd+ewma", 1.0)):
        if peers and name in result.values:
            ratio = result.values[name] / min(peers)
            result.verdicts.append((f"{name} / best peer {ratio:.2f} (at most {limit})", ratio <= limit))
    return result


def ask(address, path):
    """The body of one answer, whatever its status."""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got or not got.partition(b"\r\n\r\n")[2]:
            more = client.recv(4096)
            if not more:
                break
            got += more
    return got.partition(b"\r\n\r\n")[2]


def ask_often(address, count):
    """Keep-alive, one after the other; what comes back does not matter."""
    request = b"GET /busy HTTP/1.1\r\nHost: bench.test\r\n\r\n"
    client = None
    for _ in range(count):
        if client is None:
            client = socket.create_connection(address, timeout=10)
        client.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            more = client.recv(4096)
            if not more:
                break
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while length and len(body) < int(length[0].split(b":")[1]):
            body += client.recv(4096)
        if not length or b"connection: close" in head.lower():
            client.close()
            client = None
    if client is not None:
        client.close()


def retry_storm(bench):
    """All servers are busy (503) and each request may be tried three times: how often are they asked?"""
    count = STORM_REQUESTS // (8 if bench.quick else 1)
    result = Result(f"every server says 503, {count} requests with two retries", "asked per request")
    origin = bench.origin(SLOW_SERVERS)
    running = bench.start(Setup(origin.many, retry=True))
    try:
        for proxy in running:
            before = int(ask(origin.servers[0], "/count"))
            clients = [threading.Thread(target=ask_often, args=(("127.0.0.1", proxy.port), count // 4)) for _ in range(4)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            asked = int(ask(origin.servers[0], "/count")) - before
            result.values[proxy.name] = asked / count
            result.rounds[proxy.name] = [{"asked": asked, "requests": count}]
    finally:
        bench.stop(running)
    if "lbd" in result.values:
        ratio = result.values["lbd"]
        result.verdicts.append((f"lbd asks {ratio:.2f} times (at most {STORM_MOST})", ratio <= STORM_MOST))
    return result


slow_server.title = "one server of ten stalls"
retry_storm.title = "a dead pool and retries"
tls_storm.title = "requests during a storm of handshakes"
syscalls.title = "system calls per request"
mallocs.title = "malloc calls per request"
slow_readers.title = "1,000 slow readers"
changes.title = "1,000 changes under load"

TLS_13 = ("--tls", "1.3")
P256 = {"tls": "p256"}
H2 = {"tls": "p256", "http2": True}
H2_LIMITS = {"nginx": 0.60, "haproxy": 0.85}
ROUTES = [contenders.Haproxy, contenders.Lbd]
BODIES = [contenders.Nginx, contenders.Haproxy, contenders.HaproxySplice, contenders.Lbd]

ROWS = {
    "keepalive-128": cpu_row("128 B, 64 connections", {"best": 0.80}, path="/b/128", expect=128),
    "keepalive-1k": cpu_row("1 KB, 64 connections", {"best": 0.80}, path="/b/1024", expect=1024),
    "keepalive-1k-1000": cpu_row("1 KB, 1,000 connections", {"best": 0.80}, connections=1000,
                                 path="/b/1024", expect=1024),
    "chunked": cpu_row("chunked 4 x 4 KB, 64 connections", {"best": 0.75}, requests=40000,
                       path="/chunked/4/4096", expect=16384),
    "connection-per-request": cpu_row("connection per request, 1 KB", {"best": 1.0}, requests=20000,
                                      extra=["--close"], path="/b/1024", expect=1024),
    "body-100k": cpu_row("100 KB, 64 connections", {"nginx": 0.67}, requests=15000, contend=BODIES,
                         path="/b/102400", expect=102400),
    "body-1m": cpu_row("1 MB, 64 connections", {"nginx": 0.60}, requests=2000, contend=BODIES,
                       path="/b/1048576", expect=1048576),
    "servers-1000": cpu_row("1 KB, pool of 1,000 servers", {"haproxy": 0.80}, "servers",
                            path="/b/1024", expect=1024),
    "hosts-1000": cpu_row("1 KB, 1,000 virtual hosts", {"haproxy": 0.80}, hosts=1000,
                          path="/b/1024", expect=1024),
    "routes-10k": cpu_row("1 KB, 10,000 routes", {"haproxy": 0.85}, hosts=10000, contend=ROUTES,
                          path="/b/1024", expect=1024),
    "routes-100k": cpu_row("1 KB, 100,000 routes", {"haproxy": 0.85}, hosts=100000, contend=ROUTES,
                           path="/b/1024", expect=1024),
    "everything": cpu_row("1 KB, 10,000 routes, rate limit, edited headers, sticky cookie, log", {"haproxy": 0.85},
                          "log", hosts=10000, contend=ROUTES, serve={"policies": True}, path="/b/1024", expect=1024),
    "access-log": cpu_row("1 KB, 64 connections, access log on", {}, "log", path="/b/1024", expect=1024),
    "syscalls": syscalls,
    "mallocs": mallocs,
    "tls-handshake": cpu_row("TLS 1.3, P-256, full handshake and 1 KB", {"best": 0.95}, requests=10000, serve=P256,
                             extra=[*TLS_13, "--close"], connections=32, path="/b/1024", expect=1024),
    "tls-handshake-rsa": cpu_row("the same, RSA-2048", {}, requests=4000, serve={"tls": "rsa"},
                                 extra=[*TLS_13, "--close"], connections=32, path="/b/1024", expect=1024),
    "tls13-resume": cpu_row("TLS 1.3, resumed handshake and 1 KB", {}, requests=10000, serve=P256,
                            extra=[*TLS_13, "--close", "--resume"], connections=32, path="/b/1024", expect=1024),
    "tls12-resume": cpu_row("TLS 1.2, resumed handshake and 1 KB", {"best": 1.0}, requests=15000, serve=P256,
                            extra=["--tls", "1.2", "--close", "--resume"], connections=32, path="/b/1024",
                            expect=1024),
    "tls-keepalive-1k": cpu_row("TLS, 1 KB, 64 connections", {"best": 0.85}, serve=P256, extra=TLS_13,
                                path="/b/1024", expect=1024),
    "tls-body-100k": cpu_row("TLS, 100 KB, 64 connections", {}, requests=10000, serve=P256, extra=TLS_13,
                             path="/b/102400", expect=102400),
    "h2-tls-10x10": cpu_row("HTTP/2 over TLS, 1 KB, 10 connections x 10 streams", H2_LIMITS, serve=H2,
                            extra=[*TLS_13, "--http2", "10"], connections=10, path="/b/1024", expect=1024),
    "h2-tls-100x10": cpu_row("HTTP/2 over TLS, 1 KB, 100 connections x 10 streams", H2_LIMITS, serve=H2,
                             extra=[*TLS_13, "--http2", "10"], connections=100, path="/b/1024", expect=1024),
    "h2-tls-100x1": cpu_row("HTTP/2 over TLS, 1 KB, 100 connections x 1 stream", {}, serve=H2,
                            extra=[*TLS_13, "--http2", "1"], connections=100, path="/b/1024", expect=1024),
    "h2c-10x10": cpu_row("HTTP/2 in clear, 1 KB, 10 connections x 10 streams", {}, serve={"http2": True},
                         extra=["--http2", "10"], connections=10, path="/b/1024", expect=1024),
    "h2-to-servers": cpu_row("HTTP/2 over TLS, HTTP/2 to the servers, 1 KB, 100 connections x 10 streams", {},
                             contend=[contenders.Haproxy, contenders.Lbd], serve={**H2, "origin_http2": True},
                             extra=[*TLS_13, "--http2", "10"], connections=100, path="/b/1024", expect=1024),
    "grpc-unary": cpu_row("gRPC over TLS, calls of 128 B, 10 connections x 10 streams", {}, requests=30000,
                          serve={**H2, "origin_http2": True, "grpc": True}, extra=[*TLS_13, "--http2", "10", "--grpc"],
                          connections=10, path="/bench.Bench/Unary", expect=133),
    "tcp-1k": cpu_row("TCP, 1 KB, 64 connections", {}, serve={"tcp": True}, path="/b/1024", expect=1024),
    "tcp-1m": cpu_row("TCP, 1 MB, 64 connections", {"haproxy+splice-always": 0.6}, requests=2000,
                      contend=[*BODIES, contenders.HaproxySpliceAlways], serve={"tcp": True}, path="/b/1048576", expect=1048576),
    "tls-storm": tls_storm,
    "idle-tls": memory_row("idle TLS connections, 1,000 to 5,000", 1000, 5000, int(15.2 * 1024), held=TLS),
    "idle-h2": memory_row("idle HTTP/2 over TLS, 1,000 to 5,000", 1000, 5000, 2048, held=TLS_HTTP2, beyond=TLS),
    "idle-websocket": memory_row("idle WebSocket, both legs, 1,000 to 8,000", 1000, 8000, 1024, held=WEBSOCKET),
    "idle-tcp": memory_row("idle TCP tunnels, both legs, 1,000 to 8,000", 1000, 8000, 1024, held=TUNNEL),
    "idle-memory": memory_row("idle keep-alive connections, 2,000 to 15,000", 2000, 15000, 400),
    "burst-memory": memory_row("after one more request at the same moment, 2,000 to 9,000", 2000, 9000, 500,
                               burst),
    "slow-readers": slow_readers,
    "changes": changes,
    "slow-server": slow_server,
    "retry-storm": retry_storm,
}
