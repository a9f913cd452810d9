"""Documents of ten thousand servers: taken, shown and changed while traffic goes on."""

import json
import socket
import unittest

from lab import LabCase, config_for
from lab.load import Load

POOLS, SERVERS = 100, 100


def large(origin, weight=100):
    document = config_for(origin)
    for p in range(POOLS):
        document["pools"][f"p{p}"] = {"servers": {
            f"s{i}": {"address": f"127.2.{p}.{i}:9000", **({"weight": weight} if i == 0 else {})}
            for i in range(SERVERS)}}
    return document


class Large(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server))

    def test_whole_documents_under_traffic(self):
        with Load(self.proxy.address(), clients=4) as load:
            for weight in (50, 60, 70, 80):
                wanted = large(self.server, weight)
                answer = self.proxy.put("/v1/config", wanted)
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.body, {"listeners": wanted["listeners"], "pools": wanted["pools"]})
            seen = load.total
            self.wait_for(lambda: load.total > seen + 50, "traffic after the last change")
        self.assertEqual(load.failures, [])
        self.assertEqual(load.reconnects, 0)

    def test_what_is_shown_is_what_was_put(self):
        wanted = large(self.server)
        put = self.proxy.put("/v1/config", wanted)
        shown = self.proxy.api("GET", "/v1/config")
        self.assertEqual(shown.body, wanted)
        self.assertEqual(shown.etag, put.etag)
        self.assertEqual(self.proxy.get("/v1/pools"), wanted["pools"])
        self.assertEqual(self.proxy.get("/v1/pools/p7"), wanted["pools"]["p7"])
        self.assertEqual(self.proxy.get("/v1/listeners"), wanted["listeners"])
        self.assertEqual(self.proxy.get("/v1/routes"), {})
        # It is a configuration again, and the same one.
        again = self.proxy.put("/v1/config", shown.body)
        self.assertEqual(again.header("Lbd-Changed"), "false")
        self.assertEqual(
            self.proxy.api("GET", "/v1/config", headers={"If-None-Match": shown.etag}).status, 304)

    def test_readers_that_stop_or_leave_hold_nobody_up(self):
        self.proxy.put("/v1/config", large(self.server))
        readers = []
        for number in range(20):
            reader = socket.socket(socket.AF_UNIX)
            self.addCleanup(reader.close)
            reader.connect(self.proxy.api_socket)
            reader.sendall(b"GET /v1/config HTTP/1.1\r\nHost: lbd\r\n\r\n")
            self.assertTrue(reader.recv(1000).startswith(b"HTTP/1.1 200"))
            if number % 2:
                reader.close()
            else:
                readers.append(reader)
        # The document that they are shown is replaced under them.
        changed = large(self.server, 33)
        self.assertEqual(self.proxy.put("/v1/config", changed).status, 200)
        self.assertEqual(self.proxy.get("/v1/config"), changed)
        text = b""
        reader = readers[0]
        reader.settimeout(30)
        while not text.endswith(b"0\r\n\r\n"):
            text += reader.recv(1 << 20)
        self.assertIn(b'"s99"', text, "the one who began before the change gets the old one whole")
        self.assertNotIn(b'"weight": 33', text)

    def test_it_stops_while_somebody_reads(self):
        self.proxy.put("/v1/config", large(self.server))
        reader = socket.socket(socket.AF_UNIX)
        self.addCleanup(reader.close)
        reader.connect(self.proxy.api_socket)
        reader.sendall(b"GET /v1/config HTTP/1.1\r\nHost: lbd\r\n\r\n")
        self.assertTrue(reader.recv(1000))
        self.proxy.stop()

    def test_a_mistake_in_it_is_found_in_its_place(self):
        document = large(self.server)
        document["pools"]["p99"]["servers"]["s99"]["weight"] = 0
        answer = self.proxy.api("PUT", "/v1/config", document)
        self.assertEqual(answer.status, 422, answer)
        self.assertEqual([error["pointer"] for error in answer.body["errors"]], ["#/pools/p99/servers/s99/weight"])
        text = json.dumps(document)
        self.assertEqual(answer.body["errors"][0]["column"], text.index('"weight": 0') + len('"weight": ') + 1)


if __name__ == "__main__":
    unittest.main()
