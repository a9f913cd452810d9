"""An agent beside each server says in a line how it wants to be treated."""

import socket
import threading
import unittest

from lab import LabCase, config_for, wait_for


class Agent:
    """Says `line` to whoever connects; keeps what it was asked."""

    def __init__(self):
        self.line = b"up 100%\n"
        self.asked = []
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                self.count += 1
                sock.settimeout(2)
                try:
                    if self.asked is not None:
                        self.asked.append(sock.recv(100))
                    if self.line is not None:
                        sock.sendall(self.line)
                        sock.recv(100)
                except OSError:
                    pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Agents(LabCase):
    def start(self, count=2, **pool):
        self.agent = Agent()
        self.addCleanup(lambda: self.agent.stop())
        # all servers have one machine here, and so one agent: one of them is asked
        self.one, self.two = self.origin(name="one"), self.origin(name="two")
        self.proxy = self.lbd(config_for(self.one, pool={
            "agent": {"port": self.agent.port, "interval": "100ms", "send": "state\\n"}, **pool}))

    def status(self):
        return self.proxy.server_status("a")

    def says(self, line, condition, what):
        self.agent.line = line
        wait_for(lambda: condition(self.status()), what)

    def test_weight_and_states(self):
        self.start()
        self.says(b"up 50%\n", lambda s: s["effective_weight"] == 50, "half of its weight")
        self.assertEqual(self.agent.asked[0], b"state\n")
        self.says(b"drain\n", lambda s: s["admin"] == "drain", "drain")
        self.says(b"maint\r\n", lambda s: s["admin"] == "maint", "maint")
        self.says(b"ready,75%\n",
                  lambda s: s["admin"] == "ready" and s["effective_weight"] == 75, "ready")
        self.says(b"down # disk full\n", lambda s: s["effective_weight"] == 0, "down")
        self.assertEqual(self.connect(self.proxy).get("/").status, 503)
        self.says(b"up\n", lambda s: s["effective_weight"] == 75, "up")
        wait_for(lambda: self.connect(self.proxy).get("/").status == 200, "requests again")
        self.says(b"0%\n", lambda s: s["admin"] == "drain", "no weight")
        # what it says is nobody's document and no override
        self.assertEqual(self.proxy.get("/v1/overrides")["overrides"], [])
        self.assertNotIn("admin_state", self.proxy.get("/v1/pools/main/servers/a"))
        self.says(b"100%\n", lambda s: s["admin"] == "ready", "back")
        self.says(b"drain\n", lambda s: s["admin"] == "drain", "drain")
        self.proxy.patch("/v1/pools/main", {"agent": None})
        wait_for(lambda: self.status()["admin"] == "ready", "nobody says anything any more")

    def test_unix_sockets_are_not_asked(self):
        self.start()
        path = f"{self.proxy.directory}/b.sock"
        heard = []

        def hear(listener):
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:  # an interview comes, too
                    heard.append(sock.recv(100))

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            threading.Thread(target=hear, args=(listener,), daemon=True).start()
            self.proxy.put("/v1/pools/main/servers/b", {"address": f"unix:{path}"})
            count = self.agent.count
            wait_for(lambda: self.agent.count > count + 5, "the other is asked")
            self.assertNotIn(b"state\n", heard)
            listener.shutdown(socket.SHUT_RDWR)

    def test_by_hand_goes_before(self):
        self.start()
        self.says(b"drain 10%\n", lambda s: s["admin"] == "drain", "what the agent says")
        self.proxy.admin("a", "ready")
        self.proxy.put("/v1/pools/main/servers/a/overrides/weight", {"weight": 30})
        count = self.agent.count
        wait_for(lambda: self.agent.count > count + 3, "it was asked")
        status = self.status()
        self.assertEqual((status["admin"], status["effective_weight"]), ("ready", 30))
        self.proxy.delete("/v1/pools/main/servers/a/admin-state")
        wait_for(lambda: self.status()["admin"] == "drain", "what the agent says")

    def test_maxconn(self):
        self.start()
        self.says(b"maxconn:1\n", lambda s: "max_connections=1" in self.proxy.log_text(), "a limit")
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.one.script = lambda peer: (peer.rx(), hold.wait(60), peer.tx(200))
        first = self.connect(self.proxy)
        first.send_request("GET", "/")
        wait_for(lambda: self.status()["connections"] == 1, "one in flight")
        self.assert_reason(self.connect(self.proxy).get("/"), 503, "server_limit")
        hold.set()
        self.assertEqual(first.read_response("GET").status, 200)

    def test_garbage_silence_and_nobody_change_nothing(self):
        self.start()
        self.says(b"60%\n", lambda s: s["effective_weight"] == 60, "a weight")
        for line in (b"HTTP/1.1 400 Bad Request\r\n", b"\xff\x00%\n", b"\n", b"drain", None):
            with self.subTest(line):
                self.agent.line = line
                count = self.agent.count
                wait_for(lambda: self.agent.count > count + 2, "it was asked", 20)
                self.assertEqual(self.status()["effective_weight"], 60)
                self.assertEqual(self.status()["admin"], "ready")
        self.agent.stop()
        self.agent.stop = lambda: None
        self.assertEqual(self.status()["effective_weight"], 60)


if __name__ == "__main__":
    unittest.main()
