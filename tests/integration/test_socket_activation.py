"""Sockets that a service manager opened: taken over by name and address, never half."""

import os
import signal
import socket
import tempfile
import threading
import unittest

from lab import LabCase, config_for
from lab.client import Client
from lab.waits import wait_for


class SocketActivation(LabCase):
    def setUp(self):
        super().setUp()
        holder = tempfile.TemporaryDirectory(prefix="lab-")
        self.addCleanup(holder.cleanup)
        os.chmod(holder.name, 0o755)
        self.path = f"{holder.name}/api.sock"

    def unix(self, path=None):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(made.close)
        made.bind(path or self.path)
        made.listen(64)
        return made

    def inet(self):
        made = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(made.close)
        return made, "127.0.0.1:%d" % made.getsockname()[1]

    def passing(self, passed, api=None, observe=None, config=None, start=True):
        proxy = self.lbd(
            config if config is not None else config_for(self.origin()),
            daemon={"api": {"listen": [api or f"unix:{self.path}"]},
                    "observe": {"listen": [observe]} if observe else None},
            passed=passed, start=False,
        )
        if api is None:
            proxy.api_socket = self.path
        if start:
            proxy.start()
        return proxy

    def refusal(self, proxy, code=78):
        proxy.start(ready=False)
        self.assertEqual(proxy.wait_exit(), code)
        text = proxy.everything()
        proxy.process = None
        return text

    # -- the API ------------------------------------------------------------------------------

    def test_the_api_answers_on_what_was_passed(self):
        passed = self.unix()
        proxy = self.passing([("api", passed)])
        self.assertEqual(proxy.api("GET", "/v1/config").status, 200)
        proxy.wait_log("opened_by=service_manager")
        proxy.stop()
        self.assertTrue(os.path.exists(self.path), "the path is the manager's")
        # a question that is asked while nobody runs waits for the next one
        late = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(late.close)
        late.connect(self.path)
        late.sendall(b"GET /v1/status HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n")
        proxy.start()
        late.settimeout(30)
        self.assertTrue(late.recv(64).startswith(b"HTTP/1.1 200 "))

    def test_nobody_is_refused_while_it_restarts(self):
        proxy = self.passing([("api", self.unix())])
        statuses, end = [], threading.Event()

        def ask():
            while not end.is_set():
                with Client(self.path, timeout=30) as client:
                    client.send(b"GET /v1/config/status HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n")
                    statuses.append(client.read_response().status)

        asking = [threading.Thread(target=self.noting(statuses, ask)) for _ in range(3)]
        for thread in asking:
            thread.start()
        for _ in range(4):
            before = len(statuses)
            wait_for(lambda before=before: len(statuses) > before + 20, "answers")
            proxy.stop()
            proxy.start()
        end.set()
        for thread in asking:
            thread.join()
        self.assertEqual(set(statuses), {200}, f"of {len(statuses)}")

    @staticmethod
    def noting(statuses, ask):
        def run():
            try:
                ask()
            except Exception as error:  # noqa: BLE001
                statuses.append(repr(error))

        return run

    def test_observe_is_taken_over_too(self):
        passed, address = self.inet()
        proxy = self.passing([("observe", passed), ("api", self.unix())], observe=address)
        host, port = passed.getsockname()
        with Client((host, port)) as client:
            self.assertEqual(client.get("/healthz").status, 200)
        proxy.stop()

    def test_the_api_over_tcp_is_taken_over_too(self):
        passed, address = self.inet()
        proxy = self.lbd(config_for(self.origin()), api={"listen": [address], "insecure": True},
                         passed=[("api", passed)])
        for _ in range(2):
            with Client(passed.getsockname()) as client:
                self.assertIn(client.get("/v1/config").status, (401, 403), "the guard answers")
            proxy.stop()
            proxy.start()

    def test_another_address_is_refused_in_words(self):
        proxy = self.passing([("api", self.unix())], api=f"unix:{self.path}.other", start=False)
        text = self.refusal(proxy)
        self.assertIn(f"passed a socket 'api' on unix:{self.path}, which is not one of daemon.api.listen", text)

    def test_another_name_is_told(self):
        proxy = self.passing([("lbd.socket", self.unix(self.path + ".2")), ("api", self.unix())])
        proxy.wait_log("lbd.socket_not_taken")
        self.assertRegex(proxy.log_text(), r"error lbd.socket_not_taken name=lbd.socket address=unix:\S+api.sock.2 ")
        proxy.stop()

    def test_what_does_not_listen_is_refused_in_words(self):
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(datagram.close)
        proxy = self.passing([("api", datagram)], start=False)
        self.assertIn("descriptor 3 ('api')", self.refusal(proxy))

    # -- listeners ----------------------------------------------------------------------------

    def listening(self, workers=2):
        """An lbd whose listener `web` has the socket that was passed."""
        passed, address = self.inet()
        config = config_for(self.origin())
        config["listeners"]["web"]["bind"] = [address]
        proxy = self.lbd(config, daemon={"workers": workers}, passed=[("web", passed)])
        return proxy, passed.getsockname(), address

    def test_a_listener_takes_over_and_loses_nobody_at_a_restart(self):
        proxy, place, address = self.listening()
        self.assertNotIn("lbd.socket_not_taken", proxy.log_text())
        self.assertEqual(proxy.addresses(), [address])
        for _ in range(20):
            with Client(place) as client:
                self.assertEqual(client.get("/").status, 200)
        proxy.stop()
        with Client(place) as client:  # in the queue, while nobody runs
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            proxy.start()
            self.assertEqual(client.read_response().status, 200)

    def test_a_drain_for_a_restart_leaves_the_queue_to_the_next(self):
        proxy, place, _ = self.listening(workers=1)
        held, told = Client(place), Client(place)
        self.addCleanup(held.close)
        self.addCleanup(told.close)
        self.assertEqual(held.get("/").status, 200)
        self.assertEqual(told.get("/").status, 200)  # accepted, and not in the queue
        proxy.send_signal(signal.SIGTERM)
        wait_for(lambda: told.get("/").get("Connection") == "close", "the worker drains")
        with Client(place) as late:
            late.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            held.close()
            self.assertEqual(proxy.wait_exit(), 0)
            proxy.start()
            self.assertEqual(late.read_response().status, 200)

    def test_its_address_is_left_and_taken_again(self):
        proxy, place, address = self.listening()
        whole = proxy.get("/v1/listeners/web")
        proxy.change("PUT", "/v1/listeners/web", {**whole, "bind": ["127.0.0.1:0"]})
        self.assertNotEqual(proxy.addresses(), [address])
        proxy.change("PUT", "/v1/listeners/web", whole)
        with Client(place) as client:
            self.assertEqual(client.get("/").status, 200)

    def test_a_drained_one_lets_clients_wait(self):
        proxy, place, _ = self.listening()
        proxy.put("/v1/listeners/web/admin-state", {"state": "drain"})
        with Client(place) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            proxy.delete("/v1/listeners/web/admin-state")
            self.assertEqual(client.read_response().status, 200)

    def test_another_listener_of_that_name_is_told(self):
        passed, address = self.inet()
        proxy = self.lbd(config_for(self.origin()), passed=[("web", passed)])
        proxy.wait_log(f"lbd.socket_not_taken name=web address={address} ")
        self.assertEqual(self.connect(proxy).get("/").status, 200)


if __name__ == "__main__":
    unittest.main()
