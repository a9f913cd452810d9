"""A change reaches the next request and nothing else: no connection ends but with its own object."""

import threading
import unittest

from lab import Client, Closed, LabCase, config_for
from lab import metrics as prometheus
from lab.load import Load
from test_request_tunnel import HANDSHAKE, SWITCH


def many(peer):
    """Plain answers, /stream in pieces until told, /chat as a WebSocket echo."""
    while True:
        request = peer.rx()
        if request.target == "/chat":
            peer.send(SWITCH)
            while True:
                data = peer.reader.some()
                if not data:
                    return
                peer.send(data)
        if request.target == "/stream":
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not peer.origin.more.wait(0.02):
                peer.send("4\r\ntick\r\n")
            peer.send("3\r\nend\r\n0\r\n\r\n")
            continue
        peer.tx(200, peer.origin.name, {"Origin-Name": peer.origin.name})


class Untouched(LabCase):
    """Open conversations of every kind live through every kind of unrelated change."""

    def setUp(self):
        super().setUp()
        self.server = self.origin(many, name="a")
        self.server.more = threading.Event()
        self.other = self.origin(name="other")
        self.proxy = self.lbd(config_for(self.server))
        self.idle = self.connect(self.proxy)
        self.idle.get("/")
        self.chat = self.connect(self.proxy)
        self.chat.send_request("GET", "/chat", HANDSHAKE)
        self.assertEqual(self.chat.read_head().status, 101)
        self.stream = self.connect(self.proxy)
        self.stream.send_request("GET", "/stream")
        self.stream.read_head()
        self.half = self.connect(self.proxy)  # in the middle of sending a head
        self.half.send("GET /half HTTP/1.1\r\nHo")

    def check_alive(self):
        self.chat.send(b"ping")
        self.assertEqual(self.chat.read_exact(4), b"ping")
        self.assertIn(b"tick", self.stream.read_exact(18))
        self.assertEqual(self.idle.get("/").status, 200)

    def finish(self):
        self.check_alive()
        self.half.send("st: a\r\n\r\n")
        self.assertEqual(self.half.read_response().status, 200)
        self.server.more.set()
        message = b""
        while not message.endswith(b"3\r\nend\r\n0\r\n\r\n"):
            data = self.stream.reader.some()
            self.assertTrue(data, "the stream was cut")
            message += data
        self.assertEqual(self.stream.get("/").status, 200, "and its connection lives on")

    def test_unrelated_changes(self):
        changes = [
            ("PUT", "/v1/pools/new", {"servers": {"x": {"address": self.other.address}}}),
            ("PUT", "/v1/routes/new", {"listener": "web", "match": {"path": "/new"},
                                       "action": {"pool": "new"}}),
            ("PUT", "/v1/listeners/second", {"bind": ["127.0.0.1:0"], "protocol": "http",
                                             "default_pool": "new"}),
            ("PUT", "/v1/health-checks/h", {"type": "tcp", "interval": "1s"}),
            ("PATCH", "/v1/pools/new", {"health_check": "h", "retries": 2}),
            ("PUT", "/v1/pools/main/servers/b", {"address": self.other.address}),
            ("PATCH", "/v1/pools/main/servers/b", {"weight": 1}),
            ("DELETE", "/v1/pools/main/servers/b", None),
            ("PATCH", "/v1/pools/main", {"timeouts": {"response": "30s"}}),
            ("PATCH", "/v1/listeners/web", {"timeouts": {"keep_alive": "50s"}}),
            ("DELETE", "/v1/routes/new", None),
            ("DELETE", "/v1/listeners/second", None),
            ("DELETE", "/v1/pools/new", None),
            ("DELETE", "/v1/health-checks/h", None),
        ]
        for method, path, body in changes:
            with self.subTest(f"{method} {path}"):
                self.proxy.change(method, path, body)
                self.check_alive()
        self.finish()

    def test_whole_document_replaced_around_them(self):
        document = self.proxy.get("/v1/config")
        for number in range(10):
            document["pools"][f"p{number}"] = {"servers": {"x": {"address": self.other.address}}}
            document["routes"] = {"r": {"listener": "web", "match": {"path": f"/r{number}"},
                                        "action": {"pool": f"p{number}"}}}
            self.proxy.put("/v1/config", document)
            self.check_alive()
        self.finish()

    def test_refused_changes_leave_them_too(self):
        for _ in range(5):
            answer = self.proxy.api("PATCH", "/v1/config", {"pools": {"main": {"retries": "x"}}})
            self.assertEqual(answer.status, 422)
            self.check_alive()
        self.finish()

    def test_the_next_request_on_an_old_connection_uses_the_new_plan(self):
        self.assertEqual(self.idle.get("/").get("Origin-Name"), "a")
        self.proxy.put("/v1/pools/new", {"servers": {"x": {"address": self.other.address}}})
        self.proxy.patch("/v1/listeners/web", {"default_pool": "new"})
        self.assertEqual(self.idle.get("/").get("Origin-Name"), "other")
        self.half.send("st: a\r\n\r\n")
        self.assertEqual(self.half.read_response().get("Origin-Name"), "other")
        # what was under way stays where it was
        self.chat.send(b"ping")
        self.assertEqual(self.chat.read_exact(4), b"ping")


class Removed(LabCase):
    """What is taken away drains; what depended on it ends politely."""

    def test_listener_added_and_removed(self):
        server = self.origin(many, name="a")
        server.more = threading.Event()
        proxy = self.lbd(config_for(server))
        proxy.put("/v1/listeners/extra", {"bind": ["127.0.0.1:0"], "protocol": "http",
                                          "default_pool": "main"})
        address = proxy.address("extra")
        idle, busy = self.connect(address), self.connect(address)
        self.assertEqual(idle.get("/").status, 200)
        busy.send_request("GET", "/stream")
        busy.read_head()
        proxy.delete("/v1/listeners/extra")
        # nobody new comes in
        with self.assertRaises((ConnectionRefusedError, Closed, ConnectionResetError)):
            Client(address).get("/")
        # what is under way ends whole
        server.more.set()
        data = busy.reader.some()
        while not data.endswith(b"3\r\nend\r\n0\r\n\r\n"):
            more = busy.reader.some()
            self.assertTrue(more, "the answer was cut")
            data += more
        # an idle one is told with its next answer, or closed at the end of the drain
        idle.send_request("GET", "/")
        try:
            response = idle.read_response()
            self.assertEqual(response.get("Connection"), "close")
        except Closed:
            pass
        self.assertTrue(idle.closed_cleanly())
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_listener_keeps_its_port_through_changes(self):
        server = self.origin()
        proxy = self.lbd(config_for(server))
        before = proxy.addresses()
        for number in range(5):
            proxy.patch("/v1/listeners/web", {"timeouts": {"keep_alive": f"{50 + number}s"}})
        self.assertEqual(proxy.addresses(), before)

    def test_bind_added_to_a_listener(self):
        server = self.origin()
        proxy = self.lbd(config_for(server))
        first = proxy.addresses()
        client = self.connect(proxy)
        client.get("/")
        proxy.patch("/v1/listeners/web", {"bind": ["127.0.0.1:0", "[::1]:0"]})
        after = proxy.addresses()
        self.assertEqual(len(after), 2)
        self.assertIn(first[0], after)
        self.assertEqual(client.get("/").status, 200)

    def test_address_widens_on_the_same_port(self):
        proxy = self.lbd(config_for(self.origin()))
        port = proxy.port()
        old = self.connect(proxy)
        self.assertEqual(old.get("/").status, 200)
        for bind in (f"127.0.0.1:{port}", f"0.0.0.0:{port}", f"127.0.0.1:{port}"):
            proxy.patch("/v1/listeners/web", {"bind": [bind]})
            with Client(("127.0.0.1", port)) as new:
                self.assertEqual(new.get("/").status, 200)
        self.assertEqual(old.get("/").status, 200)

    def test_removed_server_drains(self):
        one, two = self.origin(many, name="one"), self.origin(name="two")
        one.more = threading.Event()
        proxy = self.lbd(config_for(one, pool={"algorithm": "round_robin"}))
        chat = self.connect(proxy)
        chat.send_request("GET", "/chat", HANDSHAKE)
        chat.read_head()
        busy = self.connect(proxy)
        busy.send_request("GET", "/stream")
        busy.read_head()
        proxy.put("/v1/pools/main/servers/b", {"address": two.address})
        proxy.delete("/v1/pools/main/servers/a")
        client = self.connect(proxy)
        for _ in range(6):
            self.assertEqual(client.get("/").get("Origin-Name"), "two")
        one.more.set()
        data = b""
        while not data.endswith(b"3\r\nend\r\n0\r\n\r\n"):
            more = busy.reader.some()
            self.assertTrue(more, "the answer was cut")
            data += more
        chat.send(b"ping")
        self.assertEqual(chat.read_exact(4), b"ping")
        chat.shut_write()
        self.assertEqual(chat.read_rest(), b"")
        one.wait_idle()

    def test_server_that_moves_is_reached_at_its_new_address(self):
        one, two = self.origin(name="one"), self.origin(name="two")
        proxy = self.lbd(config_for(one))
        client = self.connect(proxy)
        self.assertEqual(client.get("/").get("Origin-Name"), "one")
        proxy.patch("/v1/pools/main/servers/a", {"address": two.address})
        for _ in range(4):
            self.assertEqual(client.get("/").get("Origin-Name"), "two")
        one.wait_idle()

    def test_removed_route(self):
        one, two = self.origin(name="one"), self.origin(name="two")
        document = config_for(one)
        document["pools"]["p"] = {"servers": {"x": {"address": two.address}}}
        document["routes"] = {"r": {"listener": "web", "match": {"path_prefix": "/two"},
                                    "action": {"pool": "p"}}}
        proxy = self.lbd(document)
        client = self.connect(proxy)
        self.assertEqual(client.get("/two").get("Origin-Name"), "two")
        proxy.delete("/v1/routes/r")
        self.assertEqual(client.get("/two").get("Origin-Name"), "one")

    def test_counters_of_what_stays_survive(self):
        server = self.origin()
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        for _ in range(5):
            client.get("/")
        document = proxy.get("/v1/config")
        document["pools"]["main"]["retries"] = 4
        proxy.put("/v1/config", document)
        proxy.wait_metric(5, "lbd_server_requests_total", pool="main", server="a")
        client.get("/")
        proxy.wait_metric(6, "lbd_server_requests_total", pool="main", server="a")


class UnderLoad(LabCase):
    CHANGES = 1000

    def test_a_thousand_changes(self):
        servers = [self.origin(name=n) for n in "abcd"]
        for server in servers:
            server.keep = False
        proxy = self.lbd(
            config_for(*servers, listener={"timeouts": {"keep_alive": "1h"}}),  # so long may the changes take
            daemon={"access_log": {"path": "off"}, "log": {"level": "warn", "format": "text", "path": "stderr"}},
        )
        address = proxy.address()
        idle = [self.connect(proxy) for _ in range(20)]
        for client in idle:
            self.assertEqual(client.get("/").status, 200)
        before = proxy.metrics()
        first = proxy.api("GET", "/v1/config").revision
        spare = {"address": servers[3].address, "weight": 5}
        with Load(address, clients=4) as load, Client(proxy.api_socket, timeout=60) as api:
            for number in range(self.CHANGES):
                self.change(api, number, spare)
                if number % 250 == 249:
                    now = proxy.metrics()
                    worse = [
                        w for w in prometheus.went_back(before, now)
                        if "spare" not in w[1].values()  # comes and goes, and its series with it
                    ]
                    self.assertEqual(worse, [])
                    before = now
        self.assertEqual(load.failures[:5], [], f"of {load.total} requests")
        self.assertEqual(load.reconnects, 0, "a keep-alive connection was closed under its client")
        self.assertGreater(load.total, 100)
        self.assertEqual(proxy.api("GET", "/v1/config").revision, first + self.CHANGES)
        for client in idle:
            self.assertEqual(client.get("/").status, 200, "an idle connection was closed")
        proxy.wait_metric(load.total + 2 * len(idle), "lbd_http_requests_total", listener="web")
        self.wait_for(lambda: proxy.metric("lbd_snapshots") < 4, "old snapshots are freed")

    def change(self, api, number, spare):
        """A different kind of change each time; every one answers 2xx."""
        kind = number % 4
        headers = {"Content-Type": "application/merge-patch+json"}
        if kind == 0:
            call = ("PATCH", "/v1/pools/main/servers/a", f'{{"weight": {1 + number % 999}}}')
        elif kind == 1:
            call = ("PUT", "/v1/pools/main/servers/spare",
                    f'{{"address": "{spare["address"]}", "weight": {1 + number % 50}}}')
        elif kind == 2:
            call = ("DELETE", "/v1/pools/main/servers/spare", None)
        else:
            call = ("PUT", "/v1/routes/r",
                    f'{{"listener": "web", "match": {{"path": "/r{number}"}}, '
                    '"action": {"pool": "main"}}')
        if call[0] == "PUT":
            headers = {"Content-Type": "application/json"}
        body = call[2].encode() if call[2] else None
        response = api.request(call[0], call[1], headers if body else {}, body, host="lbd")
        self.assertIn(response.status, (200, 201, 202, 204), f"{call}: {response.text}")
        del api.reader.log[:]


if __name__ == "__main__":
    unittest.main()
