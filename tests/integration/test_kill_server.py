"""A server dies under load: no idempotent request fails whose answer had not begun."""

import threading
import unittest

from lab import LabCase, Origin, config_for
from lab.load import Load


class KillServer(LabCase):
    def start_pool(self, algorithm, check=True):
        self.servers = [self.origin(name=n) for n in "abc"]
        for server in self.servers:
            server.keep = False
            server.delay = 0.002  # so that requests are under way when it dies
        document = config_for(
            *self.servers, pool={"algorithm": algorithm, "retries": 2},
            health_checks={"t": {"type": "tcp", "interval": "200ms", "rise": 1, "fall": 1}},
        )
        if check:
            document["pools"]["main"]["health_check"] = "t"
        self.proxy = self.lbd(document)
        if check:
            for name in "abc":
                self.proxy.wait_health(name, "up")

    def run_kill(self, algorithm, check=True, body=None):
        self.start_pool(algorithm, check)
        victim = self.servers[0]
        with Load(self.proxy.address(), clients=12, body=body) as load:
            self.wait_for(lambda: load.total > 200, "load")
            victim.kill()
            mark = load.total
            self.wait_for(lambda: load.total > mark + 300, "load goes on")
            if check:
                self.proxy.wait_health("a", "down")
            back = Origin(name="a", port=victim.port)
            back.keep = False
            self.addCleanup(back.stop)
            if check:
                self.proxy.wait_health("a", "up")
                self.wait_for(lambda: back.request_count > 10, "it is asked again")
            mark = load.total
            self.wait_for(lambda: load.total > mark + 100, "load goes on")
        return load

    def test_round_robin(self):
        load = self.run_kill("round_robin")
        self.assertEqual(load.failures, [], f"of {load.total}")

    def test_least_request(self):
        load = self.run_kill("least_request")
        self.assertEqual(load.failures, [], f"of {load.total}")

    def test_without_a_check(self):
        """Passive marking and retries alone."""
        load = self.run_kill("round_robin", check=False)
        self.assertEqual(load.failures, [], f"of {load.total}")

    def test_posts_fail_at_most_once_each(self):
        """A POST under way is lost with its server, is told so, and is never sent twice."""
        counted = []
        lock = threading.Lock()

        def script(peer):
            while True:
                request = peer.rx()
                with lock:
                    counted.append(request.target)
                peer.tx(200, "ok")

        servers = [self.origin(script, name=n) for n in "ab"]
        proxy = self.lbd(config_for(*servers, pool={"algorithm": "round_robin", "retries": 2}))
        results = {}

        def run(number):
            client = self.connect(proxy)
            for index in range(60):
                target = f"/{number}/{index}"
                response = client.request("POST", target, body=b"pay")
                results[target] = response.status
                if response.get("Connection") == "close":
                    client = self.connect(proxy)

        threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        self.wait_for(lambda: len(counted) > 100, "load")
        servers[0].kill()
        for thread in threads:
            thread.join(60)
        self.assertEqual(len(results), 480)
        self.assertEqual(len(counted), len(set(counted)), "a POST was sent twice")
        for target, status in results.items():
            self.assertIn(status, (200, 502))
            if status == 200:
                self.assertIn(target, counted)

    def test_every_server_dies_and_comes_back(self):
        self.start_pool("least_request")
        ports = [s.port for s in self.servers]
        for server in self.servers:
            server.kill()
        client = self.connect(self.proxy)
        for name in "abc":
            self.proxy.wait_health(name, "down")
        self.assert_reason(client.get("/"), 503, "no_server")
        for port in ports:
            back = Origin(name="back", port=port)
            self.addCleanup(back.stop)
        for name in "abc":
            self.proxy.wait_health(name, "up")
        self.wait_for(lambda: client.get("/").status == 200, "that they are back reaches the workers")


if __name__ == "__main__":
    unittest.main()
