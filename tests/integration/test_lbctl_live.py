"""lbctl on what runs: drains, weights, checks, connections, events, explain, top --once."""

import json
import subprocess
import threading
import unittest

from lab import LBCTL_BIN, LabCase, config_for, run_lbctl
from lab.lbd import environment

OK, NO, USAGE, UNREACHABLE, DENIED, NOT_FOUND, CONFLICT, INVALID, TIMED_OUT, REFUSED = range(10)


class LiveCase(LabCase):
    def setUp(self):
        super().setUp()
        self.go = threading.Event()
        self.addCleanup(self.go.set)
        self.alpha = self.origin(name="alpha")
        self.beta = self.origin(name="beta")
        self.proxy = self.lbd(config_for(self.alpha, self.beta))

    def ctl(self, *args, code=OK, stdin=None):
        result = run_lbctl(*args, socket_path=self.proxy.api_socket, stdin=stdin)
        self.assertEqual(
            result.returncode, code, f"lbctl {args}\n{result.stdout}\n{result.stderr}"
        )
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(word, result.stderr)
        return result

    def slow_proxy(self, **more):
        """An lbd whose only server answers when `go` is set; a client that waits for it."""
        def script(peer):
            peer.rx()
            self.go.wait(60)
            peer.tx(200, "x")

        server = self.origin(script)
        self.proxy = self.lbd(config_for(server, **more))
        client = self.connect(self.proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        return client

    def follow(self, *args):
        """lbctl as a stream of lines that ends with the test."""
        process = subprocess.Popen(
            [LBCTL_BIN, "--socket", self.proxy.api_socket, *args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


class ByHand(LiveCase):
    def state(self, server="a"):
        return self.proxy.server_status(server)

    def test_drain_waits_and_tells(self):
        client = self.slow_proxy()
        drain = self.follow("drain", "main/a", "--yes", "--wait", "--timeout", "15s",
                            "--reason", "new kernel")
        self.assertEqual(drain.stderr.readline(), "main/a: 1 connection left\n")
        self.go.set()
        out, _ = drain.communicate(timeout=60)
        self.assertEqual(drain.returncode, OK)
        self.assertIn("drained main/a: 1 connection left", out)
        self.assertIn("main/a is drained: 0 connections left", out)
        self.assertEqual(client.read_response().status, 200)

    def test_drain_with_a_deadline_closes(self):
        self.slow_proxy()
        result = self.ctl("drain", "main/a", "--yes", "--deadline", "1s", "--wait")
        self.assertRegex(result.stdout, r"closed at \d\d:\d\d:\d\d")
        self.assertIn("main/a is drained", result.stdout)

    def test_drain_with_a_deadline_keeps(self):
        self.slow_proxy()
        result = self.ctl("drain", "main/a", "--yes", "--deadline", "1s", "--on-deadline", "keep",
                          "--wait", code=NO)
        self.assertIn("main/a is not drained: 1 connection left", result.stdout)

    def test_the_last_server_is_asked_about(self):
        self.ctl("drain", "main/a")
        result = self.ctl("drain", "main/b", code=USAGE)
        self.assertIn("the last server of pool main", result.stderr)
        self.assertEqual(self.state("b")["admin"], "ready")

    def test_maint_ends_by_itself(self):
        result = self.ctl("maint", "main/a")
        self.assertIn("in maintenance until", result.stdout)
        self.assertIn("--for", result.stderr)
        state = self.proxy.get("/v1/pools/main/servers/a/admin-state")
        self.assertIn("expires", state["override"])
        self.ctl("enable", "main/a")
        result = self.ctl("maint", "main/a", "--for", "forever")
        state = self.proxy.get("/v1/pools/main/servers/a/admin-state")
        self.assertNotIn("expires", state["override"])

    def test_listener_and_process(self):
        for target, path in (("listener/web", "/v1/listeners/web/admin-state"),
                             ("process", "/v1/admin-state")):
            with self.subTest(target):
                self.ctl("drain", target, code=USAGE)
                self.ctl("drain", target, "--yes", "--wait")
                self.assertEqual(self.proxy.get(path)["state"], "drain")
                self.ctl("enable", target)
                self.assertEqual(self.proxy.get(path)["state"], "ready")
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.ctl("drain", "listener/nothing", "--yes", code=NOT_FOUND)

    def test_weight(self):
        self.assertIn("100 -> 50", self.ctl("weight", "main/a", "50%").stdout)
        self.assertEqual(self.state()["effective_weight"], 50)
        self.assertIn("50/100", self.ctl("get", "servers").stdout)
        self.assertIn("50 -> 7", self.ctl("weight", "a", "7", "--reason", "tired").stdout)
        self.assertIn("tired", self.ctl("describe", "server", "main/a").stdout)
        self.assertIn("7 -> 100", self.ctl("weight", "main/a", "reset").stdout)
        self.assertIn("unchanged", self.ctl("weight", "main/a", "reset").stdout)
        self.ctl("weight", "main/a", "much", code=USAGE)
        self.ctl("weight", "main/a", "100000", code=INVALID)
        self.ctl("weight", "main/nothing", "5", code=NOT_FOUND)


class Connections(LiveCase):
    def test_listed_and_closed(self):
        client = self.slow_proxy()
        lines = self.ctl("conns").stdout.splitlines()
        self.assertRegex(lines[0], "ID +CLIENT +LISTENER +PROTOCOL +STATE +SERVER +AGE +REQUESTS +WORKER")
        self.assertRegex(lines[1], r"127\.0\.0\.1:\d+ +web +http1 +request +main/a ")
        self.assertEqual(len(lines), 2)
        for args, count in ((["-p", "main"], 1), (["-p", "main/a"], 1),
                            (["--listener", "web"], 1), (["-n", "1"], 1)):
            with self.subTest(args):
                self.assertEqual(len(self.ctl("conns", "-oname", *args).stdout.split()), count)
        number = self.ctl("conns", "-oname").stdout.strip()
        self.assertIn("closed", self.ctl("conns", "kill", number).stdout)
        while client.sock.recv(4096):  # whatever it is told before
            pass
        self.wait_for(lambda: self.ctl("conns", "-oname").stdout == "", "no connection")
        self.ctl("conns", "kill", number, code=NOT_FOUND)
        self.ctl("conns", "-p", "nothing", code=NOT_FOUND)

    def test_a_list_that_is_not_all_says_how_much_is_missing(self):
        self.slow_proxy()
        more = [self.connect(self.proxy) for _ in range(2)]
        for client in more:
            client.send_request("GET", "/")
        self.wait_for(lambda: "hint: 2 more: add -n 3\n" in self.ctl("conns", "-n", "1").stderr, "three")
        more[0].close()
        self.wait_for(lambda: "hint: 1 more: add -n 2\n" in self.ctl("conns", "-n", "1").stderr, "two")
        self.assertEqual(self.ctl("conns", "-n", "2").stderr, "")


class Checks(LiveCase):
    def test_check_now(self):
        self.assertRegex(self.ctl("check", "main/a").stdout, r"main/a +passed +up")
        self.assertRegex(self.ctl("check", "main").stdout, r"main/b +passed +up")
        self.ctl("set", "pools/main/servers/z/address", "127.0.0.1:9")
        out = self.ctl("check", "main", code=NO).stdout
        self.assertRegex(out, r"main/a +passed")
        self.assertRegex(out, r"main/z +failed .* refused")
        self.ctl("check", "nothing", code=NOT_FOUND)


class Looking(LiveCase):
    def test_describe_every_kind(self):
        document = config_for(
            self.alpha, pool={"health_check": "hc"},
            health_checks={"hc": {"type": "tcp"}},
            routes={"r": {"listener": "web", "match": {"path": "/x"}, "action": {"pool": "main"}}},
        )
        self.proxy.put("/v1/config", document)
        for kind, name in (("pool", "main"), ("server", "main/a"), ("listener", "web"),
                           ("route", "r"), ("health-check", "hc"), ("config", None)):
            with self.subTest(kind):
                args = [kind] if name is None else [kind, name]
                out = self.ctl("describe", *args).stdout
                self.assertIn("configuration, revision", out)
                page = json.loads(self.ctl("describe", *args, "-ojson").stdout)
                self.assertIn("config", page)
        self.ctl("describe", "pool", "nothing", code=NOT_FOUND)

    def test_events(self):
        self.ctl("drain", "main/a", "--reason", "why not")
        out = self.ctl("events").stdout
        self.assertRegex(out, r"server\.admin +main/a +ready -> drain")
        lines = [json.loads(line) for line in
                 self.ctl("events", "server.admin", "-ojsonl").stdout.splitlines()]
        self.assertEqual({event["type"] for event in lines}, {"server.admin"})
        self.assertEqual(self.ctl("events", "--pool", "nothing").stdout, "")
        self.assertEqual(len(self.ctl("events", "-n1").stdout.splitlines()), 1)
        self.assertIn("why not", self.ctl("events", "--since", "10m").stdout)
        self.ctl("events", "server.nonsense", code=INVALID)

    def test_watch(self):
        watch = self.follow("watch", "server.admin", "-ojson", "-n2")
        self.wait_for(lambda: self.proxy.metric("lbd_api_watchers") == 1, "a watcher")
        self.ctl("drain", "main/a")
        self.assertEqual(json.loads(watch.stdout.readline())["data"]["to"], "drain")
        self.ctl("enable", "main/a")
        self.assertEqual(json.loads(watch.stdout.readline())["data"]["to"], "ready")
        self.assertEqual(watch.wait(60), OK)

    def test_watch_survives_a_restart(self):
        watch = self.follow("watch", "-ojson")
        self.wait_for(lambda: self.proxy.metric("lbd_api_watchers") == 1, "a watcher")
        self.proxy.stop()
        self.assertIn("went away", watch.stderr.readline())
        self.proxy.restart()
        self.wait_for(lambda: self.proxy.metric("lbd_api_watchers") == 1, "a watcher")
        self.ctl("weight", "main/a", "5")
        types = []
        while "override.set" not in types:
            types.append(json.loads(watch.stdout.readline())["type"])

    def test_watch_without_lbd_is_3(self):
        result = run_lbctl("watch", socket_path="/nonexistent/api.sock")
        self.assertEqual(result.returncode, UNREACHABLE)

    def test_get_watch(self):
        watch = self.follow("get", "servers", "--watch")
        lines = [watch.stdout.readline() for _ in range(3)]
        self.assertRegex(lines[0], "NAME +ADDRESS +HEALTH")
        self.wait_for(lambda: self.proxy.metric("lbd_api_requests_total", route="/v1/events") >= 1,
                      "somebody who waits for events")
        self.ctl("drain", "main/b")
        self.assertRegex(watch.stdout.readline(), "main/b .* drain ")
        self.ctl("delete", "server", "main/b")
        self.assertEqual(watch.stdout.readline(), "main/b  removed\n")

    def test_explain(self):
        out = self.ctl("explain", "pools.servers.weight").stdout
        self.assertRegex(out, r"pools\.servers\.weight +integer")
        self.assertEqual(out, self.ctl("explain", "/pools/main/servers/a/weight").stdout)
        self.assertRegex(self.ctl("explain").stdout, r"(?m)^pools +")
        result = self.ctl("explain", "pools/main/servers/a/wieght", code=NOT_FOUND)
        self.assertIn("weight", result.stderr)

    def test_explain_route(self):
        out = self.ctl("explain", "route", "GET", "http://h/p").stdout
        self.assertIn("default pool -> pool main", out)
        self.assertRegex(out, r"(?m)^a +up +ready +100 +yes")
        document = self.proxy.get("/v1/config")
        del document["listeners"]["web"]["default_pool"]
        document["routes"] = {"r": {"listener": "web", "match": {"host": ["x.example"]},
                                    "action": {"pool": "main"}}}
        self.proxy.put("/v1/config", document)
        self.assertIn("route r", self.ctl("explain", "route", "GET", "http://x.example/").stdout)
        out = self.ctl("explain", "route", "GET", "http://y.example/", code=NO).stdout
        self.assertIn("nothing", out)
        self.assertIn("x.example", out)

    def test_top_once(self):
        out = self.ctl("top", "servers", "--once").stdout
        self.assertRegex(out, r"(?m)^main/a +up +ready +100")
        document = json.loads(self.ctl("top", "pools", "-ojson").stdout)
        self.assertIn("main", document["pools"])
        self.ctl("top", "nonsense", code=USAGE)

    def test_completion_knows_what_runs(self):
        def complete(*words):
            return run_lbctl("__complete", f"--socket={self.proxy.api_socket}", *words).stdout.split()

        def completes(want, *words):
            """It asks for 300 ms at most: a busy machine may need another try."""
            self.wait_for(lambda: want(complete(*words)), f"completion of {words}")

        self.assertEqual(complete("config", ""), ["validate", "fmt", "schema"])
        completes(lambda found: "listener/web" in found, "drain", "l")
        completes(lambda found: found == ["main/b"], "maint", "main/b")
        completes(lambda found: found == ["pools/main/"], "set", "pools/m")
        self.assertIn("pools.servers.weight", complete("explain", "pools.servers.w"))
        revision = str(self.proxy.api("GET", "/v1/config").revision)
        completes(lambda found: found == [revision], "rollback", "")
        self.assertEqual(complete("drain", "--on-deadline", ""), ["close", "keep"])
        self.assertIn("server.health", complete("watch", "server.admin", "server."))


if __name__ == "__main__":
    unittest.main()
