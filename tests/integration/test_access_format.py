"""What the lines of the access log have and how they look; which requests have one; nothing gets out of its value."""

import json
import re
import shlex
import shutil
import tempfile
import time
import unittest

from lab import LabCase, config_for, run_lbd
from lab.ports import free_port

HOSTILE = '"> \\ \t é {"status":999} status=999 [1]'
COMBINED = re.compile(
    r'(\S+) - (\S+) \[(\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d \+0000)\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"\n')


class Shapes(LabCase):
    def proxy_with(self, document=None, **access_log):
        directory = tempfile.mkdtemp(prefix="lab-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        return self.lbd(document or config_for(self.origin(name="a")), directory=directory, daemon={
            "workers": 1, "access_log": {"path": f"{directory}/access.log", **access_log}})

    def lines(self, proxy, count):
        """Raw lines: the lab's own reader wants JSON."""
        return self.wait_for(
            lambda: proxy.access_log_path.exists()
            and len(found := [line for line in proxy.access_log_path.read_text().splitlines(True) if line.endswith("\n")])
            >= count and found,
            "lines of the access log")

    def test_combined_as_nginx_writes_it(self):
        proxy = self.proxy_with(format="combined")
        client = self.connect(proxy)
        client.get("/x?y=1", {"User-Agent": HOSTILE, "Referer": "http://r/"})
        client.get("/none")
        first, second = self.lines(proxy, 2)
        found = COMBINED.fullmatch(first)
        self.assertIsNotNone(found, first)
        host, user, _, request, status, size, referer, agent = found.groups()
        self.assertEqual((host, user, request, status, referer),
                         ("127.0.0.1", "-", "GET /x?y=1 HTTP/1.1", "200", "http://r/"))
        self.assertEqual(int(size), len("a GET /x?y=1 0\n"))
        self.assertNotIn('"', agent)
        self.assertIn('\\x22>', agent)
        self.assertEqual(COMBINED.fullmatch(second).group(7, 8), ("-", "-"))

    def test_chosen_fields_and_headers(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: sid=1\r\nX-Made-By: a\r\n\r\n")

        proxy = self.proxy_with(config_for(self.origin(script)), fields=["status", "path", "time"],
                                request_headers=["User-Agent", "authorization", "X-Missing"],
                                response_headers=["x-made-by", "Set-Cookie"])
        self.connect(proxy).get("/x", {"User-Agent": HOSTILE, "Authorization": "Bearer secret"})
        (line,) = self.lines(proxy, 1)
        self.assertNotIn("secret", line)
        value = json.loads(line)
        self.assertEqual(list(value), ["status", "path", "time", "request_headers", "response_headers"])
        self.assertEqual(value["request_headers"]["authorization"], "[redacted]")
        self.assertNotIn("X-Missing", value["request_headers"])
        self.assertIn('{"status":999}', value["request_headers"]["User-Agent"])
        self.assertEqual(value["response_headers"], {"x-made-by": "a", "Set-Cookie": "[redacted]"})

    def test_credentials_when_asked_for(self):
        proxy = self.proxy_with(fields=["path"], request_headers=["Cookie"], credentials=True)
        self.connect(proxy).get("/x", {"Cookie": "sid=1"})
        (line,) = self.lines(proxy, 1)
        self.assertEqual(json.loads(line), {"path": "/x", "request_headers": {"Cookie": "sid=1"}})

    def test_logfmt(self):
        proxy = self.proxy_with(format="logfmt", request_headers=["User-Agent"])
        self.connect(proxy).get("/x?status=999", {"User-Agent": 'curl "7" status=999'})
        (line,) = self.lines(proxy, 1)
        pairs = dict(part.split("=", 1) for part in shlex.split(line))
        self.assertEqual((pairs["status"], pairs["path"], pairs["reason"]), ("200", "/x?status=999", "ok"))
        self.assertEqual(pairs["request_headers.User-Agent"], 'curl "7" status=999')
        self.assertEqual(pairs["tries"], "1")


class Choice(LabCase):
    proxy_with = Shapes.proxy_with

    def paths(self, proxy):
        proxy.stop()
        return [json.loads(line)["path"] for line in proxy.access_log_path.read_text().splitlines()]

    def failing_document(self, **more):
        document = config_for(self.origin(name="a"), **more)
        document["pools"]["dead"] = {"servers": {"a": {"address": f"127.0.0.1:{free_port()}"}}, "retries": 0}
        document["routes"] = {
            "dead": {"listener": "web", "match": {"path_prefix": "/dead"}, "action": {"pool": "dead"}}}
        return document

    def test_a_sample_and_every_error(self):
        proxy = self.proxy_with(self.failing_document(), sample=10)
        client = self.connect(proxy)
        for index in range(50):
            client.get(f"/{index}")
        client.get("/dead/1")
        paths = self.paths(proxy)
        self.assertIn("/dead/1", paths)
        self.assertEqual(len(paths), 6)

    def test_only_errors(self):
        proxy = self.proxy_with(self.failing_document(), only="errors")
        client = self.connect(proxy)
        for path in ("/1", "/dead/1", "/2", "/dead/2"):
            client.get(path)
        self.assertEqual(self.paths(proxy), ["/dead/1", "/dead/2"])

    def test_only_slow_ones_and_errors(self):
        def script(peer):
            if peer.rx().target == "/slow":
                time.sleep(2.1)  # far from what a fast one takes on a busy machine
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        document = self.failing_document()
        document["pools"]["main"]["servers"]["a"]["address"] = self.origin(script).address
        proxy = self.proxy_with(document, only="slow", slow="2s")
        for path in ("/fast", "/slow", "/dead/1"):
            self.connect(proxy).get(path)
        self.assertEqual(self.paths(proxy), ["/slow", "/dead/1"])

    def test_off_for_a_route_and_for_a_listener(self):
        document = self.failing_document()
        document["routes"]["dead"]["access_log"] = False
        document["listeners"]["quiet"] = {"bind": ["127.0.0.1:0"], "default_pool": "main", "access_log": False}
        document["listeners"]["raw"] = {
            "bind": ["127.0.0.1:0"], "protocol": "tcp", "default_pool": "dead", "access_log": False}
        proxy = self.proxy_with(document)
        self.connect(proxy).get("/dead/1")
        self.connect(proxy, listener="quiet").get("/quiet")
        self.connect(proxy, listener="raw").read_rest()
        self.connect(proxy).get("/loud")
        self.assertEqual(self.paths(proxy), ["/loud"])

    def test_mistakes(self):
        for access_log, words in (
            ({"fields": ["time", "colour"]}, "must be a field of the access log"),
            ({"fields": ["time", "time"]}, "must not stand twice"),
            ({"format": "combined", "fields": ["time"]}, "must not be there with"),
            ({"request_headers": ["a b"]}, "must be the name of a header"),
            ({"only": "errors", "sample": 5}, "with 'only' there is nothing to choose from"),
        ):
            with self.subTest(words), tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump({"daemon": {"access_log": access_log}, **config_for()}, file)
                file.flush()
                said = run_lbd("-t", "-c", file.name)
                self.assertIn(words, said.stdout + said.stderr)


if __name__ == "__main__":
    unittest.main()
