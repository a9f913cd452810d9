"""What the service manager is told: the line of systemctl status, reloads, stopping, the watchdog."""

import re
import signal
import threading
import unittest

from lab import LabCase, config_for
from lab.origin import respond
from lab.waits import wait_for


class Service(LabCase):
    def wait_line(self, proxy, pattern):
        proxy.notified = []
        found = []

        def seen():
            try:
                proxy.notify.settimeout(0.05)
                proxy.notified += proxy.notify.recv(65536).decode().splitlines()
            except TimeoutError:
                pass
            found[:] = [line for line in proxy.notified if re.fullmatch(pattern, line)]
            return bool(found)

        wait_for(seen, pattern)
        return found[0]

    def test_the_line_follows_health(self):
        is_sick = threading.Event()

        def script(peer):
            while peer.rx() is not None:
                peer.send(respond(500 if is_sick.is_set() else 200))

        one, two = self.origin(), self.origin(script)
        config = config_for(one, two)
        config["health_checks"] = {"quick": {"path": "/", "interval": "100ms", "rise": 1, "fall": 1}}
        config["pools"]["main"]["health_check"] = "quick"
        proxy = self.lbd(config)
        self.assertTrue(any(line.startswith("STATUS=rev 1, 1 listener, ") for line in proxy.notified))
        if not any("2/2 servers up" in line for line in proxy.notified):
            self.wait_line(proxy, r"STATUS=rev 1, 1 listener, 2/2 servers up")
        is_sick.set()
        self.wait_line(proxy, r"STATUS=rev 1, 1 listener, 1/2 servers up")
        proxy.change("PUT", "/v1/pools/more", {"servers": {"x": {"address": one.address}}})
        self.wait_line(proxy, r"STATUS=rev 2, 1 listener, 2/3 servers up")

    def test_a_reload_has_a_beginning_and_an_end(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"config_source": "file"})
        proxy.notified = []
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_notify("READY=1")
        self.assertEqual(proxy.notified[0], "RELOADING=1")
        self.assertRegex(proxy.notified[1], r"\AMONOTONIC_USEC=[0-9]+\Z")
        # one that is refused ends too
        proxy.config_path.write_text("{")
        proxy.notified = []
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_notify("READY=1")
        self.assertEqual(proxy.notified[0], "RELOADING=1")

    def test_a_change_on_trial_is_told_until_it_is_confirmed(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.change("PUT", "/v1/pools/more?confirm_within=1h", {})
        self.wait_line(proxy, r"STATUS=rev 2, 1 listener, 1/1 servers up; on trial, without a confirmation rev 1 returns")
        self.assertEqual(proxy.api("POST", "/v1/revisions/2/confirm").status, 200)
        self.wait_line(proxy, r"STATUS=rev 2, 1 listener, 1/1 servers up")

    def test_a_process_drained_by_hand_says_so(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.put("/v1/admin-state", {"state": "drain"})
        self.wait_line(proxy, r"STATUS=drained by hand, 0 connections left")
        proxy.delete("/v1/admin-state")
        self.wait_line(proxy, r"STATUS=rev 1, 1 listener, 1/1 servers up")

    def test_draining_asks_for_time_and_says_what_is_left(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"drain_timeout": "60s"})
        client = proxy.client()
        client.get("/")
        proxy.send_signal(signal.SIGTERM)
        self.wait_line(proxy, r"STATUS=draining, 1 connection left")
        self.wait_line(proxy, r"EXTEND_TIMEOUT_USEC=15000000")
        self.wait_line(proxy, r"EXTEND_TIMEOUT_USEC=15000000")
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_exit(), 0)

    def test_the_watchdog_is_fed_while_all_turn(self):
        proxy = self.lbd(config_for(self.origin()), env={"WATCHDOG_USEC": "400000"})
        self.wait_line(proxy, "WATCHDOG=1")
        self.wait_line(proxy, "WATCHDOG=1")


if __name__ == "__main__":
    unittest.main()
