#!/usr/bin/env python3
"""Writes lbd.json, the Grafana dashboard of lbd, from the panels below.

    make_dashboard.py            writes lbd.json beside this file
    make_dashboard.py --check    exit 1 when lbd.json is not what would be written

A test runs --check, and another that every metric named here is one that lbd has.
"""

import json
import sys
from pathlib import Path

OUTPUT = Path(__file__).with_name("lbd.json")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
HEIGHT = 8

# What every query is narrowed to; $instance and $pool may stand for several.
I = 'instance=~"$instance"'
P = I + ',pool=~"$pool"'


def rate(metric, selector=I, by="instance"):
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def total(metric, selector=I, by="instance"):
    return f"sum by ({by}) ({metric}{{{selector}}})"


def quantile(q, metric, selector=I, by="instance"):
    buckets = rate(metric + "_bucket", selector, by + ", le")
    return f"histogram_quantile({q}, {buckets})"


def quantiles(metric, selector=I, by="instance", name="{{instance}}"):
    return [(quantile(q, metric, selector, by), f"p{q * 100:g} {name}") for q in (0.5, 0.95, 0.99)]


def ratio(part, whole):
    return f"{part} / clamp_min({whole}, 1e-9)"


# -- panels -----------------------------------------------------------------------------------------


def panel(kind, title, queries, unit="short", width=8, height=HEIGHT, description="", **more):
    fields = {"unit": unit, "custom": {}}
    body = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": fields, "overrides": []},
        "options": {},
        "targets": [
            {
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
                "refId": chr(ord("A") + index),
                **({"format": "table", "instant": True} if kind == "table" else {}),
                **({"instant": True} if kind == "stat" else {}),
            }
            for index, (expression, legend) in enumerate(queries)
        ],
    }
    for key, value in more.items():
        body[key] = value
    return body


def graph(title, queries, unit="short", stacked=False, **more):
    body = panel("timeseries", title, queries, unit, **more)
    custom = {"lineWidth": 1, "fillOpacity": 30 if stacked else 8, "showPoints": "never",
              "spanNulls": False}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    body["fieldConfig"]["defaults"]["custom"] = custom
    body["fieldConfig"]["defaults"]["min"] = 0
    body["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return body


def stat(title, expression, unit="short", steps=None, width=4, **more):
    body = panel("stat", title, [(expression, "")], unit, width=width, height=4, **more)
    colors = [{"color": "green", "value": None}] + [
        {"color": color, "value": value} for value, color in steps or []
    ]
    body["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": colors}
    body["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
    }
    return body


def heat(title, metric, selector, width=8):
    body = panel("heatmap", title, [(rate(metric + "_bucket", selector, "le"), "{{le}}")], "s",
                 width=width)
    body["targets"][0]["format"] = "heatmap"
    body["options"] = {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "cellGap": 1,
    }
    return body


def table(title, expression, columns, width=12, **more):
    """`columns`: label -> heading; other labels are hidden."""
    body = panel("table", title, [(expression, "")], width=width, **more)
    hidden = {name: True for name in ("Time", "__name__", "job", "Value")}
    body["transformations"] = [
        {
            "id": "organize",
            "options": {
                "excludeByName": {k: v for k, v in hidden.items() if k not in columns},
                "renameByName": columns,
            },
        }
    ]
    return body


# -- rows -------------------------------------------------------------------------------------------

ROWS = [
    ("Overview", None, [
        stat("Up", "count(lbd_build_info{%s})" % I),
        stat("Requests per second", "sum(rate(lbd_http_requests_total{%s}[$__rate_interval]))" % I,
             "reqps"),
        stat("5xx", ratio(
            'sum(rate(lbd_http_requests_total{%s,code_class="5xx"}[$__rate_interval]))' % I,
            "sum(rate(lbd_http_requests_total{%s}[$__rate_interval]))" % I), "percentunit",
            [(0.01, "yellow"), (0.05, "red")]),
        stat("p99", "histogram_quantile(0.99, sum by (le) "
             "(rate(lbd_http_request_duration_seconds_bucket{%s}[$__rate_interval])))" % I, "s",
             [(0.5, "yellow"), (1, "red")]),
        stat("Connections", "sum(lbd_connections{%s})" % I),
        stat("Pools without a server",
             'count(sum by (instance, pool) (lbd_pool_servers{%s,state="up"}) == 0) or vector(0)' % I,
             steps=[(1, "red")]),
        graph("Requests by class", [(rate("lbd_http_requests_total", by="code_class"),
                                     "{{code_class}}")], "reqps", stacked=True),
        graph("Share of 5xx", [(ratio(
            rate("lbd_http_requests_total", I + ',code_class="5xx"'),
            rate("lbd_http_requests_total")), "{{instance}}")], "percentunit"),
        graph("Time of requests", quantiles("lbd_http_request_duration_seconds"), "s"),
        graph("Connections", [("lbd_connections{%s}" % I, "{{instance}}")]),
        graph("Requests in flight", [(total("lbd_http_requests_in_flight"), "{{instance}}")]),
        table("Configurations", "lbd_config_info{%s} * on (instance) group_left (version) "
              "lbd_build_info" % I,
              {"instance": "instance", "hash": "hash", "source": "source", "version": "version"},
              width=8),
    ]),
    ("Pools", None, [
        graph("Servers by state", [(total("lbd_pool_servers", P, "state"), "{{state}}")],
              stacked=True),
        heat("Time to the first byte", "lbd_pool_response_duration_seconds", P),
        graph("Errors by reason", [(rate("lbd_pool_errors_total", P, "pool, reason"),
                                    "{{pool}} {{reason}}")], "ops"),
        graph("Answers by class", [(rate("lbd_pool_http_responses_total", P, "pool, code_class"),
                                    "{{pool}} {{code_class}}")], "reqps", stacked=True),
        graph("Time to the first byte", quantiles("lbd_pool_response_duration_seconds", P, "pool",
                                                  "{{pool}}"), "s"),
        graph("Time to connect", quantiles("lbd_pool_connect_duration_seconds", P, "pool",
                                           "{{pool}}"), "s"),
        graph("Retries and requests without a server",
              [(rate("lbd_pool_retries_total", P, "pool"), "{{pool}} retries"),
               (rate("lbd_pool_no_server_total", P, "pool"), "{{pool}} no server"),
               (rate("lbd_pool_ejections_total", P, "pool"), "{{pool}} servers taken out")], "ops"),
        graph("Connections to servers",
              [(total("lbd_pool_connections", P, "pool"), "{{pool}} open"),
               (total("lbd_pool_idle_connections", P, "pool"), "{{pool}} idle"),
               (total("lbd_pool_requests_in_flight", P, "pool"), "{{pool}} in flight")]),
        graph("Reused connections", [(ratio(
            rate("lbd_pool_connection_reuses_total", P, "pool"),
            "(%s + %s)" % (rate("lbd_pool_connection_reuses_total", P, "pool"),
                           rate("lbd_pool_connects_total", P, "pool"))), "{{pool}}")],
              "percentunit"),
        graph("Bytes", [(rate("lbd_pool_received_bytes_total", P, "pool"), "{{pool}} received"),
                        (rate("lbd_pool_sent_bytes_total", P, "pool"), "{{pool}} sent")], "Bps"),
        graph("Health checks", [(rate("lbd_health_checks_total", P, "pool, result"),
                                 "{{pool}} {{result}}"),
                                (rate("lbd_health_checks_late_total", P, "pool"),
                                 "{{pool}} late")], "ops"),
        graph("Time of health checks", quantiles("lbd_health_check_duration_seconds", P, "pool",
                                                 "{{pool}}"), "s"),
    ]),
    ("Servers of $pool", "pool", [
        graph("Most errors", [("topk(20, %s)" % rate("lbd_server_errors_total", P, "pool, server"),
                               "{{pool}}/{{server}}")], "ops"),
        graph("Most requests", [("topk(20, %s)" % rate("lbd_server_requests_total", P,
                                                       "pool, server"), "{{pool}}/{{server}}")],
              "reqps"),
        graph("Most connections", [("topk(20, %s)" % total("lbd_server_connections", P,
                                                           "pool, server"),
                                    "{{pool}}/{{server}}")]),
        graph("Weight", [("topk(20, %s)" % total("lbd_server_weight", P, "pool, server"),
                          "{{pool}}/{{server}}")]),
        graph("Changes of health", [("topk(20, sum by (pool, server) (increase("
                                     "lbd_server_health_transitions_total{%s}[$__rate_interval])))"
                                     % P, "{{pool}}/{{server}}")]),
        table("Down", "lbd_server_up{%s} == 0" % P,
              {"instance": "instance", "pool": "pool", "server": "server"}, width=8),
    ]),
    ("Listeners", None, [
        graph("Connections", [(total("lbd_listener_connections", by="listener"), "{{listener}}")]),
        graph("Connections accepted", [(rate("lbd_listener_connections_total", by="listener"),
                                        "{{listener}}")], "cps"),
        graph("Connections refused", [
            (rate("lbd_listener_connections_rejected_total", by="listener, reason"),
             "{{listener}} {{reason}}"),
            (rate("lbd_listener_accept_errors_total", by="listener, reason"),
             "{{listener}} not accepted: {{reason}}")], "ops"),
        graph("Time of requests", quantiles("lbd_http_request_duration_seconds", I, "listener",
                                            "{{listener}}"), "s"),
        graph("Bytes", [(rate("lbd_listener_received_bytes_total", by="listener"),
                         "{{listener}} received"),
                        (rate("lbd_listener_sent_bytes_total", by="listener"),
                         "{{listener}} sent")], "Bps"),
        graph("How requests ended", [(rate("lbd_http_endings_total", I + ',reason!="ok"',
                                           "listener, reason") + " > 0",
                                      "{{listener}} {{reason}}")], "ops"),
        graph("Breaches of the protocol", [(rate("lbd_http_protocol_errors_total",
                                                 by="listener, reason") + " > 0",
                                            "{{listener}} {{reason}}")], "ops"),
        graph("Clients that left", [(rate("lbd_http_client_aborts_total", by="listener"),
                                     "{{listener}}")], "ops"),
        graph("Requests by route", [("topk(20, %s)" % rate("lbd_route_requests_total", by="route"),
                                     "{{route}}")], "reqps"),
        graph("Size of requests", [(quantile(0.95, "lbd_http_request_size_bytes", I, "listener"),
                                    "p95 {{listener}}")], "bytes"),
        graph("Size of answers", [(quantile(0.95, "lbd_http_response_size_bytes", I, "listener"),
                                   "p95 {{listener}}")], "bytes"),
        graph("Length of connections", quantiles("lbd_listener_connection_duration_seconds", I,
                                                 "listener", "{{listener}}"), "s"),
    ]),
    ("Control plane", None, [
        graph("Changes", [("sum by (instance, result) (increase(lbd_config_applies_total{%s}"
                           "[$__rate_interval]))" % I, "{{instance}} {{result}}")]),
        graph("Time of changes", quantiles("lbd_config_apply_duration_seconds"), "s"),
        graph("Time to save", quantiles("lbd_config_persist_duration_seconds"), "s"),
        graph("Requests to the API", [(rate("lbd_api_requests_total", by="code"), "{{code}}")],
              "reqps"),
        graph("Time of API requests", [("topk(10, %s)" % quantile(
            0.99, "lbd_api_request_duration_seconds", I, "route"), "p99 {{route}}")], "s"),
        graph("Connections to the API", [("lbd_api_connections{%s}" % I, "{{instance}}")]),
        graph("Requests refused by the API", [
            (rate("lbd_api_auth_failures_total", by="instance, reason"), "{{instance}} {{reason}}"),
            (rate("lbd_api_rate_limited_total"), "{{instance}} too many")], "ops"),
        graph("Watchers and events", [
            ("lbd_api_watchers{%s}" % I, "{{instance}} watchers"),
            (rate("lbd_api_events_total", by="type") + " > 0", "{{type}}"),
            (rate("lbd_api_events_missed_total"), "{{instance}} missed")]),
        graph("Drains", [("lbd_drain_connections{%s}" % I,
                          "{{instance}} {{pool}} {{server}} {{listener}}"),
                         ("sum by (instance, result) (increase(lbd_drains_total{%s}"
                          "[$__rate_interval]))" % I, "{{instance}} {{result}}")]),
        graph("Busy workers", [(ratio(
            rate("lbd_worker_loop_seconds_total", I + ',state="busy"', "instance, worker"),
            rate("lbd_worker_loop_seconds_total", I, "instance, worker")),
            "{{instance}} {{worker}}")], "percentunit"),
        graph("Time of adoptions", quantiles("lbd_worker_adoption_duration_seconds"), "s"),
        graph("Configurations in use", [("lbd_snapshots{%s}" % I, "{{instance}}")]),
        graph("Overrides", [("lbd_config_overrides{%s}" % I, "{{instance}} {{kind}}")]),
        graph("Time of a scrape", [("lbd_metrics_scrape_duration_seconds{%s}" % I, "{{instance}}")],
              "s"),
        graph("Revision", [("lbd_config_revision{%s}" % I, "{{instance}}")]),
    ]),
    ("Process", None, [
        stat("Days until a certificate expires",
             "min(lbd_tls_certificate_not_after_timestamp_seconds{%s} - time()) / 86400" % I, "d",
             width=8),
        graph("Time until certificates expire", [
            ("lbd_tls_certificate_not_after_timestamp_seconds{%s} - time()" % I,
             "{{instance}} {{certificate}}")], "s"),
        graph("Time left of what CAs said (OCSP)", [
            ("(lbd_tls_ocsp_next_update_timestamp_seconds{%s} > 0) - time()" % I,
             "{{instance}} {{certificate}}")], "s"),
        graph("CPU", [(rate("process_cpu_seconds_total"), "{{instance}}")], "percentunit"),
        graph("Resident memory", [("process_resident_memory_bytes{%s}" % I, "{{instance}}")],
              "bytes"),
        graph("Descriptors", [(ratio("process_open_fds{%s}" % I, "process_max_fds{%s}" % I),
                               "{{instance}}")], "percentunit"),
        graph("Uptime", [("time() - process_start_time_seconds{%s}" % I, "{{instance}}")], "s"),
        graph("Connections by worker", [("lbd_worker_connections{%s}" % I,
                                         "{{instance}} {{worker}}")]),
        graph("Log lines lost", [(rate("lbd_log_messages_dropped_total"), "{{instance}}")], "ops"),
    ]),
]


# -- the whole --------------------------------------------------------------------------------------


def variable(name, query, label):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def place(panels, top):
    """Gives panels their places from left to right; the first free line below them."""
    x, y, line = 0, top, 0
    for body in panels:
        size = body["gridPos"]
        if x + size["w"] > WIDTH:
            x, y, line = 0, y + line, 0
        size["x"], size["y"] = x, y
        x, line = x + size["w"], max(line, size["h"])
    return y + line


def make():
    panels = []
    top = 0
    for title, repeat, inside in ROWS:
        row = {"type": "row", "title": title, "collapsed": False, "panels": [],
               "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}}
        if repeat:
            row["repeat"] = repeat
        panels.append(row)
        top = place(inside, top + 1)
        panels += inside
    for number, body in enumerate(panels, 1):
        body["id"] = number
    return {
        "title": "lbd",
        "uid": "lbd",
        "description": "lbd: traffic, pools, control plane. Made by make_dashboard.py.",
        "tags": ["lbd"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource",
             "query": "prometheus", "current": {}},
            variable("instance", "label_values(lbd_build_info, instance)", "Instance"),
            variable("pool", 'label_values(lbd_pool_servers{%s}, pool)' % I, "Pool"),
        ]},
        "annotations": {"list": [{
            "name": "Changes of the configuration",
            "datasource": DATASOURCE,
            "enable": True,
            "iconColor": "blue",
            "expr": "changes(lbd_config_revision{%s}[1m]) > 0" % I,
            "titleFormat": "configuration of {{instance}}",
        }]},
        "panels": panels,
    }


def main():
    text = json.dumps(make(), indent=1, sort_keys=True) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not OUTPUT.exists() or OUTPUT.read_text() != text:
            sys.exit(f"{OUTPUT.name} is not what {Path(__file__).name} makes: run it")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
