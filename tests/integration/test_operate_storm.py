"""Everything an operator can do at once, under requests and tunnels: nothing breaks, the books add up."""

import random
import socket
import threading
import unittest

from lab import Client, Closed, LabCase, Watch, WireError, config_for

ROUNDS = 200
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}
BODY = b"x" * 300000  # by splice


def answer_or_switch(peer):
    while True:
        request = peer.rx()
        if request.get("Upgrade") is None:
            peer.tx(200, BODY if request.target == "/large" else b"small")
            continue
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\n\r\n")
        while True:
            data = peer.sock.recv(4096)
            if not data:
                return
            peer.send(data)


class Storm(LabCase):
    def setUp(self):
        super().setUp()
        self.a = self.origin(answer_or_switch)
        self.b = self.origin(answer_or_switch)
        self.a.keep = self.b.keep = False
        config = config_for(self.a, self.b)
        config["listeners"]["two"] = {"bind": ["127.0.0.1:0"], "protocol": "http",
                                      "default_pool": "main"}
        self.proxy = self.lbd(config, daemon={"access_log": {"path": "off"}})
        self.addresses = [self.proxy.address(), self.proxy.address("two")]
        self.stop = threading.Event()
        self.strange = []
        self.served = 0

    def traffic(self, seed):
        """One client after the other; what may end it is known."""
        choose = random.Random(seed)
        while not self.stop.is_set():
            try:
                with Client(choose.choice(self.addresses)) as client:
                    self.one(client, choose)
            except (ConnectionRefusedError, Closed):
                self.stop.wait(0.001)
            except (WireError, TimeoutError) as error:
                self.strange.append(repr(error))
            except OSError:
                pass  # ended under our hands

    def one(self, client, choose):
        for _ in range(choose.randrange(1, 8)):
            if choose.random() < 0.2:
                client.send_request("GET", "/ws", UPGRADE)
                if client.read_interim().status != 101:
                    return
                for _ in range(choose.randrange(1, 4)):
                    client.send(b"hello")
                    client.read_exact(5)
                return
            answer = client.get(choose.choice(("/", "/large")))
            if answer.status not in (200, 503):
                self.strange.append(repr(answer))
            if answer.status == 503 and answer.get("Lbd-Reason") not in (
                    "no_server", "drain_deadline", "killed"):
                self.strange.append(repr(answer))
            self.served += answer.status == 200
            if answer.get("Connection") == "close":
                return

    def watcher(self):
        while not self.stop.is_set():
            try:
                with Watch(self.proxy.api_socket) as watch:
                    watch.take(5)
            except (Closed, OSError, ValueError, KeyError):
                pass

    def operate(self, choose):
        server = choose.choice("ab")
        path = f"/v1/pools/main/servers/{server}"
        deed = choose.randrange(7)
        if deed == 0:
            self.proxy.put(f"{path}/admin-state", {
                "state": choose.choice(("drain", "maint")), "deadline": "100ms",
                "on_deadline": choose.choice(("close", "keep"))})
        elif deed == 1:
            self.proxy.delete(f"{path}/admin-state")
        elif deed == 2:
            self.proxy.put("/v1/listeners/two/admin-state", {
                "state": choose.choice(("drain", "ready", "ready"))})
        elif deed == 3:
            self.proxy.put(f"{path}/overrides/weight",
                           {"weight": choose.randrange(1, 1000), "expires": "100ms"})
        elif deed == 4:
            for found in self.proxy.get("/v1/connections?limit=5")["connections"]:
                self.proxy.api("DELETE", f"/v1/connections/{found['id']}")
        elif deed == 5:
            self.proxy.put("/v1/listeners/two/admin-state", {"state": "drain", "deadline": "100ms"})
        else:
            self.proxy.api("POST", f"{path}/check")

    def test_all_at_once(self):
        threads = [threading.Thread(target=self.traffic, args=(i,)) for i in range(8)]
        threads += [threading.Thread(target=self.watcher) for _ in range(2)]
        for thread in threads:
            thread.start()
        choose = random.Random(7)
        for _ in range(ROUNDS):
            self.operate(choose)
        for path in ("/v1/listeners/two/admin-state", "/v1/pools/main/servers/a/admin-state",
                     "/v1/pools/main/servers/b/admin-state"):
            self.proxy.delete(path)
        before = self.served
        self.wait_for(lambda: self.served > before + 20, "served again")
        self.stop.set()
        self.proxy.patch("/v1/pools/main", {"retries": 3})  # the watchers wake
        for _ in range(6):
            self.proxy.admin("a", "drain")
            self.proxy.admin("a", "ready")
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.strange, [])
        for name in ("web", "two"):
            self.wait_for(
                lambda n=name: self.proxy.get(f"/v1/listeners/{n}/status")["connections"] == 0,
                f"no connection of {name} is left")
        for server in "ab":
            self.wait_for(lambda s=server: self.proxy.server_status(s)["connections"] == 0,
                          f"nothing in flight at {server}")
        self.assertEqual(self.proxy.get("/v1/connections")["total"], 0)
        for address in self.addresses:
            with socket.create_connection(address):
                pass


if __name__ == "__main__":
    unittest.main()
