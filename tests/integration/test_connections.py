"""Client connections as they are, one of them ended, and servers probed on demand."""

import os
import threading
import unittest

from lab import Client, LabCase, config_for

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}


def tunnel_or_slow(peer):
    request = peer.rx()
    if request.get("Upgrade") is None:
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")
        peer.stall()
        return
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
              "Upgrade: websocket\r\n\r\n")
    while True:
        data = peer.sock.recv(4096)
        if not data:
            return
        peer.send(data)


class Connections(LabCase):
    def setUp(self):
        super().setUp()
        self.quick, self.other = self.origin(name="quick"), self.origin(tunnel_or_slow)
        config = config_for(self.quick)
        config["pools"]["other"] = {"servers": {"o": {"address": self.other.address}}}
        config["routes"] = {"o": {"listener": "web", "match": {"path_prefix": "/o"},
                                  "action": {"pool": "other"}}}
        config["listeners"]["two"] = {"bind": ["127.0.0.1:0"], "protocol": "http",
                                      "default_pool": "main"}
        self.proxy = self.lbd(config)

    def list(self, query=""):
        return self.proxy.get("/v1/connections" + (f"?{query}" if query else ""))

    def one(self, state):
        found = [c for c in self.list()["connections"] if c["state"] == state]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def open_three(self):
        idle, busy, tunnel = (self.connect(self.proxy) for _ in range(3))
        idle.get("/")
        idle.get("/")
        busy.send_request("GET", "/o")
        busy.read_head()
        self.assertEqual(busy.read_exact(5), b"begun")
        tunnel.send_request("GET", "/o", UPGRADE)
        self.assertEqual(tunnel.read_interim().status, 101)
        return idle, busy, tunnel

    def test_what_they_do(self):
        idle, busy, tunnel = self.open_three()
        answer = self.list()
        self.assertEqual((answer["total"], len(answer["connections"])), (3, 3))
        found = self.one("idle")
        self.assertEqual((found["listener"], found["requests"]), ("web", 2))
        self.assertEqual(found["client"], "127.0.0.1:%d" % idle.sock.getsockname()[1])
        self.assertNotIn("pool", found)
        for state, client in (("request", busy), ("tunnel", tunnel)):
            found = self.one(state)
            self.assertEqual((found["pool"], found["server"]), ("other", "o"))
            self.assertEqual(found["client"], "127.0.0.1:%d" % client.sock.getsockname()[1])
            self.assertEqual(int(found["id"].split("-")[0]), found["worker"])

    def test_filters(self):
        self.open_three()
        second = self.connect(self.proxy, listener="two")
        second.get("/")
        totals = {q: self.list(q)["total"] for q in (
            "", "listener=web", "listener=two", "pool=other", "pool=main", "server=other/o",
            "server=o", "pool=other&server=o", "listener=two&pool=other")}
        self.assertEqual(totals, {
            "": 4, "listener=web": 3, "listener=two": 1, "pool=other": 2, "pool=main": 0,
            "server=other/o": 2, "server=o": 2, "pool=other&server=o": 2,
            "listener=two&pool=other": 0})
        few = self.list("limit=1")
        self.assertEqual((few["total"], len(few["connections"])), (4, 1))
        self.assertEqual(self.list("limit=0"), {"connections": [], "total": 4})
        for query, status in (("listener=no", 404), ("pool=no", 404), ("server=main/no", 404),
                              ("limit=1001", 400), ("limit=x", 400), ("pool=main&server=other/o", 400),
                              ("client=1", 400)):
            self.assertEqual(self.proxy.api("GET", f"/v1/connections?{query}").status, status, query)

    def test_one_is_ended_and_no_other(self):
        idle, busy, tunnel = self.open_three()
        for state, client in (("tunnel", tunnel), ("request", busy), ("idle", idle)):
            found = self.one(state)
            answer = self.proxy.delete(f"/v1/connections/{found['id']}")
            self.assertEqual(answer.status, 204)
            goodbye = b"\x88\x02\x03\xe9" if state == "tunnel" else b""  # a close frame, 1001
            self.assertEqual(client.read_rest(), goodbye)
            self.assertFalse(client.reader.was_reset)
            client.close()
            self.wait_for(lambda i=found["id"]: i not in
                          [c["id"] for c in self.list()["connections"]], "it is gone")
            self.assertEqual(
                self.proxy.api("DELETE", f"/v1/connections/{found['id']}").status, 404)
        self.proxy.wait_access_log(4)
        reasons = [line["reason"] for line in self.proxy.access_log()]
        self.assertEqual(sorted(reasons), ["killed", "killed", "ok", "ok"])
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def test_one_that_is_ending_is_ended_once(self):
        client = self.connect(self.proxy)
        client.get("/")
        (found,) = self.list()["connections"]
        path = f"/v1/connections/{found['id']}"
        self.assertEqual(self.proxy.delete(path).header("Lbd-Changed"), "true")
        again = self.proxy.api("DELETE", path)  # it waits for the client's end
        self.assertIn((again.status, again.header("Lbd-Changed")), [(204, "false"), (404, None)])

    def test_ids_that_are_none(self):
        for name in ("1", "1-", "9-1", "0-0", "0-01", "63-1", "x"):
            self.assertEqual(
                self.proxy.api("DELETE", f"/v1/connections/{name}").status, 404, name)

    def test_many_and_requests_do_not_wait_for_the_walk(self):
        clients = [self.connect(self.proxy) for _ in range(300)]
        for client in clients:
            client.get("/")
        stop, wrong = threading.Event(), []

        def load():
            with self.proxy.client() as client:
                while not stop.is_set():
                    if client.get("/").status != 200:
                        wrong.append(1)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            answer = self.list("limit=50")
            self.assertGreaterEqual(answer["total"], 300)
            self.assertEqual(len(answer["connections"]), 50)
            self.assertEqual({c["worker"] for c in answer["connections"]}, {0, 1})
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])

    def test_the_log_has_the_same_id(self):
        client = self.connect(self.proxy)
        client.get("/")
        found = self.one("idle")
        worker, _, number = found["id"].partition("-")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual(int(line["connection_id"], 16),
                         (int(worker) + 1) << 48 | int(number, 16))


class Check(LabCase):
    def test_a_server_is_probed_now(self):
        good, bad = self.origin(), self.origin(lambda peer: (peer.rx(), peer.tx(503, "no")))
        config = config_for(good, bad, "127.0.0.1:1")
        config["health_checks"] = {"hourly": {"type": "http", "path": "/hc", "interval": "1h",
                                              "timeout": "20s", "rise": 1, "fall": 1}}
        config["pools"]["main"]["health_check"] = "hourly"
        proxy = self.lbd(config)
        path = "/v1/pools/main/servers/{}/check"
        self.wait_for(lambda: proxy.server_status("a")["health"] == "up", "up")
        self.wait_for(lambda: proxy.server_status("b")["health"] == "down", "down")
        seen = good.request_count
        answer = proxy.api("POST", path.format("a"))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((answer.body["result"], answer.body["health"]), ("passed", "up"))
        self.assertGreater(answer.body["duration_ms"], 0)
        self.assertEqual(good.request_count, seen + 1)
        answer = proxy.api("POST", path.format("b")).body
        self.assertEqual((answer["result"], answer["health"]), ("failed", "down"))
        self.assertIn("503", answer["detail"])
        # in maintenance it is probed all the same, and nothing follows from it
        proxy.admin("a", "maint")
        answer = proxy.api("POST", path.format("a")).body
        self.assertEqual((answer["result"], answer["health"]), ("passed", "starting"))
        self.assertEqual(proxy.server_status("a")["health"], "starting")
        proxy.admin("a", "ready")
        self.wait_for(lambda: proxy.server_status("a")["health"] == "up", "up")
        # what it finds counts, long before the hour is over
        good.kill()
        answer = proxy.api("POST", path.format("a")).body
        self.assertEqual((answer["result"], answer["health"]), ("failed", "down"))
        answer = proxy.api("POST", "/v1/pools/main/check").body["servers"]
        self.assertEqual({n: s["result"] for n, s in answer.items()},
                         {"a": "failed", "b": "failed", "c": "failed"})
        self.assertEqual(proxy.api("POST", path.format("no")).status, 404)
        self.assertEqual(proxy.api("POST", "/v1/pools/no/check").status, 404)
        self.assertEqual(proxy.api("GET", path.format("a")).status, 405)

    def test_a_pool_without_a_check_and_a_large_one(self):
        origin = self.origin()
        config = config_for(origin)
        config["pools"]["large"] = {"servers": {
            f"s{i}": {"address": origin.address if i % 2 == 0 else "127.0.0.1:1"}
            for i in range(200)}}
        config["pools"]["empty"] = {"servers": {}}
        proxy = self.lbd(config)
        answer = proxy.api("POST", "/v1/pools/main/check").body["servers"]["a"]
        self.assertEqual((answer["result"], answer["health"]), ("passed", "up"))
        large = proxy.api("POST", "/v1/pools/large/check").body["servers"]
        self.assertEqual(len(large), 200)
        self.assertEqual({int(n[1:]) % 2 for n, s in large.items() if s["result"] == "passed"}, {0})
        self.assertEqual(proxy.server_status("s1", "large")["health"], "up", "only told")
        self.assertEqual(proxy.api("POST", "/v1/pools/empty/check").body, {"servers": {}})

    def test_checks_leave_descriptors_for_clients(self):
        silent = self.origin(lambda peer: peer.stall())
        config = config_for(silent)
        config["health_checks"] = {"slow": {"type": "http", "path": "/", "interval": "1h",
                                            "timeout": "30s"}}
        config["pools"]["main"]["health_check"] = "slow"
        config["pools"]["main"]["servers"] = {
            f"s{i}": {"address": silent.address} for i in range(100)}
        proxy = self.lbd(config, daemon={"workers": 1})
        before = len(os.listdir(f"/proc/{proxy.pid}/fd"))
        # on one connection each: they are answered when all was checked
        waiting = [Client(proxy.api_socket) for _ in range(40)]
        for client in waiting:
            self.addCleanup(client.close)
            client.send_request("POST", "/v1/pools/main/check", {"Content-Length": "0"})
        answer = None

        def is_refused():
            nonlocal answer
            answer = proxy.api("POST", "/v1/pools/main/check")
            return answer.status == 503

        self.wait_for(is_refused, "one too many")
        self.assertEqual(answer.header("Retry-After"), "1")
        self.assertLess(len(os.listdir(f"/proc/{proxy.pid}/fd")) - before, 400)
        proxy.stop()

    def test_lbd_ends_under_a_check(self):
        silent = self.origin(lambda peer: peer.stall())
        config = config_for(silent)
        config["health_checks"] = {"slow": {"type": "http", "path": "/", "interval": "1h",
                                            "timeout": "30s"}}
        config["pools"]["main"]["health_check"] = "slow"
        proxy = self.lbd(config)
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(self.post(proxy, "/v1/pools/main/check")))
        thread.start()
        self.wait_for(lambda: silent.connection_count >= 2, "the check is under way")
        proxy.stop()
        thread.join(60)
        self.assertFalse(thread.is_alive())

    def post(self, proxy, path):
        try:
            return proxy.api("POST", path)
        except Exception as error:  # lbd is gone: either is fine
            return error


if __name__ == "__main__":
    unittest.main()
