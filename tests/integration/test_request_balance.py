"""Who gets the next request: weights to the request, load to the connection, admin state at once."""

import collections
import threading
import time
import unittest

from lab import LabCase, config_for, run_lbctl
from lab.ports import free_port


class Balance(LabCase):
    def serve(self, weights, workers=1, **pool):
        self.servers = [self.origin(name=n) for n in "abcdefgh"[: len(weights)]]
        servers = [
            {"address": o.address, "weight": w}
            for o, w in zip(self.servers, weights, strict=True)
        ]
        self.proxy = self.lbd(config_for(*servers, pool=pool), daemon={"workers": workers})
        return self.connect(self.proxy)

    def counts(self):
        return [o.request_count for o in self.servers]

    def test_round_robin_equal(self):
        client = self.serve([100, 100, 100], algorithm="round_robin")
        order = [client.get("/").get("Origin-Name") for _ in range(30)]
        self.assertEqual(self.counts(), [10, 10, 10])
        for index in range(0, 30, 3):
            self.assertEqual(len(set(order[index : index + 3])), 3, "every turn asks each once")

    def test_round_robin_weights_are_exact(self):
        client = self.serve([500, 200, 100], algorithm="round_robin")
        for _ in range(80):
            client.get("/")
        self.assertEqual(self.counts(), [50, 20, 10])

    def test_round_robin_is_smooth(self):
        """5:1:1 never serves the heavy one five times in a row."""
        client = self.serve([5, 1, 1], algorithm="round_robin")
        order = "".join(client.get("/").get("Origin-Name") for _ in range(70))
        self.assertEqual(collections.Counter(order), {"a": 50, "b": 10, "c": 10})
        self.assertNotIn("a" * 5, order)

    def test_round_robin_over_workers(self):
        """Each worker turns by itself from its own offset; over whole turns the sum is exact."""
        self.serve([300, 100], algorithm="round_robin", workers=2)
        for _ in range(24):
            client = self.connect(self.proxy)
            for _ in range(4):
                client.get("/")
            client.close()
        self.assertEqual(self.counts(), [72, 24])

    def test_random_heeds_weights(self):
        client = self.serve([300, 100], algorithm="random")
        for _ in range(400):
            client.get("/")
        self.assertEqual(sum(self.counts()), 400)
        self.assertAlmostEqual(self.counts()[0], 300, delta=60)  # seven standard deviations

    def test_least_request_avoids_the_busy_server(self):
        go = threading.Event()

        def slow(peer):
            while True:
                request = peer.rx()
                if request.target == "/hold":
                    go.wait(60)
                peer.tx(200, "", {"Origin-Name": "slow"})

        busy = self.origin(slow, name="slow")
        idle = self.origin(name="idle")
        # one worker: it has given a server back before it reads the next request
        proxy = self.lbd(config_for(busy, idle, pool={"algorithm": "least_request"}), daemon={"workers": 1})
        holders = []
        while busy.request_count == 0:  # park one request on the slow one
            client = self.connect(proxy)
            client.send_request("GET", "/hold")
            holders.append(client)
            self.wait_for(
                lambda: busy.request_count + idle.request_count == len(holders), "it arrived"
            )
        before = idle.request_count
        for _ in range(20):
            self.assertEqual(self.connect(proxy).get("/").get("Origin-Name"), "idle")
        self.assertEqual(idle.request_count - before, 20)
        go.set()

    def test_least_request_is_exact_across_workers(self):
        """Requests held open spread evenly although several workers choose."""
        go = threading.Event()

        def hold(peer):
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, "x")

        servers = [self.origin(hold, name=n) for n in "abcd"]
        proxy = self.lbd(
            config_for(*servers, pool={"algorithm": "least_request"}), daemon={"workers": 2}
        )
        clients = []
        for index in range(40):
            client = self.connect(proxy)
            client.send_request("GET", "/")
            clients.append(client)
            self.wait_for(
                lambda: sum(o.request_count for o in servers) == index + 1, "it arrived"
            )
        self.assertEqual([o.request_count for o in servers], [10, 10, 10, 10])
        go.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)

    def test_least_request_respects_weight(self):
        go = threading.Event()

        def hold(peer):
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, "x")

        servers = [self.origin(hold, name=n) for n in "ab"]
        proxy = self.lbd(config_for(
            {"address": servers[0].address, "weight": 300},
            {"address": servers[1].address, "weight": 100},
            pool={"algorithm": "least_request"},
        ))
        for index in range(40):
            self.connect(proxy).send_request("GET", "/")
            self.wait_for(
                lambda: sum(o.request_count for o in servers) == index + 1, "it arrived"
            )
        heavy, light = (o.request_count for o in servers)
        self.assertAlmostEqual(heavy, 30, delta=1)
        self.assertAlmostEqual(light, 10, delta=1)
        go.set()

    def test_peak_ewma_avoids_the_slow_server_on_all_workers(self):
        """What one worker measured all of them know: the stall is met a few times, not by each worker."""

        def slow(peer):
            while True:
                peer.rx()
                time.sleep(3)  # remembered for longer than what follows takes
                peer.tx(200, "", {"Origin-Name": "slow"})

        stalls = self.origin(slow, name="slow")
        others = [self.origin(name=n) for n in "abc"]
        proxy = self.lbd(
            config_for(stalls, *others, pool={"algorithm": "peak_ewma"}), daemon={"workers": 4}
        )
        while stalls.request_count == 0:
            self.assertEqual(self.connect(proxy).get("/").status, 200)
        for _ in range(60):  # a connection each: they are spread over the workers
            self.assertEqual(self.connect(proxy).get("/").status, 200)
        self.assertLessEqual(stalls.request_count, 4)
        self.assertGreaterEqual(min(o.request_count for o in others), 1)

    def test_peak_ewma_does_not_run_after_who_refuses(self):
        """Refusing is quick. It must not look like the quickest answer."""
        alive = self.origin(name="alive")
        proxy = self.lbd(config_for(
            {"address": f"127.0.0.1:{free_port()}"}, alive,
            pool={"algorithm": "peak_ewma", "retries": 1},
        ))
        client = self.connect(proxy)
        began = time.monotonic()
        for _ in range(50):
            self.assertEqual(client.get("/").get("Origin-Name"), "alive")
        spans = 1 + (time.monotonic() - began) // 10  # for so long it rests after three of them
        errors = [
            v for (name, labels), v in proxy.metrics().items()
            if name == "lbd_server_errors_total"
        ]
        self.assertLessEqual(sum(errors), 3 * spans)

    def test_max_connections_moves_on_to_the_next(self):
        go = threading.Event()

        def hold(peer):
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, "x")

        servers = [self.origin(hold, name=n) for n in "ab"]
        proxy = self.lbd(config_for(
            *({"address": o.address, "max_connections": 3} for o in servers),
            pool={"algorithm": "round_robin"},
        ))
        clients = []
        for index in range(6):
            client = self.connect(proxy)
            client.send_request("GET", "/")
            clients.append(client)
            self.wait_for(
                lambda: sum(o.request_count for o in servers) == index + 1, "it arrived"
            )
        self.assertEqual([o.request_count for o in servers], [3, 3])
        self.assert_reason(self.connect(proxy).get("/"), 503, "server_limit")
        go.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_weight_change_takes_effect_and_stays_exact(self):
        client = self.serve([100, 100], algorithm="round_robin")
        for _ in range(20):
            client.get("/")
        self.assertEqual(self.counts(), [10, 10])
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 300})
        for origin in self.servers:
            origin.clear()
        for _ in range(40):
            client.get("/")
        self.assertEqual(self.counts(), [30, 10])

    def test_slow_start_lets_a_server_grow_into_its_weight(self):
        client = self.serve([100, 100], algorithm="round_robin", slow_start="15s")

        def weights():
            answer = self.proxy.api(
                "POST", "/v1/explain/route", {"listener": "web", "host": "x", "path": "/"}
            )
            return [server["weight"] for server in answer.body["servers"]]

        def share_of_b(count):
            for origin in self.servers:
                origin.clear()
            for _ in range(count):
                client.get("/")
            return self.counts()[1]

        self.wait_for(lambda: weights() == [100, 100], "both have grown")
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "drain"})
        self.assertEqual(share_of_b(10), 0)
        self.proxy.patch("/v1/pools/main/servers/b", {"admin_state": "ready"})
        first, second = weights()
        self.assertEqual(first, 100)
        self.assertLess(second, 100)
        self.assertLess(share_of_b(20), 10, "at first it has less than its half")
        self.wait_for(lambda: weights() == [100, 100], "it has grown")
        self.assertEqual(share_of_b(20), 10)

    def test_slow_start_is_seen(self):
        self.serve([100, 300], algorithm="round_robin", slow_start="1h")

        def seen():
            status = self.proxy.get("/v1/pools/main/status")["servers"]
            stats = self.proxy.get("/v1/stats?scope=servers")["servers"]
            return [[status[n]["effective_weight"], stats[f"main/{n}"]["weight"],
                     self.proxy.metric("lbd_server_weight", server=n)] for n in "ab"]

        self.assertEqual(seen(), [[10, 10, 10], [30, 30, 30]])
        rows = run_lbctl("get", "servers", "main", socket_path=self.proxy.api_socket).stdout
        self.assertRegex(rows, r"\b10/100\b")
        self.proxy.patch("/v1/pools/main", {"algorithm": "maglev"})
        self.assertEqual(seen(), [[100, 100, 100], [300, 300, 300]], "has none")
        self.proxy.patch("/v1/pools/main", {"algorithm": "random", "slow_start": "0s"})
        self.assertEqual(seen(), [[100, 100, 100], [300, 300, 300]])

    def test_hundreds_of_servers(self):
        one = self.origin(name="one")
        document = config_for(pool={"algorithm": "round_robin"})
        document["pools"]["main"]["servers"] = {
            f"s{i:03}": {"address": one.address} for i in range(300)
        }
        proxy = self.lbd(document, daemon={"workers": 1})
        client = self.connect(proxy)
        for _ in range(300):
            self.assertEqual(client.get("/").status, 200)
        used = proxy.metrics()
        counts = [
            v for (name, labels), v in used.items() if name == "lbd_server_requests_total"
        ]
        self.assertEqual(counts, [1] * 300)


if __name__ == "__main__":
    unittest.main()
