"""A terminal that a test types into and looks at: tmux, on a server of its own."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .lbd import environment
from .waits import TIMEOUT, wait_for


class Terminal:
    """A shell on a screen of `width` by `height`. Keys have tmux's names: "Enter", "C-c", "Up"."""

    def __init__(self, width=80, height=24, env=None):
        self.directory = Path(tempfile.mkdtemp(prefix="term-"))
        self.socket = str(self.directory / "tmux")
        shell_env = environment(PS1="shell> ", **(env or {}))
        for name in ("TMUX", "TMUX_PANE", "NO_COLOR", "LINES", "COLUMNS"):
            shell_env.pop(name, None)
        words = [f"{name}={value}" for name, value in (env or {}).items()]
        self.env = shell_env
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-s", "t",
                  "env", *words, "PS1=shell> ", "bash", "--norc", "--noprofile")
        try:
            self.wait("shell>")
        except AssertionError:
            self.close()
            raise

    def tmux(self, *args):
        done = subprocess.run(
            ["tmux", "-S", self.socket, *args], capture_output=True, text=True, timeout=TIMEOUT,
            env=self.env,
        )
        assert done.returncode == 0, f"tmux {args}: {done.stderr}"
        return done.stdout

    def type(self, *keys):
        """Keys by name, or text of more than one letter."""
        self.tmux("send-keys", "-t", "t", *keys)

    def run(self, line):
        self.tmux("send-keys", "-t", "t", "-l", line)
        self.type("Enter")

    def fresh(self, line):
        """Runs it on an empty screen: what an earlier line said is not there any more."""
        self.run("clear")
        self.wait(r"\A\w+>\n*\Z")
        self.run(line)

    def text(self):
        return self.tmux("capture-pane", "-t", "t", "-p")

    def lines(self):
        return self.text().splitlines()

    def wait(self, pattern, timeout=None):
        """Waits until the screen shows it; its text."""
        seen = []

        def shows():
            seen[:] = [self.text()]
            return re.search(pattern, seen[0])

        try:
            wait_for(shows, f"{pattern!r} on the screen", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{seen[0]}") from None
        return seen[0]

    def resize(self, width, height):
        self.tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def is_alternate(self):
        return self.tmux("display-message", "-t", "t", "-p", "#{alternate_on}").strip() == "1"

    def pid_of(self, name):
        """The process of that name below the shell."""
        shell = self.tmux("display-message", "-t", "t", "-p", "#{pane_pid}").strip()
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)
            except OSError:
                continue
            if fields[0].endswith(f"({name}") and fields[1].split()[1] == shell:
                return int(path.parent.name)
        return None

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=200)
        shutil.rmtree(self.directory, ignore_errors=True)


def quoted(word):
    return "'" + os.fspath(word).replace("'", "'\\''") + "'"
