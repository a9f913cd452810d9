"""Many clients of HTTP/2 that do whatever comes to their minds, before servers that do, too.

Everything is legal or at least possible: requests of every kind, resets in any state, windows that
open and shut, settings that change, connections that vanish; servers of both versions that answer,
answer early, stall, reset, go away. Afterwards lbd still serves, holds nothing of all that, and ends
without a word of its sanitizers. LBD_STORM_SEED and LBD_STORM_SECONDS choose another storm.
"""

import os
import random
import shutil
import tempfile
import threading
import time
import unittest

from lab import Client, Closed, LabCase
from lab.certs import Authority, client_context
from lab.h2 import (
    CANCEL, DATA, GET, HEADERS, INITIAL_WINDOW_SIZE, NO_ERROR, PING, POST, REFUSED_STREAM,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, ACK, H2Client, H2Closed, H2Origin, data, goaway,
    headers, ping, priority, reset, settings, settings_ack, window_update,
)
from lab.origin import respond

SEED = int(os.environ.get("LBD_STORM_SEED", "1"))
SECONDS = float(os.environ.get("LBD_STORM_SECONDS", "3"))
CLIENTS = 8


class Dice(random.Random):
    def likely(self, percent):
        return self.randrange(100) < percent


def h1_server(dice, release):
    """Answers, early or late, long or short; or hangs up."""

    def serve(peer):
        while True:
            request = peer.rx_head()
            if dice.likely(5):
                return peer.reset()
            if dice.likely(10):  # before the body was read
                peer.tx(200, b"early")
                return peer.close()
            request.message.body = b""
            peer.rx_body(request)
            if dice.likely(5):
                release.wait(0.2)
            if dice.likely(5):
                peer.send(respond(200, b"x" * 1000)[:-500])
                return peer.close()
            if dice.likely(10):
                peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            if request.method == "HEAD":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            elif dice.likely(20):
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            else:
                peer.tx(200, b"y" * dice.choice((0, 1, 100, 5000, 300_000)))

    return serve


def h2_server(dice):
    """The same in HTTP/2, stream by stream."""

    def answer(peer, stream, windows):
        size = dice.choice((0, 1, 100, 5000, 60_000))
        if windows[0] < size:
            size = 0
        windows[0] -= size
        if dice.likely(10):
            peer.send(headers(stream, ((":status", "103"), ("link", "</a>")), end=False))
        if size == 0 and dice.likely(50):
            return peer.send(headers(stream, ((":status", "200"),)))
        peer.send(headers(stream, ((":status", "200"),), end=False))
        while size > 0:
            part = min(size, dice.choice((1000, 16384)))
            peer.send(data(stream, b"z" * part))
            size -= part
        if dice.likely(10):
            return peer.send(reset(stream, CANCEL))
        if dice.likely(20):
            return peer.send(headers(stream, (("trailer-field", "t"),)))
        return peer.send(data(stream, end=True))

    def serve(peer):
        peer.send(settings((INITIAL_WINDOW_SIZE, dice.choice((0, 100, 65535, 1 << 20)))))
        windows = [65535]  # of the connection, to lbd
        late = []
        while True:
            got = peer.read()
            if got.kind == SETTINGS and not got.flags & ACK:
                peer.send(settings_ack())
            elif got.kind == PING and not got.flags & ACK:
                peer.send(ping(got.payload, ack=True))
            elif got.kind == WINDOW_UPDATE and got.stream == 0:
                windows[0] += got.increment
            elif got.kind == RST_STREAM and got.stream in late:
                late.remove(got.stream)
            elif got.kind == HEADERS and got.status == 0 and got.get(":method"):
                if dice.likely(3):
                    return None
                if dice.likely(3):
                    peer.send(goaway(got.stream))
                if dice.likely(8):
                    peer.send(reset(got.stream, dice.choice((CANCEL, REFUSED_STREAM))))
                elif got.get(":method") == "HEAD":
                    peer.send(headers(got.stream, ((":status", "200"),)))
                elif got.ends_stream or dice.likely(20):  # or early
                    answer(peer, got.stream, windows)
                    if not got.ends_stream and dice.likely(50):
                        peer.send(reset(got.stream, NO_ERROR))
                else:
                    late.append(got.stream)
                    peer.send(window_update(got.stream, 100_000))
            elif got.kind == DATA:
                if got.payload:
                    peer.send(window_update(0, len(got.payload)))
                if got.ends_stream and got.stream in late:
                    late.remove(got.stream)
                    answer(peer, got.stream, windows)

    return serve


class Guest:
    """A client of HTTP/2 without manners."""

    def __init__(self, address, dice, tls=None):
        self.dice = dice
        self.client = H2Client(
            address, timeout=5, tls=tls,
            options=[(INITIAL_WINDOW_SIZE, dice.choice((0, 1, 1000, 65535, 1 << 20)))],
        )
        self.open = set()  # streams whose requests have not ended

    def act(self):
        dice, client = self.dice, self.client
        path = dice.choice(("/h1/a", "/h2/b", "/h2/c", "/ours", "/nothing"))
        request = (*(POST if dice.likely(40) else GET)[:3], (":path", path))
        some = dice.choice(sorted(self.open)) if self.open else 0
        known = dice.choice(range(1, client.next_stream, 2)[-10:]) if client.next_stream > 1 else 0
        match dice.randrange(12):
            case 0 | 1 | 2:
                stream = client.new_stream()
                body = request[0][1] == "POST" and dice.likely(80)
                if not body and dice.likely(10):
                    request = ((":method", "HEAD"), *request[1:])
                extra = [("priority", f"u={dice.randrange(8)}{dice.choice(('', ', i'))}")]
                extra += [("cookie", "a=b"), ("x", "y"), ("cookie", "c=d")] if dice.likely(30) else []
                if dice.likely(3):
                    extra.append(("Bad", "name"))
                client.send(headers(stream, request, end=not body, extra=extra))
                if body:
                    self.open.add(stream)
            case 3 | 4 if some:
                ends = dice.likely(40)
                client.send(data(some, b"d" * dice.choice((0, 1, 500, 5000)), end=ends))
                if ends:
                    self.open.discard(some)
            case 5 if some:
                client.send(headers(some, (("x-trailer", "t"),)))
                self.open.discard(some)
            case 6 if known:
                client.send(reset(known))
                self.open.discard(known)
            case 7:
                client.send(window_update(0, dice.choice((1, 1000, 100_000))))
            case 8 if known:
                client.send(window_update(known, dice.choice((1, 1000, 100_000))))
            case 9:
                client.send(settings((INITIAL_WINDOW_SIZE, dice.choice((0, 1, 65535, 1 << 20)))))
            case 10:
                client.send(priority(known or 1), ping())
            case _:
                while client.waits_for_frame(0):
                    client.read()

    def stay(self, until):
        for _ in range(self.dice.choice((5, 50, 500))):
            if time.monotonic() > until:
                break
            self.act()
            while self.client.waits_for_frame(0):
                self.client.read()
        if self.dice.likely(30):
            self.client.abort()
        elif self.dice.likely(30):
            self.client.send(goaway())
        self.client.close()


def old_guest(address, dice, tls=None):
    """A client of HTTP/1.1: a few requests on one connection, read strictly (WireError fails)."""
    with Client(address, tls=tls) as client:
        for _ in range(dice.choice((1, 3, 20))):
            method = dice.choice(("GET", "GET", "HEAD", "POST"))
            path = dice.choice(("/h1/a", "/h2/b", "/h2/c", "/ours", "/nothing"))
            body = bytes(dice.choice((0, 1, 5000))) if method == "POST" else None
            client.send_request(method, path, body=body)
            if dice.likely(10):
                return client.abort()
            try:
                answer = client.read_response(method)
            except TimeoutError:
                raise AssertionError(f"no end of the answer to {method} {path}") from None
            if answer.get("Connection") == "close":
                return None
    return None


class Storm(LabCase):
    tls = {"h2": None, "http/1.1": None}

    def config(self, h1, h2):
        def pool(address, **more):
            return {"servers": {"a": {"address": address}}, **more}

        def route(path, **action):
            return {"listener": "web", "match": {"path_prefix": path}, "action": action}

        return {
            "listeners": {
                "web": {
                    "bind": ["127.0.0.1:0"], "protocol": "http", "default_pool": "h1",
                    "timeouts": {
                        "body_idle": "1s", "write_idle": "1s", "header": "1s",
                        "keep_alive": "1s",  # who resets while idle may be noticed then only
                    },
                }
            },
            "pools": {
                "h1": pool(h1, timeouts={"response": "1s", "connect": "1s"}),
                "h2": pool(h2, timeouts={"response": "1s", "connect": "1s"}, http_version="2"),
            },
            "routes": {
                "h2": route("/h2/", pool="h2"),
                "h1": route("/h1/", pool="h1"),
                "ours": route("/ours", respond={"status": 200}),
                "nothing": route("/nothing", respond={"status": 404}),
            },
        }

    def guest(self, address, seed, until, errors):
        dice = Dice(seed)
        while time.monotonic() < until:
            try:
                if seed % 4 == 0:
                    old_guest(address, dice, self.tls["http/1.1"])
                else:
                    Guest(address, dice, self.tls["h2"]).stay(until)
            except (Closed, H2Closed, TimeoutError, OSError):
                pass
            except Exception as error:  # noqa: BLE001 - the test shows it
                errors.append(f"{type(error).__name__}: {error}")
                return

    def test_storm(self):
        release = threading.Event()
        h1 = self.origin(h1_server(Dice(SEED), release))
        h1.keep = False
        h2 = H2Origin(h2_server(Dice(SEED)))
        self.addCleanup(h2.stop)
        proxy = self.lbd(
            self.config(h1.address, h2.address),
            daemon={"log": None, "access_log": None},
        )
        address = proxy.address()
        errors = []
        until = time.monotonic() + SECONDS
        threads = [
            threading.Thread(target=self.guest, args=(address, SEED * 1000 + i, until, errors))
            for i in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 120)
        release.set()
        self.assertTrue(proxy.is_running())
        self.assertEqual(errors, [])
        h1.errors = [e for e in h1.errors if "Closed" not in e]
        self.wait_for(lambda: proxy.metric("lbd_connections") == 0, "the clients are gone")
        with H2Client(address, tls=self.tls["h2"]) as client:
            self.assertEqual(client.request((*GET[:3], (":path", "/ours"))).status, 200)


class TlsStorm(Storm):
    """The same over TLS."""

    def config(self, h1, h2):
        folder = tempfile.mkdtemp(prefix="lab-storm-")
        self.addCleanup(shutil.rmtree, folder, True)
        authority = Authority(folder)
        pair = authority.issue("test", cn="test", names=["DNS:localhost"])
        self.tls = {name: client_context(authority, protocols=[name]) for name in self.tls}
        config = super().config(h1, h2)
        config["listeners"]["web"]["tls"] = {"certificates": ["test"]}
        config["certificates"] = {
            "test": {"chain_file": str(pair.chain), "key_file": str(pair.key)}
        }
        return config


if __name__ == "__main__":
    unittest.main()
