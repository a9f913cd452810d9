"""Programs of other people: node with the packages of tests/clients, curl, h2load, nghttp, Chromium.

    server = NodeServer("web_server.js")          on a free port; server.address, server.said(...)
    answer = node("h2_client.js", "https://127.0.0.1:1234", ca)        what it printed, from JSON
"""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path

from .waits import TIMEOUT

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("CLIENTS_BUILD", str(ROOT / "build/asan/clients")))
SCRIPTS = ROOT / "tests/clients"


def _install():
    done = subprocess.run(
        [str(ROOT / "tests/npm_install.sh"), str(SCRIPTS), str(BUILD)], capture_output=True,
        text=True, timeout=200,
    )
    if done.returncode != 0:
        raise AssertionError(f"npm_install.sh: {done.stdout}{done.stderr}")


def _command(script, args):
    _install()
    return ["node", str(SCRIPTS / script), *[str(a) for a in args]]


def _environment(**more):
    return {**os.environ, "NODE_PATH": str(BUILD / "node_modules"), **more}


def run(*command, timeout=200, env=None, check=True, stdin=""):
    """A program that ends by itself."""
    done = subprocess.run(
        [str(a) for a in command], capture_output=True, text=True, timeout=timeout, input=stdin,
        env=env,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
    return done


def node(script, *args, timeout=200, **environment):
    """What the script printed last, from JSON."""
    done = run(*_command(script, args), timeout=timeout, env=_environment(**environment), check=False)
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise AssertionError(f"{script} said nothing: {done.returncode} {done.stderr}")
    return json.loads(lines[-1])


class NodeProcess:
    """A script that goes on; its lines are kept. It ends with its input."""

    def __init__(self, script, *args):
        self.process = subprocess.Popen(
            _command(script, args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=_environment(),
        )
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def line(self, timeout=None):
        """The next line."""
        return self.lines.get(timeout=timeout or TIMEOUT)

    def said(self, key, timeout=None):
        """The next line of JSON that has this key; others before it are dropped."""
        while True:
            line = json.loads(self.line(timeout))
            if isinstance(line, dict) and key in line:
                return line

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(TIMEOUT)
        self.process.stdout.close()


class NodeServer(NodeProcess):
    """A script that prints its port first."""

    def __init__(self, script, *args):
        super().__init__(script, *args)
        self.port = int(self.line())
        self.address = f"127.0.0.1:{self.port}"
