"""lbctl as a person has it: top, questions, the editor and progress on a real terminal (tmux)."""

import os
import signal
import threading
import unittest

from lab import LBCTL_BIN, LabCase, config_for
from lab.terminal import Terminal, quoted


class TerminalCase(LabCase):
    def setUp(self):
        super().setUp()
        self.origins = [self.origin(name=name) for name in ("alpha", "beta")]
        self.proxy = self.lbd(config_for(*self.origins))

    def terminal(self, **more):
        env = {"LBCTL_SOCKET": self.proxy.api_socket, "TERM": "xterm-256color", **more.pop("env", {})}
        terminal = Terminal(env=env, **more)
        self.addCleanup(terminal.close)
        terminal.run(f"lbctl() {{ {quoted(LBCTL_BIN)} \"$@\"; echo \"ended: $?\"; }}; clear")
        terminal.wait(r"\Ashell>\n*\Z")
        return terminal

    def state(self, server):
        return self.proxy.server_status(server)["admin"]


class Top(TerminalCase):
    def start(self, *words, **more):
        terminal = self.terminal(**more)
        terminal.run(" ".join(["lbctl top", *words]))
        terminal.wait(r"lbd  revision \d+")
        return terminal

    def assert_restored(self, terminal, pattern):
        """The shell's screen is there again, and so is its way of reading lines."""
        terminal.wait(pattern)
        self.assertFalse(terminal.is_alternate())
        terminal.run("stty -a | tr ' ' '\\n' | grep -cx -e icanon -e echo -e icrnl -e isig")
        terminal.wait(r"(?m)^4$")

    def test_80_by_24(self):
        terminal = self.start("servers")
        text = terminal.wait(r"main/b(.|\n)*q quit")  # all of it is drawn
        self.assertTrue(terminal.is_alternate())
        lines = text.split("\n")
        self.assertRegex(lines[1], r"connections?  .* req/s  .*% errors  p50 .* p95 .* p99 .* ms")
        self.assertRegex(lines[2], r"pools \[servers\] listeners routes   by req/s  2 of 2")
        self.assertRegex(lines[3], r"NAME +HEALTH +ADMIN +WEIGHT +OPEN +REQ/S +ERR% +MEAN ms")
        self.assertRegex(lines[4], r"> main/a +up +ready +100")
        self.assertIn("q quit", lines[23])
        self.assertLessEqual(max(map(len, lines)), 80)
        terminal.type("q")
        self.assert_restored(terminal, "ended: 0")

    def test_counts_requests(self):
        client = self.connect(self.proxy)
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                client.get("/")
                stop.wait(0.01)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            terminal = self.start("pools")
            terminal.wait(r"> main +2/2 +\d+ +[1-9]")
            terminal.wait(r"p99 [0-9.]+ ms")
        finally:
            stop.set()
            thread.join()

    def test_views_sorting_and_the_selected_row(self):
        terminal = self.start()
        for key, view in (("2", "servers"), ("3", "listeners"), ("4", "routes"), ("1", "pools"),
                          ("Tab", "servers")):
            terminal.type(key)
            terminal.wait(rf"\[{view}\]")
        for key, sort in (("c", "connections"), ("e", "errors"), ("l", "latency"), ("n", "name"),
                          ("r", "req/s")):
            terminal.type(key)
            terminal.wait(rf"by {sort}")
        terminal.type("Down")
        terminal.wait(r"(?m)^> main/b")
        terminal.type("Up")
        terminal.wait(r"(?m)^> main/a")
        terminal.type("End")
        terminal.wait(r"(?m)^> main/b")

    def test_filter(self):
        terminal = self.start("servers")
        terminal.type("/")
        terminal.wait("filter: _")
        terminal.type("/", "b")
        terminal.wait("1 of 2")
        terminal.type("Enter")
        terminal.wait(r"(?m)^> main/b")
        self.assertNotIn("main/a", terminal.text())
        terminal.type("Escape")
        terminal.wait("2 of 2")

    def test_describe(self):
        terminal = self.start("servers")
        terminal.type("Enter")
        terminal.wait(r"\Aserver main/a\n\nconfiguration, revision")
        terminal.type("PageDown")
        terminal.wait(r"CONDITION")
        terminal.type("q")
        terminal.wait(r"\[servers\]")

    def test_drain_and_enable_ask_first(self):
        terminal = self.start("servers")
        terminal.wait("main/a")
        terminal.type("d")
        terminal.wait(r"drain main/a\? \[y/N\]")
        terminal.type("n")
        terminal.wait("nothing was changed")
        self.assertEqual(self.state("a"), "ready")
        terminal.type("d")
        terminal.wait(r"drain main/a\?")
        terminal.type("y")
        terminal.wait(r"drained main/a: 0 connections left")
        self.assertEqual(self.state("a"), "drain")
        terminal.wait(r"> main/a +up +drain")
        terminal.type("Down", "d")
        terminal.wait(r"drain main/b, the last one of its pool that receives requests\? \[y/N\]")
        terminal.type("n", "Up")
        terminal.wait(r"(?m)^> main/a")
        terminal.type("E")
        terminal.wait(r"enable main/a\?")
        terminal.type("y")
        terminal.wait(r"enabled main/a")
        self.assertEqual(self.state("a"), "ready")

    def test_resize(self):
        terminal = self.start("servers")
        terminal.wait("main/b")
        for width, height in ((60, 12), (120, 40), (40, 8), (20, 5), (80, 24)):
            terminal.resize(width, height)
            self.wait_for(lambda: len(terminal.lines()) == height, f"{height} lines")
            self.wait_for(lambda: terminal.lines()[-1].startswith("q quit"), "the last line")
            self.assertLessEqual(max(map(len, terminal.lines())), width)
        terminal.type("q")
        self.assert_restored(terminal, "ended: 0")

    def test_restored_after_ctrl_c(self):
        terminal = self.start()
        terminal.type("C-c")
        self.assert_restored(terminal, r"(?m)^shell>$")

    def test_restored_after_a_kill(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV):
            with self.subTest(number):
                terminal = self.start()
                pid = self.wait_for(lambda: terminal.pid_of("lbctl"), "the process")
                os.kill(pid, number)
                self.assert_restored(terminal, r"ended: \d+")
                terminal.close()

    def test_restored_while_it_is_stopped(self):
        terminal = self.terminal()
        terminal.run(f"{quoted(LBCTL_BIN)} top")
        terminal.wait(r"lbd  revision \d+")
        terminal.type("C-z")
        terminal.wait("Stopped")
        self.assertFalse(terminal.is_alternate())
        terminal.run("fg")
        terminal.wait(r"\Albd  revision \d+")
        terminal.type("q")
        self.assert_restored(terminal, r"(?m)^shell>$")

    def test_lbd_goes_and_comes(self):
        terminal = self.start("servers")
        self.proxy.stop()
        terminal.wait("cannot reach lbd|went away")
        self.proxy.restart()
        terminal.wait("q quit")
        terminal.wait("main/a")

    def test_without_lbd_nothing_is_taken(self):
        self.proxy.stop()
        terminal = self.terminal()
        terminal.run("lbctl top")
        text = terminal.wait("ended: 3")
        self.assertIn("cannot reach lbd", text)
        self.assertFalse(terminal.is_alternate())
        self.proxy.restart()


class Questions(TerminalCase):
    def test_yes_and_no(self):
        self.proxy.admin("b", "maint")
        terminal = self.terminal()
        terminal.run("lbctl drain main/a")
        terminal.wait(r"the last server of pool main .*\n?.*Go on\? \[y/N\]\n*\Z")
        terminal.type("n", "Enter")
        terminal.wait("ended: 1")
        self.assertEqual(self.state("a"), "ready")
        terminal.fresh("lbctl drain main/a")
        terminal.wait(r"Go on\? \[y/N\]\n*\Z")
        terminal.type("Enter")
        terminal.wait("ended: 1")
        terminal.fresh("lbctl drain main/a")
        terminal.wait(r"Go on\? \[y/N\]\n*\Z")
        terminal.type("y", "Enter")
        terminal.wait("ended: 0")
        self.assertEqual(self.state("a"), "drain")

    def test_progress_is_one_line(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def script(peer):
            peer.rx()
            go.wait(60)
            peer.tx(200, "x")

        server = self.origin(script)
        self.proxy = self.lbd(config_for(server))
        client = self.connect(self.proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        terminal = self.terminal()
        terminal.run("lbctl drain main/a --yes --wait")
        terminal.wait(r"(?m)^main/a: 1 connection left")
        go.set()
        text = terminal.wait("ended: 0")
        self.assertIn("main/a is drained: 0 connections left", text)
        self.assertNotIn("main/a: 1 connection left\n", text)

    def test_colour_only_with_a_word_and_only_here(self):
        terminal = self.terminal()
        for args, painted in (("", True), ("--color=never", False)):
            terminal.fresh(f"lbctl get servers {args}")
            terminal.wait("ended: 0")
            raw = terminal.tmux("capture-pane", "-t", "t", "-p", "-e")
            self.assertEqual("\x1b[32mup" in raw, painted, raw)
        for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            terminal.fresh(f"{name}={value} lbctl get servers")
            terminal.wait("ended: 0")
            self.assertNotIn("\x1b[32m", terminal.tmux("capture-pane", "-t", "t", "-p", "-e"))

    def test_a_long_page_goes_through_a_pager(self):
        terminal = self.terminal(height=12, env={"PAGER": "sed 's/^/| /'"})
        terminal.fresh("lbctl describe pool main")
        self.assertIn("\n| ", terminal.wait("ended: 0"))
        terminal.fresh("lbctl history")  # fits
        self.assertNotIn("\n| ", terminal.wait("ended: 0"))
        for pager in ("''", "cat", "/nonexistent/pager"):
            terminal.fresh(f"PAGER={pager} lbctl describe pool main")
            text = terminal.wait("ended: 0")
            self.assertIn("main/b", text)
            self.assertNotIn("\n| ", text)

    def test_a_table_fits_the_screen(self):
        terminal = self.terminal(width=50)
        terminal.fresh("lbctl get servers -o wide")
        text = terminal.wait("ended: 0")
        self.assertIn("…", text)
        self.assertEqual(len([line for line in text.splitlines() if "main/" in line]), 2)


class Completion(TerminalCase):
    """Tab, as the shells make of it."""

    def shell(self, start):
        terminal = self.terminal()
        path = os.path.dirname(LBCTL_BIN)
        terminal.run(f"unset -f lbctl; PATH={quoted(path)}:$PATH; clear; {start}")
        terminal.wait(r"\A(shell|zsh)>\n*\Z")
        return terminal

    def check(self, terminal):
        for line, keys, want in (
            ("lbctl dr", ["Tab"], "lbctl drain"),
            ("lbctl drain main/b", ["Tab"], "lbctl drain main/b"),
            ("lbctl config v", ["Tab"], "lbctl config validate"),
            ("lbctl set pools/ma", ["Tab"], "lbctl set pools/main/"),
            ("lbctl wait main --for se", ["Tab"], "lbctl wait main --for servers="),
            ("lbctl drain ", ["Tab", "Tab"], "listener/web +main/a +main/b +process|"
                                             "main/a +main/b +listener/web +process"),
        ):
            with self.subTest(line):
                terminal.type("C-u")
                terminal.tmux("send-keys", "-t", "t", "-l", line)
                for key in keys:
                    terminal.type(key)
                terminal.wait(want)
        # nothing is put behind what goes on
        terminal.type("C-u")
        terminal.tmux("send-keys", "-t", "t", "-l", "lbctl set pools/ma")
        terminal.type("Tab")
        terminal.wait("lbctl set pools/main/")
        terminal.tmux("send-keys", "-t", "t", "-l", "ret")
        terminal.wait("lbctl set pools/main/ret")

    def test_bash(self):
        self.check(self.shell(". <(lbctl completion bash)"))

    def test_zsh(self):
        terminal = self.shell("PS1='zsh> ' exec zsh -f")
        dump = quoted(self.proxy.directory / "zcompdump")
        terminal.run(f"autoload -U compinit && compinit -u -d {dump}; . <(lbctl completion zsh); clear")
        terminal.wait(r"\Azsh>\n*\Z")
        self.check(terminal)


class Editor(TerminalCase):
    def test_an_editor_has_the_terminal(self):
        """An editor that reads the terminal: the person types, sees the error, and gives in."""
        script = self.proxy.directory / "editor"
        script.write_text('cat "$1"; printf "line: "; read -r line; '
                          '[ -z "$line" ] || sed -i "s/^{/{ $line/" "$1"\n')
        terminal = self.terminal(
            env={"VISUAL": f"sh {script}", "TMPDIR": str(self.proxy.directory)})
        terminal.fresh("lbctl edit pool main")
        terminal.wait(r"as lbd runs it(.|\n)*line:\n*\Z")
        terminal.run('"retrise": 3,')
        terminal.wait(r"// error: /pools/main/retrise: (.|\n)*line:\n*\Z")
        terminal.type("Enter")  # nothing more: it stays as it was
        text = terminal.wait("ended: 7")
        self.assertIn("your text is kept in", text)


if __name__ == "__main__":
    unittest.main()
