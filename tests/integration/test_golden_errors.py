"""What is said about mistakes, word for word: golden/NAME.jsonc and what lbd says about it.

NAME.txt is what a person sees on a terminal (lbd -t), NAME.json what a program gets (lbd -t --json). The
API says the same about the same document. LBD_WRITE_GOLDEN=1 writes the files anew; read the difference.
"""

import json
import os
import pty
import subprocess
import unittest
from pathlib import Path

from lab import LBD_BIN, LabCase, run_lbd
from lab import jsonc
from lab.lbd import environment

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.jsonc"))
WRITE = os.environ.get("LBD_WRITE_GOLDEN")


def on_a_terminal(*args, cwd):
    """(exit code, what stderr showed) of lbd whose stderr is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([LBD_BIN, *args], cwd=cwd, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=theirs, env=environment())
    os.close(theirs)
    seen = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert out == b"", out
    return process.returncode, seen.replace(b"\r\n", b"\n").decode("utf-8", "replace")


class Golden(unittest.TestCase):
    maxDiff = None

    def compare(self, name, text):
        path = GOLDEN / name
        if WRITE:
            path.write_text(text)
        self.assertTrue(path.exists(), f"{path} is missing: LBD_WRITE_GOLDEN=1")
        self.assertEqual(text, path.read_text(), f"{path}: LBD_WRITE_GOLDEN=1 writes it anew")

    def test_on_a_terminal(self):
        self.assertGreater(len(CASES), 8)
        for name in CASES:
            with self.subTest(name):
                code, text = on_a_terminal("-t", "-c", f"{name}.jsonc", cwd=GOLDEN)
                self.assertEqual(code, 0 if name == "warnings" else 78, text)
                self.compare(f"{name}.txt", text)

    def test_for_programs(self):
        for name in CASES:
            with self.subTest(name):
                got = subprocess.run([LBD_BIN, "-t", "--json", "-c", f"{name}.jsonc"], cwd=GOLDEN,
                                     capture_output=True, text=True, env=environment(), timeout=60)
                self.assertEqual(got.returncode, 0 if name == "warnings" else 78, got)
                self.assertEqual(got.stderr, "")
                self.assertEqual(json.loads(got.stdout)["valid"], name == "warnings")
                self.compare(f"{name}.json", got.stdout)

    def test_without_a_terminal_there_is_no_source(self):
        got = run_lbd("-t", "-c", str(GOLDEN / "values.jsonc"))
        self.assertEqual(got.stdout, "")
        self.assertNotIn("^", got.stderr)
        self.assertIn("values.jsonc:10:27: #/pools/web/servers/a/address", got.stderr)

    def test_strict(self):
        path = str(GOLDEN / "warnings.jsonc")
        self.assertEqual(run_lbd("-t", "-c", path).returncode, 0)
        strict = run_lbd("-t", "--strict", "-c", path)
        self.assertEqual(strict.returncode, 78)
        self.assertRegex(strict.stderr, r"lbd: '.*warnings.jsonc' has [0-9]+ warnings\n\Z")
        report = json.loads(run_lbd("-t", "--strict", "--json", "-c", path).stdout)
        self.assertFalse(report["valid"])
        self.assertEqual(report["errors"], [])
        for flag in ("--strict", "--json"):
            self.assertEqual(run_lbd(flag, "-c", path).returncode, 2)

    def test_a_file_that_cannot_be_read(self):
        report = run_lbd("-t", "--json", "-c", str(GOLDEN / "none"))
        self.assertEqual(report.returncode, 78)
        self.assertEqual(json.loads(report.stdout)["errors"], [])
        self.assertIn("cannot open", json.loads(report.stdout)["detail"])


class SameByTheApi(LabCase):
    """The API says of a body what lbd -t says of a file; the place is that in the body."""

    def test_documents(self):
        proxy = self.lbd({})
        for name in CASES:
            text = (GOLDEN / f"{name}.jsonc").read_bytes()
            if name == "daemon" or b"//" in text:
                continue  # not for the API
            with self.subTest(name):
                answer = proxy.api("PUT", "/v1/config?dry_run=true", text,
                                   headers={"Content-Type": "application/json"})
                self.assertIn(answer.status, (400, 422) if name != "warnings" else (200, 201))
                want = json.loads((GOLDEN / f"{name}.json").read_text())
                for kind in ("errors", "warnings"):
                    entries = [{key: value for key, value in entry.items() if key != "file"}
                               for entry in want[kind]]
                    self.assertEqual(answer.body.get(kind, []), entries)

    def test_a_part_has_its_own_lines(self):
        proxy = self.lbd({})
        body = b'{\n  "servers": {\n    "a": { "adress": "10.0.0.1:80" }\n  }\n}'
        answer = proxy.api("PUT", "/v1/pools/web", body, headers={"Content-Type": "application/json"})
        self.assertEqual(answer.status, 422)
        self.assertEqual(answer.body["errors"][0], {
            "pointer": "#/pools/web/servers/a/adress", "code": "unknown-key",
            "detail": "'adress' is not a known key", "suggestion": "address", "line": 3, "column": 12})

    def test_the_file_of_the_test_says_what_it_should(self):
        """Not only the same as last time: what a person needs is there."""
        texts = {name: (GOLDEN / f"{name}.txt").read_text() for name in CASES}
        for name, words in {
            "unknown_keys": ["did you mean 'address'?", "did you mean 'pools'?", "did you mean 'default_pool'?",
                             "it belongs under 'pools.servers'", "it belongs under 'daemon'",
                             "it belongs under 'listeners.timeouts'", "did you mean 'weight'?"],
            "values": ["did you mean 'round_robin'?", "1 to 1000"],
            "references": ["did you mean 'shop'?", "did you mean 'web'?", "did you mean 'api'?",
                           "did you mean 'alive'?"],
            "warnings": ["route 'first' takes its requests first", "one server", "no servers",
                         "no server has the admin_state ready", "sends requests here",
                         "no pool is checked by it", "longer than 'interval'"],
        }.items():
            for word in words:
                with self.subTest(name, word=word):
                    self.assertIn(word, texts[name])
        self.assertEqual(jsonc.loads((GOLDEN / "warnings.jsonc").read_text())["routes"]["first"]["priority"], 10)


if __name__ == "__main__":
    unittest.main()
