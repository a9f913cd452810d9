"""The sandbox of lbd.service: everything that lbd asks of the kernel is let through by its filter."""

import os
import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LBD_BUILD", ROOT / "build/release"))
os.environ.setdefault("LBD_BIN", str(BUILD / "bin/lbd"))
os.environ.setdefault("LBCTL_BIN", str(BUILD / "bin/lbctl"))
sys.path.insert(0, str(ROOT / "tests/integration"))

from lab import LabCase, config_for  # noqa: E402
from lab.origin import respond  # noqa: E402
from lab.waits import wait_for  # noqa: E402


def members(group):
    """The system calls of a group of systemd, with those of the groups in it."""
    said = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    found = set()
    for line in said.stdout.splitlines()[1:]:
        name = re.sub(r"#.*", "", line).strip()
        found |= members(name) if name.startswith("@") else {name}
    return found - {""}


def allowed():
    """What the lines SystemCallFilter= of the unit leave."""
    calls = set()
    for line in (ROOT / "systemd/lbd.service").read_text().splitlines():
        match = re.fullmatch(r"SystemCallFilter=(~?)(.*)", line)
        for name in match[2].split() if match else ():
            group = members(name) if name.startswith("@") else {name}
            calls = calls - group if match[1] else calls | group
    return calls


class Sandbox(LabCase):
    def test_no_call_is_forbidden(self):
        def large(peer):  # enough to be spliced
            while peer.rx() is not None:
                peer.send(respond(body=b"x" * 1000000))

        origin = self.origin(large)
        config = config_for(origin)
        config["health_checks"] = {"quick": {"type": "tcp", "interval": "100ms"}}
        config["pools"]["main"]["health_check"] = "quick"
        trace = Path(os.environ.get("TMPDIR", "/tmp")) / f"lbd-trace-{os.getpid()}"
        self.addCleanup(lambda: trace.exists() and trace.unlink())
        proxy = self.lbd(config, wrapper=["strace", "-D", "-f", "-qq", "-o", str(trace)])
        wait_for(lambda: proxy.server_status("a")["health"] == "up", "a is up")
        client = proxy.client()
        client.get("/")
        self.assertEqual(len(client.get("/").body), 1000000)
        client.close()
        proxy.change("PUT", "/v1/pools/more", {"servers": {"x": {"address": "localhost:1"}}})
        proxy.change("PUT", "/v1/listeners/more", {"bind": ["127.0.0.1:0"]})
        proxy.change("DELETE", "/v1/listeners/more")
        self.assertIn("lbd_", proxy.metrics_text())
        proxy.send_signal(signal.SIGUSR1)
        proxy.wait_log("log.reopened")
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_log("config.not_reread")
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_exit(), 0)

        text = trace.read_text(errors="replace")
        seen = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", text, re.MULTILINE))
        seen = set(after_exec(text)) or seen
        self.assertGreater(len(seen), 30, seen)
        self.assertIn("splice", seen)
        self.assertEqual(seen - allowed(), set())


def after_exec(text):
    """Names of calls from lbd's own execve on; what strace and setpriv did before is theirs."""
    began = False
    for line in text.splitlines():
        match = re.match(r"\d+ +([a-z0-9_]+)\(", line)
        if began and match:
            yield match[1]
        began = began or re.search(r'execve\("[^"]*/bin/lbd"', line) is not None


if __name__ == "__main__":
    unittest.main()
