"""What happened and what happens: the list, the long poll, and Server-Sent Events."""

import itertools
import json
import os
import select
import threading
import unittest

from lab import Client, LabCase, Watch, config_for, wait_for

PATH = "/v1/pools/main/servers/a/admin-state"


class Events(LabCase):
    def setUp(self):
        super().setUp()
        self.a = self.origin(name="a")
        self.b = self.origin(name="b")
        self.proxy = self.lbd(config_for(self.a, self.b))

    def watch(self, query="", **more):
        watch = Watch(self.proxy.api_socket, query, **more)
        self.addCleanup(watch.close)
        return watch

    def next(self):
        return int(self.proxy.api("GET", "/v1/status").header("Lbd-Event-Sequence"))

    def flip(self, server="a"):
        """Two changes of a server's state."""
        self.proxy.admin(server, "drain")
        self.proxy.admin(server, "ready")

    # -- the list -----------------------------------------------------------------------------

    def test_everything_that_changes_is_told_in_order(self):
        since = self.next()
        self.proxy.patch("/v1/pools/main", {"retries": 3})
        self.proxy.api("PATCH", "/v1/pools/main", {"retries": -1})
        self.proxy.put(PATH, {"state": "maint", "reason": "disk"})
        self.proxy.delete(PATH)
        self.proxy.put("/v1/listeners/two", {"bind": ["127.0.0.1:0"], "protocol": "http",
                                             "default_pool": "main"})
        self.proxy.delete("/v1/listeners/two")
        answer = self.proxy.get(f"/v1/events?since={since}")
        told = [(e["type"], e["name"]) for e in answer["events"]
                if not e["type"].startswith(("drain.", "server.health"))]
        self.assertEqual(told, [
            ("config.applied", "config"), ("config.rejected", "config"),
            ("override.set", "main/a"), ("server.admin", "main/a"),
            ("override.cleared", "main/a"), ("server.admin", "main/a"),
            ("config.applied", "config"), ("listener.up", "listener/two"),
            ("config.applied", "config"), ("listener.drain", "listener/two"),
        ])
        numbers = [e["sequence"] for e in answer["events"]]
        self.assertEqual(numbers, list(range(since, since + len(numbers))))
        self.assertEqual(answer["next"], since + len(numbers))
        maint = next(e for e in answer["events"] if e["type"] == "server.admin")
        self.assertEqual(maint["data"]["from"], "ready")
        self.assertEqual(maint["data"]["to"], "maint")
        self.assertEqual(maint["data"]["reason"], "disk")
        self.assertTrue(maint["data"]["who"].startswith("unix uid="))

    def test_health_is_told(self):
        since = self.next()
        self.proxy.put("/v1/health-checks/quick",
                       {"type": "tcp", "interval": "100ms", "timeout": "1s", "rise": 1, "fall": 1})
        self.proxy.patch("/v1/pools/main", {"health_check": "quick"})
        self.a.kill()
        watch = self.watch(f"types=server.health&name=main/a&since={since}")
        while True:
            event = watch.next()
            if event["data"]["data"]["to"] == "down":
                break
        self.assertEqual(event["event"], "server.health")
        self.assertEqual(event["data"]["name"], "main/a")

    def test_a_restart_is_a_gap(self):
        since = self.next()
        self.flip()
        self.proxy.kill()
        self.proxy.restart()
        answer = self.proxy.api("GET", f"/v1/events?since={since}")
        self.assertEqual((answer.status, answer.body["type"]), (410, "/v1/problems/events-gone"))
        watch = self.watch(last_event_id=since)
        self.assertEqual(watch.status, 410)
        self.assertGreater(self.next(), since)

    def test_a_long_poll_is_answered_by_the_event(self):
        since = self.next()
        answers = []

        def poll():
            answers.append(self.proxy.get(
                f"/v1/events?since={since}&wait=60s&types=server.admin&name=main/b"))

        thread = threading.Thread(target=poll)
        thread.start()
        self.flip("a")
        self.assertEqual(answers, [])
        self.proxy.admin("b", "drain")
        thread.join(60)
        self.assertEqual([e["name"] for e in answers[0]["events"]], ["main/b"])
        answer = self.proxy.get(f"/v1/events?since={answers[0]['next']}&wait=50ms")
        self.assertEqual([e for e in answer["events"] if not e["type"].startswith("drain.")], [])

    # -- watching -----------------------------------------------------------------------------

    def test_events_come_as_they_happen(self):
        watch = self.watch("types=server.admin")
        self.assertEqual(watch.status, 200)
        self.assertEqual(watch.head.get("Content-Type"), "text/event-stream")
        self.flip()
        first, second = watch.take(2)
        self.assertEqual(first["event"], "server.admin")
        self.assertEqual(first["id"], first["data"]["sequence"])
        self.assertEqual([first["data"]["data"]["to"], second["data"]["data"]["to"]],
                         ["drain", "ready"])

    def test_it_goes_on_behind_the_last_event(self):
        watch = self.watch("types=server.admin")
        self.flip()
        first = watch.next()
        watch.close()
        self.flip()
        again = self.watch("types=server.admin", last_event_id=first["id"])
        ids = [e["id"] for e in again.take(3)]
        listed = self.proxy.get(f"/v1/events?types=server.admin&since={first['id']}")["events"]
        self.assertEqual([first["id"], *ids], [e["sequence"] for e in listed])

    def test_two_filters(self):
        watch = self.watch("types=server.admin,override.*&name=main/b")
        self.flip("a")
        self.flip("b")
        told = [(e["event"], e["data"]["name"]) for e in watch.take(4)]
        self.assertEqual(told, [("override.set", "main/b"), ("server.admin", "main/b"),
                                ("override.cleared", "main/b"), ("server.admin", "main/b")])

    def test_a_heartbeat_comes(self):
        watch = self.watch("types=api.denied", timeout=40)
        self.assertTrue(watch.comment().startswith("from "))
        self.assertEqual(watch.comment(), "still here")

    def test_sixty_four_and_one_that_does_not_read(self):
        silent = Client(self.proxy.api_socket, receive_buffer=4096)
        self.addCleanup(silent.close)
        silent.send_request("GET", "/v1/watch", host="lbd")
        silent.read_head()  # and nothing more
        watches = [self.watch("types=server.admin") for _ in range(63)]
        self.assertEqual({w.status for w in watches}, {200})
        self.assertEqual(self.watch().status, 429)
        before = self.proxy.resident_kb()
        # until the ring has gone round behind the one that does not read
        operator = Client(self.proxy.api_socket)
        self.addCleanup(operator.close)
        states = itertools.cycle(("drain", "ready"))

        def change():
            state = next(states)
            answer = operator.request("PUT", PATH, {"Content-Type": "application/json"},
                                      b'{"state":"%s"}' % state.encode(), host="lbd")
            self.assertEqual(answer.status, 200)
            for watch in watches[:4]:
                self.assertEqual(watch.next()["data"]["data"]["to"], state)

        since = self.next()
        while self.next() < since + 6000:
            for _ in range(100):
                change()
        for watch in watches[4:]:  # the others have all of it waiting
            events = watch.take(100)
            ids = [e["id"] for e in events]
            self.assertEqual(ids, sorted(ids))
            self.assertEqual({e["event"] for e in events}, {"server.admin"})
        if not os.environ.get("LBD_SANITIZE"):  # they keep what was freed
            self.assertLess(self.proxy.resident_kb() - before, 32 * 1024)
        # it is cut off by an event, two seconds after it took something last, and its place is free again
        ended = select.poll()
        ended.register(silent.sock, select.POLLRDHUP)
        self.wait_for(lambda: change() or ended.poll(0), "the one that does not read to be cut off", 15)
        self.wait_for(lambda: self.watch_once() == 200, "a free place")
        silent.read_rest()

    def watch_once(self):
        with Watch(self.proxy.api_socket) as watch:
            return watch.status

    def test_a_burst_larger_than_the_ring_is_told(self):
        names = [f"s{i}" for i in range(5000)]
        self.proxy.put("/v1/pools/many",
                       {"servers": {n: {"address": "127.0.0.1:1"} for n in names}})
        self.proxy.kill()
        weights = {f"many/{n}": {"base": 100, "weight": 5, "since": 1, "reason": "", "who": "test"}
                   for n in names}
        (self.proxy.state_directory / "overrides.json").write_text(
            json.dumps({"servers": {}, "weights": weights}))
        self.proxy.restart()
        since = self.next()
        watch = self.watch()
        self.proxy.delete("/v1/pools/many")  # 5,000 overrides are superseded at once
        event = watch.next()
        while event["event"] != "events-gone":
            event = watch.next()
        self.assertGreater(event["data"]["oldest"], since)
        self.assertIsNone(watch.next())
        again = self.watch(f"since={event['data']['oldest']}")
        self.assertEqual(again.next()["event"], "override.superseded")

    def test_who_has_left_makes_room(self):
        def all_can_watch():
            watches = [Watch(self.proxy.api_socket) for _ in range(64)]
            states = {w.status for w in watches}
            for watch in watches:
                watch.close()
            self.flip()  # what happens next shows who is gone
            return states == {200}

        for _ in range(5):
            self.wait_for(all_can_watch, "64 places")

    def test_lbd_ends_with_watchers_and_waiters(self):
        watches = [self.watch() for _ in range(10)]
        waiting = [Client(self.proxy.api_socket) for _ in range(10)]
        for client in waiting:
            self.addCleanup(client.close)
            client.send_request("GET", "/v1/events?types=api.denied&wait=60s", host="lbd")
            client.read_head()
        self.proxy.stop()
        for watch in watches:
            watch.client.read_rest()
        for client in waiting:
            client.read_rest()

    def test_head_does_not_stay(self):
        client = Client(self.proxy.api_socket)
        self.addCleanup(client.close)
        client.send_request("HEAD", "/v1/watch", host="lbd")
        self.assertEqual(client.read_head().status, 200)
        self.wait_for(lambda: self.proxy.get("/v1/version"), "it goes on")

    def test_lbd_drains_under_a_watcher(self):
        watch = self.watch("types=daemon.drain,drain.*")
        self.proxy.send_signal(15)
        told = []
        while True:
            event = watch.next() if not watch.ended else None
            if event is None:
                break
            told.append(event["event"])
            if event["event"] == "drain.done":
                break
        self.assertEqual(told[:2], ["daemon.drain", "drain.started"])
        self.assertEqual(self.proxy.wait_exit(), 0)


if __name__ == "__main__":
    unittest.main()
