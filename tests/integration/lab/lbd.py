"""The real lbd in the foreground, in a temporary directory of its own."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import metrics, wire
from .client import Client
from .contract import contract
from .waits import TIMEOUT, wait_for

ROOT = Path(__file__).resolve().parents[3]
LBD_BIN = os.environ.get("LBD_BIN", str(ROOT / "build/asan/bin/lbd"))
LBCTL_BIN = os.environ.get("LBCTL_BIN", str(ROOT / "build/asan/bin/lbctl"))

SANITIZER_WORDS = (
    "ERROR: AddressSanitizer",
    "ERROR: LeakSanitizer",
    "WARNING: ThreadSanitizer",
    "runtime error:",
    "Assertion `",
)

START_LIMIT_S = 60
STOP_LIMIT_S = 60


def environment(**more):
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99:strict_string_checks=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=0:exitcode=99:second_deadlock_stack=1")
    env.pop("NOTIFY_SOCKET", None)
    env.update(more)
    return env


def run_lbd(*args, timeout=TIMEOUT * 2, env=None):
    """lbd as a command that ends by itself (-t, --version, usage)."""
    return subprocess.run(
        [LBD_BIN, *args], capture_output=True, text=True, timeout=timeout, env=env or environment(),
        stdin=subprocess.DEVNULL,
    )


def run_lbctl(*args, socket_path=None, timeout=TIMEOUT * 2, stdin=None, env=None):
    command = [LBCTL_BIN]
    if socket_path is not None:
        command += ["--socket", str(socket_path)]
    return subprocess.run(
        [*command, *args], capture_output=True, text=True, timeout=timeout,
        env=env or environment(), input=stdin if stdin is not None else "",
    )


class ApiAnswer:
    """Status, headers and body of one API call; unpacks as (status, headers, body)."""

    def __init__(self, message):
        self.status = message.status
        self.message = message
        self.raw = message.body
        kind = message.get("Content-Type") or ""
        self.body = json.loads(message.body) if "json" in kind and message.body else message.body

    def header(self, name):
        return self.message.get(name)

    @property
    def etag(self):
        return self.header("ETag")

    @property
    def revision(self):
        return int(self.header("Lbd-Revision"))

    @property
    def pointers(self):
        """Pointers of a problem document's errors."""
        return [e.get("pointer") for e in self.body.get("errors", [])]

    def __iter__(self):
        return iter((self.status, self.message.headers, self.body))

    def __repr__(self):
        return f"<api {self.status} {self.body!r}>"


class Lbd:
    """A running lbd. `config` is the document without `daemon`; `daemon` overrides keys of that.

    `api` adds to daemon.api; its `listen` comes after the unix socket.
    """

    def __init__(self, config, daemon=None, api=None, env=None, wrapper=(), text=None, directory=None,
                 start=True, passed=()):
        self.own_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="lab-"))
        self.run_directory = self.directory / "run"
        self.run_directory.mkdir(mode=0o750, exist_ok=True)
        self.state_directory = self.directory / "state"
        self.state_directory.mkdir(mode=0o700, exist_ok=True)
        self.api_socket = str(self.run_directory / "api.sock")
        self.config_path = self.directory / "lbd.json"
        self.log_path = self.directory / "lbd.log"
        self.stderr_path = self.directory / "stderr.txt"
        self.access_log_path = self.directory / "access.log"
        self.env = env or {}
        self.wrapper = list(wrapper)
        self.passed = list(passed)  # (name, listening socket): what a service manager would pass
        self.process = None
        self.notify = None
        self.daemon = {
            "workers": 2,
            "api": {"listen": [f"unix:{self.api_socket}"]},
            "observe": {"listen": ["127.0.0.1:0"]},
            "state_dir": str(self.state_directory),
            "config_source": "api",
            "drain_timeout": "10s",
            "log": {"level": "debug", "format": "text", "path": str(self.log_path)},
            "access_log": {"path": str(self.access_log_path)},
        }
        if os.geteuid() == 0:
            self.daemon["user"] = ""  # stay root; test_root.py is about dropping
        self.daemon.update(daemon or {})
        if api is not None:
            listen = self.daemon["api"]["listen"] + api.get("listen", [])
            self.daemon["api"] = {**api, "listen": listen}
        self.daemon = {k: v for k, v in self.daemon.items() if v is not None}
        self.write_config(config, text)
        if start:
            self.start()

    # -- life ---------------------------------------------------------------------------------

    def write_config(self, config, text=None):
        """Writes the file lbd is started with (does not touch a running lbd)."""
        if text is None:
            text = json.dumps({"daemon": self.daemon, **config}, indent=2)
        self.config_path.write_text(text)

    def start(self, ready=True):
        notify_path = str(self.directory / "notify.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify_path)
        if self.notify is not None:
            self.notify.close()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(notify_path)
        os.chmod(notify_path, 0o777)
        self.notified = []
        # no lbd outlives its test, however that ends
        command = [*self.wrapper, "setpriv", "--pdeathsig", "KILL", LBD_BIN, "-c", str(self.config_path)]
        fds = [passed.fileno() for _, passed in self.passed]
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(
                self.passing(fds) + command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                env=environment(NOTIFY_SOCKET=notify_path, **self.env), pass_fds=fds,
            )
        if ready:
            self.wait_notify("READY=1", START_LIMIT_S)
        return self

    def passing(self, fds):
        """A command in front that makes `fds` descriptors 3, 4, ... as systemd does."""
        if not fds:
            return []
        # by way of high numbers: one may stand in the place of another
        up = "".join(f"exec {200 + i}<&{fd} {fd}<&-; " for i, fd in enumerate(fds))
        down = "".join(f"exec {3 + i}<&{200 + i} {200 + i}<&-; " for i in range(len(fds)))
        names = ":".join(name for name, _ in self.passed)
        variables = f"LISTEN_PID=$$ LISTEN_FDS={len(fds)} LISTEN_FDNAMES={names}"
        return ["bash", "-c", f'{up}{down}export {variables}; exec "$@"', "bash"]

    def wait_notify(self, word, timeout=None):
        """Waits for a line on the notify socket; the process must stay alive meanwhile."""
        limit = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        self.notify.settimeout(0.05)
        while not any(word in line for line in self.notified):
            try:
                self.notified += self.notify.recv(65536).decode().splitlines()
                continue
            except TimeoutError:
                pass
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"lbd ended with {code} before {word}\n{self.everything()}")
            if time.monotonic() > limit:
                raise AssertionError(f"no {word} in time, got {self.notified}\n{self.everything()}")

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=STOP_LIMIT_S):
        """The exit code; AssertionError (and a kill) when lbd does not end."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(TIMEOUT)
            raise AssertionError(f"lbd did not end in {timeout} s\n{self.tail()}") from None
        return code

    def stop(self, number=signal.SIGINT, code=0):
        """Stops lbd and asserts its exit code and that no sanitizer complained."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.send_signal(number)
        got = self.wait_exit()
        self.process = None
        self.notify.close()
        self.check_sanitizers()
        assert got == code, f"exit code {got}, expected {code}\n{self.everything()}"

    def kill(self):
        """kill -9: no farewell."""
        self.process.kill()
        self.process.wait(TIMEOUT)
        self.process = None
        self.notify.close()
        self.check_sanitizers()

    def restart(self):
        """Starts again in the same directory, with the same file."""
        assert self.process is None, "still running"
        return self.start()

    def check_sanitizers(self):
        text = self.stderr_text()
        for word in SANITIZER_WORDS:
            if word in text:
                raise AssertionError(f"{word}\n{text[-8000:]}")

    def cleanup(self):
        """The end of a test: a clean stop, then the directory goes."""
        try:
            self.stop()
        finally:
            if self.notify is not None:
                self.notify.close()
            if self.own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    # -- what it wrote ------------------------------------------------------------------------

    def stderr_text(self):
        with contextlib.suppress(FileNotFoundError):
            return self.stderr_path.read_text(errors="replace")
        return ""

    def log_text(self):
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(errors="replace")
        return ""

    def tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def everything(self):
        return f"--- log\n{self.tail()}\n--- stderr\n{self.stderr_text()[-6000:]}"

    def wait_log(self, text, timeout=None):
        wait_for(lambda: text in self.log_text(), f"log line with {text!r}", timeout)

    def access_log(self):
        """The access log as a list of dicts; a line half written is none yet."""
        with contextlib.suppress(FileNotFoundError):
            text = self.access_log_path.read_text(errors="replace")
            return [json.loads(line) for line in text.split("\n")[:-1] if line]
        return []

    def wait_access_log(self, count, timeout=None):
        def complete():
            lines = self.access_log()
            return lines if len(lines) >= count else None

        return wait_for(complete, f"{count} lines of access log", timeout)

    # -- the API ------------------------------------------------------------------------------

    def api(self, method, path, body=None, headers=None):
        """One call over the unix socket. A dict body is sent as JSON of the fitting media type."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers.setdefault("Content-Type", kind)
            body = json.dumps(body).encode()
        headers.setdefault("Connection", "close")
        with Client(self.api_socket, timeout=TIMEOUT * 2) as client:
            client.send_request(method, path, headers, body, host="lbd")
            answer = ApiAnswer(client.read_response(method))
        contract().check(method, path, body, answer)
        return answer

    def api_addresses(self):
        """(host, port) of each TCP address of the API, in the order of daemon.api.listen."""
        found = re.findall(r" api\.listening address=(\S+:\d+)(?: |$)", self.log_text(), re.M)
        pairs = [text.rpartition(":") for text in found if not text.startswith("unix:")]
        return [(host.strip("[]"), int(port)) for host, _, port in pairs]

    def token(self, name, role, **more):
        """Makes a token; its secret."""
        return self.put(f"/v1/tokens/{name}", {"role": role, **more}).body["secret"]

    def get(self, path, **more):
        """GET that must answer 200; its document."""
        answer = self.api("GET", path, **more)
        assert answer.status == 200, f"GET {path}: {answer}"
        return answer.body

    def change(self, method, path, body=None, **more):
        """A write that must succeed."""
        answer = self.api(method, path, body, **more)
        if answer.status == 202 and "wait=" not in path:  # it is saved; a worker of a busy machine is late
            wait_for(lambda: self.get("/v1/config/status")["observed_revision"] >= answer.revision, f"adoption of {path}")
            return answer
        assert answer.status in (200, 201, 204), f"{method} {path}: {answer}"
        return answer

    def put(self, path, body, **more):
        return self.change("PUT", path, body, **more)

    def patch(self, path, body, **more):
        return self.change("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self.change("DELETE", path, **more)

    def admin(self, server, state, pool="main"):
        return self.put(f"/v1/pools/{pool}/servers/{server}/admin-state", {"state": state})

    def addresses(self, listener="web"):
        return self.get(f"/v1/listeners/{listener}/status")["addresses"]

    def address(self, listener="web"):
        """(host, port) of the first address a listener really has."""
        host, _, port = self.addresses(listener)[0].rpartition(":")
        return host.strip("[]"), int(port)

    def port(self, listener="web"):
        return self.address(listener)[1]

    def server_status(self, server, pool="main"):
        return self.get(f"/v1/pools/{pool}/status")["servers"][server]

    def wait_health(self, server, health, pool="main", timeout=None):
        wait_for(
            lambda: self.server_status(server, pool)["health"] == health,
            f"{pool}/{server} {health}", timeout,
        )

    def client(self, listener="web", **more):
        return Client(self.address(listener), **more)

    # -- metrics ------------------------------------------------------------------------------

    def metrics_text(self):
        answer = self.api("GET", "/metrics")
        assert answer.status == 200, answer
        return answer.raw.decode()

    def metrics(self):
        return metrics.parse(self.metrics_text())

    def metric(self, name, **labels):
        """Sum of the samples of `name` whose labels contain `labels`."""
        return metrics.total(self.metrics(), name, **labels)

    def wait_metric(self, value, name, **labels):
        wait_for(
            lambda: self.metric(name, **labels) == value, f"{name}{labels or ''} = {value}"
        )

    # -- the process --------------------------------------------------------------------------

    def proc_status(self):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def resident_kb(self):
        return int(self.proc_status()["VmRSS"].split()[0])

    def cpu_seconds(self):
        """CPU time of all threads so far."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def listening_ports(self):
        """TCP ports of 127.0.0.1 this process listens on, from /proc."""
        inodes = set()
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{self.pid}/fd/{fd}")
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        ports = set()
        for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
        return ports

    def observe_address(self):
        """Where /metrics is served: the listening port that is no listener's."""
        taken = set()
        for name in self.get("/v1/config").get("listeners", {}):
            taken |= {int(a.rpartition(":")[2]) for a in self.addresses(name)}
        (port,) = self.listening_ports() - taken
        return "127.0.0.1", port


__all__ = ["ApiAnswer", "Lbd", "environment", "run_lbctl", "run_lbd", "wire"]
