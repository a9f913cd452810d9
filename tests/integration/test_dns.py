"""Servers whose address is a name: they follow it, and the DNS may say how many there are."""

import threading
import time
import unittest

from lab import LabCase, Origin, config_for, wait_for
from lab.dns import SERVFAIL, Dnsmasq, NameServer, find_dnsmasq
from lab.ports import free_port


class DnsCase(LabCase):
    def names(self, names, **more):
        self.dns = NameServer(names, **more)
        self.addCleanup(self.dns.stop)

    def start(self, *servers, daemon=None, **pool):
        self.proxy = self.lbd(config_for(*servers, pool=pool),
                              daemon={"resolvers": [self.dns.address], **(daemon or {})})

    def twins(self, *hosts):
        """Origins on one port of these addresses, named after them."""
        port = free_port(*hosts)
        return [self.origin(name=host, host=host, port=port) for host in hosts]

    def ask(self, count=1):
        """The names of the origins that answered."""
        client = self.connect(self.proxy)
        return [client.get("/").get("Origin-Name") for _ in range(count)]

    def wait_names(self, *names, count=24):
        wait_for(lambda: set(self.ask(count)) == set(names), f"only {names} answer")

    def status(self, server="a"):
        return self.proxy.server_status(server)

    def pool_status(self):
        return self.proxy.get("/v1/pools/main/status")

    def wait_members(self, *names):
        wait_for(lambda: sorted(self.pool_status()["servers"]) == sorted(names), f"{names}")


class Follows(DnsCase):
    def test_a_server_is_where_its_name_is(self):
        origins = self.twins("127.0.0.2", "127.0.0.3", "127.0.0.4")
        self.names({"app.test": ["127.0.0.2", "127.0.0.3"]})
        self.dns.rotates = True
        other = self.origin(name="other")
        self.start(f"app.test:{origins[0].port}", other, daemon={"workers": 1})
        self.proxy.wait_health("a", "up")
        first = self.status()["resolved"].split(":")[0]
        asked = self.dns.count("app.test")
        wait_for(lambda: self.dns.count("app.test") >= asked + 3, "asked again and again")
        # the order of the answers turns; the server stays while its address is among them
        self.assertEqual(self.status()["resolved"].split(":")[0], first)
        self.wait_names(first, "other")
        connections = other.connection_count
        self.dns.names["app.test"] = ["127.0.0.4"]
        self.wait_names("127.0.0.4", "other")
        self.assertEqual(other.connection_count, connections, "only that server has moved")
        dns = self.status()["dns"]
        self.assertEqual((dns["name"], dns["kind"], dns["answer"], dns["stale"]),
                         ("app.test", "address", ["127.0.0.4"], False))
        self.assertLessEqual(dns["ttl_left_ms"], 1000)

    def test_a_request_at_the_address_that_left_ends_by_itself(self):
        held = threading.Event()

        def slow(peer):
            if peer.rx().target == "/slow":
                held.wait(60)
            peer.tx(200, b"late")
            peer.close()

        self.addCleanup(held.set)
        port = free_port("127.0.0.2", "127.0.0.3")
        old = self.origin(slow, host="127.0.0.2", port=port)
        self.origin(name="new", host="127.0.0.3", port=port)
        self.names({"app.test": "127.0.0.2"})
        self.start(f"app.test:{old.port}")
        wait_for(lambda: self.connect(self.proxy).get("/").status == 200, "workers know the address")
        before = old.connection_count
        client = self.connect(self.proxy)
        client.send_request("GET", "/slow")
        wait_for(lambda: old.connection_count == before + 1, "it is there")
        self.dns.names["app.test"] = "127.0.0.3"
        self.wait_names("new", count=1)
        held.set()
        self.assertEqual(client.read_response().body, b"late")

    def test_the_time_to_live_counts(self):
        origin = self.origin()
        self.names({"long.test": "127.0.0.1", "short.test": "127.0.0.1"}, ttl=1)
        self.dns.ttl = 86400
        self.start(f"long.test:{origin.port}")
        self.proxy.wait_health("a", "up")
        left = self.status()["dns"]["ttl_left_ms"]
        self.assertTrue(3_500_000 < left <= 3_600_000, left)  # at most 1 h
        self.dns.ttl = 0
        self.proxy.put("/v1/pools/main/servers/b", {"address": f"short.test:{origin.port}"})
        wait_for(lambda: self.dns.count("short.test") >= 2, "asked again after 1 s")
        self.assertEqual(self.dns.count("long.test"), 1)

    def test_connection_refused_asks_again(self):
        old, new = self.twins("127.0.0.2", "127.0.0.3")
        self.names({"app.test": "127.0.0.2"}, ttl=3600)
        self.start(f"app.test:{old.port}", retries=0)
        self.proxy.wait_health("a", "up")
        self.wait_names("127.0.0.2", count=1)
        self.dns.names["app.test"] = "127.0.0.3"
        time.sleep(1.1)  # it is asked at most once a second
        old.kill()

        def answers():
            return self.connect(self.proxy).get("/").get("Origin-Name") == "127.0.0.3"

        wait_for(answers, "found at its new place long before the hour is over")
        del new


class Trouble(DnsCase):
    def events(self, kind):
        return [e for e in self.proxy.get("/v1/events?limit=1000")["events"] if e["type"] == kind]

    def test_an_empty_answer_keeps_or_takes_down(self):
        origin = self.origin(name="app")
        for rule, health in (("keep", "up"), ("down", "unresolved")):
            with self.subTest(rule):
                self.names({"app.test": "127.0.0.1"})
                self.start(f"app.test:{origin.port}", dns={"on_empty": rule, "retry": "100ms"})
                self.proxy.wait_health("a", "up")
                del self.dns.names["app.test"]
                wait_for(lambda: self.status()["dns"].get("error") == "no such name", "noticed")
                self.proxy.wait_health("a", health)
                self.assertEqual(self.status()["dns"]["stale"], rule == "keep")
                wanted = 200 if rule == "keep" else 503
                wait_for(lambda wanted=wanted: self.connect(self.proxy).get("/").status == wanted, f"{wanted}")
                self.dns.names["app.test"] = "127.0.0.1"
                self.proxy.wait_health("a", "up")
                wait_for(lambda: "error" not in self.status()["dns"], "all is well again")
                wait_for(lambda: self.connect(self.proxy).get("/").status == 200, "answers")

    def test_stale_for(self):
        origin = self.origin(name="app")
        self.names({"app.test": "127.0.0.1"})
        self.start(f"app.test:{origin.port}", dns={"stale_for": "4s", "retry": "100ms"})
        self.proxy.wait_health("a", "up")
        self.dns.code = SERVFAIL
        wait_for(lambda: self.status()["dns"]["stale"], "stale")
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.proxy.wait_metric(1, "lbd_dns_names_stale")
        self.proxy.wait_health("a", "unresolved")
        self.assertEqual(self.status()["resolved"], None)
        self.dns.code = 0
        self.proxy.wait_health("a", "up")
        self.wait_for(
            lambda: self.proxy.metric("lbd_dns_queries_total", result="failed") >= 1, "lbd_dns_queries_total")
        self.wait_for(lambda: self.proxy.metric("lbd_dns_queries_total", result="found") >= 2, "lbd_dns_queries_total")
        self.proxy.wait_metric(1, "lbd_dns_names")
        self.assertEqual([e["message"] for e in self.events("dns.failed")],
                         ["no name server could be reached, or all of them failed; what was known is kept"])
        self.assertEqual([e["message"] for e in self.events("dns.changed")],
                         ["is at 127.0.0.1", "is at nothing", "is at 127.0.0.1"])


    def test_other_rules_keep_what_is_known(self):
        origin = self.origin(name="app")
        self.names({"app.test": "127.0.0.1"}, ttl=3600)
        for kind in ("", "dns:"):
            with self.subTest(kind):
                self.dns.code = 0
                self.start(f"{kind}app.test:{origin.port}")
                self.wait_names("app", count=1)
                servers = list(self.pool_status()["servers"])
                self.dns.code = SERVFAIL
                asked = self.dns.count("app.test")
                self.proxy.patch("/v1/pools/main", {"dns": {"retry": "100ms"}})
                self.assertEqual(set(self.ask(8)), {"app"})
                wait_for(lambda asked=asked: self.dns.count("app.test") >= asked + 3, "asked, and in vain")
                self.assertEqual(set(self.ask(8)), {"app"})
                self.assertEqual(list(self.pool_status()["servers"]), servers)

    def test_other_rules_count_for_what_is_known(self):
        origin = self.origin(name="app")
        for rule in ({"on_empty": "down"}, {"stale_for": "1s"}):
            with self.subTest(rule):
                self.names({"app.test": "127.0.0.1"})
                self.start(f"app.test:{origin.port}", dns={"retry": "100ms"})
                self.wait_names("app", count=1)
                self.dns.names["app.test"] = []
                wait_for(lambda: self.status()["dns"]["stale"], "kept")
                self.proxy.patch("/v1/pools/main", {"dns": rule})
                self.proxy.wait_health("a", "unresolved")
                wait_for(lambda: self.connect(self.proxy).get("/").status == 503, "workers know it")
                self.dns.names["app.test"] = "127.0.0.1"
                self.wait_names("app", count=1)

class Templates(DnsCase):
    def test_a_server_for_each_address(self):
        origins = self.twins("127.0.0.2", "127.0.0.3", "127.0.0.4")
        self.names({"app.test": ["127.0.0.3", "127.0.0.2"]})
        self.start({"address": f"dns:app.test:{origins[0].port}", "weight": 7, "max_connections": 9},
                   daemon={"workers": 1})
        self.wait_members("a-127-0-0-2", "a-127-0-0-3")
        self.wait_names("127.0.0.2", "127.0.0.3")
        status = self.pool_status()
        self.assertEqual(status["discovered"]["a"]["members"], ["a-127-0-0-2", "a-127-0-0-3"])
        self.assertEqual(status["servers"]["a-127-0-0-2"]["effective_weight"], 7)
        self.assertEqual(status["servers"]["a-127-0-0-2"]["resolved"], f"127.0.0.2:{origins[0].port}")

        # one comes, one goes; the one that stays notices nothing
        self.assertEqual(self.proxy.admin("a-127-0-0-2", "drain").status, 200)
        self.wait_names("127.0.0.3")
        self.proxy.admin("a-127-0-0-2", "ready")
        self.wait_names("127.0.0.2", "127.0.0.3")
        stays = origins[0].connection_count
        self.dns.names["app.test"] = ["127.0.0.2", "127.0.0.4"]
        self.wait_members("a-127-0-0-2", "a-127-0-0-4")
        self.wait_names("127.0.0.2", "127.0.0.4")
        self.assertEqual(origins[0].connection_count, stays)

        # the document is as it was written, and other changes go on beside it
        config = self.proxy.get("/v1/pools/main")
        self.assertEqual(list(config["servers"]), ["a"])
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 8})
        self.assertEqual(self.proxy.server_status("a-127-0-0-4")["effective_weight"], 8)
        self.wait_names("127.0.0.2", "127.0.0.4")
        self.proxy.wait_metric(1, "lbd_server_up", pool="main", server="a-127-0-0-4")

        self.proxy.delete("/v1/pools/main/servers/a")
        self.assertEqual(self.pool_status()["servers"], {})
        self.assertEqual(self.connect(self.proxy).get("/").status, 503)

    def test_what_is_set_by_hand_waits_for_its_member(self):
        origins = self.twins("127.0.0.2", "127.0.0.3")
        self.names({"app.test": ["127.0.0.2", "127.0.0.3"]})
        self.start(f"dns:app.test:{origins[0].port}")
        self.wait_members("a-127-0-0-2", "a-127-0-0-3")
        self.assertEqual(self.proxy.admin("a-127-0-0-2", "maint").status, 200)
        self.dns.names["app.test"] = ["127.0.0.3"]
        self.wait_members("a-127-0-0-3")
        self.proxy.patch("/v1/pools/main", {"retries": 2})
        self.proxy.stop()
        self.proxy.restart()
        self.dns.names["app.test"] = ["127.0.0.2", "127.0.0.3"]
        self.wait_members("a-127-0-0-2", "a-127-0-0-3")
        self.assertEqual(self.status("a-127-0-0-2")["admin"], "maint")
        self.wait_names("127.0.0.3")

    def test_nothing_is_a_server_without_address(self):
        self.names({})
        origin = self.origin(name="app")
        self.start(f"dns:app.test:{origin.port}", dns={"retry": "100ms", "on_empty": "down"})
        self.proxy.wait_health("a", "unresolved")
        wait_for(lambda: self.connect(self.proxy).get("/").get("Lbd-Reason") == "unresolved", "workers know it")
        self.dns.names["app.test"] = "127.0.0.1"
        self.wait_members("a-127-0-0-1")
        self.wait_names("app", count=2)
        del self.dns.names["app.test"]
        self.wait_members("a")
        self.assertEqual(self.status()["health"], "unresolved")

    def test_a_server_for_each_service(self):
        one, two, later = (self.origin(name=name) for name in ("one", "two", "later"))
        self.names({"_http._tcp.shop.test": [(10, 30, one.port, "web.test"), (10, 10, two.port, "web.test"),
                                             (20, 0, later.port, "web.test")],
                    "web.test": "127.0.0.1"})
        self.start("srv:_http._tcp.shop.test", algorithm="round_robin")
        first, second = f"a-web-test-{one.port}", f"a-web-test-{two.port}"
        third = f"a-web-test-{later.port}"
        self.wait_members(first, second, third)
        self.wait_names("one", "two")
        answers = self.ask(40)
        self.assertEqual((answers.count("one"), answers.count("two")), (30, 10))
        self.assertEqual(self.pool_status()["discovered"]["a"]["kind"], "srv")
        self.dns.names["_http._tcp.shop.test"] = [(20, 0, later.port, "web.test")]
        self.wait_members(third)
        self.wait_names("later")
        self.dns.names["_http._tcp.shop.test"] = [(0, 0, 1, ".")]  # RFC 2782: decidedly not here
        wait_for(lambda: self.pool_status()["discovered"]["a"]["stale"], "kept")
        self.wait_names("later")

    def groups(self):
        return [(g["priority"], g["usable"], g["share"]) for g in self.pool_status().get("groups", [])]

    def test_priorities_are_groups_in_their_order(self):
        origins = {n: self.origin(name=n) for n in "abcd"}
        port = {n: o.port for n, o in origins.items()}
        self.names({"_http._tcp.shop.test": [(20, 65535, port["c"], "web.test"), (0, 3, port["a"], "web.test"),
                                             (0, 1, port["b"], "web.test"), (10, 0, port["d"], "web.test")],
                    "web.test": "127.0.0.1"})
        self.start("srv:_http._tcp.shop.test", daemon={"workers": 1}, algorithm="round_robin")
        name = {n: f"a-web-test-{p}" for n, p in port.items()}
        self.wait_members(*name.values())
        self.wait_names("a", "b")
        answers = self.ask(40)
        self.assertEqual((answers.count("a"), answers.count("b")), (30, 10), "their weights, nobody else's")
        self.assertEqual(self.groups(), [(0, 2, 100), (1, 1, 0), (2, 1, 0)])
        servers = self.pool_status()["servers"]
        self.assertEqual({n: (servers[name[n]].get("priority", 0), servers[name[n]]["effective_weight"])
                          for n in "abcd"}, {"a": (0, 3), "b": (0, 1), "c": (2, 0), "d": (1, 0)})
        self.proxy.admin(name["b"], "maint")  # three quarters of the weight are enough
        self.assertEqual(set(self.ask(8)), {"a"})
        self.proxy.admin(name["a"], "maint")
        self.proxy.admin(name["b"], "ready")  # a quarter is not: 35 %
        answers = self.ask(100)
        self.assertEqual((answers.count("b"), answers.count("d")), (35, 65))
        self.proxy.admin(name["b"], "maint")
        self.assertEqual(set(self.ask(8)), {"d"})
        self.proxy.admin(name["d"], "maint")
        self.assertEqual(set(self.ask(8)), {"c"})
        self.proxy.admin(name["a"], "ready")
        self.assertEqual(set(self.ask(8)), {"a"})
        # what the DNS says next is what counts next
        self.dns.names["_http._tcp.shop.test"] = [(5, 1, port["c"], "web.test"), (6, 1, port["a"], "web.test")]
        self.wait_members(name["a"], name["c"])
        self.wait_names("c", count=8)

    def test_priorities_begin_at_that_of_the_server(self):
        own, one, two = (self.origin(name=n) for n in ("own", "one", "two"))
        self.names({"_http._tcp.shop.test": [(1, 0, one.port, "web.test"), (2, 0, two.port, "web.test")],
                    "web.test": "127.0.0.1"})
        self.start(own, daemon={"workers": 1})
        self.proxy.put("/v1/pools/main/servers/dns", {"address": "srv:_http._tcp.shop.test", "priority": 14,
                                                      "weight": 7})
        first, second = f"dns-web-test-{one.port}", f"dns-web-test-{two.port}"
        self.wait_members("a", first, second)
        wait_for(lambda: self.groups() == [(0, 1, 100), (14, 1, 0), (15, 1, 0)], "groups")
        self.wait_names("own", count=4)
        self.proxy.admin("a", "maint")
        self.wait_names("one", count=4)
        self.assertEqual(self.status(first)["effective_weight"], 7, "without weights, that of the server")

    def test_a_pool_of_mail_has_the_first(self):
        one, two = self.origin(name="one"), self.origin(name="two")
        self.names({"_imap._tcp.shop.test": [(1, 5, one.port, "web.test"), (2, 5, two.port, "web.test")],
                    "web.test": "127.0.0.1"})
        self.proxy = self.lbd(config_for("srv:_imap._tcp.shop.test", listener={"protocol": "imap"},
                                         pool={"mail": {}}),
                              daemon={"resolvers": [self.dns.address]})
        self.wait_members(f"a-web-test-{one.port}")

    def test_health_checks_see_each(self):
        good, bad = self.twins("127.0.0.2", "127.0.0.3")
        bad.body = b"x"
        bad.script = lambda peer: [peer.rx(), peer.tx(500, b"")]
        self.names({"app.test": ["127.0.0.2", "127.0.0.3"]})
        self.proxy = self.lbd(
            config_for(f"dns:app.test:{good.port}", pool={"health_check": "hc"},
                       health_checks={"hc": {"type": "http", "path": "/hc", "interval": "100ms", "rise": 1,
                                             "fall": 1}}),
            daemon={"resolvers": [self.dns.address]})
        self.wait_members("a-127-0-0-2", "a-127-0-0-3")
        self.proxy.wait_health("a-127-0-0-2", "up")
        self.proxy.wait_health("a-127-0-0-3", "down")
        probe = next(r for r in good.requests if r.target == "/hc")
        self.assertEqual(probe.get("Host"), f"app.test:{good.port}")
        self.wait_names("127.0.0.2")

    def test_a_template_of_a_known_name_has_its_members_at_once(self):
        one, two = self.origin(name="one"), self.origin(name="two")
        first, second = f"dns:app.test:{one.port}", f"dns:app.test:{two.port}"

        def put_pool(servers):
            self.proxy.put("/v1/pools/main", {"servers": {n: {"address": a} for n, a in servers.items()}})

        changes = {
            "another port": (first, lambda: self.proxy.patch("/v1/pools/main/servers/a", {"address": second}),
                             ["a-127-0-0-1"], ["two"]),
            "a name becomes a template": (f"app.test:{one.port}", lambda: put_pool({"a": first}),
                                          ["a-127-0-0-1"], ["one"]),
            "a template becomes a name": (first, lambda: put_pool({"a": f"app.test:{two.port}"}), ["a"], ["two"]),
            "another name of the server": (first, lambda: put_pool({"z": first}), ["z-127-0-0-1"], ["one"]),
            "a second one": (first, lambda: put_pool({"a": first, "b": second}),
                             ["a-127-0-0-1", "b-127-0-0-1"], ["one", "two"]),
        }
        self.names({"app.test": "127.0.0.1"}, ttl=3600)
        for what, (address, change, members, names) in changes.items():
            with self.subTest(what):
                self.start(address)
                self.wait_names("one", count=1)
                asked = len(self.dns.questions)
                change()
                self.assertEqual(sorted(self.pool_status()["servers"]), members)
                self.assertEqual(set(self.ask(24)), set(names))
                self.assertEqual(len(self.dns.questions), asked, "it was known")

    def test_a_new_pool_of_a_known_name_has_its_members_at_once(self):
        origin = self.origin(name="one")
        self.names({"app.test": "127.0.0.1"}, ttl=3600)
        self.start(f"dns:app.test:{origin.port}")
        self.wait_names("one", count=1)
        self.proxy.put("/v1/pools/more", {"servers": {"b": {"address": f"dns:app.test:{origin.port}"}}})
        self.assertEqual(list(self.proxy.get("/v1/pools/more/status")["servers"]), ["b-127-0-0-1"])

    def test_what_cannot_be_asked_is_refused(self):
        self.names({})
        self.start()
        for address in ("dns:127.0.0.1:80", "dns:app.test:0", "dns:app.test:http", "srv:_http._tcp..test",
                        "dns:[::1]:80", "srv:http._tcp.test"):
            answer = self.proxy.api("PUT", "/v1/pools/main/servers/x", {"address": address})
            self.assertEqual(answer.status, 422, address)


@unittest.skipUnless(find_dnsmasq(), "no dnsmasq")
class Real(DnsCase):
    def test_dnsmasq(self):
        origins = self.twins("127.0.0.2", "127.0.0.3")
        port = origins[0].port
        self.dns = Dnsmasq({"app.test": ["127.0.0.2"], "web.test": ["127.0.0.3"]},
                           [f"srv-host=_http._tcp.app.test,web.test,{port},0,5"])
        self.addCleanup(self.dns.stop)
        self.dns.wait()
        self.start(f"app.test:{port}", f"dns:app.test:{port}", "srv:_http._tcp.app.test",
                   dns={"on_empty": "down"})
        self.wait_members("a", "b-127-0-0-2", f"c-web-test-{port}")
        self.wait_names("127.0.0.2", "127.0.0.3")
        self.dns.change({"app.test": ["127.0.0.2", "127.0.0.3"], "web.test": ["127.0.0.2"]})
        self.wait_members("a", "b-127-0-0-2", "b-127-0-0-3", f"c-web-test-{port}")
        wait_for(lambda: self.status(f"c-web-test-{port}")["resolved"] == f"127.0.0.2:{port}", "moved")
        self.dns.change({"app.test": ["127.0.0.3"], "web.test": ["127.0.0.3"]})
        self.wait_names("127.0.0.3")

    def test_failover_by_the_priorities_of_dnsmasq(self):
        origins = {n: self.origin(name=n) for n in "abc"}
        port = {n: o.port for n, o in origins.items()}
        self.dns = Dnsmasq({"web.test": ["127.0.0.1"]}, [
            f"srv-host=_http._tcp.app.test,web.test,{port['a']},10,60",
            f"srv-host=_http._tcp.app.test,web.test,{port['b']},10,40",
            f"srv-host=_http._tcp.app.test,web.test,{port['c']},20,10"])
        self.addCleanup(self.dns.stop)
        self.dns.wait()
        self.proxy = self.lbd(
            config_for("srv:_http._tcp.app.test",
                       pool={"algorithm": "round_robin", "health_check": "hc", "retries": 3},
                       health_checks={"hc": {"type": "tcp", "interval": "100ms", "rise": 1, "fall": 1}}),
            daemon={"resolvers": [self.dns.address], "workers": 1})
        name = {n: f"a-web-test-{p}" for n, p in port.items()}
        self.wait_members(*name.values())
        for one in name.values():
            self.proxy.wait_health(one, "up")
        self.wait_names("a", "b")
        answers = self.ask(100)
        self.assertEqual((answers.count("a"), answers.count("b")), (60, 40))
        origins["a"].kill()
        self.proxy.wait_health(name["a"], "down")  # 40 % are left, which carry 56 %
        answers = self.ask(100)
        self.assertEqual((answers.count("b"), answers.count("c")), (56, 44))
        origins["b"].kill()
        self.proxy.wait_health(name["b"], "down")
        self.assertEqual(set(self.ask(10)), {"c"})
        groups = self.pool_status()["groups"]
        self.assertEqual([(g["priority"], g["usable"], g["share"]) for g in groups], [(0, 0, 0), (1, 1, 100)])


if __name__ == "__main__":
    unittest.main()
