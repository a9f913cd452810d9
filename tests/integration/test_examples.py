"""Every example runs: it is read, shown with its defaults, put back, changed, rolled back, and saved so."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import LabCase
from lab.jsonc import loads

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"}]}
EXAMPLES = sorted((ROOT / "conf/examples").glob("*.json"))
FILES = ROOT / "tests/docs/example_files.sh"


class Examples(LabCase):
    hang_limit_s = 300

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="lab-examples-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)

    def here(self, text):
        """The same with files of this test's folder in place of those of a machine."""
        for of_machine, ours in (("/etc/lbd/", "etc"), ("/run/lbd/", "run"), ("build/demo/", "etc")):
            (self.folder / ours).mkdir(exist_ok=True)
            text = text.replace(f'"{of_machine}', f'"{self.folder}/{ours}/')
            text = text.replace(f'"unix:{of_machine}', f'"unix:{self.folder}/{ours}/')
        return text

    def make_files(self, document):
        path = self.folder / "one.json"
        path.write_text(json.dumps(document, indent=2))
        keys = self.folder / "etc/jwks.json"
        keys.write_text(json.dumps(KEYS))
        keys.chmod(0o600)
        subprocess.run(["sh", str(FILES), str(self.folder / "ca"), str(path)], check=True,
                       capture_output=True, cwd=ROOT)

    def start(self, path):
        document = loads(self.here(path.read_text()))
        document.pop("$schema", None)
        self.make_files(document)
        for listener in document.get("listeners", {}).values():
            listener["bind"] = ["127.0.0.1:0"]
        daemon = document.pop("daemon", {})
        api = daemon.pop("api", {})
        for key in ("audit", "require_preconditions"):  # a file of a machine, and what `walk` does not do
            api.pop(key, None)
        api["listen"] = ["127.0.0.1:0" for address in api.get("listen", []) if not address.startswith("unix:")]
        # where the log and its state are is the lab's; what a line looks like is the example's
        log = {**daemon.pop("access_log", {})}
        for key in ("state_dir", "log", "observe", "user"):
            daemon.pop(key, None)
        self.proxy = self.lbd(document, daemon=daemon, api=api, start=False)
        self.proxy.daemon["access_log"] = {**log, "path": str(self.proxy.access_log_path)}
        self.proxy.write_config(document)
        self.proxy.start()
        return daemon.get("config_source", "api")

    def walk(self):
        """What is shown can be put, and is the same then; a change is one, and goes back."""
        shown = self.proxy.api("GET", "/v1/config")
        whole = self.proxy.get("/v1/config?defaults=true")
        answer = self.proxy.put("/v1/config", shown.body)
        self.assertEqual(answer.revision, shown.revision, "the same document makes no revision")
        answer = self.proxy.put("/v1/config", whole)
        self.assertEqual(self.proxy.get("/v1/config?defaults=true"), whole, "defaults that are written out change nothing")
        before = answer.revision
        self.proxy.patch("/v1/config", {"pools": {"of-the-test": {"retries": 2, "servers": {}}}})
        self.assertIn("of-the-test", self.proxy.get("/v1/config")["pools"])
        self.proxy.change("POST", f"/v1/revisions/{before}/rollback")
        self.assertEqual(self.proxy.get("/v1/config?defaults=true"), whole, "back where it was")
        saved = json.loads((self.proxy.state_directory / "config.json").read_text())
        self.assertEqual(saved, self.proxy.get("/v1/config"), "and that is what a restart would find")
        self.assertNotIn(" error ", self.proxy.log_text())

    def test_each(self):
        self.assertGreater(len(EXAMPLES), 50)
        for path in EXAMPLES:
            with self.subTest(path.name):
                if self.start(path) == "api":
                    self.walk()
                else:
                    self.assertTrue(self.proxy.get("/v1/config?defaults=true"))
                    self.assertEqual(self.proxy.api("PUT", "/v1/config", {}).status, 409, "the file owns it")
                self.proxy.stop()

    def test_names_that_are_patterns_survive_a_restart(self):
        """Those of entries in a map of mail have backslashes, also quotes."""
        self.start(ROOT / "conf/examples/mail_from_perdition.json")
        for name in (r"^\d+@example\.net$", 'a"b'):
            self.proxy.patch("/v1/config", {"mail_maps": {"popmap-patterns": {
                "entries": {name: {"server": "b1", "priority": 7}}}}})
        before = self.proxy.get("/v1/config")
        self.assertEqual(len(before["mail_maps"]["popmap-patterns"]["entries"]), 4)
        self.proxy.stop()
        self.proxy.restart()
        self.assertEqual(self.proxy.get("/v1/config"), before)


if __name__ == "__main__":
    unittest.main()
