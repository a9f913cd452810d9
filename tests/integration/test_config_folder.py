"""conf.d beside the file: read with it, and every mistake is told with the file that it is in."""

import json
import os
import signal
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, config_for, run_lbd
from lab.waits import wait_for


class ConfigFolder(LabCase):
    def setUp(self):
        super().setUp()
        holder = tempfile.TemporaryDirectory(prefix="lab-")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "lbd.json"
        self.folder = Path(holder.name) / "conf.d"
        self.folder.mkdir()

    def put(self, name, text):
        (self.folder / name).write_text(text if isinstance(text, str) else json.dumps(text))

    def check(self, text="{}", code=0):
        self.path.write_text(text)
        result = run_lbd("-t", "-c", str(self.path))
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def test_good(self):
        self.put("10-pools.json", {"pools": {"main": {"servers": {"a": {"address": "127.0.0.1:1"}}}}})
        self.put("20-web.jsonc", '// comments\n{"listeners": {"web": {"bind": ["127.0.0.1:0"], "default_pool": "main",}}}')
        text = self.check('{"schema": 1}')
        self.assertIn(f"{self.folder}/10-pools.json:1:20: warning: #/pools/main: one server", text)

    def test_a_name_twice_names_both_places(self):
        self.put("a.json", '{"pools": {"main": {}}}')
        self.put("b.json", '{"pools": {\n  "main": {}}}')
        text = self.check("{}", 78)
        self.assertIn(
            f"{self.folder}/b.json:2:3: #/pools/main: 'main' is already in {self.folder}/a.json:1:12\n", text
        )
        self.assertIn("with its conf.d is not valid: 1 error", text)

    def test_mistakes_of_all_files_at_once(self):
        self.put("a.json", '{"pools": {"main": {"retrys": 1}}}')
        self.put("b.jsonc", '{"routes": {\n "r": {"listener": "web", "action": {"pool": "mian"}}}}')
        self.put("c.json", '{"daemon": {}}')
        text = self.check('{"listeners": {"web": {}}}', 78)
        for start in (
            f"{self.folder}/a.json:1:21: #/pools/main/retrys: ",
            f"{self.folder}/b.jsonc:2:46: #/routes/r/action/pool: ",
            f"{self.folder}/c.json:1:2: #/daemon: ",
            f"{self.path}:1:23: #/listeners/web/bind: ",
        ):
            self.assertTrue(any(line.startswith(start) for line in text.splitlines()), (start, text))

    def test_no_json(self):
        self.put("a.json", '{"pools": }')
        self.put("b.json", "")
        text = self.check("{}", 78)
        self.assertIn(f"{self.folder}/a.json:1:11: ", text)
        self.assertIn(f"{self.folder}/b.json:1:1: ", text)

    def test_a_link_as_kubernetes_makes_it(self):
        data = self.folder / "..2026"
        data.mkdir()
        (data / "pool.json").write_text('{"pools": {"p": {}}}')
        (self.folder / "..data").symlink_to("..2026")
        (self.folder / "pool.json").symlink_to("..data/pool.json")
        self.assertIn(f"{self.folder}/pool.json:1:17: warning: ", self.check())

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_one_that_may_not_be_read(self):
        self.put("a.json", "{}")
        (self.folder / "a.json").chmod(0)
        self.assertIn("cannot open", self.check("{}", 78))

    # -- running ------------------------------------------------------------------------------

    def parted(self, proxy, name, document):
        folder = proxy.directory / "conf.d"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(document))

    def test_file_mode_reads_it_again(self):
        origin = self.origin()
        proxy = self.lbd(config_for(origin.address), daemon={"config_source": "file"})
        self.parted(proxy, "more.json", {"pools": {"more": {"servers": {"x": {"address": origin.address}}}}})
        proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: proxy.api("GET", "/v1/pools/more").status == 200, "the pool of conf.d")
        # a mistake changes nothing and is told with its file
        self.parted(proxy, "worse.json", {"pools": {"more": {}}})
        proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: "is already in" in proxy.log_text(), "the mistake in the log")
        self.assertRegex(proxy.log_text(), r"conf\.d/worse\.json:1:12: #/pools/more: 'more' is already in .*/more\.json:1:12")
        self.assertEqual(proxy.api("GET", "/v1/pools/more").status, 200)
        # and gone again
        (proxy.directory / "conf.d/worse.json").unlink()
        (proxy.directory / "conf.d/more.json").unlink()
        proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: proxy.api("GET", "/v1/pools/more").status == 404, "the pool is gone")

    def test_it_is_a_part_of_the_seed(self):
        proxy = self.lbd(config_for("127.0.0.1:1"))
        proxy.stop()
        self.parted(proxy, "more.json", {"pools": {"more": {}}})
        proxy.start()
        status = proxy.api("GET", "/v1/config/status").body
        self.assertEqual(proxy.api("GET", "/v1/pools/more").status, 404, "saved state wins")
        self.assertTrue(status["seed_differs"], status)


if __name__ == "__main__":
    unittest.main()
