"""What was acknowledged is found again; what was not is old or new, never half and never none."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import Closed, LabCase, Lbd, WireError, config_for

STEPS = ("save-open", "save-write", "save-fsync", "save-rename", "save-dirsync")


class Durable(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")

    def test_found_again_after_kill_9(self):
        proxy = self.lbd(config_for(self.server))
        for weight in range(1, 8):
            answer = proxy.patch("/v1/pools/main/servers/a", {"weight": weight})
        saved = proxy.api("GET", "/v1/config")
        proxy.kill()
        proxy.restart()
        again = proxy.api("GET", "/v1/config")
        self.assertEqual(again.body, saved.body)
        self.assertEqual(again.etag, saved.etag)
        self.assertGreaterEqual(again.revision, answer.revision, "revisions never go back")
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_found_again_after_a_clean_stop(self):
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/pools/second", {"servers": {}})
        proxy.stop()
        proxy.restart()
        self.assertIn("second", proxy.get("/v1/config")["pools"])

    def test_saved_state_wins_over_the_seed_and_says_so(self):
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main", {"retries": 3})
        proxy.stop()
        proxy.write_config(config_for("127.0.0.1:1"))
        proxy.restart()
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 3)
        proxy.wait_log("config.seed_differs")
        self.assertIn("changes=2 first=\"pools/main/retries: no longer set, was 3\"", proxy.log_text())
        proxy.wait_metric(1, "lbd_config_seed_differs")

    def test_file_mode_saves_no_configuration(self):
        proxy = self.lbd(config_for(self.server), daemon={"config_source": "file"})
        proxy.stop()
        proxy.write_config(config_for(self.server, pool={"retries": 4}))
        proxy.restart()
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 4)

    def test_revision_goes_on_in_both_modes(self):
        for source in ("api", "file"):
            proxy = self.lbd(config_for(self.server), daemon={"config_source": source})
            before = proxy.api("GET", "/v1/config").revision
            proxy.kill()
            proxy.restart()
            self.assertGreaterEqual(proxy.api("GET", "/v1/config").revision, before, source)

    def test_daemon_is_not_saved(self):
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main", {"retries": 3})
        for path in proxy.state_directory.rglob("*.json"):
            self.assertNotIn('"daemon"', path.read_text(), path)

    def test_dry_run_saves_nothing(self):
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main", {"retries": 1})
        before = self.state(proxy)
        proxy.api("PATCH", "/v1/pools/main?dry_run=true", {"retries": 3})
        self.assertEqual(self.state(proxy), before)

    def state(self, proxy):
        return {
            str(p.relative_to(proxy.state_directory)): p.read_bytes()
            for p in proxy.state_directory.rglob("*") if p.is_file()
        }

    def test_broken_saved_state_is_never_an_empty_configuration(self):
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main", {"retries": 2})
        proxy.stop()
        for path in proxy.state_directory.rglob("*.json"):
            path.write_text("{ half a docu")
        proxy.start(ready=False)
        # either an older good revision is used, loudly, or the start is refused with the reason
        code = None
        try:
            proxy.wait_notify("READY=1")
        except AssertionError:
            code = proxy.wait_exit()
            self.assertEqual(code, 78, proxy.everything())
            proxy.process = None
            self.assertIn("config.json", proxy.log_text() + proxy.stderr_text())
        if code is None:
            self.assertIn("main", proxy.get("/v1/config")["pools"])

    def test_two_daemons_on_one_state_directory(self):
        proxy = self.lbd(config_for(self.server))
        second = Lbd(config_for(self.server), daemon={"state_dir": str(proxy.state_directory)},
                     start=False)
        self.addCleanup(shutil.rmtree, second.directory, True)
        second.start(ready=False)
        code = second.wait_exit()
        second.process = None
        self.assertIn(code, (1, 78), second.everything())
        self.assertEqual(self.connect(proxy).get("/").status, 200)


class Crash(LabCase):
    """kill -9 at each step of a save (lbd stops itself there when LBD_TEST_CRASH_AT says so)."""

    def crash_at(self, step, change, document):
        """Runs up to the crash in `change`; returns what a restart finds."""
        proxy = self.lbd(document)
        proxy.patch("/v1/pools/main", {"retries": 1})  # the last acknowledged state
        old = proxy.get("/v1/config")
        proxy.stop()
        proxy.env = {"LBD_TEST_CRASH_AT": step}
        proxy.restart()
        if not proxy.is_running():
            self.fail(f"did not start with LBD_TEST_CRASH_AT={step}")
        answer = None
        try:
            answer = proxy.api(*change)
        except (Closed, WireError, OSError):
            pass
        if answer is not None:
            proxy.stop()
            self.fail(f"LBD_TEST_CRASH_AT={step} does not end this lbd")
        self.assertNotEqual(proxy.wait_exit(), 0)
        proxy.check_sanitizers()
        proxy.process = None
        proxy.env = {}
        proxy.restart()
        return proxy, old

    def test_each_step(self):
        server = self.origin(name="a")
        for step in STEPS:
            with self.subTest(step):
                proxy, old = self.crash_at(
                    step, ("PATCH", "/v1/pools/main", {"retries": 5}), config_for(server)
                )
                found = proxy.get("/v1/config")
                new = json.loads(json.dumps(old))
                new["pools"]["main"]["retries"] = 5
                self.assertIn(found, (old, new), "half a configuration")
                if step in ("save-open", "save-write", "save-fsync"):
                    self.assertEqual(found, old, "nothing was renamed yet")
                if step == "save-dirsync":
                    self.assertEqual(found, new, "the rename had happened")
                self.assertEqual(self.connect(proxy).get("/").status, 200)
                # and it can be changed again
                proxy.patch("/v1/pools/main", {"retries": 2})
                self.assertEqual(proxy.get("/v1/pools/main")["retries"], 2)

    def test_large_document(self):
        """Killed in the middle of writing something that does not fit one write."""
        server = self.origin(name="a")
        servers = {f"s{i:05}": {"address": f"10.0.{i // 250}.{i % 250 + 1}:80"} for i in range(2000)}
        for step in ("save-write", "save-rename"):
            with self.subTest(step):
                proxy, old = self.crash_at(
                    step, ("PUT", "/v1/pools/large", {"servers": servers}), config_for(server)
                )
                found = proxy.get("/v1/config")
                if "large" in found["pools"]:
                    self.assertEqual(found["pools"]["large"]["servers"], servers)
                    del found["pools"]["large"]
                self.assertEqual(found, old)

    def test_kill_at_random_moments(self):
        """kill -9 from outside while changes stream in: the last acknowledged one is there."""
        import threading

        server = self.origin(name="a")
        proxy = self.lbd(config_for(server))
        for round_ in range(4):
            acknowledged = [0]
            sent = [0]

            def change():
                try:
                    for number in range(1, 1000):
                        sent[0] = number
                        answer = proxy.api("PATCH", "/v1/pools/main/servers/a", {"weight": number})
                        if answer.status != 200:
                            return
                        acknowledged[0] = number
                except (Closed, WireError, OSError):
                    pass

            thread = threading.Thread(target=change)
            thread.start()
            self.wait_for(lambda: acknowledged[0] > 3 + round_ * 7, "some changes")
            proxy.kill()
            thread.join(60)
            proxy.restart()
            weight = proxy.get("/v1/pools/main/servers/a")["weight"]
            self.assertIn(weight, (acknowledged[0], sent[0]), f"round {round_}")
            proxy.patch("/v1/pools/main/servers/a", {"weight": 1000})


class DiskFull(LabCase):
    def check_full(self, proxy, fill, free):
        client = self.connect(proxy)
        self.assertEqual(client.get("/").status, 200)
        proxy.patch("/v1/pools/main", {"retries": 1})
        before = proxy.api("GET", "/v1/config")
        fill()
        servers = {f"s{i:05}": {"address": f"10.0.{i // 250}.{i % 250 + 1}:80"} for i in range(2000)}
        answer = proxy.api("PUT", "/v1/pools/large", {"servers": servers})
        self.assertEqual(answer.status, 507, str(answer)[:300])
        self.assertEqual(answer.header("Content-Type").partition(";")[0], "application/problem+json")
        after = proxy.api("GET", "/v1/config")
        self.assertEqual((after.etag, after.revision), (before.etag, before.revision))
        self.assertEqual(proxy.api("GET", "/v1/pools/large").status, 404)
        self.assertEqual(client.get("/").status, 200)
        self.wait_for(
            lambda: proxy.metric("lbd_config_persist_failures_total") >= 1, "lbd_config_persist_failures_total")
        free()
        proxy.put("/v1/pools/large", {"servers": servers})
        proxy.kill()
        proxy.restart()
        self.assertEqual(proxy.get("/v1/pools/large")["servers"], servers)

    def test_full_file_system(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small file system")
        holder = tempfile.mkdtemp(prefix="lab-")
        self.addCleanup(os.rmdir, holder)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", holder], capture_output=True
        )
        if done.returncode != 0:
            self.skipTest(f"cannot mount: {done.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", holder], capture_output=True)
        filler = Path(holder) / "filler"

        def fill():
            with open(filler, "wb", buffering=0) as out:
                try:
                    while True:
                        out.write(b"x" * 4096)
                except OSError:
                    pass

        proxy = self.lbd(config_for(self.origin()), daemon={"state_dir": holder})
        self.check_full(proxy, fill, lambda: filler.unlink())
        proxy.stop()

    def test_file_size_limit(self):
        """The same as an ordinary user: a write fails with EFBIG beyond RLIMIT_FSIZE."""
        proxy = self.lbd(
            config_for(self.origin()),
            daemon={"log": {"level": "info", "format": "text", "path": "stderr"},
                    "access_log": {"path": "off"}},
        )

        def limit(size):
            subprocess.run(
                ["prlimit", "--pid", str(proxy.pid), f"--fsize={size}:unlimited"], check=True
            )

        self.check_full(proxy, lambda: limit(32768), lambda: limit("unlimited"))

    def test_state_directory_taken_away(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.patch("/v1/pools/main", {"retries": 1})
        before = proxy.api("GET", "/v1/config").revision
        moved = proxy.directory / "moved"
        proxy.state_directory.rename(moved)
        answer = proxy.api("PATCH", "/v1/pools/main", {"retries": 2})
        if answer.status == 200:  # it holds the directory open: then the file is there
            self.assertTrue(any("config" in p.name for p in moved.iterdir()))
        else:
            self.assertEqual(answer.status, 507, answer)
            self.assertEqual(proxy.api("GET", "/v1/config").revision, before)
        moved.rename(proxy.state_directory)
        proxy.patch("/v1/pools/main", {"retries": 3})


if __name__ == "__main__":
    unittest.main()
