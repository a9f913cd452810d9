"""The numbers: under the right names, clean for promtool, and true."""

import json
import subprocess
import threading
import unittest

from lab import Client, Closed, LabCase, config_for
from lab import metrics as prometheus
from lab.ports import free_port

# name: (type, labels)
FAMILIES = {
    "lbd_build_info": ("gauge", {"version"}),
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
    "lbd_workers": ("gauge", set()),
    "lbd_worker_connections": ("gauge", {"worker"}),
    "lbd_worker_config_revision": ("gauge", {"worker"}),
    "lbd_worker_last_loop_timestamp_seconds": ("gauge", {"worker"}),
    "lbd_worker_loop_seconds_total": ("counter", {"worker", "state"}),
    "lbd_worker_adoption_cpu_seconds": ("histogram", {"worker"}),
    "lbd_worker_adoption_duration_seconds": ("histogram", {"worker"}),
    "lbd_worker_loops_total": ("counter", {"worker"}),
    "lbd_worker_memory_bytes": ("gauge", {"worker"}),
    "lbd_worker_connections_stage": ("gauge", {"worker"}),
    "lbd_worker_buffers_stage": ("gauge", {"worker"}),
    "lbd_worker_memory_stage": ("gauge", {"worker"}),
    "lbd_worker_lag_stage": ("gauge", {"worker"}),
    "lbd_worker_relief_total": ("counter", {"worker", "action"}),
    "lbd_connections": ("gauge", set()),
    "lbd_connections_limit": ("gauge", set()),
    "lbd_memory_limit_bytes": ("gauge", set()),
    "lbd_log_messages_dropped_total": ("counter", set()),
    "lbd_config_revision": ("gauge", set()),
    "lbd_config_info": ("gauge", {"hash", "source"}),
    "lbd_config_last_apply_success": ("gauge", set()),
    "lbd_config_last_apply_timestamp_seconds": ("gauge", set()),
    "lbd_config_seed_differs": ("gauge", set()),
    "lbd_config_confirm_deadline_timestamp_seconds": ("gauge", set()),
    "lbd_config_overrides": ("gauge", {"kind"}),
    "lbd_config_objects": ("gauge", {"kind"}),
    "lbd_snapshots": ("gauge", set()),
    "lbd_config_applies_total": ("counter", {"result"}),
    "lbd_config_apply_duration_seconds": ("histogram", set()),
    "lbd_config_persist_duration_seconds": ("histogram", set()),
    "lbd_config_persist_failures_total": ("counter", set()),
    "lbd_api_requests_total": ("counter", {"method", "route", "code"}),
    "lbd_api_request_duration_seconds": ("histogram", {"route"}),
    "lbd_api_connections": ("gauge", set()),
    "lbd_api_watchers": ("gauge", set()),
    "lbd_api_events_total": ("counter", {"type"}),
    "lbd_api_events_missed_total": ("counter", set()),
    "lbd_api_auth_failures_total": ("counter", {"reason"}),
    "lbd_api_rate_limited_total": ("counter", set()),
    "lbd_drains_total": ("counter", {"result"}),
    "lbd_metrics_scope_omitted": ("gauge", {"scope"}),
    "lbd_metrics_scrape_duration_seconds": ("gauge", set()),
    "lbd_listener_up": ("gauge", {"listener"}),
    "lbd_listener_connections": ("gauge", {"listener"}),
    "lbd_listener_connections_limit": ("gauge", {"listener"}),
    "lbd_listener_connections_total": ("counter", {"listener"}),
    "lbd_listener_received_bytes_total": ("counter", {"listener"}),
    "lbd_listener_sent_bytes_total": ("counter", {"listener"}),
    "lbd_listener_connections_rejected_total": ("counter", {"listener", "reason"}),
    "lbd_http_requests_total": ("counter", {"listener", "protocol", "code_class"}),
    "lbd_http_requests_in_flight": ("gauge", {"listener"}),
    "lbd_http_request_duration_seconds": ("histogram", {"listener"}),
    "lbd_http_request_size_bytes": ("histogram", {"listener"}),
    "lbd_http_response_size_bytes": ("histogram", {"listener"}),
    "lbd_http_protocol_errors_total": ("counter", {"listener", "protocol", "reason"}),
    "lbd_http_client_aborts_total": ("counter", {"listener"}),
    "lbd_http_endings_total": ("counter", {"listener", "reason"}),
    "lbd_grpc_responses_total": ("counter", {"listener", "grpc_status"}),
    "lbd_route_requests_total": ("counter", {"route", "code_class"}),
    "lbd_pool_servers": ("gauge", {"pool", "state"}),
    "lbd_pool_connections": ("gauge", {"pool"}),
    "lbd_pool_requests_in_flight": ("gauge", {"pool"}),
    "lbd_pool_idle_connections": ("gauge", {"pool"}),
    "lbd_pool_http_responses_total": ("counter", {"pool", "code_class"}),
    "lbd_pool_grpc_responses_total": ("counter", {"pool", "grpc_status"}),
    "lbd_pool_connects_total": ("counter", {"pool"}),
    "lbd_pool_connection_reuses_total": ("counter", {"pool"}),
    "lbd_pool_received_bytes_total": ("counter", {"pool"}),
    "lbd_pool_sent_bytes_total": ("counter", {"pool"}),
    "lbd_pool_errors_total": ("counter", {"pool", "reason"}),
    "lbd_pool_retries_total": ("counter", {"pool"}),
    "lbd_pool_no_server_total": ("counter", {"pool"}),
    "lbd_pool_queued": ("gauge", {"pool"}),
    "lbd_pool_queued_total": ("counter", {"pool"}),
    "lbd_pool_queue_full_total": ("counter", {"pool"}),
    "lbd_pool_queue_timeouts_total": ("counter", {"pool"}),
    "lbd_pool_queue_duration_seconds": ("histogram", {"pool"}),
    "lbd_pool_connect_duration_seconds": ("histogram", {"pool"}),
    "lbd_pool_response_duration_seconds": ("histogram", {"pool"}),
    "lbd_server_up": ("gauge", {"pool", "server"}),
    "lbd_server_weight": ("gauge", {"pool", "server"}),
    "lbd_server_connections": ("gauge", {"pool", "server"}),
    "lbd_server_requests_total": ("counter", {"pool", "server"}),
    "lbd_server_errors_total": ("counter", {"pool", "server"}),
    "lbd_server_health_transitions_total": ("counter", {"pool", "server"}),
    "lbd_listener_accept_errors_total": ("counter", {"listener", "reason"}),
    "lbd_listener_connection_duration_seconds": ("histogram", {"listener"}),
    "lbd_pool_ejections_total": ("counter", {"pool"}),
    "lbd_pool_fallbacks_total": ("counter", {"pool"}),
    "lbd_pool_limited_total": ("counter", {"pool", "reason"}),
    "lbd_pool_outlier_ejections_total": ("counter", {"pool", "reason"}),
    "lbd_pool_outlier_kept_total": ("counter", {"pool"}),
    "lbd_health_checks_late_total": ("counter", {"pool"}),
    "lbd_health_checks_total": ("counter", {"pool", "result"}),
    "lbd_health_check_duration_seconds": ("histogram", {"pool"}),
}

FULL = {
    "lbd_server_http_responses_total": ("counter", {"pool", "server", "code_class"}),
    "lbd_server_received_bytes_total": ("counter", {"pool", "server"}),
    "lbd_server_sent_bytes_total": ("counter", {"pool", "server"}),
    "lbd_server_connects_total": ("counter", {"pool", "server"}),
    "lbd_server_response_seconds_total": ("counter", {"pool", "server"}),
    "lbd_server_check_duration_seconds": ("gauge", {"pool", "server"}),
    "lbd_server_info": ("gauge", {"pool", "server", "address"}),
}

BUCKETS = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
]


class Names(LabCase):
    def setUp(self):
        super().setUp()
        document = config_for(
            self.origin(name="a"), pool={"health_check": "t"},
            health_checks={"t": {"type": "tcp", "interval": "1s"}},
            routes={"r": {"listener": "web", "match": {"path_prefix": "/r"},
                          "action": {"pool": "main"}}},
        )
        self.proxy = self.lbd(document)
        self.proxy.wait_health("a", "up")
        client = self.connect(self.proxy)
        client.get("/")
        client.get("/r")
        self.proxy.wait_metric(1, "lbd_route_requests_total", route="r")  # the names are all there now

    def test_families(self):
        for name in FULL:
            self.assertNotIn(name, self.proxy.metrics().types)
        self.proxy.patch("/v1/config", {"observability": {"metrics": {"server_scope": "full"}}})
        values = self.proxy.metrics()
        for name, (kind, labels) in {**FAMILIES, **FULL}.items():
            with self.subTest(name):
                self.assertEqual(values.types.get(name), kind)
                self.assertTrue(values.helps.get(name, "").strip())
                sample = name + "_count" if kind == "histogram" else name
                found = [set(dict(k[1])) for k in values if k[0] == sample]
                self.assertTrue(found, "no sample")
                for names in found:
                    self.assertLessEqual(labels, names)

    def test_only_known_prefixes_and_labels(self):
        allowed = {
            "listener", "route", "pool", "server", "worker", "code_class", "reason", "result",
            "state", "kind", "method", "code", "protocol", "le", "hash", "source", "version",
            "revision", "openssl", "libevent", "scope", "address", "type", "certificate",
            "resumed", "grpc_status", "mechanism", "phase", "action",
        }
        for name, labels in self.proxy.metrics():
            self.assertRegex(name, r"\A(lbd|process)_")
            self.assertLessEqual(set(dict(labels)), allowed, name)

    def test_counters_end_in_total(self):
        values = self.proxy.metrics()
        for name, kind in values.types.items():
            with self.subTest(name):
                self.assertEqual(kind == "counter", name.endswith("_total"))

    def test_promtool(self):
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=self.proxy.metrics_text(), text=True,
            capture_output=True, timeout=60,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_histograms_are_whole(self):
        values = self.proxy.metrics()
        for name, kind in values.types.items():
            if kind != "histogram":
                continue
            with self.subTest(name):
                groups = {}
                for (sample, labels), value in values.items():
                    if sample == name + "_bucket":
                        pairs = dict(labels)
                        edge = pairs.pop("le")
                        groups.setdefault(frozenset(pairs.items()), []).append((edge, value))
                self.assertTrue(groups)
                for labels, buckets in groups.items():
                    counts = [v for _, v in buckets]
                    self.assertEqual(counts, sorted(counts), "buckets are cumulative")
                    self.assertEqual(buckets[-1][0], "+Inf")
                    self.assertEqual(values[(name + "_count", labels)], counts[-1])
                    self.assertIn((name + "_sum", labels), values)
                    if name.endswith("_seconds"):
                        edges = [float(e) for e, _ in buckets[:-1]]
                        self.assertEqual(edges, BUCKETS)
                    for edge, _ in buckets[:-1]:
                        self.assertIn(".", edge.replace("e-", "."), "le is written as a float")

    def test_content_type(self):
        with Client(self.proxy.observe_address()) as client:
            response = client.get("/metrics")
        self.assertRegex(response.get("Content-Type"), r"\Atext/plain; ?version=0\.0\.4")
        prometheus.parse(response.text)

    def openmetrics(self):
        answer = self.proxy.api("GET", "/metrics", headers={
            "Accept": "application/openmetrics-text;version=1.0.0"
        })
        self.assertEqual(answer.header("Content-Type"),
                         "application/openmetrics-text; version=1.0.0; charset=utf-8")
        return answer.raw.decode()

    def test_openmetrics(self):
        values = prometheus.parse_openmetrics(self.openmetrics())
        plain = self.proxy.metrics()
        self.assertEqual({key for key in values if key[0] != "lbd_api_requests_total"},
                         {key for key in plain if key[0] != "lbd_api_requests_total"})
        self.assertEqual(values.types["lbd_http_requests"], "counter")
        self.assertEqual(values.types["lbd_listener_connections"], "gauge")
        self.assertEqual(values.types["lbd_listener_connections_total"], "unknown")
        self.assertEqual(values.units["lbd_http_request_duration_seconds"], "seconds")
        self.assertEqual(values.units["process_cpu_seconds"], "seconds")
        self.assertEqual(values.units["process_resident_memory_bytes"], "bytes")
        self.assertNotIn("lbd_workers", values.units)

    def test_promtool_on_openmetrics(self):
        """promtool reads the older format only: the same lines under the names they have there."""
        lines = []
        counters = set()
        for line in self.openmetrics().splitlines():
            words = line.split(" ", 3)
            if line.startswith("# UNIT") or line == "# EOF":
                continue
            if line.startswith("# TYPE") and words[3] == "counter":
                counters.add(words[2])
        for line in self.openmetrics().splitlines():
            words = line.split(" ", 3)
            if line.startswith("# UNIT") or line == "# EOF":
                continue
            if line.startswith("# ") and words[2] in counters:
                words[2] += "_total"
            lines.append(" ".join(words).replace("_total unknown", "_total counter"))
        done = subprocess.run(
            ["promtool", "check", "metrics"], input="\n".join(lines) + "\n", text=True,
            capture_output=True, timeout=60,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_accept(self):
        open_metrics = "application/openmetrics-text"
        for accept, kind in (
            (f"{open_metrics};version=1.0.0;q=0.9,text/plain;q=0.5", open_metrics),
            (f"{open_metrics};version=1.0.0;q=0.4,text/plain;q=0.5", "text/plain"),
            (f"{open_metrics};version=0.0.1", "text/plain"),
            (f"{open_metrics};q=0, */*", "text/plain"),
            ("text/html", "text/plain"),
        ):
            with self.subTest(accept):
                answer = self.proxy.api("GET", "/metrics", headers={"Accept": accept})
                self.assertEqual(answer.header("Content-Type").partition(";")[0], kind)

    def test_slow_scraper_holds_up_nobody(self):
        slow = self.connect(self.proxy.observe_address(), receive_buffer=4096)
        slow.send_request("GET", "/metrics")
        for _ in range(3):
            self.assertEqual(self.proxy.api("GET", "/metrics").status, 200)
            self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.assertEqual(slow.read_response().status, 200)


class Truth(LabCase):
    def test_requests_by_class(self):
        def script(peer):
            while True:
                request = peer.rx()
                peer.tx(int(request.target[1:]), "xx")

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        for status in (200, 201, 302, 404, 404, 500):
            client.get(f"/{status}")
        for name in ("lbd_http_requests_total", "lbd_pool_http_responses_total"):
            for word, count in (("2xx", 2), ("3xx", 1), ("4xx", 2), ("5xx", 1)):
                proxy.wait_metric(count, name, code_class=word)
        proxy.wait_metric(6, "lbd_server_requests_total", server="a")
        proxy.wait_metric(6, "lbd_http_request_duration_seconds_count")
        proxy.wait_metric(6, "lbd_pool_response_duration_seconds_count")
        proxy.wait_metric(0, "lbd_http_requests_in_flight")

    def test_routes(self):
        proxy = self.lbd(config_for(self.origin(), routes={
            "r": {"listener": "web", "match": {"path": "/r"}, "action": {"respond": {"status": 204}}},
        }))
        client = self.connect(proxy)
        for _ in range(3):
            client.get("/r")
        proxy.wait_metric(3, "lbd_route_requests_total", route="r", code_class="2xx")

    def test_connections(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"workers": 1})
        clients = [self.connect(proxy) for _ in range(5)]
        for client in clients:
            client.get("/")
        proxy.wait_metric(5, "lbd_listener_connections", listener="web")
        proxy.wait_metric(5, "lbd_listener_connections_total", listener="web")
        proxy.wait_metric(5, "lbd_connections")
        proxy.wait_metric(5, "lbd_worker_connections")
        connects = proxy.metric("lbd_pool_connects_total", pool="main")
        reuses = proxy.metric("lbd_pool_connection_reuses_total", pool="main")
        self.assertEqual(connects + reuses, 5)
        proxy.wait_metric(connects, "lbd_pool_idle_connections", pool="main")
        for client in clients:
            client.close()
        proxy.wait_metric(0, "lbd_listener_connections", listener="web")
        proxy.wait_metric(0, "lbd_connections")

    def test_bytes(self):
        server = self.origin()
        server.body = b"r" * 100000
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        before = len(client.reader.log)
        client.request("POST", "/", body=b"q" * 50000)
        got = len(client.reader.log) - before
        self.wait_for(
            lambda: proxy.metric("lbd_listener_sent_bytes_total", listener="web") == got,
            f"{got} bytes sent",
        )
        received = proxy.metric("lbd_listener_received_bytes_total", listener="web")
        self.assertGreater(received, 50000)
        self.assertLess(received, 51000)
        self.wait_for(
            lambda: proxy.metric("lbd_pool_received_bytes_total", pool="main") > 100000, "lbd_pool_received_bytes_total")
        self.wait_for(
            lambda: proxy.metric("lbd_pool_sent_bytes_total", pool="main") > 50000, "lbd_pool_sent_bytes_total")
        proxy.wait_metric(1, "lbd_http_request_size_bytes_count", listener="web")

    def test_in_flight(self):
        go = threading.Event()

        def script(peer):
            peer.rx()
            go.wait(60)
            peer.tx(200, "x")

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        clients = [self.connect(proxy) for _ in range(3)]
        for client in clients:
            client.send_request("GET", "/")
        server.wait_requests(3)
        proxy.wait_metric(3, "lbd_http_requests_in_flight", listener="web")
        proxy.wait_metric(3, "lbd_pool_requests_in_flight", pool="main")
        proxy.wait_metric(3, "lbd_server_connections", pool="main", server="a")
        go.set()
        for client in clients:
            client.read_response()
        proxy.wait_metric(0, "lbd_http_requests_in_flight", listener="web")
        proxy.wait_metric(0, "lbd_pool_requests_in_flight", pool="main")

    def test_errors_by_reason(self):
        proxy = self.lbd(config_for(f"127.0.0.1:{free_port()}", pool={"retries": 0}))
        self.connect(proxy).get("/")
        proxy.wait_metric(1, "lbd_pool_errors_total", pool="main", reason="refused")
        proxy.wait_metric(1, "lbd_server_errors_total", pool="main", server="a")
        client = self.connect(proxy)
        client.send("GET / HTTP/1.1\r\n\r\n")
        client.read_response()
        proxy.wait_metric(1, "lbd_http_protocol_errors_total", listener="web", reason="bad_host")
        client = self.connect(proxy)
        client.send("GARBAGE\r\n\r\n")
        try:
            client.read_response()
        except Closed:
            pass
        proxy.wait_metric(2, "lbd_http_protocol_errors_total", listener="web")

    def test_applies(self):
        proxy = self.lbd(config_for(self.origin()))
        before = proxy.metric("lbd_config_applies_total", result="applied")
        answer = proxy.patch("/v1/pools/main", {"retries": 2})
        proxy.patch("/v1/pools/main", {"retries": 2})
        proxy.api("PATCH", "/v1/pools/main", {"retries": "x"})
        proxy.wait_metric(before + 1, "lbd_config_applies_total", result="applied")
        proxy.wait_metric(1, "lbd_config_applies_total", result="unchanged")
        proxy.wait_metric(1, "lbd_config_applies_total", result="rejected")
        proxy.wait_metric(answer.revision, "lbd_config_revision")
        for _, value in prometheus.select(proxy.metrics(), "lbd_worker_config_revision").items():
            self.assertEqual(value, answer.revision)

    def test_objects(self):
        proxy = self.lbd(config_for(self.origin(), self.origin()))
        for kind, count in (("listeners", 1), ("pools", 1), ("servers", 2), ("routes", 0)):
            values = prometheus.select(proxy.metrics(), "lbd_config_objects")
            found = {dict(k)["kind"].rstrip("s"): v for k, v in values.items()}
            self.assertEqual(found[kind.rstrip("s")], count)

    def test_monotone_across_changes(self):
        server = self.origin()
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        before = proxy.metrics()
        for number in range(20):
            client.get("/")
            proxy.patch("/v1/pools/main/servers/a", {"weight": number + 1})
            proxy.put(f"/v1/pools/p{number % 3}", {"servers": {"x": {"address": server.address}}})
            now = proxy.metrics()
            self.assertEqual(prometheus.went_back(before, now), [])
            before = now
        proxy.wait_metric(20, "lbd_server_requests_total", pool="main", server="a")

    def test_counters_of_a_new_object_begin_at_zero(self):
        """A freed slot is never shown with its predecessor's numbers."""
        server = self.origin()
        proxy = self.lbd(config_for(server))
        for number in range(5):
            proxy.put("/v1/pools/p", {"servers": {f"s{number}": {"address": server.address}}})
            proxy.patch("/v1/listeners/web", {"default_pool": "p"})
            client = self.connect(proxy)
            for _ in range(7):
                client.get("/")
            proxy.wait_metric(7, "lbd_server_requests_total", pool="p", server=f"s{number}")
            client.close()

    def test_monotone_when_objects_leave_and_return(self):
        """What comes back under its name goes on counting where it was."""
        server = self.origin()
        proxy = self.lbd(config_for(server, routes={
            "r": {"listener": "web", "match": {"path_prefix": "/r"}, "action": {"pool": "other"}},
        }, pools={"other": {"servers": {"x": {"address": server.address}}}}))
        whole = proxy.get("/v1/config")
        seen = {}  # the most each counter ever had
        for _ in range(5):
            client = self.connect(proxy)
            for path in ("/", "/r", "/r"):
                self.assertEqual(client.get(path).status, 200)
            now = proxy.metrics()
            self.assertEqual(prometheus.went_back({}, now), [])
            for key, value in now.items():
                kind = now.types.get(prometheus.family_of(now, key[0]))
                if kind in ("counter", "histogram"):
                    self.assertGreaterEqual(value, seen.get(key, 0), key)
                    seen[key] = value
            proxy.put("/v1/config", {"pools": {"main": {"servers": {}}}})
            proxy.put("/v1/config", whole)
        for name, labels in (
            ("lbd_server_requests_total", {"pool": "other", "server": "x"}),
            ("lbd_pool_http_responses_total", {"pool": "other"}),
            ("lbd_route_requests_total", {"route": "r"}),
        ):
            proxy.wait_metric(10, name, **labels)
        proxy.wait_metric(15, "lbd_http_requests_total", listener="web")

    def test_monotone_across_a_thousand_applies(self):
        server = self.origin()
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        before = proxy.metrics()
        with Client(proxy.api_socket) as api:
            for number in range(1000):
                body = json.dumps({"weight": number % 999 + 1}).encode()
                api.send_request("PATCH", "/v1/pools/main/servers/a",
                                 {"Content-Type": "application/merge-patch+json"}, body, host="x")
                self.assertEqual(api.read_response("PATCH").status, 200)
                if number % 20 == 0:
                    client.get("/")
                if number % 100 == 0:
                    now = proxy.metrics()
                    self.assertEqual(prometheus.went_back(before, now), [])
                    before = now
        self.assertEqual(prometheus.went_back(before, proxy.metrics()), [])
        proxy.wait_metric(50, "lbd_server_requests_total", pool="main", server="a")
        proxy.wait_metric(1000, "lbd_config_applies_total", result="applied")

    def test_server_answers_by_class(self):
        def script(peer):
            while True:
                peer.tx(int(peer.rx().target[1:]), "xx")

        proxy = self.lbd(config_for(self.origin(script), observability={
            "metrics": {"server_scope": "full"}}))
        client = self.connect(proxy)
        for status in (200, 204, 404, 503):
            client.get(f"/{status}")
        for word, count in (("1xx", 0), ("2xx", 2), ("3xx", 0), ("4xx", 1), ("5xx", 1)):
            proxy.wait_metric(count, "lbd_server_http_responses_total", server="a", code_class=word)


class ByHand(LabCase):
    def test_weights_and_overrides(self):
        proxy = self.lbd(config_for(self.origin(), self.origin()))
        proxy.put("/v1/pools/main/servers/a/overrides/weight", {"weight": "50%"})
        proxy.admin("b", "maint")
        weights = {name: proxy.metric("lbd_server_weight", server=name) for name in "ab"}
        self.assertEqual(weights, {"a": 50, "b": 0})
        self.assertEqual(proxy.get("/v1/stats?scope=servers")["servers"]["main/a"]["weight"], 50)
        for kind, count in (("admin_state", 1), ("weight", 1), ("listener", 0), ("process", 0)):
            proxy.wait_metric(count, "lbd_config_overrides", kind=kind)
        proxy.wait_metric(1, "lbd_pool_servers", state="maintenance")
        proxy.delete("/v1/pools/main/servers/a/overrides/weight")
        proxy.wait_metric(100, "lbd_server_weight", server="a")

    def test_a_listener_and_the_process(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.wait_metric(1, "lbd_listener_up", listener="web")
        proxy.put("/v1/listeners/web/admin-state", {"state": "drain"})
        proxy.wait_metric(0, "lbd_listener_up", listener="web")
        proxy.wait_metric(1, "lbd_drains_total", result="done")
        conditions = {c["type"]: c for c in proxy.get("/v1/listeners/web/status")["conditions"]}
        self.assertEqual((conditions["Ready"]["status"], conditions["Ready"]["reason"]),
                         (False, "Draining"))
        proxy.delete("/v1/listeners/web/admin-state")
        proxy.wait_metric(1, "lbd_listener_up", listener="web")
        conditions = {c["type"]: c for c in proxy.get("/v1/listeners/web/status")["conditions"]}
        self.assertTrue(conditions["Ready"]["status"], conditions)
        self.assertTrue(conditions["Programmed"]["status"], conditions)

    def test_what_rested_begins_anew(self):
        """A server that comes back has its counters, and nothing that was set by hand."""
        server = self.origin()
        proxy = self.lbd(config_for(server, self.origin(), listeners={
            "other": {"bind": ["127.0.0.1:0"], "default_pool": "main"}}))
        before = proxy.get("/v1/config")
        proxy.put("/v1/pools/main/servers/a/overrides/weight", {"weight": 7})
        proxy.put("/v1/listeners/other/admin-state", {"state": "drain"})
        proxy.delete("/v1/pools/main/servers/a")
        proxy.delete("/v1/listeners/other")
        proxy.put("/v1/config", before)
        proxy.wait_metric(100, "lbd_server_weight", server="a")
        proxy.wait_metric(1, "lbd_listener_up", listener="other")
        self.assertEqual(self.connect(proxy, listener="other").get("/").status, 200)
        proxy.wait_metric(0, "lbd_config_overrides")


class ComeAndGo(LabCase):
    def test_scrapes_while_objects_come_and_go(self):
        """Every scrape is whole and of one moment's objects, whatever is changed under it."""
        server = self.origin()
        proxy = self.lbd(config_for(server))
        basic = ("lbd_server_up", "lbd_server_weight", "lbd_server_connections",
                 "lbd_server_requests_total", "lbd_server_errors_total",
                 "lbd_server_health_transitions_total")
        stop = threading.Event()
        problems = []
        scrapes = []

        def scrape(open_metrics):
            headers = {"Accept": "application/openmetrics-text"} if open_metrics else {}
            parse = prometheus.parse_openmetrics if open_metrics else prometheus.parse
            try:
                while not stop.is_set():
                    values = parse(proxy.api("GET", "/metrics", headers=headers).raw.decode())
                    sets = {frozenset(prometheus.select(values, name)) for name in basic}
                    self.assertEqual(len(sets), 1, "the servers of one family are those of all")
                    scrapes.append(len(values))
            except Exception as problem:  # shown by the test
                problems.append(problem)

        def traffic():
            try:
                while not stop.is_set():
                    with proxy.client() as client:
                        self.assertEqual(client.get("/").status, 200)
            except Exception as problem:
                problems.append(problem)

        threads = [threading.Thread(target=scrape, args=(kind,)) for kind in (False, True, False)]
        threads.append(threading.Thread(target=traffic))
        for thread in threads:
            thread.start()
        try:
            for number in range(60):
                if problems:
                    break
                many = {f"s{i}": {"address": server.address} for i in range(number % 7 * 40)}
                proxy.put("/v1/pools/p", {"servers": many})
                proxy.put("/v1/routes/r", {"listener": "web", "match": {"path_prefix": "/r"},
                                           "action": {"pool": "p"}})
                proxy.put("/v1/listeners/l", {"bind": ["127.0.0.1:0"], "default_pool": "p"})
                proxy.patch("/v1/pools/main/servers/a", {"weight": number + 1})
                if number % 3 == 0:
                    proxy.delete("/v1/listeners/l")
                    proxy.delete("/v1/routes/r")
                    proxy.delete("/v1/pools/p")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])
        self.assertGreater(len(scrapes), 5)


if __name__ == "__main__":
    unittest.main()
