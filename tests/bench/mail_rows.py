"""mail_rows - the rows of mail: lbd beside nginx mail, Dovecot's login proxy, haproxy, perdition and imapproxy.

As rows.py: a row is a function in ROWS by name, the limits stand here once. Where a proxy cannot do what a row asks
(TLS, POP3, thousands of connections) it has no figure.
"""

import contextlib
import os
import statistics
import sys
import time

import mail_contenders
import procfs
from mail_contenders import MailSetup
from rows import Load, Result, check_clean, judge_ratio


def bench_kinds(bench, setup, kinds=mail_contenders.KINDS):
    """Those of `kinds` that are here, that the user wants (--only) and that can do it. Only what stands beside HTTP
    too is asked for by name there."""
    named = {"nginx", "haproxy", "lbd"}
    wanted = {kind.name for kind in bench.kinds}
    return [kind for kind in kinds if kind.can(setup) and (kind.name.split("+")[0] in wanted or kind.name not in named
                                                           and not kind.name.startswith("lbd")) and kind.program()]


def origin(bench):
    if "mail" not in bench.origins:
        bench.origins["mail"] = mail_contenders.MailOrigin(bench.tools, bench.load_core)
    return bench.origins["mail"]


def mail_load(bench, proxy, *args, **options):
    return Load(bench, proxy, *proxy.targets(), *args, program="bench_mail", **options)


def run_mail(bench, proxy, *args, **options):
    load = mail_load(bench, proxy, *args, **options)
    ticks = procfs.ticks_us(proxy.process.pid)
    try:
        answer = load.line()
    finally:
        load.end()
    if proxy.by_ticks:  # what ended meanwhile is counted by its parent alone, and with the warm-up
        answer["cpu_us"] = procfs.ticks_us(proxy.process.pid) - ticks
    return answer


@contextlib.contextmanager
def started(bench, setup, kinds):
    """All of `kinds` at once; they end with the block."""
    running = []
    try:
        for kind in kinds:
            running.append(kind(bench.where).start(setup, bench.proxy_core))
            procfs.prefer(running[-1].process.pid)
        procfs.prefer(os.getpid())  # and with us the load
        yield running
    finally:
        bench.stop(running)


# --- processor time of a session -----------------------------------------------------------------

def mail_session(bench):
    result = Result("IMAP: greeting, LOGIN, SELECT, LOGOUT, 32 connections", "CPU us/session")
    setup = MailSetup(origin(bench).servers)
    count = 2000 if bench.quick else 12000
    with started(bench, setup, bench_kinds(bench, setup)) as running:
        for _ in range(bench.rounds):
            for proxy in running:
                slow = 8 if proxy.by_ticks else 1
                # imapproxy remembers users: always the same, that it may
                users = 64 if proxy.name == "imapproxy" else 1000000
                warmup = 0 if proxy.by_ticks else count // 10
                answer = run_mail(bench, proxy, script="session", connections=32, users=users,
                                  requests=count // slow, warmup=warmup)
                answer["us"] = answer["cpu_us"] / answer["requests"]
                check_clean(result, proxy.name, answer)
                result.rounds.setdefault(proxy.name, []).append(answer)
    for name, answers in result.rounds.items():
        result.values[name] = statistics.median(answer["us"] for answer in answers)
    if "imapproxy" in result.values:
        result.notes.append("imapproxy: users come back, so that it needs no login at the server")
    judge_ratio(result, {"nginx": 0.70})
    return result


# --- latency --------------------------------------------------------------------------------------

def latency_row(title, doors, limit_ms, **options):
    """Median in ms of one part, one connection at a time. The limit is far from the 40 ms of a stall (Nagle's algorithm
    against delayed acknowledgements), and far from what a busy machine adds."""

    def measure(bench):
        result = Result(title, "ms (median)")
        setup = MailSetup(origin(bench).servers, doors=doors)
        kinds = bench_kinds(bench, setup)
        if doors == ("imap",):
            kinds = [mail_contenders.Straight, *kinds]
        count = 30 if bench.quick else 200
        with started(bench, setup, kinds) as running:
            for _ in range(min(bench.rounds, 3)):
                for proxy in running:
                    answer = run_mail(bench, proxy, connections=1, requests=count, warmup=5, users=64, **options)
                    check_clean(result, proxy.name, answer)
                    result.rounds.setdefault(proxy.name, []).append(answer)
        for name, answers in result.rounds.items():
            result.values[name] = statistics.median(answer["p50_us"] for answer in answers) / 1000
        if "lbd" in result.values:
            result.verdicts.append((f"lbd {result.values['lbd']:.2f} ms (at most {limit_ms})", result.values["lbd"] <= limit_ms))
        return result

    measure.title = title
    return measure


# --- memory ---------------------------------------------------------------------------------------

def idle_row(title, doors, few, many, limit):
    """Bytes per session that is logged in and in IDLE."""

    def hold(bench, kind, count):
        setup = MailSetup(origin(bench).servers, doors=doors)
        with started(bench, setup, [kind]) as (proxy,):
            load = mail_load(bench, proxy, "--hold", script="idle", connections=count,
                             opening=8 if kind.by_ticks else 32)
            try:
                answer = load.tell(f"open {count}")
                time.sleep(2)
                answer["pss"] = procfs.pss_bytes(proxy.pids(), "Pss_Anon:")
                return answer
            finally:
                load.end()

    def measure(bench):
        result = Result(title, "bytes/session")
        setup = MailSetup(origin(bench).servers, doors=doors)
        for kind in bench_kinds(bench, setup):
            # of a process or a thread each there are fewer
            low_count, high_count = (few // 5, few) if kind.by_ticks else (few, many)
            slopes = []
            for _ in range(1 if bench.quick or kind.by_ticks else min(bench.rounds, 3)):
                low, high = hold(bench, kind, low_count), hold(bench, kind, high_count)
                slopes.append((high["pss"] - low["pss"]) / (high_count - low_count))
                result.rounds.setdefault(kind.name, []).append({low_count: low, high_count: high})
                for answer in (low, high):
                    check_clean(result, kind.name, answer)
            result.values[kind.name] = statistics.median(slopes)
            result.notes.append(f"{kind.name}: {low['pss'] / 2**20:.1f} MiB at {low_count:,}, "
                                f"{high['pss'] / 2**20:.1f} MiB at {high_count:,}")
        if "lbd" in result.values:
            result.verdicts.append((f"lbd {result.values['lbd']:.0f} B (at most {limit})", result.values["lbd"] <= limit))
        return result

    measure.title = title
    return measure


# --- many of all kinds ----------------------------------------------------------------------------

MIXED = 9000
MIXED_PER_S = 500


def mail_mixed(bench):
    result = Result("9,000 connections of IMAP, POP3, SMTP and HTTP, half of them TLS, 500 commands/s", "% of one core")
    servers = {**origin(bench).servers, "http": bench.origin().port}
    doors = tuple(dialect + tls for dialect in mail_contenders.DIALECTS for tls in ("", "s"))
    setup = MailSetup(servers, doors=doors)
    kinds = bench_kinds(bench, setup, (mail_contenders.MailNginx, mail_contenders.MailHaproxy, mail_contenders.MailLbd))
    count, seconds = (1000, 3) if bench.quick else (MIXED, 10)
    for _ in range(1 if bench.quick else min(bench.rounds, 3)):
        for kind in kinds:
            with started(bench, setup, [kind]) as (proxy,):
                load = mail_load(bench, proxy, "--hold", script="held", connections=count)
                try:
                    opened = load.tell(f"open {count}")
                    check_clean(result, proxy.name, opened)
                    time.sleep(1)
                    answer = load.tell(f"rate {MIXED_PER_S} {seconds}")
                finally:
                    load.end()
                check_clean(result, proxy.name, answer)
                answer["share"] = answer["cpu_us"] / answer["seconds"] / 1e4
                result.rounds.setdefault(proxy.name, []).append(answer)
    for name, answers in result.rounds.items():
        result.values[name] = statistics.median(answer["share"] for answer in answers)
    if "lbd" in result.values:
        result.verdicts.append((f"lbd {result.values['lbd']:.1f} % (at most 10)", result.values["lbd"] <= 10))
    return result


# --- a click of webmail ---------------------------------------------------------------------------

class RealServer:
    """A Dovecot of the tests' lab, with passwords kept as sites keep them and mailboxes that have something in them."""

    def __init__(self, users, mails):
        sys.path.insert(0, mail_contenders.TOP + "/tests/integration")
        from lab.mail_servers import Dovecot  # pylint: disable=import-outside-toplevel

        self.cleanups = []
        # the service of a logged-in user may be used again: as in a busy site
        self.dovecot = Dovecot(self, users={f"user{i}": "secret" for i in range(users)}, hashed=True,
                               more="service imap {\n  service_count = 0\n}\n")
        procfs.prefer(self.dovecot.process.pid)
        for user in range(users):
            for number in range(mails):
                self.dovecot.deliver(f"user{user}", b"From: a@x.test\r\nSubject: number %d\r\n\r\nhello\r\n" % number)

    # what Dovecot wants of a test
    def addCleanup(self, function, *args):  # pylint: disable=invalid-name
        self.cleanups.append((function, args))

    @staticmethod
    def failed_so_far():
        return False

    @staticmethod
    def id():
        return "mail-click"

    def stop(self):
        for function, args in reversed(self.cleanups):
            function(*args)


def mail_click(bench):
    result = Result("webmail's click at Dovecot: connect, LOGIN, SELECT, FETCH, LOGOUT", "ms (median)")
    server = RealServer(users=8, mails=50)
    try:
        servers = {**origin(bench).servers, "imap": server.dovecot.port("imap")}
        setup = MailSetup(servers)
        kinds = bench_kinds(bench, setup, (mail_contenders.Straight, mail_contenders.Imapproxy, mail_contenders.MailLbd,
                                           mail_contenders.MailLbdCached))
        with started(bench, setup, kinds) as running:
            for _ in range(min(bench.rounds, 3)):
                for proxy in running:
                    answer = run_mail(bench, proxy, script="click", connections=1, users=8,
                                      requests=40 if bench.quick else 300, warmup=24)
                    check_clean(result, proxy.name, answer)
                    result.rounds.setdefault(proxy.name, []).append(answer)
    finally:
        server.stop()
    for name, answers in result.rounds.items():
        result.values[name] = statistics.median(answer["p50_us"] for answer in answers) / 1000
    for other in ("straight", "lbd"):
        if "lbd+cache" in result.values and other in result.values:
            saved = 1 - result.values["lbd+cache"] / result.values[other]
            result.verdicts.append((f"the cache saves {saved:.0%} of a click against {other}", saved > 0))
    return result


mail_session.title = "IMAP: greeting, LOGIN, SELECT, LOGOUT"
mail_mixed.title = "9,000 connections of IMAP, POP3, SMTP and HTTP, half of them TLS"
mail_click.title = "webmail's click at a real Dovecot"

ROWS = {
    "mail-idle": idle_row("IMAP sessions in IDLE", ("imap",), 500, 5000, 1024),
    "mail-idle-tls": idle_row("IMAP sessions in IDLE, TLS with clients", ("imaps",), 500, 5000, 16384),
    "mail-session": mail_session,
    "mail-greeting-tls": latency_row("connect, TLS and the greeting of IMAP", ("imaps",), 20, script="greeting",
                                     note="greeting"),
    "mail-split-select": latency_row("SELECT whose answer comes in two segments, 3 ms apart", ("imap",), 20,
                                     script="session", note="select", mailbox="split"),
    "mail-mixed": mail_mixed,
    "mail-click": mail_click,
}
