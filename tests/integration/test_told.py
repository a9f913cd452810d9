"""What servers and clients are told: the trace of a request, its id, and where its time went; and what policies said."""

import re
import time
import unittest

from lab import LabCase, config_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"


class Told(LabCase):
    def serve(self, workers=1, **listener):
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server, listener=listener), daemon={"workers": workers})
        return self.connect(self.proxy)

    def asked(self):
        return self.server.requests[-1]

    def last_line(self, count):
        return self.proxy.wait_access_log(count)[-1]


class Traces(Told):
    def test_without_tracing_everything_goes_on_as_it_comes(self):
        client = self.serve()
        client.get("/", {"traceparent": "nonsense", "tracestate": "a=b"})
        self.assertEqual((self.asked().get("traceparent"), self.asked().get("tracestate")), ("nonsense", "a=b"))
        self.assertNotIn("trace_id", self.last_line(1))

    def test_a_valid_one_goes_on_untouched_and_is_logged(self):
        client = self.serve(tracing={})
        for value in (VALID, f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later"):
            client.get("/", {"TraceParent": value, "tracestate": "vendor=1,other=2"})
            self.assertEqual(self.asked().get("traceparent"), value)
            self.assertEqual(self.asked().get("tracestate"), "vendor=1,other=2")
        self.assertEqual({line["trace_id"] for line in self.proxy.wait_access_log(2)}, {TRACE})

    def test_an_invalid_one_is_dropped_with_its_state(self):
        client = self.serve(tracing={})
        for value in ("nonsense", VALID.upper(), VALID + "-x", VALID.replace("00-", "ff-", 1), f"{VALID}, {VALID}"):
            with self.subTest(value):
                client.get("/", {"traceparent": value, "tracestate": "a=b"})
                self.assertIsNone(self.asked().get("traceparent"))
                self.assertIsNone(self.asked().get("tracestate"))
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {VALID}\r\ntraceparent: {VALID}\r\ntracestate: a=b\r\n\r\n")
        client.read_response()
        self.assertIsNone(self.asked().get("traceparent"), "two are none")
        self.assertIsNone(self.asked().get("tracestate"))
        client.get("/", {"tracestate": "a=b"})
        self.assertIsNone(self.asked().get("tracestate"), "nothing without a parent")
        self.assertNotIn("trace_id", self.last_line(7))

    def test_one_begins_here(self):
        client = self.serve(tracing={"start": True, "sample": 2})
        seen = set()
        flags = []
        for index in range(4):
            client.get("/", {"traceparent": "nonsense", "tracestate": "a=b"} if index % 2 else None)
            found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])", self.asked().get("traceparent"))
            self.assertIsNotNone(found, self.asked().get("traceparent"))
            self.assertIsNone(self.asked().get("tracestate"))
            self.assertEqual(self.last_line(index + 1)["trace_id"], found[1])
            seen.add(found[1])
            flags.append(found[3])
        self.assertEqual(len(seen), 4)
        self.assertEqual(sorted(flags), ["0", "0", "1", "1"])
        client.get("/", {"traceparent": VALID})
        self.assertEqual(self.asked().get("traceparent"), VALID, "a trace that has begun goes on")

    def test_it_is_the_same_in_the_list_of_failures(self):
        self.proxy = self.lbd(config_for("127.0.0.1:1", pool={"retries": 0}, listener={"tracing": {}}))
        self.connect(self.proxy).get("/", {"traceparent": VALID})
        (one,) = self.wait_for(lambda: self.proxy.get("/v1/requests/recent")["requests"], "recent requests")
        self.assertEqual(one["trace_id"], TRACE)


class RequestIds(Told):
    def test_whose_is_taken(self):
        for listener, kept in (
            ({}, True),
            ({"request_id": "never"}, False),
            ({"request_id": "trusted"}, False),
            ({"request_id": "trusted", "forwarded": {"trusted": ["192.0.2.0/24"]}}, False),
            ({"request_id": "trusted", "forwarded": {"trusted": ["127.0.0.0/8"]}}, True),
        ):
            with self.subTest(listener):
                client = self.serve(**listener)
                client.get("/", {"X-Request-Id": "mine"})
                line = self.last_line(1)
                self.assertEqual(line["request_id"] == "mine", kept)
                self.assertEqual(self.asked().get("X-Request-Id"), line["request_id"])


class OwnAnswers(Told):
    def test_what_no_server_sees_has_an_id_and_a_trace(self):
        self.server = self.origin()
        document = config_for(self.server, listener={"tracing": {}})
        respond = {"respond": {"status": 503, "body": "x"}}
        document["policies"] = {"no": {"access": {"deny": ["127.0.0.0/8"]}}}
        document["routes"] = {
            "fixed": {"listener": "web", "match": {"path": "/fixed"}, "action": respond},
            "away": {"listener": "web", "match": {"path": "/away"}, "action": {"redirect": {"path": "/x"}}},
            "shut": {"listener": "web", "match": {"path": "/shut"}, "policies": ["no"], "action": {"pool": "main"}}}
        del document["listeners"]["web"]["default_pool"]
        self.proxy = self.lbd(document)
        for path in ("/fixed", "/away", "/shut", "/nowhere"):
            with self.connect(self.proxy) as client:
                client.get(path, {"traceparent": VALID, "X-Request-Id": "mine-" + path[1:]})
                client.get(path)
        lines = self.proxy.wait_access_log(8)
        traced = {line["request_id"] for line in lines if line.get("trace_id") == TRACE}
        self.assertEqual(traced, {"mine-fixed", "mine-away", "mine-shut", "mine-nowhere"})
        self.assertEqual(len({line["request_id"] for line in lines}), 8)
        client = self.connect(self.proxy)
        client.send(b"GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_response()
        (line,) = [line for line in self.proxy.wait_access_log(9) if line["status"] == 400]
        self.assertRegex(line["request_id"], "^[0-9a-f]{16}$")
        kept = self.proxy.get("/v1/requests/recent?limit=100")["requests"]
        self.assertEqual([entry for entry in kept if "id" not in entry], [])
        traced = self.proxy.get("/v1/requests/recent?reason=no_route")["requests"]
        self.assertEqual(sorted(entry.get("trace_id", "") for entry in traced), ["", TRACE])

    def test_traces_begin_with_what_is_answered_here(self):
        client = self.serve(tracing={"start": True})
        self.proxy.put("/v1/routes/r", {"listener": "web", "action": {"respond": {"status": 200}}})
        client.get("/")
        client.get("/")
        first, second = [line["trace_id"] for line in self.proxy.wait_access_log(2)]
        self.assertNotEqual(first, second)
        self.assertRegex(first, "^[0-9a-f]{32}$")


class Times(Told):
    def test_where_the_time_went(self):
        def slow(peer):
            peer.rx()
            time.sleep(0.05)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer-Timing: db;dur=3\r\n\r\n")

        proxy = self.lbd(config_for(self.origin(slow), listener={"server_timing": True}))
        response = self.connect(proxy).get("/")
        told = ", ".join(value for name, value in response.headers if name.lower() == "server-timing")
        self.assertIn("db;dur=3", told, "what the server says stays")
        times = {name: float(ms) for name, ms in re.findall(r"(lbd-[a-z]+);dur=(\d+\.\d{3})", told)}
        self.assertEqual(list(times), ["lbd-queue", "lbd-connect", "lbd-wait", "lbd-total"])
        self.assertGreaterEqual(times["lbd-wait"], 50)
        self.assertAlmostEqual(times["lbd-queue"] + times["lbd-connect"] + times["lbd-wait"], times["lbd-total"], places=2)

    def test_answers_of_our_own_and_by_route(self):
        document = config_for()
        document["routes"] = {"timed": {
            "listener": "web", "match": {"path": "/timed"}, "action": {"respond": {"status": 200}},
            "server_timing": True}}
        client = self.connect(self.lbd(document))
        self.assertRegex(client.get("/timed").get("Server-Timing"), r"\Albd-total;dur=\d+\.\d{3}\Z")
        self.assertIsNone(client.get("/other").get("Server-Timing"))


class Policies(Told):
    def test_who_said_no_and_who_would_have(self):
        document = config_for(self.origin())
        document["policies"] = {
            "anybody": {"access": {"allow": ["0.0.0.0/0", "::/0"]}},
            "shadowed": {"access": {"allow": ["192.0.2.1"]}, "mode": "shadow"},
            "nobody": {"access": {"allow": ["192.0.2.1"]}},
        }
        document["listeners"]["web"]["policies"] = ["anybody", "shadowed", "nobody"]
        proxy = self.lbd(document)
        self.assertEqual(self.connect(proxy).get("/").status, 403)
        (one,) = self.wait_for(lambda: proxy.get("/v1/requests/recent")["requests"], "recent requests")
        self.assertEqual(one["policies"], [
            {"policy": "anybody", "decision": "passed"},
            {"policy": "shadowed", "decision": "would_refuse"},
            {"policy": "nobody", "decision": "refused"}])
        self.assertEqual(one["setting"], "/policies/nobody")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["setting"], "/policies/nobody")


if __name__ == "__main__":
    unittest.main()
