"""Bodies through windows of every size: what is sent arrives, byte for byte, both ways.

A client of HTTP/2 uploads a body in frames of random sizes, several at a time on one connection,
and takes what the server echoes through windows that it opens by random steps. Behind lbd is a
server of HTTP/1.1 (length or chunks) or of HTTP/2.
"""

import random
import unittest

from lab import LabCase, config_for
from lab.h2 import (
    ACK, DATA, HEADERS, INITIAL_WINDOW_SIZE, PING, POST, RST_STREAM, SETTINGS, WINDOW_UPDATE, H2Client,
    H2Origin, data, headers, ping, settings, settings_ack, window_update,
)

WINDOW = 65535


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


class Flow:
    """The sending side of windows: of a connection and its streams."""

    def __init__(self, initial=WINDOW):
        self.initial = initial
        self.whole = WINDOW
        self.streams = {}

    def room(self, stream):
        return min(self.whole, self.streams.setdefault(stream, self.initial), 16384)

    def spend(self, stream, size):
        self.whole -= size
        self.streams[stream] -= size

    def note(self, got):
        if got.kind == WINDOW_UPDATE and got.stream == 0:
            self.whole += got.increment
        elif got.kind == WINDOW_UPDATE:
            self.streams[got.stream] = self.streams.get(got.stream, self.initial) + got.increment


def h2_echo(peer):
    """Takes bodies and sends them back when they are whole, with a trailer."""
    peer.send(settings((INITIAL_WINDOW_SIZE, 3000)))
    flow = Flow()
    bodies = {}  # being received
    answers = {}  # being sent
    while True:
        got = peer.read()
        flow.note(got)
        if got.kind == SETTINGS and not got.flags & ACK:
            peer.send(settings_ack())
        elif got.kind == PING and not got.flags & ACK:
            peer.send(ping(got.payload, ack=True))
        elif got.kind == HEADERS and got.get(":method"):
            bodies[got.stream] = b""
        elif got.kind == DATA and got.stream in bodies:
            bodies[got.stream] += got.payload
            if got.payload:
                peer.send(window_update(0, len(got.payload)), window_update(got.stream, len(got.payload)))
        if got.ends_stream and got.stream in bodies:
            answers[got.stream] = bodies.pop(got.stream)
            peer.send(headers(got.stream, ((":status", "200"),), end=False))
        for stream in list(answers):
            while answers[stream] and flow.room(stream) > 0:
                part = answers[stream][: flow.room(stream)]
                flow.spend(stream, len(part))
                peer.send(data(stream, part))
                answers[stream] = answers[stream][len(part) :]
            if not answers[stream]:
                peer.send(headers(stream, (("x-end", "t"),)))
                del answers[stream]


class Bodies(LabCase):
    def start(self, address, **pool):
        return self.lbd(config_for(address, pool=pool), daemon={"workers": 1})

    def echo(self, client, dice, bodies, initial):
        """Sends all bodies at once and takes all answers; {stream: body}."""
        flow = Flow()
        for got in client.seen:  # the greeting opens the connection's window
            flow.note(got)
        left = {}
        answers = {}
        ended = set()
        for body in bodies:
            stream = client.new_stream()
            extra = [("content-length", str(len(body)))] if dice.randrange(2) else []
            client.send(headers(stream, POST, end=False, extra=extra))
            left[stream] = body
            answers[stream] = b""
        credit = {0: WINDOW, **{s: initial for s in answers}}  # what lbd may still send us
        while len(ended) < len(bodies):
            able = [s for s in left if flow.room(s) > 0]
            if able and not (client.waits_for_frame(0) and dice.randrange(2)):
                stream = dice.choice(able)
                size = min(dice.choice((1, 10, 1000, 16384)), flow.room(stream), len(left[stream]))
                flow.spend(stream, size)
                part, left[stream] = left[stream][:size], left[stream][size:]
                last = not left[stream]
                client.send(data(stream, part, end=last))
                if last:
                    del left[stream]
                continue
            for stream in credit:  # doors are opened by steps, but never stay shut
                if credit[stream] < 1000 or dice.randrange(4) == 0:
                    more = dice.choice((1000, 5000, 50_000))
                    credit[stream] += more
                    client.send(window_update(stream, more))
            got = client.read()
            flow.note(got)
            self.assertNotEqual(got.kind, RST_STREAM, got)
            if got.kind == HEADERS and got.status:
                self.assertEqual(got.status, 200, got)
            elif got.kind == DATA:
                answers[got.stream] += got.payload
                for stream in (0, got.stream):
                    credit[stream] -= len(got.payload)
                    self.assertGreaterEqual(credit[stream], 0, "more than the window")
            if got.ends_stream:
                ended.add(got.stream)
                credit.pop(got.stream)
        return [answers[s] for s in sorted(answers)]

    def run_rounds(self, proxy, rounds=3):
        for seed in range(rounds):
            dice = random.Random(seed)
            initial = dice.choice((0, 1000, WINDOW, 200_000))
            sizes = [dice.choice((1, 100, 70_000, 300_000)) for _ in range(5)]
            bodies = [pattern(seed * 10 + i, size) for i, size in enumerate(sizes)]
            with self.subTest(seed=seed), H2Client(
                proxy.address(), options=[(INITIAL_WINDOW_SIZE, initial)]
            ) as client:
                for got, sent in zip(self.echo(client, dice, bodies, initial), bodies, strict=True):
                    self.assertEqual(len(got), len(sent))
                    self.assertTrue(got == sent, "other bytes came back")

    def test_to_http1_with_lengths(self):
        server = self.origin(lambda peer: self.serve_h1(peer, False))
        self.run_rounds(self.start(server))

    def test_to_http1_in_chunks(self):
        server = self.origin(lambda peer: self.serve_h1(peer, True))
        self.run_rounds(self.start(server))

    def serve_h1(self, peer, chunked):
        while True:
            body = peer.rx().body
            if not chunked:
                peer.tx(200, body)
                continue
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(body), 7777):
                part = body[i : i + 7777]
                peer.send(b"%x\r\n%s\r\n" % (len(part), part))
            peer.send("0\r\n\r\n")

    def test_to_http2(self):
        server = H2Origin(h2_echo)
        self.addCleanup(server.stop)
        self.run_rounds(self.start(server.address, http_version="2"))
        self.assertEqual(server.errors, [])

    def test_http1_to_http2(self):
        server = H2Origin(h2_echo)
        self.addCleanup(server.stop)
        proxy = self.start(server.address, http_version="2")
        with proxy.client() as client:
            for seed, size in enumerate((1, 70_000, 500_000, 0, 2_000_000)):
                body = pattern(seed, size)
                answer = client.request("POST", "/", body=body)
                self.assertEqual((answer.status, len(answer.body)), (200, size))
                self.assertTrue(answer.body == body, "other bytes came back")
        self.assertEqual(server.errors, [])


if __name__ == "__main__":
    unittest.main()
