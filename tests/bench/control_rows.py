"""control_rows - the control plane under traffic: what a change, a scrape and a watcher cost.

Every row runs while 3,000 requests a second go through the same proxy. Latencies are those of a client
of the API (or of haproxy's runtime socket), from the first byte sent to the last received. A worker's
pause is the processor time of one adoption (lbd_worker_adoption_cpu_seconds), with the wall time beside
it. Limits that the project promised itself stand here once.
"""

import json
import os
import re
import socket
import statistics
import threading
import time

import contenders
import procfs
from contenders import Setup
from rows import Load, Result

RATE = 3000
CONNECTIONS = 100


class Api:
    """One keep-alive connection to lbd's API: whole answers, Content-Length or chunked."""

    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.rest = b""

    def _more(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise ConnectionError("the API closed the connection")
        return got

    def _line(self):
        while b"\r\n" not in self.rest:
            self.rest += self._more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def _bytes(self, count):
        parts, have = [self.rest], len(self.rest)
        while have < count:
            parts.append(self._more())
            have += len(parts[-1])
        whole = b"".join(parts)
        self.rest = whole[count:]
        return whole[:count]

    def send(self, method, path, body=b"", kind="application/json"):
        head = f"{method} {path} HTTP/1.1\r\nHost: lbd\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + body)

    def head(self):
        status = int(self._line().split()[1])
        headers = {}
        while line := self._line():
            key, value = line.decode("latin-1").split(":", 1)
            headers[key.lower()] = value.strip()
        return status, headers

    def chunk(self):
        data = self._bytes(int(self._line(), 16) + 2)[:-2]
        return data

    def ask(self, method, path, body=b"", kind="application/json"):
        self.send(method, path, body, kind)
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while part := self.chunk():
                parts.append(part)
            return status, b"".join(parts)
        return status, self._bytes(int(headers.get("content-length", 0)))

    def patch(self, path, body):
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def close(self):
        self.socket.close()


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Paced:
    """Asks `act(i)` at even distances; keeps how long each took, in ms."""

    def __init__(self, count, per_s):
        self.count, self.per_s, self.took_ms, self.refused = count, per_s, [], 0

    def run(self, act):
        start = time.monotonic()
        for i in range(self.count):
            time.sleep(max(0.0, start + i / self.per_s - time.monotonic()))
            began = time.perf_counter()
            good = act(i)
            self.took_ms.append((time.perf_counter() - began) * 1000)
            self.refused += 0 if good else 1
        return self

    def figures(self):
        return {"p50_ms": quantile(self.took_ms, 0.5), "p99_ms": quantile(self.took_ms, 0.99),
                "max_ms": max(self.took_ms), "count": self.count, "refused": self.refused}


class Traffic:
    """3,000 requests a second through a proxy, for as long as the block lasts."""

    def __init__(self, bench, proxy, seconds):
        self.load = Load(bench, proxy, rate=RATE, seconds=seconds, connections=CONNECTIONS,
                         path="/b/1024", expect=1024)
        self.answer = None

    def __enter__(self):
        time.sleep(1.5)  # its warm-up
        return self

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                self.answer = self.load.line()
            else:
                self.load.process.kill()
        finally:
            self.load.end()


def first():
    """The client is what is measured: it must not wait behind load generator and origin, whose core it shares."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)
    except PermissionError:
        pass


def farm(bench, pools, servers, interval=""):
    host, port = bench.origin().servers[0]
    return Setup(bench.origin().servers, master=True, farm=contenders.Farm(pools, servers, f"{host}:{port}", interval))


SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$")


def families(text):
    """{name: [(labels, value)]} of the text format."""
    found = {}
    for line in text.decode().splitlines():
        match = SAMPLE.match(line)
        if match:
            found.setdefault(match.group(1), []).append((match.group(2) or "", float(match.group(3))))
    return found


class Pauses:
    """The adoptions of the workers between two looks."""

    def __init__(self, api):
        self.api, self.before = api, self.look(api)

    @staticmethod
    def look(api):
        got = families(api.ask("GET", "/metrics")[1])
        return {(name, labels): value for name in got if name.startswith("lbd_worker_adoption")
                for labels, value in got[name]}

    def figures(self):
        """{cpu, wall}: (mean us, the bound in ms that no adoption was above)."""
        after = self.look(self.api)
        delta = {key: value - self.before.get(key, 0) for key, value in after.items()}
        out = {}
        for word, name in (("cpu", "lbd_worker_adoption_cpu_seconds"),
                           ("wall", "lbd_worker_adoption_duration_seconds")):
            count = sum(value for (one, _), value in delta.items() if one == name + "_count")
            total = sum(value for (one, _), value in delta.items() if one == name + "_sum")
            bounds = {}
            for (one, labels), value in delta.items():
                if one == name + "_bucket":
                    bound = re.search(r'le="([^"]*)"', labels).group(1)
                    bounds[float(bound)] = bounds.get(float(bound), 0) + value
            worst = min((bound for bound, below in bounds.items() if below >= count), default=float("inf"))
            out[word] = {"count": count, "mean_us": total / count * 1e6 if count else 0.0, "below_ms": worst * 1000}
        return out


def add_pauses(result, figures, limit_ms):
    cpu, wall = figures["cpu"], figures["wall"]
    result.notes.append(f"lbd: a worker's pause, {cpu['count']:.0f} adoptions: mean {cpu['mean_us']:.0f} us of "
                        f"processor time, none above {cpu['below_ms']:g} ms; wall time mean {wall['mean_us']:.0f} us, "
                        f"none above {wall['below_ms']:g} ms")
    result.verdicts.append((f"lbd pause at most {cpu['below_ms']:g} ms (at most {limit_ms:g})",
                            cpu["below_ms"] <= limit_ms))


def check_traffic(result, name, answer, must=True):
    text = f"{name}: {answer['failed']} requests failed, {answer['closed']} connections closed"
    if must:
        result.verdicts.append((text, answer["failed"] == 0 and answer["closed"] == 0))
    else:
        result.notes.append(text)


def judge(result, figures, **limits):
    for key, limit in limits.items():
        word = key.replace("_ms", "")
        result.verdicts.append((f"lbd {word} {figures[key]:.2f} ms (at most {limit})", figures[key] <= limit))
    if figures["refused"]:
        result.verdicts.append((f"lbd {figures['refused']} refused", False))


def note_figures(result, name, figures):
    result.rounds.setdefault(name, []).append(figures)
    result.notes.append(f"{name}: {figures['count']} changes, p50 {figures['p50_ms']:.2f} ms, "
                        f"p99 {figures['p99_ms']:.2f} ms, most {figures['max_ms']:.2f} ms")


def reload_ms(proxy):
    """From the signal until a worker process exists that was not there before and a request is answered."""
    before = set(proxy.pids())
    began = time.perf_counter()
    proxy.reload()
    deadline = began + 30
    while time.perf_counter() < deadline:
        if set(proxy.pids()) - before and proxy.answers():
            return (time.perf_counter() - began) * 1000
        time.sleep(0.002)
    raise RuntimeError(f"{proxy.name} did not reload")


def run_peers(bench, result, setup, haproxy_command):
    """haproxy's runtime socket and reload, nginx's reload, under the same load."""
    for kind in (contenders.Haproxy, contenders.Nginx):
        if kind not in bench.kinds:
            continue
        (proxy,) = bench.start(setup, [kind])
        try:
            if haproxy_command is not None and kind is contenders.Haproxy:
                count = 60 if bench.quick else 300
                with Traffic(bench, proxy, count / 50 + 2) as traffic:
                    first()
                    paced = Paced(count, 50).run(lambda i: runtime(proxy, haproxy_command(i)))
                note_figures(result, "haproxy runtime", paced.figures())
                check_traffic(result, "haproxy runtime", traffic.answer, must=False)
                result.values["haproxy"] = paced.figures()["p99_ms"]
            count = 2 if bench.quick else 5
            took = []
            with Traffic(bench, proxy, count * 1.5 + 1) as traffic:
                for _ in range(count):
                    took.append(reload_ms(proxy))
                    time.sleep(1)
            result.rounds.setdefault(proxy.name + " reload", []).append({"took_ms": took, **traffic.answer})
            result.notes.append(f"{proxy.name}: {count} reloads, median {statistics.median(took):.0f} ms until a new "
                                "worker exists and a request is answered")
            check_traffic(result, proxy.name + " reload", traffic.answer, must=False)
            if kind is contenders.Nginx or haproxy_command is None:
                result.values[proxy.name] = statistics.median(took)
        finally:
            bench.stop([proxy])


def runtime(proxy, command):
    """One command on haproxy's admin socket."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(10)
        admin.connect(proxy.path("admin"))
        admin.sendall(command.encode() + b"\n")
        answer = b""
        while got := admin.recv(65536):
            answer += got
    return not answer.strip()


# --- changes ------------------------------------------------------------------------------------

def put_texts(proxy):
    """Two whole documents that differ in the weight of one server of every pool."""
    texts = []
    for weight in (50, 60):
        document = proxy.document()
        for name, pool in document["pools"].items():
            if name != "origin":
                pool["servers"]["s0"]["weight"] = weight
        texts.append(json.dumps(document, separators=(",", ":")).encode())
    return texts


def put_10k(bench):
    result = Result("whole document of 10,000 servers (100 pools, every pool changed) under 3,000 req/s", "p50 ms")
    setup = farm(bench, 100, 100)
    (proxy,) = bench.start(setup, [contenders.Lbd])
    try:
        texts, api = put_texts(proxy), Api(proxy.api())
        count = 20 if bench.quick else 100
        pauses = Pauses(api)
        with Traffic(bench, proxy, count / 10 + 2) as traffic:
            first()
            paced = Paced(count, 10).run(lambda i: api.ask("PUT", "/v1/config", texts[i % 2])[0] == 200)
        figures = paced.figures()
        add_pauses(result, pauses.figures(), 1)
    finally:
        bench.stop([proxy])
    note_figures(result, "lbd", figures)
    result.notes.append(f"lbd: the document has {len(texts[0]):,} bytes")
    result.values["lbd"] = figures["p50_ms"]
    check_traffic(result, "lbd", traffic.answer)
    judge(result, figures, p50_ms=25, p99_ms=50)
    run_peers(bench, result, setup, None)
    return result


def one_row(title, limit, act, command):
    def measure(bench):
        result = Result(title, "p99 ms")
        setup = farm(bench, 100, 100)
        (proxy,) = bench.start(setup, [contenders.Lbd])
        try:
            api = Api(proxy.api())
            count = 60 if bench.quick else 500
            pauses = Pauses(api)
            with Traffic(bench, proxy, count / 50 + 2) as traffic:
                first()
                paced = Paced(count, 50).run(lambda i: act(api, i))
            figures = paced.figures()
            add_pauses(result, pauses.figures(), 1)
        finally:
            bench.stop([proxy])
        note_figures(result, "lbd", figures)
        result.values["lbd"] = figures["p99_ms"]
        check_traffic(result, "lbd", traffic.answer)
        judge(result, figures, p99_ms=limit)
        run_peers(bench, result, setup, command)
        return result

    measure.title = title
    return measure


def patch_weight(api, i):
    return api.patch(f"/v1/pools/p{i % 100}/servers/s1", b'{"weight":%d}' % (10 + i))[0] == 200


def put_admin(api, i):
    state = b'{"state":"%s"}' % (b"ready" if i // 100 % 2 else b"drain")
    return api.ask("PUT", f"/v1/pools/p{i % 100}/servers/s2/admin-state", state)[0] == 200


def put_100k(bench):
    result = Result("whole document of 100,000 servers, each checked every 50 s, under 3,000 req/s", "most ms")
    setup = farm(bench, 1000, 100, "50s")
    (proxy,) = bench.start(setup, [contenders.Lbd])
    try:
        texts = put_texts(proxy)
        time.sleep(5 if bench.quick else 60)  # the first checks of all of them have been made
        api = Api(proxy.api())
        count = 3 if bench.quick else 10
        pauses = Pauses(api)
        checks = late(api)
        with Traffic(bench, proxy, count * 2 + 2) as traffic:
            first()
            paced = Paced(count, 0.5).run(lambda i: api.ask("PUT", "/v1/config", texts[i % 2])[0] == 200)
        time.sleep(1)
        checks = [after - before for before, after in zip(checks, late(api))]
        figures = paced.figures()
        add_pauses(result, pauses.figures(), 1)
        memory = procfs.pss_bytes(proxy.pids())
    finally:
        bench.stop([proxy])
    note_figures(result, "lbd", figures)
    result.notes.append(f"lbd: the document has {len(texts[0]):,} bytes; {checks[0]:.0f} checks were made meanwhile; "
                        f"{memory / 2**20:.0f} MiB")
    result.values["lbd"] = figures["max_ms"]
    check_traffic(result, "lbd", traffic.answer)
    judge(result, figures, max_ms=1000)
    result.verdicts.append((f"lbd {checks[1]:.0f} late checks (0)", checks[1] == 0))
    return result


def late(api):
    got = families(api.ask("GET", "/metrics?scope=pool")[1])
    return [sum(value for _, value in got.get(name, [])) for name in ("lbd_health_checks_total",
                                                                       "lbd_health_checks_late_total")]


# --- a scrape -----------------------------------------------------------------------------------

def scrape_10k(bench):
    result = Result("full scrape of 10,000 servers (basic scope) under 3,000 req/s", "CPU ms/scrape")
    (proxy,) = bench.start(farm(bench, 100, 100), [contenders.Lbd])
    try:
        api, scraper = Api(proxy.api()), Api(proxy.api())
        tid = proxy.process.pid  # the control thread is the first
        status, text = scraper.ask("GET", "/metrics")
        servers = len(families(text).get("lbd_server_up", []))
        with Traffic(bench, proxy, 14) as traffic:
            first()
            quiet = Paced(400, 200).run(lambda i: api.ask("GET", "/v1/version")[0] == 200).figures()
            stop, spent = threading.Event(), []

            def scrape():
                while not stop.is_set():
                    time.sleep(1.1)  # longer than answers are shared
                    before = procfs.ran_ns(tid)
                    scraper.ask("GET", "/metrics")
                    spent.append((procfs.ran_ns(tid) - before) / 1e6)

            thread = threading.Thread(target=scrape, daemon=True)
            thread.start()
            busy = Paced(1600, 200).run(lambda i: api.ask("GET", "/v1/version")[0] == 200).figures()
            stop.set()
            thread.join()
    finally:
        bench.stop([proxy])
    result.values["lbd"] = statistics.median(spent)
    result.rounds["lbd"] = [{"scrapes_ms": spent, "quiet": quiet, "busy": busy}]
    result.notes.append(f"lbd: {len(text):,} bytes, {text.count(bytes([10])):,} lines; a call of the API meanwhile "
                        f"p99 {busy['p99_ms']:.2f} ms, most {busy['max_ms']:.2f} ms (without scrapes "
                        f"{quiet['p99_ms']:.2f}, {quiet['max_ms']:.2f})")
    check_traffic(result, "lbd", traffic.answer)
    delay = busy["max_ms"] - quiet["p50_ms"]
    result.verdicts += [
        (f"lbd {servers} servers in it (10001)", status == 200 and servers == 10001),
        (f"lbd {max(spent):.1f} ms of CPU at most (60)", max(spent) < 60),
        (f"lbd a call is delayed by {delay:.2f} ms at most (5)", delay <= 5),
    ]
    return result


# --- watchers -----------------------------------------------------------------------------------

class Watcher(threading.Thread):
    """Reads events as they come, and counts them."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.api = Api(path, timeout=2)
        self.api.send("GET", "/v1/watch?types=config.applied")
        self.status, _ = self.api.head()
        self.text = b""
        self.ended = False
        self.start()

    def run(self):
        try:
            while part := self.api.chunk():
                self.text += part
        except (OSError, ConnectionError):
            pass
        self.ended = True

    def sequences(self):
        return [int(number) for number in re.findall(rb"^id: ?(\d+)", self.text, re.M)]


def watchers(bench):
    changes = 500 if bench.quick else 3000
    result = Result(f"64 watchers, one of them reads nothing, {changes} changes under 3,000 req/s", "MiB")
    (proxy,) = bench.start(farm(bench, 10, 10), [contenders.Lbd])
    try:
        api = Api(proxy.api())
        act = lambda i: api.patch(f"/v1/pools/p{i % 10}/servers/s1", b'{"weight":%d}' % (1 + i % 997))[0] == 200
        Paced(200, 400).run(lambda i: act(i + 100000))
        deaf = Api(proxy.api())
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.send("GET", "/v1/watch")
        crowd = [Watcher(proxy.api()) for _ in range(63)]
        before = procfs.pss_bytes(proxy.pids())
        with Traffic(bench, proxy, changes / 150 + 2) as traffic:
            first()
            figures = Paced(changes, 150).run(act).figures()
        time.sleep(1)
        after = procfs.pss_bytes(proxy.pids())
        counts = [len(one.sequences()) for one in crowd]
        gaps = sum(1 for one in crowd for a, b in zip(one.sequences(), one.sequences()[1:]) if b <= a)
        status, _ = api.ask("GET", "/v1/version")
    finally:
        bench.stop([proxy])
    result.values["lbd"] = (after - before) / 2**20
    note_figures(result, "lbd", figures)
    check_traffic(result, "lbd", traffic.answer)
    result.verdicts += [
        (f"lbd every reading watcher saw all {changes} changes (fewest {min(counts)})", min(counts) >= changes),
        (f"lbd {gaps} events out of order (0)", gaps == 0),
        (f"lbd grew by {result.values['lbd']:.1f} MiB (at most 16)", result.values["lbd"] <= 16),
        ("lbd answers afterwards", status == 200),
    ]
    judge(result, figures, p99_ms=10)
    return result


put_10k.title = "whole document of 10,000 servers under 3,000 req/s"
put_100k.title = "whole document of 100,000 servers under 3,000 req/s"
scrape_10k.title = "full scrape of 10,000 servers under 3,000 req/s"
watchers.title = "64 watchers, one of them reads nothing"

ROWS = {
    "control-put-10k": put_10k,
    "control-patch-10k": one_row("change of one server of 10,000 under 3,000 req/s", 5, patch_weight,
                                 lambda i: f"set server p{i % 100}/s1 weight {10 + i % 200}"),
    "control-admin-10k": one_row("admin state of one server of 10,000 under 3,000 req/s", 2, put_admin,
                                 lambda i: f"set server p{i % 100}/s2 state {'ready' if i // 100 % 2 else 'drain'}"),
    "control-put-100k": put_100k,
    "control-scrape-10k": scrape_10k,
    "control-watchers": watchers,
}
