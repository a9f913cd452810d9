"""Drains of servers, listeners and the process: what goes on, what ends, and the way back."""

import select
import socket
import threading
import unittest

from lab import TIMEOUT, Client, LabCase, config_for, wait_for

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}
SWITCH = ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
          "Upgrade: websocket\r\n\r\n")


def echo_tunnel(peer):
    """Switches protocols, then sends back what comes."""
    peer.rx()
    peer.send(SWITCH)
    while True:
        data = peer.sock.recv(4096)
        if not data:
            return
        peer.send(data)


class Drain(LabCase):
    def events(self, proxy, types="", name=""):
        query = "&".join(f"{k}={v}" for k, v in (("types", types), ("name", name)) if v)
        return proxy.get("/v1/events" + (f"?{query}" if query else ""))["events"]

    def assert_served(self, address):
        with Client(address) as client:
            self.assertEqual(client.get("/").status, 200)

    def drain_of(self, proxy, target):
        """The newest drain of a target, as GET /v1/drains shows it."""
        for drain in proxy.get("/v1/drains")["drains"]:
            if drain["target"] == target:
                return drain
        return None

    def wait_phase(self, proxy, target, phase):
        wait_for(lambda: (self.drain_of(proxy, target) or {}).get("phase") == phase,
                 f"drain of {target} is {phase}")
        return self.drain_of(proxy, target)

    def tunnel(self, proxy):
        client = self.connect(proxy)
        client.send_request("GET", "/ws", UPGRADE)
        self.assertEqual(client.read_interim().status, 101)
        client.send(b"hello")
        self.assertEqual(client.read_exact(5), b"hello")
        return client

    def slow(self):
        """An origin that answers when told to, and the event that tells it."""
        go = threading.Event()

        def script(peer):
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, b"slow")

        return self.origin(script), go


class ServerDrain(Drain):
    PATH = "/v1/pools/main/servers/a/admin-state"

    def test_a_slow_request_is_waited_for(self):
        origin, go = self.slow()
        proxy = self.lbd(config_for(origin))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        origin.wait_requests(1)
        answer = proxy.put(self.PATH, {"state": "drain", "reason": "kernel"}).body
        self.assertEqual(answer["state"], "drain")
        self.assertEqual(answer["drain"]["phase"], "waiting")
        self.assertEqual(answer["drain"]["initial"], 1)
        self.assertEqual(answer["drain"]["remaining"], 1)
        self.assertEqual(proxy.server_status("a")["drain"]["remaining"], 1)
        go.set()
        self.assertEqual(client.read_response().body, b"slow")
        done = self.wait_phase(proxy, "main/a", "done")
        self.assertEqual((done["initial"], done["remaining"]), (1, 0))
        self.assertEqual(done["reason"], "kernel")
        self.assertTrue(done["who"].startswith("unix uid="))

    def test_at_the_deadline_a_request_without_answer_gets_one(self):
        origin, go = self.slow()
        other = self.origin()
        config = config_for(origin)
        config["pools"]["other"] = {"servers": {"o": {"address": other.address}}}
        config["routes"] = {"o": {"listener": "web", "match": {"path_prefix": "/o"},
                                  "action": {"pool": "other"}}}
        proxy = self.lbd(config)
        client, bystander = self.connect(proxy), self.connect(proxy)
        self.assertEqual(bystander.get("/o").status, 200)
        client.send_request("GET", "/")
        origin.wait_requests(1)
        proxy.put(self.PATH, {"state": "drain", "deadline": "200ms"})
        answer = client.read_response()
        self.assert_reason(answer, 503, "drain_deadline")
        self.wait_phase(proxy, "main/a", "closed")
        wait_for(lambda: proxy.server_status("a")["connections"] == 0, "none is left there")
        # the client's connection is the client's, and nobody else noticed anything
        self.assertEqual(client.get("/o").status, 200)
        self.assertEqual(bystander.get("/o").status, 200)
        go.set()

    def test_at_the_deadline_an_answer_on_its_way_is_cut_off(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nthe first bytes")
            peer.stall()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        client.read_head()
        self.assertEqual(client.read_exact(15), b"the first bytes")
        proxy.put(self.PATH, {"state": "drain", "deadline": "200ms"})
        self.assertEqual(client.read_rest(), b"")
        self.assertFalse(client.reader.was_reset)
        self.wait_phase(proxy, "main/a", "closed")
        proxy.wait_access_log(1)
        self.assertEqual(proxy.access_log()[0]["reason"], "drain_deadline")

    def test_a_tunnel_sees_our_end_at_the_deadline(self):
        origin, other = self.origin(echo_tunnel), self.origin(echo_tunnel)
        proxy = self.lbd(config_for(origin, other, pool={"algorithm": "round_robin"}), daemon={"workers": 1})
        first, second = self.tunnel(proxy), self.tunnel(proxy)
        self.assertEqual((origin.request_count, other.request_count), (1, 1))
        drained = "a"
        proxy.put(self.PATH, {"state": "drain", "deadline": "300ms"})
        self.wait_phase(proxy, f"main/{drained}", "closed")
        ready, _, _ = select.select([first.sock, second.sock], [], [], TIMEOUT)
        (ended,) = [c for c in (first, second) if c.sock in ready]
        self.assertEqual(ended.read_rest(), b"")
        self.assertFalse(ended.reader.was_reset)
        (alive,) = [c for c in (first, second) if c is not ended]
        alive.send(b"still")
        self.assertEqual(alive.read_exact(5), b"still")
        origin.wait_idle()

    def test_keep_lets_a_tunnel_go_on(self):
        proxy = self.lbd(config_for(self.origin(echo_tunnel)))
        client = self.tunnel(proxy)
        proxy.put(self.PATH, {"state": "drain", "deadline": "200ms", "on_deadline": "keep"})
        kept = self.wait_phase(proxy, "main/a", "kept")
        self.assertEqual(kept["remaining"], 1)
        client.send(b"still")
        self.assertEqual(client.read_exact(5), b"still")

    def test_again_extends_and_ready_cancels(self):
        proxy = self.lbd(config_for(self.origin(echo_tunnel)))
        client = self.tunnel(proxy)
        first = proxy.put(self.PATH, {"state": "drain", "deadline": "1m"}).body["drain"]
        second = proxy.put(self.PATH, {"state": "drain", "deadline": "1h"})
        self.assertEqual(second.header("Lbd-Changed"), "true")
        second = second.body["drain"]
        self.assertEqual(second["started"], first["started"])
        self.assertGreater(second["deadline"], first["deadline"])
        self.assertEqual(len(proxy.get("/v1/drains")["drains"]), 1)
        proxy.put(self.PATH, {"state": "ready"})
        self.assertEqual(self.drain_of(proxy, "main/a")["phase"], "cancelled")
        self.assertNotIn("drain", proxy.get(self.PATH))
        client.send(b"still")
        self.assertEqual(client.read_exact(5), b"still")
        self.assertEqual(self.connect(proxy).is_quiet(), True)

    def test_progress_is_told(self):
        proxy = self.lbd(config_for(self.origin(echo_tunnel)))
        clients = [self.tunnel(proxy) for _ in range(3)]
        proxy.put(self.PATH, {"state": "drain"})
        clients[0].close()
        wait_for(lambda: self.events(proxy, "drain.progress"), "progress")
        clients[1].close()
        clients[2].close()
        self.wait_phase(proxy, "main/a", "done")
        told = self.events(proxy, "drain.*", "main/a")
        self.assertEqual(told[0]["type"], "drain.started")
        self.assertEqual(told[0]["data"]["initial"], 3)
        self.assertEqual(told[-1]["type"], "drain.done")
        self.assertEqual(told[-1]["data"]["phase"], "done")
        left = [e["data"]["remaining"] for e in told]
        self.assertEqual(left, sorted(left, reverse=True))

    def test_the_configuration_may_drain_too(self):
        proxy = self.lbd(config_for(self.origin(echo_tunnel)))
        client = self.tunnel(proxy)
        proxy.patch("/v1/pools/main/servers/a", {"admin_state": "drain"})
        drain = self.drain_of(proxy, "main/a")
        self.assertEqual((drain["phase"], drain["who"]), ("waiting", "config"))
        client.close()
        self.wait_phase(proxy, "main/a", "done")

    def test_a_server_that_is_removed_ends_its_drain(self):
        proxy = self.lbd(config_for(self.origin(echo_tunnel), self.origin(echo_tunnel)))
        client = self.tunnel(proxy)
        for server in "ab":
            proxy.admin(server, "drain")
        for server in "ab":
            proxy.delete(f"/v1/pools/main/servers/{server}")
        phases = [d["phase"] for d in proxy.get("/v1/drains")["drains"]]
        self.assertNotIn("waiting", [p for p in phases if p != "done"] and
                         wait_for(lambda: [d["phase"] for d in proxy.get("/v1/drains")["drains"]
                                           if d["phase"] != "waiting"], "ended"))
        client.send(b"still")
        self.assertEqual(client.read_exact(5), b"still")

    def test_the_deadline_survives_a_restart(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.put(self.PATH, {"state": "drain", "deadline": "1h", "reason": "kernel"})
        proxy.kill()
        proxy.restart()
        answer = proxy.get(self.PATH)
        self.assertEqual(answer["state"], "drain")
        self.assertEqual(answer["override"]["reason"], "kernel")
        drain = self.wait_phase(proxy, "main/a", "done")
        self.assertIn("deadline", drain)

    def test_what_is_refused(self):
        proxy = self.lbd(config_for(self.origin()))
        for body in ({"state": "drain", "deadline": "soon"}, {"state": "drain", "deadline": 5},
                     {"state": "drain", "deadline": "1ms"}, {"state": "ready", "deadline": "1m"},
                     {"state": "drain", "on_deadline": "close"},
                     {"state": "drain", "deadline": "1m", "on_deadline": "kill"},
                     {"state": "drain", "expires": "-1s"}, {"state": "drain", "expires": "999999d"},
                     {"state": "drain", "reason": "x" * 257}):
            with self.subTest(body):
                self.assertEqual(proxy.api("PUT", self.PATH, body).status, 422)
        self.assertEqual(proxy.get(self.PATH)["state"], "ready")


class ListenerDrain(Drain):
    PATH = "/v1/listeners/web/admin-state"

    def refuses(self, address):
        try:
            Client(address).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_and_back(self):
        config = config_for(self.origin())
        config["listeners"]["other"] = {"bind": ["127.0.0.1:0"], "protocol": "http",
                                        "default_pool": "main"}
        proxy = self.lbd(config)
        address, other = proxy.address(), proxy.address("other")
        idle, busy = self.connect(proxy), self.connect(proxy)
        self.assertEqual(idle.get("/").status, 200)
        self.assertEqual(busy.get("/").status, 200)
        answer = proxy.put(self.PATH, {"state": "drain"}).body
        self.assertEqual((answer["state"], answer["configured"]), ("drain", "ready"))
        self.assertEqual(answer["drain"]["initial"], 2)
        self.assertTrue(self.refuses(address))
        self.assertEqual(proxy.get("/v1/listeners/web/status")["state"], "draining")
        # the port stays ours
        with socket.socket() as stranger:
            self.assertRaises(OSError, stranger.bind, address)
        # nobody is thrown out, but the next answer says goodbye
        self.assertTrue(idle.is_quiet(0.2))
        last = busy.get("/")
        self.assertEqual((last.status, last.get("Connection")), (200, "close"))
        self.assertEqual(busy.read_rest(), b"")
        self.assert_served(other)
        wait_for(lambda: self.drain_of(proxy, "listener/web")["remaining"] == 1, "one left")

        proxy.delete(self.PATH)
        self.assertEqual(self.drain_of(proxy, "listener/web")["phase"], "cancelled")
        self.assertEqual(proxy.address(), address)
        for _ in range(20):  # on every worker
            self.assert_served(address)
        answer = idle.get("/")
        self.assertEqual((answer.status, answer.get("Connection")), (200, None))
        types = [e["type"] for e in self.events(proxy, name="listener/web")]
        self.assertEqual([t for t in types if t.startswith("listener.")],
                         ["listener.up", "listener.drain", "listener.up"])

    def test_at_the_deadline_idle_clients_see_our_end(self):
        proxy = self.lbd(config_for(self.origin()))
        clients = [self.connect(proxy) for _ in range(50)]
        for client in clients:
            self.assertEqual(client.get("/").status, 200)
        proxy.put(self.PATH, {"state": "drain", "deadline": "200ms"})
        for client in clients:
            self.assertEqual(client.read_rest(), b"")
            self.assertFalse(client.reader.was_reset)
            client.close()
        self.wait_phase(proxy, "listener/web", "closed")
        wait_for(lambda: proxy.get("/v1/listeners/web/status")["connections"] == 0, "none left")
        proxy.put(self.PATH, {"state": "ready"})
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_at_the_deadline_requests_and_tunnels_end(self):
        origin, go = self.slow()
        ws = self.origin(echo_tunnel)
        config = config_for(origin)
        config["pools"]["ws"] = {"servers": {"w": {"address": ws.address}}}
        config["routes"] = {"ws": {"listener": "web", "match": {"path": "/ws"},
                                   "action": {"pool": "ws"}}}
        proxy = self.lbd(config)
        tunnel = self.tunnel(proxy)
        slow = self.connect(proxy)
        slow.send_request("GET", "/")
        origin.wait_requests(1)
        half = self.connect(proxy)
        half.send("GET / HT")
        wait_for(lambda: proxy.get("/v1/listeners/web/status")["connections"] == 3, "three")
        proxy.put(self.PATH, {"state": "drain", "deadline": "200ms"})
        answer = slow.read_response()
        self.assert_reason(answer, 503, "drain_deadline")
        self.assertEqual(answer.get("Connection"), "close")
        self.assertEqual(slow.read_rest(), b"")
        self.assertEqual(tunnel.read_rest(), b"")
        self.assertEqual(half.read_rest(), b"")
        for client in (slow, tunnel, half):
            self.assertFalse(client.reader.was_reset)
        go.set()
        ws.wait_idle()
        self.wait_phase(proxy, "listener/web", "closed")

    def test_under_load_nothing_fails(self):
        """Keep-alive clients that connect anew when told to close: only refusals, never a reset.

        Who was told to close comes again when the drain has begun on all workers: whoever connects while it begins
        may fall between a worker's last accept and the end of its listening, and is reset.
        """
        proxy = self.lbd(config_for(self.origin()))
        address = proxy.address()
        wrong, stop, begun = [], threading.Event(), threading.Event()
        begun.set()
        clients = 6
        served = [0] * clients

        def run(number):
            while not stop.is_set():
                try:
                    begun.wait()
                    with Client(address) as client:
                        while not stop.is_set():
                            answer = client.get("/")
                            served[number] += 1
                            if answer.status != 200:
                                wrong.append(answer.status)
                            if answer.get("Connection") == "close":
                                break
                except ConnectionRefusedError:
                    stop.wait(0.002)
                except Exception as error:
                    wrong.append(repr(error))

        def all_are_connected(before):
            """Each was served twice since: what it was answered first may have been a goodbye of the drain."""
            return all(now > then + 1 for now, then in zip(list(served), before, strict=True))
        threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            before = list(served)
            # whoever connects while a drain begins may fall between the last accept and the end of listening
            wait_for(lambda before=before: all_are_connected(before), "all are served")
            begun.clear()
            proxy.put(self.PATH, {"state": "drain"})
            begun.set()
            proxy.put(self.PATH, {"state": "ready"})
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])

    def test_survives_a_restart_and_changes(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.put(self.PATH, {"state": "drain", "reason": "move"})
        proxy.patch("/v1/pools/main", {"retries": 2})
        address = proxy.address()
        self.assertTrue(self.refuses(address))
        proxy.patch("/v1/listeners/web", {"bind": [f"127.0.0.1:{address[1]}", "127.0.0.1:0"]})
        addresses = proxy.addresses()
        self.assertEqual(len(addresses), 2)
        for text in addresses:
            host, _, port = text.rpartition(":")
            self.assertTrue(self.refuses((host, int(port))), "a new address is drained too")
        proxy.kill()
        proxy.restart()
        self.assertTrue(self.refuses(proxy.address()))
        self.assertEqual(proxy.get(self.PATH)["override"]["reason"], "move")
        proxy.delete(self.PATH)
        for text in proxy.addresses():
            host, _, port = text.rpartition(":")
            self.assert_served((host, int(port)))

    def test_a_unix_socket(self):
        config = config_for(self.origin())
        proxy = self.lbd(config)
        path = str(proxy.directory / "web.sock")
        proxy.put("/v1/listeners/local", {"bind": [f"unix:{path}"], "protocol": "http",
                                          "default_pool": "main"})
        client = Client(path)
        self.assertEqual(client.get("/").status, 200)
        local = "/v1/listeners/local/admin-state"
        for _ in range(3):
            proxy.put(local, {"state": "drain"})
            self.assertRaises(FileNotFoundError, Client, path)
            proxy.put(local, {"state": "ready"})
            self.assert_served(path)
        proxy.put(local, {"state": "drain"})
        proxy.delete("/v1/listeners/local")
        wait_for(lambda: not list(proxy.directory.glob("web.sock*")), "no socket file is left")

    def test_a_listener_that_is_removed_takes_its_drain_along(self):
        proxy = self.lbd(config_for(self.origin()))
        address = proxy.address()
        client = self.connect(proxy)
        self.assertEqual(client.get("/").status, 200)
        proxy.put(self.PATH, {"state": "drain"})
        listener = proxy.get("/v1/listeners/web")
        proxy.delete("/v1/listeners/web")
        self.assertEqual(proxy.get("/v1/overrides")["overrides"], [])
        superseded = self.events(proxy, "override.superseded")
        self.assertEqual([e["name"] for e in superseded], ["listener/web"])
        wait_for(lambda: self.drain_of(proxy, "listener/web")["phase"] == "cancelled", "cancelled")
        listener["bind"] = [f"{address[0]}:{address[1]}"]
        listener.pop("meta", None)
        proxy.put("/v1/listeners/web", listener)
        self.assertEqual(Client(address).get("/").status, 200, "a new one is not drained")

    def test_it_expires(self):
        proxy = self.lbd(config_for(self.origin()))
        address = proxy.address()
        proxy.put(self.PATH, {"state": "drain", "expires": "3s"})
        self.assertTrue(self.refuses(address))
        wait_for(lambda: not self.refuses(address), "it accepts again")
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        self.assertEqual(self.events(proxy, "override.expired")[0]["name"], "listener/web")

    def test_keep_lets_clients_go_on(self):
        proxy = self.lbd(config_for(self.origin(echo_tunnel)))
        idle, tunnel = self.connect(proxy), self.tunnel(proxy)
        idle.send("GET / HT")
        wait_for(lambda: proxy.get("/v1/listeners/web/status")["connections"] == 2, "two")
        proxy.put(self.PATH, {"state": "drain", "deadline": "200ms", "on_deadline": "keep"})
        kept = self.wait_phase(proxy, "listener/web", "kept")
        self.assertEqual(kept["remaining"], 2)
        tunnel.send(b"still")
        self.assertEqual(tunnel.read_exact(5), b"still")
        self.assertTrue(self.refuses(proxy.address()))

    def test_with_the_file_as_the_truth(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"config_source": "file"})
        proxy.put(self.PATH, {"state": "drain"})
        proxy.put("/v1/pools/main/servers/a/overrides/weight", {"weight": 5})
        self.assertTrue(self.refuses(proxy.address()))
        proxy.send_signal(1)  # the same file: nothing is superseded
        proxy.wait_log("lbd.reload")
        self.assertEqual(len(proxy.get("/v1/overrides")["overrides"]), 2)
        proxy.delete(self.PATH)
        self.assertFalse(self.refuses(proxy.address()))

    def test_there_is_no_maint(self):
        proxy = self.lbd(config_for(self.origin()))
        self.assertEqual(proxy.api("PUT", self.PATH, {"state": "maint"}).status, 422)
        self.assertEqual(
            proxy.api("PUT", "/v1/listeners/no/admin-state", {"state": "drain"}).status, 404)
        answer = proxy.api("PUT", self.PATH + "?dry_run=true", {"state": "drain"})
        self.assertEqual((answer.status, answer.body["state"]), (200, "drain"))
        self.assertEqual(proxy.get(self.PATH)["state"], "ready")


class ProcessDrain(Drain):
    PATH = "/v1/admin-state"

    def test_and_back(self):
        config = config_for(self.origin())
        config["listeners"]["other"] = {"bind": ["127.0.0.1:0"], "protocol": "http",
                                        "default_pool": "main"}
        proxy = self.lbd(config)
        addresses = [proxy.address(), proxy.address("other")]
        client = self.connect(proxy)
        self.assertEqual(client.get("/").status, 200)
        answer = proxy.put(self.PATH, {"state": "drain", "reason": "new kernel"}).body
        self.assertEqual(answer["drain"]["target"], "process")
        ready = proxy.api("GET", "/readyz")
        self.assertEqual(ready.status, 503)
        self.assertIn("new kernel", ready.body["reasons"][0])
        self.assertEqual(proxy.api("GET", "/healthz").status, 200)
        self.assertEqual(proxy.get("/v1/status")["state"], "draining")
        for address in addresses:
            self.assertRaises(ConnectionRefusedError, Client, address)
        proxy.put("/v1/listeners/more", {"bind": ["127.0.0.1:0"], "protocol": "http",
                                         "default_pool": "main"})
        self.assertRaises(ConnectionRefusedError, Client, proxy.address("more"))
        self.assertEqual(client.get("/").get("Connection"), "close")
        self.wait_phase(proxy, "process", "done")

        proxy.put(self.PATH, {"state": "ready"})
        self.assertEqual(proxy.api("GET", "/readyz").status, 200)
        for address in [*addresses, proxy.address("more")]:
            self.assert_served(address)
        told = [e["message"] for e in self.events(proxy, "daemon.drain")]
        self.assertEqual(told, ["drained by hand", "accepts connections again"])

    def test_at_the_deadline_everything_ends_and_it_can_come_back(self):
        origin, go = self.slow()
        proxy = self.lbd(config_for(origin))
        slow, half = self.connect(proxy), self.connect(proxy)
        slow.send_request("GET", "/")
        origin.wait_requests(1)
        half.send("GET / HT")
        wait_for(lambda: proxy.get("/v1/listeners/web/status")["connections"] == 2, "two")
        proxy.put(self.PATH, {"state": "drain", "deadline": "300ms"})
        self.assert_reason(slow.read_response(), 503, "drain_deadline")
        self.assertEqual(half.read_rest(), b"")
        self.assertFalse(half.reader.was_reset)
        self.wait_phase(proxy, "process", "closed")
        go.set()
        proxy.put(self.PATH, {"state": "ready"})
        self.assertEqual(self.connect(proxy).get("/").body, b"slow")

    def test_a_drained_listener_stays_drained_when_the_process_comes_back(self):
        proxy = self.lbd(config_for(self.origin()))
        address = proxy.address()
        proxy.put("/v1/listeners/web/admin-state", {"state": "drain"})
        proxy.put(self.PATH, {"state": "drain"})
        proxy.delete(self.PATH)
        self.assertRaises(ConnectionRefusedError, Client, address)
        proxy.delete("/v1/listeners/web/admin-state")
        self.assert_served(address)

    def test_sigterm_is_the_same_thing(self):
        origin, go = self.slow()
        proxy = self.lbd(config_for(origin))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        origin.wait_requests(1)
        proxy.put(self.PATH, {"state": "drain", "reason": "first by hand"})
        proxy.send_signal(15)
        drain = wait_for(
            lambda: (lambda d: d if d["who"] == "signal" else None)(
                self.drain_of(proxy, "process")), "the signal took it over")
        self.assertEqual(drain["phase"], "waiting")
        self.assertIn("deadline", drain)
        self.assertEqual(proxy.api("PUT", self.PATH, {"state": "ready"}).status, 503)
        go.set()
        self.assertEqual(client.read_response().body, b"slow")
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.stop()


if __name__ == "__main__":
    unittest.main()
