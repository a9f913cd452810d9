"""One JSON line per request, and one word for its end, the same in log, answer and metric."""

import re
import threading
import unittest
from pathlib import Path

from lab import Closed, LabCase, WireError, config_for
from lab.ports import free_port
from test_request_tunnel import HANDSHAKE, SWITCH

KEYS = {
    "time", "listener", "client", "method", "host", "path", "protocol", "status", "reason",
    "route", "pool", "server", "request_bytes", "response_bytes", "duration_us", "connect_us",
    "first_byte_us", "tries", "request_id", "connection_id", "revision",
}

DEF = Path(__file__).resolve().parents[2] / "lbd" / "base" / "close_reasons.def"


def reason_table():
    """{word: status} from the one table."""
    return {
        word: int(status)
        for word, status in re.findall(r'REASON\(\w+, "(\w+)", (\d+),', DEF.read_text())
    }


class Lines(LabCase):
    def test_every_key(self):
        server = self.origin(name="a")
        proxy = self.lbd(config_for(server, routes={
            "r": {"listener": "web", "match": {"path_prefix": "/r"}, "action": {"pool": "main"}},
        }))
        client = self.connect(proxy)
        client.request("POST", "/r/x?y=z", {"User-Agent": "me"}, b"hello", host="shop.example")
        (line,) = proxy.wait_access_log(1)
        self.assertLessEqual(KEYS, set(line))
        self.assertEqual(line["listener"], "web")
        self.assertRegex(line["client"], r"\A127\.0\.0\.1(:\d+)?\Z")
        self.assertEqual(line["method"], "POST")
        self.assertEqual(line["host"], "shop.example")
        self.assertIn(line["path"], ("/r/x?y=z", "/r/x"))
        self.assertEqual(line["protocol"], "HTTP/1.1")
        self.assertEqual(line["status"], 200)
        self.assertEqual(line["reason"], "ok")
        self.assertEqual((line["route"], line["pool"], line["server"]), ("r", "main", "a"))
        self.assertEqual(line["tries"], 1)
        self.assertGreaterEqual(line["request_bytes"], 5)
        self.assertGreaterEqual(line["response_bytes"], len("a POST /r/x?y=z 5\n"))
        self.assertGreaterEqual(line["duration_us"], line["first_byte_us"])
        self.assertGreater(line["duration_us"], 0)
        self.assertGreaterEqual(line["revision"], 1)
        self.assertRegex(line["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\Z")

    def test_one_line_per_request_in_order(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"workers": 1})
        client = self.connect(proxy)
        for index in range(100):
            client.get(f"/{index}")
        lines = proxy.wait_access_log(100)
        self.assertEqual([line["path"] for line in lines], [f"/{i}" for i in range(100)])
        self.assertEqual(len({line["connection_id"] for line in lines}), 1)
        self.assertEqual(len({line["request_id"] for line in lines}), 100)

    def test_hostile_bytes_stay_inside_their_string(self):
        server = self.origin()
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.get('/a"b\'<c>{d}')  # a quote is no legal target byte: refused or escaped
        client2 = self.connect(proxy)
        client2.get("/x", headers={"X-Request-Id": 'x","status":999,"y":"'})
        lines = proxy.wait_access_log(2)  # wait_access_log parses every line
        for line in lines:
            self.assertNotEqual(line["status"], 999)

    def test_refused_requests_are_logged_too(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
        client.read_response()
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (400, "bad_content_length"))

    def test_log_off_by_default(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"access_log": None})
        self.connect(proxy).get("/")
        proxy.stop()
        self.assertFalse(proxy.access_log_path.exists())

    def test_all_lines_are_there_after_a_stop(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        for _ in range(500):
            client.get("/")
        proxy.stop()
        self.assertEqual(len(proxy.access_log()), 500)

    def test_revision_of_the_plan_that_served(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        client.get("/")
        answer = proxy.patch("/v1/pools/main", {"retries": 3})
        client.get("/")
        first, second = proxy.wait_access_log(2)
        self.assertEqual(second["revision"], answer.revision)
        self.assertEqual(first["revision"], answer.revision - 1)


class Reasons(LabCase):
    """Provokes every ending and compares the word in the log, the answer and the metric."""

    def check(self, reason, proxy, status=None):
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["reason"], reason, line)
        table = reason_table()
        self.assertIn(reason, table, "a word that is not in the table")
        if status is not None:
            self.assertEqual(line["status"], status)
        if table[reason] and status is None:
            self.assertEqual(line["status"], table[reason])
        proxy.wait_metric(1, "lbd_http_endings_total", listener="web", reason=reason)
        return line

    def one(self, reason, script=None, send=None, pool=None, listener=None, address=None, **more):
        server = address or self.origin(script)
        document = config_for(server, pool={"retries": 0, **(pool or {})}, listener=listener, **more)
        proxy = self.lbd(document)
        client = self.connect(proxy)
        if send is None:
            client.send_request("GET", "/")
        else:
            client.send(send)
        response = None
        try:
            response = client.read_response()
        except (Closed, WireError):
            pass
        begun = response is None and reason == "server_truncated"
        line = self.check(reason, proxy, 200 if begun else None)
        status = 0 if begun else reason_table()[reason]
        if status:
            self.assertIsNotNone(response, "no answer")
            self.assert_reason(response, status, reason)
        return line, response

    def test_ok(self):
        self.one("ok")

    def test_fixed_and_redirect(self):
        for reason, action in (
            ("fixed_response", {"respond": {"status": 200}}),
            ("redirect", {"redirect": {"status": 302, "location": "/x"}}),
        ):
            with self.subTest(reason):
                self.one(reason, routes={"r": {"listener": "web", "match": {}, "action": action}})

    def test_malformed_requests(self):
        head = "GET / HTTP/1.1\r\nHost: a\r\n"
        for reason, data in {
            "bad_request_line": "NONSENSE\r\n\r\n",
            "bad_method": "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "bad_target": "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "bad_version": "GET / HTTP/x.y\r\nHost: a\r\n\r\n",
            "version_not_supported": "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "bad_header": head + "X y: z\r\n\r\n",
            "bad_line_end": head + "X: y\n\r\n",
            "bad_host": "GET / HTTP/1.1\r\n\r\n",
            "bad_content_length": head + "Content-Length: 1, 1\r\n\r\n",
            "length_and_chunked": head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "transfer_encoding_not_implemented": head + "Transfer-Encoding: gzip\r\n\r\n",
            "bad_transfer_encoding": "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "bad_connection_header": head + "Connection: Host\r\n\r\n",
            "bad_upgrade": head + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
            "bad_expect": head + "Expect: tea\r\n\r\n",
            "header_too_large": head + "X: " + "a" * 70000 + "\r\n\r\n",
            "too_many_headers": head + "X: y\r\n" * 101 + "\r\n",
            "target_too_long": "GET /" + "a" * 70000 + " HTTP/1.1\r\nHost: a\r\n\r\n",
        }.items():
            with self.subTest(reason):
                self.one(reason, send=data)

    def test_malformed_bodies(self):
        head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for reason, data in {
            "bad_chunk": head + "xyz\r\n",
            "bad_trailer": head + "0\r\nnonsense\r\n\r\n",
        }.items():
            with self.subTest(reason):
                self.one(reason, send=data)

    def test_no_route(self):
        server = self.origin()
        document = config_for(server)
        del document["listeners"]["web"]["default_pool"]
        proxy = self.lbd(document)
        self.assert_reason(self.connect(proxy).get("/"), 404, "no_route")
        self.check("no_route", proxy)

    def test_no_server(self):
        proxy = self.lbd(config_for())
        self.assert_reason(self.connect(proxy).get("/"), 503, "no_server")
        self.check("no_server", proxy)

    def test_server_failures(self):
        def answer(data, reset=False):
            def script(peer):
                peer.rx()
                peer.send(data)
                if reset:
                    peer.reset()
                else:
                    peer.close()

            return script

        ok = "HTTP/1.1 200 OK\r\n"
        for reason, script in {
            "server_reset": answer(""),
            "bad_response": answer("NONSENSE\r\n\r\n"),
            "bad_response_framing": answer(ok + "Content-Length: 1, 1\r\n\r\nx"),
            "response_header_too_large": answer(ok + "X: " + "a" * 70000 + "\r\n\r\n"),
            "too_many_interim": answer("HTTP/1.1 103 Early Hints\r\n\r\n" * 6 + ok + "\r\n"),
            "bad_switch": answer(SWITCH),
            "server_truncated": answer(ok + "Content-Length: 10\r\n\r\nhello"),
        }.items():
            with self.subTest(reason):
                self.one(reason, script)

    def test_connect_refused(self):
        line, _ = self.one("connect_refused", address=f"127.0.0.1:{free_port()}")
        self.assertEqual(line["server"], "a")

    def test_timeouts(self):
        def silent(peer):
            peer.rx_head()
            peer.wait_closed()

        self.one("response_timeout", silent, pool={"timeouts": {"response": "200ms"}})
        self.one("header_timeout", send="GET / HT", listener={"timeouts": {"header": "200ms"}})
        self.one(
            "body_timeout", silent, listener={"timeouts": {"body_idle": "200ms"}},
            send="POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx",
        )

    def test_client_abort(self):
        server = self.origin(lambda peer: (peer.rx(), peer.wait_closed()))
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        client.abort()
        self.check("client_abort", proxy)

    def test_tunnel(self):
        done = threading.Event()

        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            peer.wait_closed()
            done.set()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        client.send_request("GET", "/", HANDSHAKE)
        client.read_head()
        client.shut_write()
        self.assertTrue(done.wait(60))
        client.read_rest()
        self.check("tunnel_closed", proxy, 101)

    def test_shutdown(self):
        server = self.origin(lambda peer: (peer.rx(), peer.wait_closed()))
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        proxy.stop()  # SIGINT
        (line,) = proxy.access_log()
        self.assertIn(line["reason"], ("shutdown", "drain_deadline"))

    def test_the_table_is_well_formed(self):
        table = reason_table()
        self.assertGreater(len(table), 40)
        for word, status in table.items():
            self.assertRegex(word, r"\A[a-z]+(_[a-z]+)*\Z")
            self.assertTrue(status == 0 or 400 <= status <= 599)


if __name__ == "__main__":
    unittest.main()
