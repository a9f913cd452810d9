"""What runs after a start: never nothing because something saved could not be used."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import Closed, LabCase, WireError, config_for

STEPS = ("open", "write", "fsync", "rename", "dirsync")


class Start(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server))
        self.numbers = [self.proxy.patch("/v1/pools/main", {"retries": n}).revision
                        for n in (1, 2, 3)]
        self.state = self.proxy.state_directory

    def revision_file(self, number, kind="json"):
        return self.state / "revisions" / f"{number:06}.{kind}"

    def retries(self):
        return self.proxy.get("/v1/pools/main")["retries"]

    def refused(self, *words):
        self.proxy.start(ready=False)
        self.assertEqual(self.proxy.wait_exit(), 78, self.proxy.everything())
        self.proxy.process = None
        text = self.proxy.log_text() + self.proxy.stderr_text()
        for word in words:
            self.assertIn(word, text)

    def test_damaged_falls_back_aloud(self):
        self.proxy.stop()
        (self.state / "config.json").write_text('{"pools": {"main": {"retr')
        self.proxy.restart()
        self.assertEqual(self.retries(), 3)
        self.assertTrue(self.proxy.get("/v1/config/status")["degraded"])
        self.proxy.wait_log("config.saved_damaged")
        degraded = [c for c in self.proxy.get("/v1/status")["conditions"]
                    if c["type"] == "Degraded"]
        self.assertTrue(degraded[0]["status"])
        newest = self.proxy.get("/v1/revisions")["revisions"][0]
        self.assertEqual((newest["via"], newest["current"]), ("start", True))
        self.assertGreater(newest["revision"], self.numbers[-1])
        self.assertIn("config.json", newest["reason"])
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.proxy.patch("/v1/pools/main", {"retries": 4})
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.retries(), 4)
        self.assertFalse(self.proxy.get("/v1/config/status")["degraded"])

    def test_falls_back_through_history(self):
        self.proxy.stop()
        (self.state / "config.json").unlink()
        self.revision_file(self.numbers[2]).write_text("")
        self.revision_file(self.numbers[1]).write_text("[]")
        self.proxy.restart()
        self.assertEqual(self.retries(), 1)

    def test_never_back_to_what_was_on_trial(self):
        on_trial = self.proxy.patch("/v1/pools/main?confirm_within=1h", {"retries": 7}).revision
        self.proxy.kill()
        (self.state / "config.json").write_text("{")
        self.proxy.restart()
        self.assertEqual(self.retries(), 3)
        self.assertGreater(self.proxy.api("GET", "/v1/config").revision, on_trial)

    def test_nothing_whole_is_no_start(self):
        self.proxy.stop()
        for path in self.state.rglob("*.json"):
            path.write_text("{")
        files = sorted(p.name for p in self.state.rglob("*"))
        self.refused("config.json")
        self.assertEqual(sorted(p.name for p in self.state.rglob("*")), files, "evidence is kept")

    def test_a_newer_schema_is_no_start(self):
        """It is not damaged: an older configuration in its place would be a surprise."""
        self.proxy.stop()
        document = json.loads((self.state / "config.json").read_text())
        document["schema"] = 2
        document["pools"]["main"]["quantum"] = True
        (self.state / "config.json").write_text(json.dumps(document))
        self.refused("schema 2", f"revision {self.numbers[2]} still works")
        self.revision_file(self.numbers[2]).write_text(json.dumps(document))
        self.refused("schema 2", f"revision {self.numbers[1]} still works")
        # as it says
        shutil.copy(self.revision_file(self.numbers[1]), self.state / "config.json")
        self.proxy.start()
        self.assertEqual(self.retries(), 2)
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def test_a_newer_schema_everywhere(self):
        self.proxy.stop()
        for path in (self.state / "config.json", *(self.state / "revisions").glob("*.json")):
            path.write_text('{"schema": 3}')
        self.refused("schema 3", "no revision")

    def test_numbers_are_never_used_twice(self):
        """Whatever is lost of the bookkeeping, the next revision is a new one."""
        self.proxy.stop()
        for lost in ("revision", f"revisions/{self.numbers[2]:06}.json",
                     f"revisions/{self.numbers[2]:06}.meta"):
            with self.subTest(lost):
                before = max(int(p.stem) for p in (self.state / "revisions").glob("*.json"))
                (self.state / lost).unlink(missing_ok=True)
                self.proxy.restart()
                number = self.proxy.put(f"/v1/pools/x{before}", {}).revision
                self.assertGreater(number, before)
                self.proxy.stop()

    def test_foreign_files(self):
        self.proxy.stop()
        folder = self.state / "revisions"
        (folder / "notes.txt").write_text("x")
        (folder / "000999.meta").write_text('{"half')
        (folder / "99999999999999999999999.json").write_text("{}")
        (folder / "000003.json.tmp").write_text("{")
        (folder / "x.meta").mkdir()
        self.proxy.restart()
        self.assertEqual(self.retries(), 3)
        self.assertEqual(self.proxy.patch("/v1/pools/main", {"retries": 4}).revision,
                         self.numbers[2] + 1)
        self.assertTrue((folder / "notes.txt").exists())
        (folder / "x.meta").rmdir()

    def test_a_pipe_is_no_file(self):
        """Reading it would wait for a writer without end."""
        self.proxy.stop()
        (self.state / "config.json").unlink()
        os.mkfifo(self.state / "config.json")
        self.proxy.restart()
        self.assertEqual(self.retries(), 3)
        self.assertTrue(self.proxy.get("/v1/config/status")["degraded"])
        self.proxy.stop()
        (self.state / "owners.json").write_text("[]")
        self.proxy.restart()
        self.assertTrue(self.proxy.get("/v1/config/status")["degraded"])

    def test_killed_at_each_step_of_each_file(self):
        """Also of the notes and documents of the history, for each door."""
        doors = {
            "put": lambda p: p.put("/v1/pools/main/servers/a",
                                   {"address": self.server.address, "weight": 9}),
            "batch": lambda p: p.change("POST", "/v1/batch", [
                {"method": "PUT", "path": "/v1/pools/x", "body": {}},
                {"method": "PATCH", "path": "/v1/pools/main", "body": {"retries": 9}}]),
            "rollback": lambda p: p.change("POST", f"/v1/revisions/{target[0]}/rollback"),
        }
        target = [0]
        for name, door in doors.items():
            target[0] = self.proxy.patch("/v1/pools/main", {"meta": {"note": name}}).revision
            self.proxy.patch("/v1/pools/main", {"meta": None})
            for kind in ("meta", "save", "history", "number"):
                for step in (("write",) if kind == "number" else
                             STEPS if name == "put" else ("rename",)):
                    with self.subTest(f"{name} {kind}-{step}"):
                        old = self.proxy.get("/v1/config")
                        last = self.proxy.api("GET", "/v1/config").revision
                        self.proxy.stop()
                        self.proxy.env = {"LBD_TEST_CRASH_AT": f"{kind}-{step}"}
                        self.proxy.restart()
                        with self.assertRaises((Closed, WireError, OSError)):
                            door(self.proxy)
                        self.assertEqual(self.proxy.wait_exit(), 137)
                        self.proxy.process = None
                        self.proxy.env = {}
                        self.proxy.restart()
                        found = self.proxy.get("/v1/config")
                        revision = self.proxy.api("GET", "/v1/config").revision
                        is_old = kind == "meta" or (kind == "save" and step != "dirsync")
                        if is_old:
                            self.assertEqual((found, revision), (old, last))
                        else:
                            self.assertNotEqual(found, old)
                            self.assertEqual(revision, last + 1)
                        newest = self.proxy.get("/v1/revisions")["revisions"][0]
                        self.assertEqual(newest["revision"], revision)
                        self.assertEqual(self.proxy.get(f"/v1/revisions/{revision}/config"), found)
                        if not is_old:
                            self.assertEqual(newest["via"], name)
                        # the same again, and back to where it began
                        door(self.proxy)
                        self.proxy.put("/v1/config", old)


class DiskFull(LabCase):
    """507, and nothing is different: neither what runs nor what is saved nor the list."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small file system")
        self.holder = tempfile.mkdtemp(prefix="lab-")
        self.addCleanup(os.rmdir, self.holder)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", self.holder],
                              capture_output=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount: {done.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.holder], capture_output=True)
        self.filler = Path(self.holder) / "filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * 4096)
            except OSError:
                pass

    def everything(self, proxy):
        return (proxy.get("/v1/config"), proxy.api("GET", "/v1/config").etag,
                proxy.get("/v1/revisions"), proxy.get("/v1/config/status").get("unconfirmed"))

    def test_every_door(self):
        proxy = self.lbd(config_for(self.origin(name="a")), daemon={"state_dir": self.holder})
        first = proxy.patch("/v1/pools/main", {"retries": 1}).revision
        proxy.patch("/v1/pools/main", {"retries": 2})
        servers = {f"s{i}": {"address": "127.0.0.1:1"} for i in range(300)}
        doors = (
            ("PUT", "/v1/pools/large", {"servers": servers}),
            ("PATCH", "/v1/config", {"pools": {"large": {"servers": servers}}}),
            ("POST", "/v1/batch", [{"method": "PUT", "path": "/v1/pools/x", "body": {}}]),
            ("PUT", "/v1/pools/main/endpoints", servers),
            ("PUT", "/v1/config?owner=x", {"pools": {"owned": {"servers": servers}}}),
            ("POST", f"/v1/revisions/{first}/rollback", None),
            ("PUT", "/v1/pools/large?confirm_within=1h", {"servers": servers}),
        )
        self.fill()
        before = self.everything(proxy)
        for method, path, body in doors:
            with self.subTest(path):
                answer = proxy.api(method, path, body)
                self.assertEqual((answer.status, answer.body["type"]),
                                 (507, "/v1/problems/storage"))
                self.assertEqual(self.everything(proxy), before)
        proxy.wait_metric(len(doors), "lbd_config_persist_failures_total")
        self.filler.unlink()
        for method, path, body in doors:
            self.assertIn(proxy.api(method, path, body).status, (200, 201), path)
        proxy.stop()

    def test_confirm_and_reject(self):
        proxy = self.lbd(config_for(self.origin(name="a")), daemon={"state_dir": self.holder})
        base = proxy.patch("/v1/pools/main", {"retries": 1}).revision
        servers = {f"s{i}": {"address": "127.0.0.1:1"} for i in range(300)}
        number = proxy.patch("/v1/pools/main?confirm_within=1h",
                             {"retries": 2, "servers": servers}).revision
        self.fill()
        before = self.everything(proxy)
        self.assertEqual(proxy.api("POST", f"/v1/revisions/{number}/confirm").status, 507)
        self.assertEqual(self.everything(proxy), before)
        # going back needs no disk: config.json is the confirmed one all the time
        answer = proxy.api("POST", f"/v1/revisions/{number}/reject")
        self.assertEqual((answer.status, answer.body["rolled_back_to"]), (200, base))
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 1)
        self.filler.unlink()
        proxy.kill()
        proxy.restart()
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 1)
        proxy.patch("/v1/pools/main", {"retries": 3})
        proxy.stop()

    def test_one_group_fails_the_next_does_not(self):
        """Many writers on a full disk: each is told 507, none of them is there; then all are."""
        import threading

        proxy = self.lbd(config_for(self.origin(name="a")), daemon={"state_dir": self.holder})
        before = proxy.api("GET", "/v1/config")
        self.fill()

        def write_all():
            statuses = []

            def write(number):
                statuses.append(proxy.api("PUT", f"/v1/pools/w{number}", {}).status)

            threads = [threading.Thread(target=write, args=(n,)) for n in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return statuses

        self.assertEqual(set(write_all()), {507})
        after = proxy.api("GET", "/v1/config")
        self.assertEqual((after.etag, after.revision), (before.etag, before.revision))
        self.filler.unlink()
        self.assertEqual(set(write_all()), {201})
        self.assertEqual(proxy.api("GET", "/v1/config").revision, before.revision + 12)
        proxy.stop()


if __name__ == "__main__":
    unittest.main()
