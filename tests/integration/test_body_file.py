"""Answers of lbd itself whose body is a file: routes and maintenance, followed while the file changes."""

import json
import os
import pwd
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, config_for, h2, wait_for
from lab.lbd import run_lbd

PAGE = b"<h1>hello</h1>\n"
HEAD = (":method", "HEAD"), (":scheme", "http"), (":authority", "test"), (":path", "/")
MOST = 1 << 20
LARGE = b"".join(b"<li>%07d</li>\n" % n for n in range(MOST // 17)).ljust(MOST, b".")


class BodyFile(LabCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="lbd-body-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        self.folder = Path(folder.name)
        self.page = self.write("page.html", PAGE)

    def write(self, name, body, mode=0o644):
        """In one go, as deployments should."""
        path = self.folder / f"{name}.new"
        path.write_bytes(body)
        path.chmod(mode)
        path.rename(self.folder / name)
        return str(self.folder / name)

    def document(self, **respond):
        respond = {"status": 200, "body_file": self.page, **respond}
        document = config_for("127.0.0.1:1")
        document["routes"] = {"front": {"listener": "web", "match": {}, "action": {"respond": respond}}}
        return document

    def start(self, **respond):
        self.proxy = self.lbd(self.document(**respond))
        return self.connect(self.proxy)

    def h2_client(self, window=1 << 24):
        client = h2.H2Client(self.proxy.address(), options=((4, window),))
        self.addCleanup(client.__exit__, None, None, None)
        return client.__enter__()

    def assert_page(self, answer, body=PAGE, kind="text/html; charset=utf-8", status=200):
        self.assertEqual((answer.status, answer.get("content-type"), answer.get("content-length"), answer.body),
                         (status, kind, str(len(body)), body))

    # -- what is answered --

    def test_http1_and_http2_and_head(self):
        client = self.start(headers={"Cache-Control": "max-age=60"})
        for _ in range(2):
            self.assert_page(client.get())
            answer = client.request("HEAD")
            self.assertEqual((answer.status, answer.get("content-length"), answer.body), (200, str(len(PAGE)), b""))
            self.assertEqual(answer.get("cache-control"), "max-age=60")
        self.assert_page(self.connect(self.proxy).request("POST", body=b"x" * 100))
        h2_client = self.h2_client()
        self.assert_page(h2_client.request())
        answer = h2_client.request(fields=HEAD)
        self.assertEqual((answer.status, answer.get("content-length"), answer.body), (200, str(len(PAGE)), b""))

    def test_its_type(self):
        client = self.start()
        for name, given, wanted in (("a.json", None, "application/json"), ("a.png", None, "image/png"),
                                    ("robots", None, "text/plain; charset=utf-8"), ("b.json", "text/x-mine", "text/x-mine"),
                                    ("b.html", "text/plain; charset=utf-8", "text/plain; charset=utf-8")):
            with self.subTest(name=name):
                respond = {"status": 404, "body_file": self.write(name, PAGE), "content_type": given}
                self.proxy.patch("/v1/routes/front", {"action": {"respond": respond}})
                self.assert_page(client.get(), kind=wanted, status=404)
        respond = {"body_file": None, "body": "in the document", "content_type": None}
        self.proxy.patch("/v1/routes/front", {"action": {"respond": respond}})
        self.assert_page(client.get(), b"in the document", "text/plain; charset=utf-8", 404)

    def test_the_largest_to_slow_readers_is_not_copied(self):
        self.page = self.write("large.txt", LARGE)
        client = self.start()
        kind = "text/plain; charset=utf-8"
        self.assert_page(client.get(), LARGE, kind)
        self.assert_page(client.get(), LARGE, kind)
        self.assert_page(self.connect(self.proxy).request("POST", body=b"x" * MOST), LARGE, kind)
        fast = self.h2_client()
        fast.send(h2.window_update(0, 1 << 24))
        self.assert_page(fast.request(), LARGE, kind)
        self.assertEqual(len(fast.request(fields=HEAD).body), 0)

        held_back = self.h2_client(window=16 * 1024)
        streams = [held_back.new_stream() for _ in range(8)]
        for stream in streams:
            held_back.send(h2.headers(stream, h2.GET, end=True))
        slow, leaver = [self.connect(self.proxy, receive_buffer=16 * 1024) for _ in range(2)]
        for reader in (slow, leaver):  # one after the other, more than the kernel takes
            for _ in range(8):
                reader.send_request()
            self.assertEqual(reader.read_head().get("content-length"), str(MOST))
        wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 10, "all of them under way")
        held = self.proxy.metric("lbd_worker_buffered_bytes")
        self.assertLess(held, 10 * 160 * 1024)  # of each a piece of 64 KiB in its buffers, not the file
        leaver.abort()
        self.assertEqual(slow.read_exact(MOST), LARGE)
        for _ in range(7):
            self.assert_page(slow.read_response(), LARGE, kind)
        wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 8, "those of HTTP/2")

        self.write("large.txt", b"short")  # who has begun gets it to its end
        wait_for(lambda: self.connect(self.proxy).get().body == b"short", "the new one")
        held_back.send(h2.window_update(0, 1 << 24), *[h2.window_update(stream, 1 << 24) for stream in streams])
        answers = {stream: h2.Answer() for stream in streams}
        while not all(answer.ended for answer in answers.values()):
            got = held_back.read()
            if got.stream in answers:
                answers[got.stream].note(got)
        self.assertEqual([answer.body == LARGE for answer in answers.values()], [True] * 8)
        wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 0, "their end")
        self.assertEqual(slow.get().body, b"short")

    # -- the file changes --

    def problems(self):
        return [problem["message"] for problem in self.proxy.get("/v1/status")["problems"]
                if problem["pointer"] == "#/routes/front/action/respond/body_file"]

    def test_it_is_followed(self):
        client = self.start()
        self.assert_page(client.get())
        self.write("page.html", b"<h1>new</h1>")
        wait_for(lambda: client.get().body == b"<h1>new</h1>", "the new page")
        self.assertIn(f'body.loaded file="{self.page}"', self.proxy.log_text())
        revision = self.proxy.api("GET", "/v1/config").revision
        for broken in (lambda: os.unlink(self.page), lambda: self.write("page.html", b"x" * (MOST + 1)),
                       lambda: self.write("page.html", b"secret", mode=0o600)):
            before = self.proxy.log_text().count("body.failed")
            broken()
            wait_for(lambda: self.proxy.log_text().count("body.failed") > before, "a line in the log")
            self.assert_page(client.get(), b"<h1>new</h1>")
            self.proxy.patch("/v1/routes/front", {"meta": {"note": "another revision"}})
            self.assert_page(client.get(), b"<h1>new</h1>")
            (problem,) = self.problems()
            self.assertIn("the file cannot be used, the one before goes on: ", problem)
        self.write("page.html", PAGE)
        wait_for(lambda: client.get().body == PAGE, "the page that is good again")
        self.assertEqual(self.problems(), [])
        self.assertGreater(self.proxy.api("GET", "/v1/config").revision, revision)
        said = self.proxy.log_text()
        self.assertEqual(said.count("body.failed"), 3, said)  # once each

    def test_what_cannot_be_read_is_refused(self):
        self.start()
        key = self.write("key.pem", b"-----BEGIN PRIVATE KEY-----", mode=0o640)
        for path, words in ((str(self.folder / "none"), "No such file"), (str(self.folder), "is not a regular file"),
                            ("/dev/zero", "is not a regular file"), ("/proc/self/maps", "is empty"), (key, "is not readable for everybody"),
                            (self.write("huge", b"x" * (MOST + 1)), "is larger than 1 MiB")):
            with self.subTest(path=path):
                answer = self.proxy.api("PATCH", "/v1/routes/front", {"action": {"respond": {"body_file": path}}})
                self.assertEqual((answer.status, answer.pointers), (422, ["#/routes/front/action/respond/body_file"]))
                self.assertIn(words, answer.raw.decode())
                answer = self.proxy.api("PUT", "/v1/policies/closed", {"maintenance": {"body_file": path}})
                self.assertEqual(answer.status, 422)
                self.assertIn(words, answer.raw.decode())
        for respond, pointer in (({"body": "x"}, ""), ({"status": 204}, "/body_file")):
            answer = self.proxy.api("PATCH", "/v1/routes/front", {"action": {"respond": respond}})
            self.assertEqual((answer.status, answer.pointers), (422, ["#/routes/front/action/respond" + pointer]),
                             answer.raw)

    def test_a_start_names_file_and_place(self):
        path = self.folder / "lbd.json"
        document = self.document(body_file=str(self.folder / "none"))
        document["daemon"] = {"user": pwd.getpwuid(os.geteuid()).pw_name, "state_dir": str(self.folder / "state")}
        path.write_text(json.dumps(document))
        for arguments in (("-t",), ()):
            said = run_lbd(*arguments, "-c", str(path))
            self.assertEqual(said.returncode, 78, said)
            self.assertIn("/routes/front/action/respond/body_file", said.stderr)
            self.assertIn("cannot open the body", said.stderr)

    # -- maintenance --

    def test_maintenance(self):
        document = config_for("127.0.0.1:1", listener={"policies": ["closed"]})
        document["policies"] = {"closed": {"maintenance": {"body_file": self.page}}}
        self.proxy = self.lbd(document)
        client = self.connect(self.proxy)
        self.assert_page(client.get(), status=503)
        self.assert_page(self.h2_client().request(), status=503)
        self.write("page.html", LARGE)
        wait_for(lambda: client.get().body == LARGE, "the new page")
        os.unlink(self.page)
        wait_for(lambda: "policy.file_refused" in self.proxy.log_text(), "a line in the log")
        self.assert_page(client.get(), LARGE, status=503)
        self.assertEqual(self.proxy.log_text().count("policy.file_refused"), 1)

    def test_the_type_of_a_maintenance_page(self):
        document = config_for("127.0.0.1:1", listener={"policies": ["closed"]})
        document["policies"] = {"closed": {"maintenance": {"body": "shut"}}}
        self.proxy = self.lbd(document)
        client = self.connect(self.proxy)
        self.assert_page(client.get(), b"shut", "text/html; charset=utf-8", 503)
        for name, given, wanted in (("a.json", None, "application/json"), ("a.txt", None, "text/plain; charset=utf-8"),
                                    ("b.json", "text/x-mine", "text/x-mine")):
            self.proxy.patch("/v1/policies/closed", {"maintenance": {
                "body": None, "body_file": self.write(name, PAGE), "content_type": given}})
            self.assert_page(client.get(), kind=wanted, status=503)


if __name__ == "__main__":
    unittest.main()
