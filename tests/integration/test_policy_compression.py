"""Policies of the kind compression: whose answers are coded, what their heads say, and that they come whole or not at all.

All with gzip; what the other encodings do and who gets which is in test_policy_encodings.
"""

import gzip
import random
import subprocess
import threading
import unittest
import zlib

from lab import Closed, LabCase, config_for, h2
from lab.origin import respond

KIB = 1024
PAGE = b"".join(b"<li>%d: the quick brown fox</li>\n" % n for n in range(2000))
HTML = {"Content-Type": "text/html; charset=utf-8"}
TAKES = {"Accept-Encoding": "gzip, deflate"}


def chunks(*parts, end=True):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if end else b"")


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


class Compression(LabCase):
    def start(self, script=None, mode="enforce", pool=None, **policy):
        """The origin answers what self.answer is, or by `script`."""
        self.answer = respond(200, PAGE, HTML)

        def answers(peer):
            while True:
                peer.rx()
                peer.send(self.answer)

        document = config_for(self.origin(script or answers), listener={"policies": ["small"]}, pool=pool)
        document["policies"] = {"small": {"mode": mode, "compression": {"encodings": ["gzip"], **policy}}}
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def h2_get(self, *extra):
        with h2.H2Client(self.proxy.address(), options=((4, 1 << 24),)) as client:
            client.send(h2.window_update(0, 1 << 24))
            return client.request(extra=extra)

    def fields(self, answer, name):
        """The fields of a name as one list."""
        got = answer.headers if hasattr(answer, "headers") else answer.head.fields
        return ", ".join(value for key, value in got if key.lower() == name)

    def assert_coded(self, answer, body=PAGE):
        self.assertEqual((answer.status, answer.get("content-encoding"), answer.get("content-length")),
                         (200, "gzip", None))
        self.assertIn("accept-encoding", self.fields(answer, "vary").lower())
        self.assertEqual(gzip.decompress(answer.body), body)

    def assert_plain(self, answer, body=PAGE, status=200):
        self.assertEqual((answer.status, answer.get("content-encoding")), (status, None))
        self.assertEqual(answer.body, body)

    # -- what comes --

    def test_http1_and_http2_and_lengths(self):
        client = self.start()
        for self.answer in (respond(200, PAGE, HTML), CHUNKED % b"text/html" + chunks(PAGE[:9], PAGE[9:70000], PAGE[70000:])):
            for _ in range(2):  # the connection goes on
                answer = client.get(headers=TAKES)
                self.assert_coded(answer)
                self.assertLess(len(answer.body), len(PAGE) // 3)
            answer = self.h2_get(("accept-encoding", "gzip"))
            self.assert_coded(answer)
            self.assertIsNone(answer.reset)
        self.assert_plain(client.get())
        self.assert_plain(self.h2_get())
        self.proxy.wait_metric(6 * len(PAGE), "lbd_policy_compression_in_bytes_total", policy="small")
        self.assertLess(self.proxy.metric("lbd_policy_compression_out_bytes_total", policy="small"), 2 * len(PAGE))

    def test_curl_reads_it(self):
        self.start()
        host, port = self.proxy.address()
        for version in ("--http1.1", "--http2-prior-knowledge"):
            got = subprocess.run(["curl", "-sS", "--compressed", version, "-D", "-", f"http://{host}:{port}/"],
                                 capture_output=True, check=True).stdout
            head, _, body = got.partition(b"\r\n\r\n")
            self.assertIn(b"content-encoding: gzip", head.lower())
            self.assertEqual(body, PAGE)

    def test_a_server_of_http2(self):
        def script(peer):
            peer.send(h2.settings(), h2.settings_ack())
            while True:
                got = peer.read()
                if got.kind == h2.HEADERS:
                    fields = h2.block([(":status", "200"), ("content-type", "text/css"), ("content-length", "9000")])
                    peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, got.stream, fields),
                              h2.data(got.stream, PAGE[:5000]), h2.data(got.stream, PAGE[5000:9000], end=True))

        origin = h2.H2Origin(script)
        self.addCleanup(origin.stop)
        document = config_for(origin, listener={"policies": ["small"]}, pool={"http_version": "2"})
        self.proxy = self.lbd({**document, "policies": {"small": {"compression": {}}}})
        self.assert_coded(self.connect(self.proxy).get(headers=TAKES), PAGE[:9000])
        self.assert_coded(self.h2_get(("accept-encoding", "gzip")), PAGE[:9000])
        self.assertEqual(origin.errors, [])

    def test_a_server_that_ends_by_closing(self):
        def script(peer):
            peer.rx()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + PAGE)
            peer.close()

        self.assert_coded(self.start(script).get(headers=TAKES))

    def test_large_bodies_whatever_they_are(self):
        client = self.start()
        noise = random.Random(7).randbytes(1 << 20)
        for body in (PAGE * 150, noise):  # 10 MB, and what gets larger
            self.answer = respond(200, body, HTML)
            self.assert_coded(client.get(headers=TAKES), body)
            self.assert_coded(self.h2_get(("accept-encoding", "gzip")), body)

    def test_pieces_come_when_they_are_there(self):
        waits = self.event()

        def script(peer):
            peer.rx()
            peer.send(CHUNKED % b"text/event-stream" + chunks(b"data: 1\n\n", end=False))
            waits.wait(60)
            peer.send(chunks(b"data: 2\n\n"))

        client = self.start(script)
        client.send_request(headers=TAKES)
        self.assertEqual(client.read_head().get("content-encoding"), "gzip")
        reader = zlib.decompressobj(31)
        seen = b""
        while seen != b"data: 1\n\n":
            seen += reader.decompress(self.read_chunk(client))
        waits.set()
        while not reader.eof:
            seen += reader.decompress(self.read_chunk(client))
        self.assertEqual(seen, b"data: 1\n\ndata: 2\n\n")
        self.assertEqual(client.read_exact(5), b"0\r\n\r\n")

    def event(self):
        import threading
        event = threading.Event()
        self.addCleanup(event.set)
        return event

    def read_chunk(self, client):
        size = b""
        while not size.endswith(b"\r\n"):
            size += client.read_exact(1)
        return client.read_exact(int(size, 16) + 2)[:-2]

    # -- what does not come --

    def test_half_an_answer_is_not_whole(self):
        got = threading.Semaphore(0)

        def script(peer):
            peer.rx()
            peer.send(respond(200, PAGE, HTML)[:-1000])
            got.acquire(timeout=60)  # a reset may overtake what it comes after
            peer.reset()

        client = self.start(script)
        client.send_request(headers=TAKES)
        self.assertEqual(client.read_head().status, 200)
        got.release()
        with self.assertRaises(Closed):
            client.read_exact(len(PAGE))
        with h2.H2Client(self.proxy.address()) as peer:
            answer = h2.Answer()
            peer.send(h2.headers(peer.new_stream(), extra=(("accept-encoding", "gzip"),)))
            answer.note(peer.read_until(lambda frame: frame.stream == 1)[-1])
            got.release()
            peer.answer(1, into=answer)
        self.assertIsNotNone(answer.reset)
        self.assertFalse(answer.ended)

    def test_slow_readers_hold_the_server(self):
        body = random.Random(7).randbytes(64 * KIB) * 200  # a window of 8 KiB does not see that it repeats
        sent = []

        def script(peer):
            peer.rx()
            peer.send(CHUNKED % b"text/plain")
            for at in range(0, len(body), 64 * KIB):
                peer.send(chunks(body[at:at + 64 * KIB], end=False))
                sent.append(at)
            peer.send(b"0\r\n\r\n")

        self.start(script)
        client = self.connect(self.proxy, receive_buffer=16 * KIB)
        client.send_request(headers={**TAKES, "Connection": "close"})
        client.read_exact(100)
        client.is_quiet(0.3)
        self.assertLess(len(sent), 190)  # sockets take some megabytes
        self.assertLess(self.proxy.metric("lbd_worker_buffered_bytes"), 400 * KIB)  # a coder, a read
        leaver = self.connect(self.proxy, receive_buffer=16 * KIB)
        leaver.send_request(headers=TAKES)
        leaver.read_exact(100)
        leaver.abort()
        got = client.read_rest()
        self.assertTrue(got.endswith(b"\r\n0\r\n\r\n"))
        self.wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 0, "their end")

    # -- heads --

    def test_what_the_head_says_fits_what_is_sent(self):
        client = self.start()
        told = {**HTML, "ETag": '"abc"', "Accept-Ranges": "bytes", "Content-MD5": "x", "Repr-Digest": "y", "Vary": "Origin"}
        self.answer = respond(200, PAGE, told)
        answer = client.get(headers=TAKES)
        self.assert_coded(answer)
        self.assertEqual(answer.get("etag"), 'W/"abc"')
        self.assertEqual([answer.get(name) for name in ("accept-ranges", "content-md5", "repr-digest")], [None] * 3)
        self.assertEqual(self.fields(answer, "vary"), "Origin, Accept-Encoding")
        plain = client.get()  # who does not take it gets all as it was, but caches must know
        self.assert_plain(plain)
        self.assertEqual((plain.get("etag"), plain.get("accept-ranges")), ('"abc"', "bytes"))
        self.assertEqual(self.fields(plain, "vary"), "Origin, Accept-Encoding")
        self.answer = respond(200, PAGE, {**HTML, "ETag": 'W/"abc"', "Vary": "accept-encoding"})
        answer = client.get(headers=TAKES)
        self.assertEqual((answer.get("etag"), answer.get("vary")), ('W/"abc"', "accept-encoding"))

    def test_answers_without_a_body_say_what_goes_with_it(self):
        client = self.start(min_size="1KiB")
        told = {**HTML, "ETag": '"abc"'}
        bare = {"ETag": '"abc"'}

        def got(answer):
            return answer.get("etag"), answer.get("vary")

        for status, more, sent, want in (
                (304, bare, {**TAKES, "If-None-Match": 'W/"abc"'}, ('W/"abc"', "Accept-Encoding")),
                (304, bare, {**TAKES, "If-None-Match": '"x", W/"abc"'}, ('W/"abc"', "Accept-Encoding")),
                (304, told, {**TAKES, "If-None-Match": '"abc"'}, ('W/"abc"', "Accept-Encoding")),
                (304, bare, {**TAKES, "If-None-Match": '"abc"'}, ('"abc"', "Accept-Encoding")),
                (304, told, {}, ('"abc"', "Accept-Encoding")),
                (304, {**bare, "Vary": "Accept-Encoding"}, TAKES, ('"abc"', "Accept-Encoding")),
                (304, {**bare, "Cache-Control": "no-transform"}, {"If-None-Match": '"abc"'}, ('"abc"', None)),
                (304, {**bare, "Content-Type": "image/png"}, TAKES, ('"abc"', None)),
                (304, told, {**TAKES, "Cookie": "a=1"}, ('"abc"', None)),
                (204, told, TAKES, ('"abc"', None))):
            with self.subTest(status=status, more=more, sent=sent):
                self.answer = respond(status, b"", more)
                answer = client.get(headers=sent)
                self.assertEqual((answer.status, answer.body, got(answer)), (status, b"", want))
        for more, length, sent, want in (
                (told, 5000, TAKES, ('W/"abc"', "Accept-Encoding")), (told, 5000, {}, ('"abc"', "Accept-Encoding")),
                (told, None, TAKES, ('W/"abc"', "Accept-Encoding")), (told, 1023, TAKES, ('"abc"', None)),
                (told, 0, TAKES, ('"abc"', None)), (bare, 5000, TAKES, ('"abc"', None)),
                ({**told, "Content-Encoding": "br"}, 5000, TAKES, ('"abc"', None))):
            with self.subTest(more=more, length=length, sent=sent):
                lines = {**more, "Content-Length": length} if length is not None else {**more, "Transfer-Encoding": "chunked"}
                self.answer = respond(200, b"", lines, length=False)
                answer = client.request("HEAD", headers=sent)
                self.assertEqual((answer.status, answer.get("content-encoding"), got(answer)),
                                 (200, more.get("Content-Encoding"), want))
                if length and "Content-Encoding" not in more:  # as GET has it
                    self.answer = respond(200, b"z" * length, more)
                    self.assertEqual(got(client.get(headers=sent)), want)

    def test_who_is_left_alone(self):
        client = self.start(min_size="1KiB")
        for wish in ("br", "gzip;q=0", "gzip;q=0.5, identity", "identity", "", "gzip;q=x", "*;q=0"):
            self.assert_plain(client.get(headers={"Accept-Encoding": wish}))
        self.assert_plain(client.get(headers={**TAKES, "Cache-Control": "no-transform"}))
        for wish in ("*", "br;q=1, gzip;q=0.2, identity;q=0", "X-GZIP", "gzip;q=0.5", "br, gzip;q=0.001"):
            self.assert_coded(client.get(headers={"Accept-Encoding": wish}))
        old = self.connect(self.proxy)
        old.send(b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        self.assert_plain(old.read_response())

    def test_what_is_left_alone(self):
        client = self.start(min_size="1KiB")
        for more, body, status in (({"Content-Type": "image/png"}, PAGE, 200), ({"Content-Type": "textual/html"}, PAGE, 200),
                                   ({}, PAGE, 200), (HTML, b"x" * 1023, 200), (HTML, b"", 200), (HTML, PAGE, 206),
                                   ({**HTML, "Cache-Control": "max-age=1, No-Transform"}, PAGE, 200),
                                   ({**HTML, "Content-Range": "bytes 1-2/3"}, PAGE, 200)):
            with self.subTest(more=more, status=status, size=len(body)):
                self.answer = respond(status, body, more)
                self.assert_plain(client.get(headers=TAKES), body, status)
        self.answer = respond(200, PAGE, {**HTML, "Content-Encoding": "br"})
        answer = client.get(headers=TAKES)
        self.assertEqual((answer.get("content-encoding"), answer.body), ("br", PAGE))
        for status in (204, 304):
            self.answer = respond(status, b"", HTML)
            self.assert_plain(client.get(headers=TAKES), b"", status)
        self.answer = respond(200, b"", HTML, length=False).replace(b"\r\n\r\n", b"\r\nContent-Length: 5000\r\n\r\n")
        answer = client.request("HEAD", headers=TAKES)
        self.assertEqual((answer.get("content-encoding"), answer.get("content-length")), (None, "5000"))
        self.answer = respond(404, PAGE, HTML)
        answer = client.get(headers=TAKES)
        self.assertEqual((answer.status, gzip.decompress(answer.body)), (404, PAGE))

    def test_secrets(self):
        client = self.start()
        secret = [{"Cookie": "a=1"}, {"Authorization": "Basic x"}]
        for more in secret:
            self.assert_plain(client.get(headers={**TAKES, **more}))
        self.assert_plain(self.h2_get(("accept-encoding", "gzip"), ("cookie", "a=1")))
        self.answer = respond(200, PAGE, {**HTML, "Set-Cookie": "a=1"})
        self.assert_plain(client.get(headers=TAKES))
        self.proxy.patch("/v1/policies/small", {"compression": {"with_credentials": True}})
        client = self.connect(self.proxy)
        for more in secret:
            self.assert_coded(client.get(headers={**TAKES, **more}))

    def test_cookies_of_lbd_are_no_secrets(self):
        self.start(pool={"sticky": {"cookie": "lb"}})
        place = self.document["pools"]["main"]["servers"]["a"]["address"]
        self.proxy.put("/v1/pools/other", {"servers": {"b": {"address": place}}})
        self.proxy.put("/v1/routes/parts", {"listener": "web", "match": {"path": "/parts"}, "action": {
            "split": {"pools": {"main": 1, "other": 0}, "cookie": {"name": "arm"}}}})
        for path in ("/", "/parts"):
            with self.subTest(path):
                client = self.connect(self.proxy)
                answer = client.get(path, TAKES)
                cookies = [value.partition(";")[0] for name, value in answer.headers if name == "Set-Cookie"]
                self.assertEqual([one.partition("=")[0] for one in cookies], ["lb", "arm"] if path == "/parts" else ["lb"])
                self.assert_coded(answer)
                ours = "; ".join(cookies)
                self.assert_coded(client.get(path, {**TAKES, "Cookie": ours}))
                self.assert_coded(self.h2_get(("accept-encoding", "gzip"), *(("cookie", one) for one in cookies))
                                  if path == "/" else client.get(path, {**TAKES, "Cookie": f" {ours} ; "}))
                for more in (f"{ours}; session=1", f"session=1; {ours}", f"{ours}; token", "lbx=1", "LB=1"):
                    self.assert_plain(client.get(path, {**TAKES, "Cookie": more}))
                # what the server sets is its own
                for name in ("session", "lb"):
                    self.answer = respond(200, PAGE, {**HTML, "Set-Cookie": f"{name}=1"})
                    self.assert_plain(client.get(path, {**TAKES, "Cookie": ours}))
                self.answer = respond(200, PAGE, HTML)
        # of another pool it is not ours, nor is the application's by which clients stay
        self.proxy.put("/v1/routes/bare", {"listener": "web", "match": {"path": "/bare"}, "action": {"pool": "other"}})
        self.assert_plain(self.connect(self.proxy).get("/bare", {**TAKES, "Cookie": "lb=1"}))
        self.proxy.patch("/v1/pools/main", {"sticky": {"mode": "passive"}})
        self.assert_plain(self.connect(self.proxy).get("/", {**TAKES, "Cookie": "lb=1"}))

    def test_secrets_that_servers_do_not_see(self):
        """Whoever takes the login out of the request, it was there."""
        client = self.start()
        self.proxy.put("/v1/policies/first", {"headers": {"request": {"remove": ["Authorization", "Accept-Encoding"]}}})
        self.proxy.patch("/v1/listeners/web", {"policies": ["first", "small"]})
        self.assert_plain(client.get(headers={**TAKES, "Authorization": "Basic x"}))
        self.assert_coded(client.get(headers=TAKES))

    def test_shadow_and_others_of_the_chain(self):
        client = self.start(mode="shadow")
        self.assert_plain(client.get(headers=TAKES))
        self.proxy.wait_metric(1, "lbd_policy_decisions_total", policy="small", decision="shadow")
        self.proxy.patch("/v1/policies/small", {"mode": "enforce"})
        self.proxy.put("/v1/policies/twice", {"compression": {"level": 9}})
        self.proxy.put("/v1/policies/steady", {"bandwidth": {"per_request": "64KiB", "burst": "1KiB"}})
        self.proxy.patch("/v1/listeners/web", {"policies": ["twice", "steady", "small"]})
        self.assert_coded(client.get(headers=TAKES))
        self.proxy.wait_metric(len(PAGE), "lbd_policy_compression_in_bytes_total", policy="small")
        self.proxy.wait_metric(0, "lbd_policy_compression_in_bytes_total", policy="twice")

    def test_answers_of_lbd_and_failures_behind_the_head(self):
        def script(peer):
            peer.rx()
            peer.send(CHUNKED % b"text/html" + b"zzz\r\n")  # no chunk: before anything is sent

        client = self.start(script, min_size="0B")
        answer = client.get(headers=TAKES)
        self.assert_reason(answer, 502, "bad_response_framing")
        self.assertEqual((answer.get("content-encoding"), answer.get("vary")), (None, None))

    def test_trailers_stay(self):
        self.start()
        self.answer = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n"
                       + chunks(PAGE, end=False) + b"0\r\nX-End: yes\r\n\r\n")
        self.proxy.put("/v1/routes/all", {"listener": "web", "match": {}, "action": {"pool": "main"}, "trailers": "forward"})
        answer = self.connect(self.proxy).get(headers={**TAKES, "TE": "trailers", "Connection": "TE"})
        self.assert_coded(answer)
        self.assertEqual(answer.trailers, [("X-End", "yes")])
        answer = self.h2_get(("accept-encoding", "gzip"), ("te", "trailers"))
        self.assert_coded(answer)
        self.assertEqual(answer.trailers, [("x-end", "yes")])

    def test_types(self):
        client = self.start(types=["image/*", "*+json", "application/x"])
        for kind, is_coded in (("image/png", True), ("IMAGE/PNG", True), ("imagex/png", False), ("application/x;a=b", True),
                               ("application/xy", False), ("a/b+JSON ; c=d", True), ("text/html", False)):
            with self.subTest(kind=kind):
                self.answer = respond(200, PAGE, {"Content-Type": kind})
                self.assertEqual(client.get(headers=TAKES).get("content-encoding"), "gzip" if is_coded else None)
        for kind in ("*", "text", "text/*x", "*/*", "text/html; charset=utf-8", "*+a/b", "/", "a/"):
            with self.subTest(kind=kind):
                answer = self.proxy.api("PUT", "/v1/policies/q", {"compression": {"types": ["text/html", kind]}})
                self.assertEqual((answer.status, answer.pointers), (422, ["#/policies/q/compression/types/1"]))


if __name__ == "__main__":
    unittest.main()
