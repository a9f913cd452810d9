"""Hostile requests and answers: the corpus of rules R4-R11, whole and cut at several bytes.

Each entry of corpus/requests.json is sent on a fresh connection. What must come back stands in
the entry; what must never happen stands here: the origin, which reads as strictly as the RFC, sees
exactly the complete requests the entry allows, each as the entry says, and nothing that is not
HTTP. The same bytes cut anywhere give the same answer.

Each entry of corpus/responses.json is what an origin says to one request. The client gets a
well-formed answer, an error of lbd with its reason, or a cut it can see; the connection to the
origin is used again only when nothing was in doubt (R6); the next client always gets its own answer.
"""

import json
import threading
import unittest
from pathlib import Path

from lab import Client, Closed, LabCase, WireError, config_for, wait_for

FAILURES_MAX = 30  # then the rest of the corpus is not tried
PATIENCE_S = 20.0  # many short conversations: one that hangs must not eat the time of the others

CORPUS = Path(__file__).resolve().parent / "corpus"


def load(name):
    return json.loads((CORPUS / name).read_text())


def raw_bytes(raw):
    """Parts are text in Latin-1 or {"repeat": text, "times": n}."""
    parts = raw if isinstance(raw, list) else [raw]
    return b"".join(
        p.encode("latin-1") if isinstance(p, str) else p["repeat"].encode("latin-1") * p["times"]
        for p in parts
    )


def cuts_of(data, split):
    """Ways to cut `data`: whole, in two at several places, and byte by byte."""
    ways = [()]
    if not split:
        return ways
    size = len(data)
    ends = [i + 1 for i in range(size) if data[i : i + 1] == b"\n"]
    # inside the last CRLF, after a line, in the middle of one, before the last byte
    places = {size // 2, size // 3, size - 1, *ends[:1], *ends[-2:-1], *(e - 1 for e in ends[-2:])}
    ways += [(p,) for p in sorted(places) if 0 < p < size]
    if size < 400:
        ways.append(tuple(range(1, size)))
    return ways


OURS = ("via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id")


def run_entries(case, entries, ways):
    """Checks every entry cut in every way; gives up when lbd is gone or too much fails."""
    failures = 0
    for entry in entries:
        data = raw_bytes(entry["raw"])
        for cuts in ways(data, entry.get("split", True)):
            if failures >= FAILURES_MAX or not case.proxy.is_running():
                case.fail("too many failures" if case.proxy.is_running() else "lbd is gone")
            with case.subTest(entry["name"], rule=entry["rule"], cuts=cuts[:3]):
                failures += 1
                try:
                    case.check(entry, data, cuts)
                except (Closed, WireError, OSError) as error:
                    case.fail(f"{type(error).__name__}: {error}")
                failures -= 1
    case.assertTrue(case.proxy.is_running())


class Requests(LabCase):
    """One lbd and one origin for the whole corpus."""

    def setUp(self):
        super().setUp()
        self.complete = []  # requests the origin read to their end
        self.lock = threading.Lock()
        self.server = self.origin(self.serve)
        self.proxy = self.lbd(config_for(self.server))
        self.address = self.proxy.address()

    def serve(self, peer):
        while True:
            request = peer.rx()
            with self.lock:
                self.complete.append(request.message)
            # the body names the request, so that an answer can be matched to its question
            text = f"{request.method} {request.target}".encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            peer.send(head + (b"" if request.method == "HEAD" else text))

    def answers(self, entry, data, cuts):
        """Sends one entry; returns the responses and whether the connection is closed."""
        expect = entry["expect"]
        with Client(self.address, timeout=PATIENCE_S) as client:
            client.send(data, cuts, pause=0.001 if len(cuts) < 5 else 0)
            responses = []
            method = data.split(b" ", 1)[0].decode("latin-1")
            for _ in expect["statuses"]:
                responses.append(client.read_response(method))
                method = "GET"
            if responses[-1].status >= 400:
                # R6: framing may be in doubt, so no further byte is taken for a request
                client.send(b"GET /after-error HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(client.reader.some(), b"", "served on after an error (R6)")
                return responses, True
            if expect.get("close"):
                self.assertEqual(client.reader.some(), b"", "bytes after the last answer")
                return responses, True
            if "close" in expect:
                sentinel = client.get("/sentinel")
                self.assertEqual(sentinel.text, "GET /sentinel", "not the answer to its question")
                return responses, False
            return responses, None

    def check(self, entry, data, cuts):
        expect = entry["expect"]
        with self.lock:
            self.complete.clear()
        responses, closed = self.answers(entry, data, cuts)
        for response, allowed in zip(responses, expect["statuses"], strict=True):
            self.assertIn(response.status, allowed)
            if response.status >= 400:
                self.assertIsNotNone(response.get("Lbd-Reason"), "an error without its reason")
        last = responses[-1]
        if "reason" in expect and last.status >= 400:
            self.assertEqual(last.get("Lbd-Reason"), expect["reason"])
        with self.lock:
            seen = [m for m in self.complete if m.target != "/sentinel"]
        for message in seen:
            self.assertNotIn("smuggled", message.target)
            self.assertEqual(message.trailers, [], "trailers are dropped unless the route forwards them")
            self.check_forwarded(message)
        count = expect.get("origin", sum(r.status == 200 for r in responses))
        self.assertEqual(len(seen), count, f"the origin saw {[m.start for m in seen]}")
        for message, wanted in zip(seen, expect.get("forward", []), strict=False):
            self.assertEqual(message.start.decode("latin-1"), wanted["start"])
            if "body" in wanted:
                self.assertEqual(message.body.decode("latin-1"), wanted["body"])
            for name, value in wanted.get("headers", {}).items():
                self.assertEqual(message.get(name), value, name)

    def check_forwarded(self, message):
        """What holds for every request lbd forwards, whatever the client said."""
        self.assertEqual(message.version, "HTTP/1.1")
        self.assertEqual(len(message.all("Host")), 1)
        self.assertEqual(message.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(message.get("X-Forwarded-Proto"), "http")
        self.assertIsNotNone(message.get("X-Request-Id"))
        self.assertRegex(", ".join(message.all("Via")), r"1\.[01] lbd\Z")
        for name in ("Keep-Alive", "Proxy-Connection", "TE", "HTTP2-Settings"):
            self.assertFalse(message.has(name), f"{name} went through")
        for name, _ in message.headers:
            self.assertRegex(name, r"\A[A-Za-z0-9-]+\Z")
        self.assertNotIn("h2c", ",".join(message.all("Upgrade")))

    def run_corpus(self, ways):
        run_entries(self, load("requests.json"), ways)

    def test_whole(self):
        self.run_corpus(lambda data, split: [()])

    def test_cut_in_two(self):
        self.run_corpus(lambda data, split: [c for c in cuts_of(data, split) if len(c) == 1])

    def test_byte_by_byte(self):
        self.run_corpus(lambda data, split: [c for c in cuts_of(data, split) if len(c) > 1])

    def test_corpus_is_large_enough(self):
        entries = load("requests.json")
        self.assertGreaterEqual(len(entries), 150)
        self.assertEqual(len({e["name"] for e in entries}), len(entries))
        self.assertEqual(len({json.dumps(e["raw"]) for e in entries}), len(entries))


class Responses(LabCase):
    def setUp(self):
        super().setUp()
        self.entry = None
        self.data = b""
        self.cuts = ()
        self.server = self.origin(self.serve)
        # no retries: one bad answer is one bad answer
        self.proxy = self.lbd(config_for(self.server, pool={"retries": 0}))
        self.address = self.proxy.address()

    def serve(self, peer):
        while True:
            request = peer.rx()
            if request.target == "/next":
                peer.tx(200, f"next on {peer.number}")
                continue
            entry, data, cuts = self.entry, self.data, self.cuts
            begin = 0
            for cut in (*cuts, len(data)):
                peer.send(data[begin:cut])
                begin = cut
                if cuts and len(cuts) < 5:
                    self.server.stopping.wait(0.001)
            end = entry.get("end", "keep")
            if end == "close":
                peer.close()
                return
            if end == "reset":
                # the bytes must arrive before the reset does
                self.server.stopping.wait(0.02)
                peer.reset()
                return

    def next_answer(self, client):
        """Which origin connection serves the next request; its answer must be its own."""
        answer = client.get("/next")
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer.text, r"\Anext on [0-9]+\Z")
        return int(answer.text.rpartition(" ")[2])

    def check(self, entry, data, cuts):
        expect = entry["expect"]
        self.entry, self.data, self.cuts = entry, data, cuts
        method = entry.get("method", "GET")
        with Client(self.address, timeout=PATIENCE_S) as client:
            client.send_request(method, "/case")
            broken = False
            response = None
            try:
                response = client.read_response(method)
            except (Closed, WireError):
                broken = True
            if expect.get("broken"):
                # either nothing had gone out and lbd answers, or the client sees the cut
                self.assertTrue(broken or response.status == 502, f"looks whole: {response}")
                self.assertTrue(broken or response.has("Lbd-Reason"))
                if broken:
                    client.read_rest()  # and it ends
                else:
                    self.assertNotIn("hello", response.text)
            else:
                self.assertFalse(broken, "the client's answer was cut")
                self.check_answer(expect, response)
        brought = self.server.requests[-1].connection
        with Client(self.address) as client:
            carried = self.next_answer(client)
            if expect.get("reused") is False:
                self.assertNotEqual(carried, brought, "a doubtful connection was used again (R6)")

    def check_answer(self, expect, response):
        self.assertIn(response.status, expect["status"])
        if response.status == 502:
            self.assertIsNotNone(response.get("Lbd-Reason"), "502 without a reason")
            if "reason" in expect:
                self.assertEqual(response.get("Lbd-Reason"), expect["reason"])
            self.assertNotIn("hello", response.text)
            return
        if "body" in expect:
            self.assertEqual(response.text, expect["body"])
        for name, value in expect.get("headers", {}).items():
            self.assertEqual(response.get(name), value, name)
        self.assertEqual(response.version, "HTTP/1.1")
        self.assertFalse(response.has("Keep-Alive"))
        self.assertFalse(response.has("Upgrade"))

    def run_corpus(self, ways):
        run_entries(self, load("responses.json"), ways)

    def test_whole(self):
        self.run_corpus(lambda data, split: [()])

    def test_cut_in_two(self):
        self.run_corpus(lambda data, split: [c for c in cuts_of(data, split) if len(c) == 1])

    def test_byte_by_byte(self):
        self.run_corpus(lambda data, split: [c for c in cuts_of(data, split) if len(c) > 1])

    def test_corpus_is_large_enough(self):
        entries = load("responses.json")
        self.assertGreaterEqual(len(entries), 60)
        self.assertEqual(len({e["name"] for e in entries}), len(entries))

    def test_good_answers_are_reused(self):
        """R6 the other way: what is in order is used again (one worker, one client connection)."""
        proxy = self.lbd(config_for(self.server, pool={"retries": 0}), daemon={"workers": 1})
        address = proxy.address()
        for entry in load("responses.json"):
            if entry["expect"].get("reused") is not True:
                continue
            with self.subTest(entry["name"]), Client(address) as client:
                self.entry, self.data, self.cuts = entry, raw_bytes(entry["raw"]), ()
                method = entry.get("method", "GET")
                response = client.request(method, "/case")
                self.check_answer(entry["expect"], response)
                brought = self.server.requests[-1].connection
                self.assertEqual(self.next_answer(client), brought)

    def test_unsolicited_answer_on_an_idle_connection(self):
        """Bytes on an idle server connection poison it: the next client must not get them (R6)."""
        said = threading.Event()

        def script(peer):
            peer.rx()
            peer.tx(200, "first")
            if peer.number == 1:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
                said.set()
                peer.wait_closed()
            else:
                while True:
                    peer.rx()
                    peer.tx(200, "own")

        server = self.origin(script)
        proxy = self.lbd(config_for(server), daemon={"workers": 1})
        with Client(proxy.address()) as client:
            self.assertEqual(client.get("/1").text, "first")
            self.assertTrue(said.wait(60))
            wait_for(lambda: server.open_connections() == 0, "the poisoned connection closed")
            self.assertEqual(client.get("/2").text, "first")
            self.assertEqual(client.get("/3").text, "own")


if __name__ == "__main__":
    unittest.main()
