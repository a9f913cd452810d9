"""Policies of the kind compression: zstd, br and gzip, read by decoders that are not ours, and who gets which."""

import gzip
import random
import subprocess
import unittest
import zlib

import brotli
import zstandard

from lab import Closed, LabCase, config_for, h2
from lab.lbd import run_lbd
from lab.origin import respond

KIB = 1024
PAGE = b"".join(b"<li>%d: the quick brown fox</li>\n" % n for n in range(2000))
HTML = {"Content-Type": "text/html; charset=utf-8"}
HEAD = (":method", "HEAD"), (":scheme", "http"), (":authority", "test"), (":path", "/")
EVERY = "gzip, deflate, br, zstd"  # as browsers say it
BUILT = run_lbd("--version").stdout.split("compression:")[1].split()
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(part):
    return b"%x\r\n%b\r\n" % (len(part), part)


class Reader:
    """What is in the pieces of a coded body so far."""

    def __init__(self, encoding):
        self.decoder = {"gzip": lambda: zlib.decompressobj(31), "br": brotli.Decompressor,
                        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj()}[encoding]()
        self.read = getattr(self.decoder, "process", None) or self.decoder.decompress


def decode(encoding, coded):
    if encoding == "gzip":
        return gzip.decompress(coded)
    if encoding == "br":
        return brotli.decompress(coded)
    reader = zstandard.ZstdDecompressor().decompressobj()
    plain = reader.decompress(coded)
    assert reader.unused_data == b""
    return plain


class Encodings(LabCase):
    def start(self, script=None, **policy):
        """The origin answers what self.answer is, or by `script`."""
        self.answer = respond(200, PAGE, HTML)

        def answers(peer):
            while True:
                peer.rx()
                peer.send(self.answer)

        document = config_for(self.origin(script or answers), listener={"policies": ["small"]})
        document["policies"] = {"small": {"compression": policy}}
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def get(self, client, wish, **more):
        return client.get(headers={"Accept-Encoding": wish, **more})

    def h2_get(self, *extra, fields=h2.GET):
        with h2.H2Client(self.proxy.address(), options=((4, 1 << 24),)) as client:
            client.send(h2.window_update(0, 1 << 24))
            return client.request(fields=fields, extra=extra)

    def each(self):
        for encoding in BUILT:
            with self.subTest(encoding=encoding):
                yield encoding

    def assert_coded(self, answer, encoding, body=PAGE):
        self.assertEqual((answer.status, answer.get("content-encoding"), answer.get("content-length"),
                          answer.get("vary")), (200, encoding, None, "Accept-Encoding"))
        self.assertEqual(decode(encoding, answer.body), body)

    def assert_plain(self, answer, body=PAGE):
        self.assertEqual((answer.status, answer.get("content-encoding"), answer.body), (200, None, body))

    def order(self, *encodings):
        self.proxy.patch("/v1/policies/small", {"compression": {"encodings": [*encodings]}})
        return self.connect(self.proxy)

    # -- who gets which --

    def test_all_of_them_by_default(self):
        client = self.start()
        wishes = [(EVERY, "zstd br gzip"), ("gzip, deflate, br", "br gzip"), ("gzip", "gzip"), ("*", "zstd br gzip"),
                  ("br;q=0.5, gzip;q=0.4", "br gzip"), ("br;q=0.5, gzip", "gzip"), ("zstd;q=0, *", "br gzip"),
                  ("identity;q=0.5, br;q=0.4, gzip;q=0.6", "gzip"), ("identity;q=0, x-gzip;q=0.1", "gzip")]
        for wish, order in wishes:
            wanted = [word for word in order.split() if word in BUILT][0]
            with self.subTest(wish=wish):
                self.assert_coded(self.get(client, wish), wanted)
                self.assert_coded(self.h2_get(("accept-encoding", wish)), wanted)
        for wish in ("", "identity", "deflate, compress", "br;q=0", "*;q=0", "identity, *;q=0.9", "zstd;q=2"):
            with self.subTest(wish=wish):
                self.assert_plain(self.get(client, wish))

    def test_the_order_is_the_servers_where_the_client_does_not_care(self):
        client = self.start(encodings=["gzip"])
        self.assert_coded(self.get(client, EVERY), "gzip")
        for first in self.each():
            client = self.order(first, *[word for word in BUILT if word != first])
            self.assert_coded(self.get(client, EVERY), first)
            for word in BUILT:
                self.assert_coded(self.get(client, f"{word}, *;q=0.5"), word)
            client = self.order(first)
            self.assert_coded(self.get(client, EVERY), first)
            others = [word for word in BUILT if word != first]
            self.assert_plain(self.get(client, ", ".join(others)))

    def test_what_is_no_order(self):
        self.start()
        for wrong, pointer, words in ((["gzip", "deflate"], "/1", "must be zstd, br or gzip"),
                                      (["gzip", "GZIP"], "/1", "must be zstd, br or gzip"),
                                      (["gzip", "gzip"], "/1", "must not stand twice"), ([], "", "at least 1")):
            with self.subTest(wrong=wrong):
                answer = self.proxy.api("PUT", "/v1/policies/q", {"compression": {"encodings": wrong}})
                self.assertEqual((answer.status, answer.pointers),
                                 (422, ["#/policies/q/compression/encodings" + pointer]))
                self.assertIn(words, answer.raw.decode())
        for word in ("zstd", "br"):
            answer = self.proxy.api("PUT", "/v1/policies/q", {"compression": {"encodings": [word]}})
            self.assertEqual(answer.status < 300, word in BUILT, answer.raw)
            if word not in BUILT:
                self.assertIn(f"it was built without '{word}'", answer.raw.decode())

    # -- what comes --

    def test_curl_reads_it(self):
        self.start()
        host, port = self.proxy.address()
        features = subprocess.run(["curl", "--version"], capture_output=True, check=True, text=True).stdout
        for encoding in self.each():
            if encoding == "br" and "brotli" not in features or encoding == "zstd" and "zstd" not in features:
                self.skipTest(f"this curl reads no {encoding}")
            self.order(encoding)
            for version in ("--http1.1", "--http2-prior-knowledge"):
                got = subprocess.run(["curl", "-sS", "--compressed", version, "-D", "-", f"http://{host}:{port}/"],
                                     capture_output=True, check=True).stdout
                head, _, body = got.partition(b"\r\n\r\n")
                self.assertIn(b"content-encoding: %b" % encoding.encode(), head.lower())
                self.assertEqual(body, PAGE)

    def test_bodies_of_every_size(self):
        client = self.start(min_size="0B")
        noise = random.Random(7).randbytes(1 << 20)
        for encoding in self.each():
            for body in (b"x", b"<p>hello</p>", PAGE[:16384], PAGE[:16385], PAGE * 40, noise):
                self.answer = respond(200, body, HTML)
                self.assert_coded(self.get(client, encoding), encoding, body)
                self.assert_coded(self.h2_get(("accept-encoding", encoding)), encoding, body)
            parts = [PAGE[:9], PAGE[9:40000], PAGE[40000:]]
            self.answer = CHUNKED % b"text/html" + b"".join(map(chunk, parts)) + b"0\r\n\r\n"
            self.assert_coded(self.get(client, encoding), encoding)
            self.assert_coded(self.h2_get(("accept-encoding", encoding)), encoding)
        self.answer = respond(200, b"", HTML)
        self.assert_plain(self.get(client, EVERY), b"")

    def test_each_level(self):
        self.start()
        for encoding in self.each():
            for level in (1, 4, 9):
                self.proxy.patch("/v1/policies/small", {"compression": {"encodings": [encoding], "level": level}})
                answer = self.get(self.connect(self.proxy), EVERY)
                self.assert_coded(answer, encoding)
                self.assertLess(len(answer.body), len(PAGE) // 3)

    def test_pieces_come_when_they_are_there(self):
        for encoding in self.each():
            waits = self.event()

            def script(peer, waits=waits):
                peer.rx()
                peer.send(CHUNKED % b"text/event-stream" + chunk(b"data: 1\n\n"))
                waits.wait(10)
                peer.send(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

            client = self.start(script)
            client.send_request(headers={"Accept-Encoding": encoding})
            self.assertEqual(client.read_head().get("content-encoding"), encoding)
            reader = Reader(encoding)
            seen = b""
            while seen != b"data: 1\n\n":
                seen += reader.read(self.read_chunk(client))
            waits.set()
            size = None
            while size != 0:
                piece = self.read_chunk(client)
                size = len(piece)
                seen += reader.read(piece) if size else b""
            self.assertEqual(seen, b"data: 1\n\ndata: 2\n\n")

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

    def test_half_an_answer_is_not_whole(self):
        def script(peer):
            peer.rx()
            peer.send(respond(200, PAGE * 10, HTML)[:-1000])
            peer.reset()

        self.start(script)
        for encoding in self.each():
            with self.assertRaises(Closed):
                self.get(self.connect(self.proxy), encoding)
            answer = self.h2_get(("accept-encoding", encoding))
            self.assertIsNotNone(answer.reset)
            self.assertFalse(answer.ended)
        self.wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 0, "their end")

    def test_slow_readers_hold_so_much_and_give_it_back(self):
        def script(peer):
            peer.rx()
            noise = random.Random(7)
            peer.send(CHUNKED % b"text/plain")
            for _ in range(200):
                peer.send(chunk(noise.randbytes(64 * KIB)))
            peer.send(b"0\r\n\r\n")

        self.start(script)
        for encoding in self.each():
            client = self.connect(self.proxy, receive_buffer=16 * KIB)
            client.send_request(headers={"Accept-Encoding": encoding})
            client.read_exact(100)
            client.is_quiet(0.3)
            held = self.proxy.metric("lbd_worker_buffered_bytes")
            self.assertGreater(held, 64 * KIB)
            self.assertLess(held, 1500 * KIB)  # a coder, what one keeps for the next, a read
            client.abort()
            self.wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 0, "its end")

    # -- heads --

    def test_heads_and_what_is_left_alone(self):
        client = self.start()
        for encoding in self.each():
            self.answer = respond(200, PAGE, {**HTML, "ETag": '"abc"', "Accept-Ranges": "bytes"})
            answer = self.get(client, encoding)
            self.assert_coded(answer, encoding)
            self.assertEqual((answer.get("etag"), answer.get("accept-ranges")), ('W/"abc"', None))
            for more in ({"Content-Type": "image/png"}, {**HTML, "Cache-Control": "no-transform"}, {}):
                self.answer = respond(200, PAGE, more)
                self.assert_plain(self.get(client, encoding))
            self.answer = respond(200, PAGE[:1000], HTML)
            self.assert_plain(self.get(client, encoding), PAGE[:1000])
            self.answer = respond(200, PAGE, HTML)
            self.assert_plain(self.get(client, encoding, Cookie="a=1"))
            self.assert_plain(self.get(client, encoding, **{"Cache-Control": "no-transform"}))
            self.answer = respond(200, b"", HTML, length=False).replace(b"\r\n\r\n", b"\r\nContent-Length: 5000\r\n\r\n")
            for answer in (client.request("HEAD", headers={"Accept-Encoding": encoding}),
                           self.h2_get(("accept-encoding", encoding), fields=HEAD)):
                self.assertEqual((answer.get("content-encoding"), answer.get("content-length")), (None, "5000"))
            self.answer = respond(304, b"", {"ETag": '"abc"'})
            for answer in (self.get(client, encoding), self.h2_get(("accept-encoding", encoding))):
                self.assertEqual((answer.status, answer.get("content-encoding"), answer.get("etag"), answer.body),
                                 (304, None, '"abc"', b""))
        for other in ("br", "zstd", "gzip"):  # it is coded already
            self.answer = respond(200, PAGE, {**HTML, "Content-Encoding": other})
            answer = self.get(client, EVERY)
            self.assertEqual((answer.get("content-encoding"), answer.body), (other, PAGE))

    def test_bytes_are_counted_by_encoding(self):
        client = self.start()
        sizes = {encoding: len(self.get(client, encoding).body) for encoding in BUILT}
        for encoding in self.each():
            labels = {"policy": "small", "encoding": encoding}
            self.assertEqual(self.proxy.metric("lbd_policy_compression_in_bytes_total", **labels), len(PAGE))
            out = self.proxy.metric("lbd_policy_compression_out_bytes_total", **labels)
            self.assertTrue(0 < out <= sizes[encoding] + 64, (out, sizes))

    def test_where_there_is_no_room_for_one_the_next_serves(self):
        """br needs most of memory: when its share is taken, gzip is left."""
        if "br" not in BUILT:
            self.skipTest("no br in this build")
        waits = self.event()

        def script(peer):
            peer.rx()
            peer.send(CHUNKED % b"text/plain" + chunk(b"hello"))
            waits.wait(60)
            peer.send(b"0\r\n\r\n")

        self.start(script, encodings=["br", "gzip"])
        got = []
        while "gzip" not in got and len(got) < 200:  # 64 on each worker
            client = self.connect(self.proxy)
            client.send_request(headers={"Accept-Encoding": EVERY})
            got.append(client.read_head().get("content-encoding"))
        self.assertEqual(got[-1], "gzip", got)
        self.assertGreaterEqual(got.count("br"), 64)
        waits.set()


if __name__ == "__main__":
    unittest.main()
