"""What lbd gives up near its limits, in which order, and that it takes it back (docs/resilience.md)."""

import shutil
import tempfile
import threading
import time
import unittest

from lab import LabCase, config_for, run_lbctl
from lab.certs import Authority, client_context
from lab.h2 import GET, INITIAL_WINDOW_SIZE, H2Client, headers

BIG = 4_000_000
GOAWAY = 7


class Held:
    """Answers at once, but for /held, which waits until it is let go, and /big."""

    def __init__(self):
        self.gate = threading.Event()

    def __call__(self, peer):
        while (request := peer.rx()) is not None:
            if request.target in ("/held", "/big/held"):
                self.gate.wait(90)
            if request.target.startswith("/big"):
                peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
                for _ in range(0, BIG, 50_000):
                    peer.send(b"x" * 50_000)
            else:
                peer.tx(200, request.target)


class Overload(LabCase):
    def serve(self, *, daemon, listener=None, **sections):
        self.held = Held()
        self.server = self.origin(self.held)
        self.addCleanup(self.held.gate.set)
        patient = {"timeouts": {"connect": "1m", "response": "2m"}}
        self.proxy = self.lbd(config_for(self.server, listener=listener, pool=patient, **sections),
                              daemon={"workers": 1, "shed_lag": "0s", **daemon})

    def stage(self, kind):
        return self.proxy.metric(f"lbd_worker_{kind}_stage", worker="0")

    def relief(self, action):
        return self.proxy.metric("lbd_worker_relief_total", worker="0", action=action)

    def wait_stage(self, kind, *stages):
        self.wait_for(lambda: self.stage(kind) in stages, f"{kind} stage {stages}")

    def told(self, kind):
        """The stages of the log, of events and of the condition."""
        entered = [line for line in self.proxy.log_text().splitlines()
                   if "overload.entered" in line and f"kind={kind}" in line]
        left = [line for line in self.proxy.log_text().splitlines()
                if "overload.left" in line and f"kind={kind}" in line]
        events = [(e["data"]["from"], e["data"]["to"]) for e in self.proxy.get("/v1/events")["events"]
                  if e["type"] == "daemon.overload" and e["data"]["kind"] == kind]
        return entered, left, events

    def condition(self):
        status = self.proxy.get("/v1/status")
        found = next(c for c in status["conditions"] if c["type"] == "Overloaded")
        return found["status"], found["reason"]

    def lbctl_status(self):
        return run_lbctl("status", socket_path=self.proxy.api_socket).stdout

    def is_closed(self, client):
        return not client.is_quiet(0.01)

    def hold(self, count):
        """Requests that stay at the server."""
        clients = []
        for _ in range(count):
            client = self.connect(self.proxy)
            client.send_request("GET", "/held")
            clients.append(client)
        return clients


class Connections(Overload):
    def idle(self, count):
        clients = [self.connect(self.proxy) for _ in range(count)]
        for client in clients:
            response = client.get("/")
            self.assertEqual((response.status, response.get("connection")), (200, None))
        return clients

    def test_nothing_is_given_up_below_the_line(self):
        self.serve(daemon={"max_connections": 20})
        clients = self.idle(16)
        self.assertEqual([self.stage("connections"), self.condition()], [0, (False, "AsExpected")])
        for client in clients:
            self.assertIsNone(client.get("/").get("connection"))
        self.assertEqual(self.relief("keep_alive"), 0)

    def test_who_is_idle_longest_goes_and_answers_say_close(self):
        self.serve(daemon={"max_connections": 20})
        oldest = self.idle(2)
        time.sleep(0.05)  # they are idle longer than the others, however fast this is
        others = self.idle(14)
        self.hold(1)
        for client in oldest:  # 17 of 20: two are too many
            self.assertEqual(client.read_rest(), b"")
        self.assertEqual([client for client in others if self.is_closed(client)], [])
        self.assertEqual(self.relief("idle_client"), 2)
        self.assertEqual(
            self.proxy.metric("lbd_http_endings_total", listener="web", reason="idle_evicted"), 2)
        self.assertEqual(self.proxy.get("/v1/stats")["process"]["overload"]["connections"],
                         "normal" if self.stage("connections") == 0 else "high")

    def test_a_busy_one_stays_and_is_told(self):
        """Nobody is idle, so nobody goes; whoever asks again is told that it was the last answer."""
        self.serve(daemon={"max_connections": 20})
        held = self.hold(17)
        self.wait_stage("connections", 1)
        self.assertEqual(self.condition(), (True, "Connections"))
        self.assertIn("note: Overloaded: ", self.lbctl_status())
        late = self.connect(self.proxy)
        response = late.get("/")
        self.assertEqual((response.status, response.get("connection")), (200, "close"))
        self.assertEqual(late.read_rest(), b"")
        self.assertEqual(self.relief("keep_alive"), 1)
        with H2Client(self.proxy.address()) as client:
            client.send(headers(1, GET))
            client.read_until(lambda frame: frame.kind == GOAWAY)
            self.assertEqual(client.answer(1).status, 200)
        self.held.gate.set()
        for client in held:  # none was ended for it
            self.assertEqual(client.read_response().text, "/held")
            client.close()
        self.wait_stage("connections", 0)
        self.wait_for(lambda: self.condition() == (False, "AsExpected"), "it is over")
        self.assertNotIn("Overloaded", self.lbctl_status())
        entered, left, events = self.told("connections")
        self.assertEqual([len(entered), len(left)], [1, 1], self.proxy.log_text())
        self.assertIn("setting=/daemon/max_connections", entered[0])
        self.assertEqual(events, [("normal", "high"), ("high", "normal")])

    def test_at_the_limit_the_kernel_queues(self):
        self.serve(daemon={"max_connections": 20})
        held = self.hold(20)
        self.wait_stage("connections", 2)
        late = self.connect(self.proxy)
        late.send_request("GET", "/")
        self.assertTrue(late.is_quiet(0.2))
        self.assertGreaterEqual(self.relief("accept"), 1)
        self.held.gate.set()
        for client in held:
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(late.read_response().status, 200)


class Buffers(Overload):
    def test_who_holds_most_is_reset(self):
        """Its windows stay shut, and all it asked for comes at once."""
        self.serve(daemon={"max_buffered": "1MiB"}, listener={"timeouts": {"write_idle": "1h"}})
        small = H2Client(self.proxy.address(), options=[(INITIAL_WINDOW_SIZE, 0)])
        self.addCleanup(small.close)
        small.send(headers(1, (*GET[:3], (":path", "/big"))))
        small.settle()
        greedy = H2Client(self.proxy.address(), options=[(INITIAL_WINDOW_SIZE, 0)])
        self.addCleanup(greedy.abort)
        for stream in range(1, 200, 2):
            greedy.send(headers(stream, (*GET[:3], (":path", "/big/held"))))
        greedy.settle()
        self.held.gate.set()
        self.wait_for(lambda: self.relief("holder") == 1, "it is reset")
        self.wait_stage("buffers", 0)
        lines = self.wait_for(
            lambda: [line for line in self.proxy.access_log() if line["reason"] == "buffer_holder"],
            "it is in the log")
        self.assertEqual({(line["setting"], line["setting_value"]) for line in lines},
                         {("/daemon/max_buffered", "1MiB")})
        self.assertEqual(self.proxy.metric("lbd_connections"), 1)  # the small one stays
        small.settle()
        entered, _, events = self.told("buffers")
        self.assertIn(events[-1][1], "normal")
        self.assertIn("setting=/daemon/max_buffered", entered[0])


class Memory(Overload):
    def fill(self, held, stage):
        """Requests that stay, until memory is in this stage."""
        before = self.in_flight()
        held += self.hold(50)  # of some 13 KB each
        while self.stage("memory") < stage:
            self.wait_for(lambda: self.stage("memory") >= stage or
                          self.in_flight() >= before + len(held), "it is there")
            held += self.hold(1)

    def in_flight(self):
        return self.proxy.metric("lbd_pool_requests_in_flight", pool="main")

    def test_limits_may_be_above_4_gib(self):
        self.serve(daemon={"max_memory": "5GiB", "max_buffered": "6GiB"})
        self.assertEqual(self.proxy.metric("lbd_memory_limit_bytes"), 5 << 30)

    def test_new_requests_are_refused_and_running_ones_are_not(self):
        self.serve(daemon={"max_memory": "1MiB"})
        first = H2Client(self.proxy.address())
        self.addCleanup(first.close)
        first.send(headers(1, (*GET[:3], (":path", "/held"))))
        first.settle()
        held = []
        self.fill(held, 3)
        first.send(headers(3, GET))
        answer = first.answer(3)
        self.assertEqual((answer.status, answer.get("lbd-reason"), answer.get("retry-after")),
                         (503, "memory_short", "1"))
        self.assertGreaterEqual(self.relief("request"), 1)
        recent = self.proxy.get("/v1/requests/recent")["requests"]
        one = next(request for request in recent if request["reason"] == "memory_short")
        self.assertEqual((one["setting"], one["setting_value"]), ("/daemon/max_memory", "1MiB"))
        self.assertEqual(self.condition(), (True, "Memory"))
        late = self.connect(self.proxy)
        late.send_request("GET", "/")
        self.assertTrue(late.is_quiet(0.2))  # nobody is let in
        self.held.gate.set()
        for client in held:
            response = client.read_response()
            if response.status == 503:  # the one that made it full
                self.assertEqual(response.get("lbd-reason"), "memory_short")
            else:
                self.assertEqual(response.text, "/held")
            client.close()
        self.assertEqual(late.read_response().status, 200)
        self.wait_stage("memory", 0)
        entered, left, events = self.told("memory")
        self.assertEqual((events[0][0], events[-1][1]), ("normal", "normal"))
        self.assertEqual(len(entered) + len(left), len(events))

    def test_idle_connections_go_and_bodies_do_with_less(self):
        """Server connections that are idle are closed, and what begins has small buffers and no pipe."""
        self.serve(daemon={"max_memory": "1MiB"})
        idle = self.connect(self.proxy)
        self.assertEqual(idle.get("/").status, 200)
        held = []
        self.fill(held, 1)
        self.assertEqual(idle.read_rest(), b"")
        self.assertGreaterEqual(self.relief("idle_client"), 1)
        big = self.connect(self.proxy)
        response = big.get("/big")
        self.assertEqual((response.status, len(response.body), response.get("connection")),
                         (200, BIG, "close"))
        self.assertGreaterEqual(self.relief("pipe"), 1)
        self.wait_for(lambda: self.relief("idle_server") >= 1, "idle server connections are closed")
        self.held.gate.set()
        for client in held:
            self.assertEqual(client.read_response().text, "/held")
            client.close()
        self.wait_stage("memory", 0)
        again = self.connect(self.proxy)
        self.assertIsNone(again.get("/").get("connection"))
        piped = self.relief("pipe")
        self.assertEqual(len(again.get("/big").body), BIG)
        self.assertEqual(self.relief("pipe"), piped)

    def test_idle_clients_with_tls_are_counted(self):
        """Each has some 14 KB of OpenSSL's; the oldest go, until there is room."""
        folder = tempfile.mkdtemp(prefix="lab-overload-")
        self.addCleanup(shutil.rmtree, folder, True)
        ca = Authority(folder, "test CA")
        pair = ca.issue("shop", cn="shop", names=["DNS:localhost"])
        self.serve(daemon={"max_memory": "1MiB"}, listener={"tls": {"certificates": ["shop"]}},
                   certificates={"shop": {"chain_file": str(pair.chain), "key_file": str(pair.key)}})
        context = client_context(ca, protocols=["http/1.1"])
        clients, last = [], []
        while self.relief("idle_client") == 0:
            client = self.connect(self.proxy, tls=context)
            (last if client.get("/").get("connection") == "close" else clients).append(client)
            self.assertLess(len(clients), 200)
        for client in last:
            client.close()
        self.assertGreater(len(clients), 30)
        gone = []

        def relieved():
            for client in [client for client in clients if client not in gone]:
                if self.is_closed(client):
                    client.close()
                    gone.append(client)
            return self.stage("memory") == 0

        self.wait_for(relieved, "there is room again")
        self.assertIn(clients[0], gone)
        self.assertNotIn(clients[-1], gone)
        self.assertEqual(clients[-1].get("/").status, 200)


class Descriptors(Overload):
    def test_connections_that_wait_have_a_fifth(self):
        """Beyond that, those to servers that wait longest are closed, and no request is."""
        self.held = Held()
        self.addCleanup(self.held.gate.set)
        self.proxy = self.lbd(config_for(self.origin(self.held)), daemon={"workers": 1, "max_connections": 60},
                              wrapper=["prlimit", "--nofile=150:150"])
        held = self.hold(45)
        in_flight = ("lbd_pool_requests_in_flight", "main")
        self.wait_for(lambda: self.proxy.metric(in_flight[0], pool=in_flight[1]) == 45, "all are under way")
        self.held.gate.set()
        for client in held:
            self.assertEqual(client.read_response().text, "/held")
        most = 150 // 5 + 1
        self.wait_for(lambda: self.relief("idle_server") >= 45 - most, "the oldest are closed")
        self.assertLessEqual(self.proxy.metric("lbd_pool_idle_connections", pool="main"), most)
        self.assertEqual(held[0].get("/").status, 200)


class Lag(Overload):
    def test_what_has_a_low_class_is_shed(self):
        routes = {
            "low": {"listener": "web", "match": {"path_prefix": "/low"}, "action": {"pool": "main"},
                    "priority_class": "low"},
            "all": {"listener": "web", "match": {"path_prefix": "/"}, "action": {"pool": "main"}},
        }
        self.serve(daemon={"shed_lag": "1ms"}, routes=routes)
        crowd = [self.connect(self.proxy) for _ in range(100)]
        refused = None
        for _ in range(100):  # a hundred at once are more than a millisecond's work
            for client in crowd:
                client.send_request("GET", "/")
            low = self.connect(self.proxy)
            low.send_request("GET", "/low")
            for client in crowd:
                self.assertEqual(client.read_response().status, 200)  # others are served
            response = low.read_response()
            if response.status == 503:
                refused = response
                break
        self.assertIsNotNone(refused)
        self.assert_reason(refused, 503, "shed")
        self.assertEqual(refused.get("retry-after"), "1")
        self.assertGreaterEqual(self.relief("low_priority"), 1)
        recent = self.proxy.get("/v1/requests/recent?reason=shed")["requests"]
        self.assertEqual((recent[0]["setting"], recent[0]["setting_value"]), ("/daemon/shed_lag", "1ms"))
        self.wait_for(lambda: self.connect(self.proxy).get("/low").status == 200, "it is over", 20)


if __name__ == "__main__":
    unittest.main()
