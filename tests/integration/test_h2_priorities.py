"""Which of several answers a client of HTTP/2 gets first when its window is narrow: RFC 9218."""

import struct
import threading
import unittest

from lab import LabCase, config_for
from lab.h2 import (DATA, GET, HEADERS, INITIAL_WINDOW_SIZE, PRIORITY_UPDATE, H2Client, frame,
                    headers, window_update)

CONNECTION_WINDOW = 65535  # RFC 9113 6.9.2: a client's at the beginning
SIZE = 16_384 + 512  # of an answer: two frames, and so little that lbd takes it whole


class Priorities(LabCase):
    def setUp(self):
        super().setUp()
        self.sent = threading.Semaphore(0)
        self.may_answer = {}

        def script(peer):
            while True:
                path = peer.rx().target
                self.may_answer[path].wait()
                peer.tx(200, b"x" * (CONNECTION_WINDOW if path == "/first" else SIZE))
                self.sent.release()

        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(self.server), daemon={"workers": 1})

    def request(self, client, path, priority=""):
        stream = client.new_stream()
        self.may_answer[path] = threading.Event()
        fields = tuple((name, path if name == ":path" else value) for name, value in GET)
        more = (("priority", priority),) if priority else ()
        client.send(headers(stream, fields, extra=more))
        return stream

    def answer(self, client, path):
        """All of it is with lbd at the end: it takes what has come before it answers a ping."""
        self.may_answer[path].set()
        self.sent.acquire()
        client.settle()
        client.settle()

    def ask(self, *priorities):
        """A request for each, answered from the last to the first into a window that is shut."""
        client = H2Client(self.proxy.address(), options=((INITIAL_WINDOW_SIZE, 1 << 20),))
        self.addCleanup(client.close)
        self.request(client, "/first")
        self.may_answer["/first"].set()
        client.read_until(lambda got: got.kind == DATA and got.ends_stream)
        self.sent.acquire()
        paths = [f"/{number}" for number in range(len(priorities))]
        streams = [self.request(client, *pair) for pair in zip(paths, priorities)]
        for path in reversed(paths):
            self.answer(client, path)
        return client, streams

    def order(self, client, streams):
        """The stream of each DATA frame that comes once the window is open."""
        client.send(window_update(0, len(streams) * SIZE))
        came, ended = [], 0
        while ended < len(streams):
            got = client.read()
            if got.kind == DATA:
                came.append(got.stream)
                ended += got.ends_stream
        return came

    def assert_one_after_the_other(self, came, streams):
        self.assertEqual(came, sorted(came, key=streams.index))

    def test_the_most_urgent_comes_first(self):
        client, streams = self.ask("u=6", "", "u=0")
        self.assert_one_after_the_other(self.order(client, streams), streams[::-1])

    def test_of_one_urgency_the_first_asked_for_comes_first(self):
        client, streams = self.ask("", "u=3", "")
        self.assert_one_after_the_other(self.order(client, streams), streams)

    def test_incremental_ones_take_turns(self):
        client, streams = self.ask("u=3, i", "u=3, i")
        came = self.order(client, streams)
        self.assertEqual(came, [streams[1], streams[0]] * (len(came) // 2))

    def test_a_frame_changes_it_later(self):
        client, streams = self.ask("", "", "")
        client.send(frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", streams[1]) + b"u=1"))
        self.assert_one_after_the_other(self.order(client, streams),
                                        [streams[1], streams[0], streams[2]])


if __name__ == "__main__":
    unittest.main()
