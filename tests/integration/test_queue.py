"""pools.queue: requests wait for a place when every server has max_connections."""

import threading
import time
import unittest

from lab import Closed, LabCase, config_for, h2, run_lbctl
from lab.load import Load


class Held:
    """A server that answers when it is told to, one request at a time."""

    def __init__(self):
        self.gate = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0
        self.targets = []

    def __call__(self, peer):
        while True:
            request = peer.rx()
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
                self.targets.append(request.target)
            self.gate.acquire(timeout=90)
            with self.lock:
                self.now -= 1
            peer.tx(200, request.target)

    def answer(self, count=1):
        for _ in range(count):
            self.gate.release()


class Queue(LabCase):
    def serve(self, *servers, workers=1, queue=None, routes=None, **pool):
        pool["queue"] = {"max": 100, "timeout": "2m", **(queue or {})}
        sections = {"routes": routes} if routes else {}
        self.proxy = self.lbd(config_for(*servers, pool=pool, **sections), daemon={"workers": workers, "shed_lag": "0s"})

    def one(self, held, **server):
        """One server with one place."""
        self.held = held
        origin = self.origin(held)
        self.addCleanup(held.answer, 1000)
        return {"address": origin.address, "max_connections": 1, **server}

    def ask(self, target="/"):
        client = self.connect(self.proxy)
        client.send_request(target=target)
        return client

    def queued(self):
        return self.proxy.metric("lbd_pool_queued", pool="main")

    def wait_queued(self, count):
        self.wait_for(lambda: self.queued() == count, f"{count} wait")

    def occupy(self):
        """Takes the only place."""
        client = self.ask("/first")
        self.wait_for(lambda: self.held.targets == ["/first"], "the place is taken")
        return client

    def test_waits_and_is_served(self):
        self.serve(self.one(Held()))
        first = self.occupy()
        second = self.ask("/second")
        self.wait_queued(1)
        self.assertEqual(self.proxy.get("/v1/pools/main/status")["queued"], 1)
        shown = run_lbctl("status", socket_path=self.proxy.api_socket)
        self.assertIn("pool main: 1 queued: lbctl describe pool main\n", shown.stdout, shown)
        self.assertEqual(self.held.targets, ["/first"])
        self.held.answer(2)
        self.assertEqual(first.read_response().text, "/first")
        self.assertEqual(second.read_response().text, "/second")
        self.assertEqual(self.held.most, 1)
        self.wait_queued(0)
        self.proxy.wait_metric(1, "lbd_pool_queued_total", pool="main")
        self.proxy.wait_metric(1, "lbd_pool_queue_duration_seconds_count", pool="main")

    def test_full(self):
        self.serve(self.one(Held()), queue={"max": 1})
        self.occupy()
        self.ask("/second")
        self.wait_queued(1)
        response = self.connect(self.proxy).get("/third")
        self.assert_reason(response, 503, "queue_full")
        self.assertEqual(response.get("Retry-After"), "1")
        self.proxy.wait_metric(1, "lbd_pool_queue_full_total", pool="main")

    def test_timeout(self):
        self.serve(self.one(Held()), queue={"timeout": "50ms"})
        first = self.occupy()
        self.assert_reason(self.connect(self.proxy).get("/second"), 503, "queue_timeout")
        self.proxy.wait_metric(1, "lbd_pool_queue_timeouts_total", pool="main")
        self.wait_queued(0)
        self.held.answer(2)
        self.assertEqual(first.read_response().status, 200)
        self.assertEqual(self.connect(self.proxy).get("/third").text, "/third")

    def test_a_client_that_goes_leaves_the_queue(self):
        self.serve(self.one(Held()))
        first = self.occupy()
        gone, stays = self.ask("/gone"), None
        self.wait_queued(1)
        stays = self.ask("/stays")
        self.wait_queued(2)
        gone.close()
        self.wait_queued(1)
        self.held.answer(2)
        self.assertEqual(first.read_response().status, 200)
        self.assertEqual(stays.read_response().text, "/stays")
        self.assertEqual(self.held.targets, ["/first", "/stays"])

    def test_classes(self):
        routes = {
            name: {"listener": "web", "match": {"path_prefix": f"/{name}"}, "action": {"pool": "main"},
                   "priority_class": name}
            for name in ("high", "low")
        }
        self.serve(self.one(Held()), routes=routes)
        clients = [self.occupy()]
        for count, target in enumerate(("/low/1", "/normal/1", "/high/1", "/low/2", "/high/2"), 1):
            clients.append(self.ask(target))
            self.wait_queued(count)
        self.held.answer(6)
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.held.targets,
                         ["/first", "/high/1", "/high/2", "/normal/1", "/low/1", "/low/2"])

    def test_first_come_first_served_over_all_workers(self):
        """A place that is given back on one worker goes to who waits longest, on any.

        A worker that does not run for QUEUE_LOOK_MS loses its turn to another, and on a busy machine
        that happens: the order must be right once, and nobody may be forgotten ever.
        """
        self.serve(self.one(Held()), workers=2)
        order = ["/first", *(f"/{number}" for number in range(1, 17))]
        for _ in range(10):
            self.held.targets.clear()
            clients = [self.occupy()]
            for number in range(1, 17):
                clients.append(self.ask(f"/{number}"))
                self.wait_queued(number)
            for number in range(17):
                self.wait_for(lambda n=number: len(self.held.targets) > n, "it is let in")
                self.held.answer()
            self.assertEqual({client.read_response().status for client in clients}, {200})
            self.assertEqual(sorted(self.held.targets), sorted(order))
            if self.held.targets == order:
                return
        self.fail(f"never in order, the last time: {self.held.targets}")

    def test_a_server_that_is_added_takes_from_the_queue(self):
        self.serve(self.one(Held()), workers=2)
        self.occupy()
        waiting = [self.ask(f"/{number}") for number in range(6)]
        self.wait_queued(6)
        fresh = self.origin(name="fresh")
        change = {"pools": {"main": {"servers": {"b": {"address": fresh.address}}}}}
        self.assertEqual(self.proxy.api("PATCH", "/v1/config", change).status, 200)
        for client in waiting:
            self.assertEqual(client.read_response().get("Origin-Name"), "fresh")
        for line in self.proxy.wait_access_log(6):
            self.assertEqual(line["server"], "b")

    def test_more_places_are_used_at_once(self):
        self.serve(self.one(Held()))
        self.occupy()
        self.ask("/second")
        self.wait_queued(1)
        change = {"pools": {"main": {"servers": {"a": {"max_connections": 2}}}}}
        self.assertEqual(self.proxy.api("PATCH", "/v1/config", change).status, 200)
        self.wait_for(lambda: self.held.targets == ["/first", "/second"], "it is let in")

    def test_who_waits_for_servers_that_went_is_told(self):
        self.serve(self.one(Held()))
        self.occupy()
        waiting = self.ask("/second")
        self.wait_queued(1)
        change = {"pools": {"main": {"servers": {"a": {"admin_state": "drain"}}}}}
        self.assertEqual(self.proxy.api("PATCH", "/v1/config", change).status, 200)
        self.assert_reason(waiting.read_response(), 503, "no_server")

    def test_streams_of_http2(self):
        self.serve(self.one(Held()))
        first = self.occupy()
        with h2.H2Client(self.proxy.address("web")) as client:
            client.send(h2.headers(1), h2.headers(3))
            self.wait_queued(2)
            client.send(h2.reset(1))
            self.wait_queued(1)
            self.held.answer(2)
            self.assertEqual(first.read_response().status, 200)
            self.assertEqual(client.answer(3).status, 200)
        self.assertEqual(self.held.targets, ["/first", "/"])

    def test_a_retry_waits_for_another_server(self):
        """The one that failed has room, but it is not asked again."""
        def busy(peer):
            while True:
                peer.rx()
                peer.tx(503, "busy")

        bad = self.origin(busy)
        self.serve(self.one(Held(), weight=1000), bad, retries=3, retry={"on": ["503"]})
        while not self.held.targets:
            first = self.ask("/first")
            self.wait_for(lambda: self.held.targets or bad.request_count > 0, "a request")
            if not self.held.targets:
                self.held.answer()
                first.read_response()
                self.held.targets.clear()
                bad.clear()
        bad.clear()
        second = self.ask("/second")
        bad.wait_requests(1)
        self.wait_queued(1)
        self.held.answer(2)
        self.assertEqual(second.read_response().text, "/second")
        self.assertEqual(bad.request_count, 1)

    def test_a_crowd(self):
        """More clients than places, over two workers: nobody is refused and no server has too many."""
        counts = {"now": 0, "most": 0}
        lock = threading.Lock()

        def script(peer):
            while True:
                try:
                    peer.rx()
                except Closed:
                    return
                with lock:
                    counts["now"] += 1
                    counts["most"] = max(counts["most"], counts["now"])
                time.sleep(0.001)
                with lock:
                    counts["now"] -= 1
                peer.tx(200, "ok")

        servers = [{"address": self.origin(script).address, "max_connections": 2} for _ in range(2)]
        self.serve(*servers, workers=2)
        with Load(self.proxy.address("web"), clients=16) as load:
            self.wait_for(lambda: load.total >= 1500, "1,500 answers", timeout=300)
        self.assertEqual(load.failures, [])
        self.wait_for(lambda: self.proxy.metric("lbd_pool_queued_total", pool="main") > 100, "lbd_pool_queued_total")
        self.assertLessEqual(counts["most"], 4)
        self.wait_queued(0)
        self.proxy.wait_metric(0, "lbd_pool_requests_in_flight", pool="main")


if __name__ == "__main__":
    unittest.main()
