"""PROXY headers of load balancers before us: who may send them, and what becomes of them."""

import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

from lab import LabCase, config_for, wait_for
from lab.certs import Authority, client_context
from lab.ports import free_port

from test_tcp_passthrough import hello, records, sni

V1 = b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 7, 10, 0, 0, 1]) + b"\xc8\x22\x01\xbb"
V6 = (SIGNATURE + b"\x21\x21\x00\x24" + bytes.fromhex("20010db8000000000000000000000007") * 2
      + b"\xc8\x22\x01\xbb")
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def echo(peer):
    while True:
        data = peer.sock.recv(65536)
        if not data:
            return
        peer.send(data)


class ProxyProtocol(LabCase):
    def start(self, trusted=("127.0.0.0/8",), script=None, **listener):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(
            self.server, listener={"proxy_protocol_from": list(trusted), **listener}))
        return self.proxy

    def ask(self, data, target=None, cuts=()):
        client = self.connect(target or self.proxy)
        client.send(data, cuts=cuts)
        answer = client.read_rest()
        client.close()
        return answer

    def last_line(self, count):
        return self.proxy.wait_access_log(count)[-1]


class Http(ProxyProtocol):
    def test_the_client_is_the_one_it_names(self):
        self.start()
        names = ((V1, "203.0.113.7"), (V2, "203.0.113.7"), (V6, "2001:db8::7"),
                 (LOCAL, "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"))
        for count, (header, client) in enumerate(names):
            self.assertIn(b"HTTP/1.1 200", self.ask(header + REQUEST))
            request = self.server.requests[-1]
            self.assertEqual(request.get("X-Forwarded-For"), client)
            self.assertEqual(self.last_line(count + 1)["client"].rpartition(":")[0].strip("[]"),
                             client)

    def test_in_pieces(self):
        self.start()
        for header in (V1, V2):
            data = header + REQUEST
            for cut in range(1, len(header) + 3, 4):
                self.assertIn(b"HTTP/1.1 200", self.ask(data, cuts=(cut,)), cut)

    def test_it_must_come(self):
        self.start()
        for count, data in enumerate((
                REQUEST, V1[:-1] + b"x\n" + REQUEST, V1.replace(b"TCP4", b"TCP5") + REQUEST,
                SIGNATURE + b"\x31\x11\x00\x0c" + V2[16:] + REQUEST,
                SIGNATURE + b"\x21\x11\xff\xff" + V2[16:] + REQUEST,
                V1.replace(b"203.0.113.7", b"203.0.113.777") + REQUEST)):
            self.assertEqual(self.ask(data), b"", data)
            wait_for(lambda n=count: self.proxy.metric(
                "lbd_listener_connections_rejected_total", listener="web",
                reason="proxy_protocol") == n + 1, "counted")
        self.assertEqual(self.server.request_count, 0)

    def test_only_one(self):
        self.start()
        self.assertIn(b"HTTP/1.1 400", self.ask(V1 + V1 + REQUEST))

    def test_from_others_it_is_data(self):
        self.start(trusted=["192.0.2.0/24", "::/0"])
        for header in (V1, V2):
            answer = self.ask(header + REQUEST)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer)
        self.assertIn(b"HTTP/1.1 200", self.ask(REQUEST))
        self.assertEqual(self.server.requests[-1].get("X-Forwarded-For"), "127.0.0.1")

    def test_over_a_unix_socket(self):
        directory = tempfile.mkdtemp(prefix="lab-unix-")
        self.addCleanup(shutil.rmtree, directory)
        path = f"{directory}/front.sock"
        self.start(trusted=["unix"], bind=[f"unix:{path}"])
        self.assertIn(b"HTTP/1.1 200", self.ask(V2 + REQUEST, path))
        self.assertEqual(self.server.requests[-1].get("X-Forwarded-For"), "203.0.113.7")
        self.proxy.patch("/v1/listeners/web", {"proxy_protocol_from": ["10.0.0.0/8"]})
        self.assertIn(b"HTTP/1.1 400", self.ask(V2 + REQUEST, path))
        self.assertIn(b"HTTP/1.1 200", self.ask(REQUEST, path))

    def test_its_time_is_limited(self):
        self.start(timeouts={"handshake": "300ms"})
        client = self.connect(self.proxy)
        client.send(V1[:10])
        self.assertEqual(client.read_rest(), b"")
        wait_for(lambda: self.proxy.metric("lbd_http_endings_total", listener="web",
                                           reason="handshake_timeout") == 1, "counted")

    @unittest.skipUnless(shutil.which("haproxy"), "no haproxy")
    def test_haproxy_in_front(self):
        self.start()
        directory = tempfile.mkdtemp(prefix="lab-haproxy-")
        self.addCleanup(shutil.rmtree, directory)
        ports = [free_port(), free_port()]
        host, port = self.proxy.address()
        sides = "".join(f"""
listen l{i}
    bind 127.0.0.1:{ports[i]}
    server s {host}:{port} {word}
""" for i, word in enumerate(("send-proxy", "send-proxy-v2-ssl-cn")))
        with open(f"{directory}/haproxy.cfg", "w", encoding="ascii") as file:
            file.write("defaults\n    mode tcp\n    timeout client 10s\n    timeout server 10s\n"
                       f"    timeout connect 10s\n{sides}")
        process = subprocess.Popen(["haproxy", "-db", "-f", f"{directory}/haproxy.cfg"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)

        def is_there():
            try:
                self.connect(("127.0.0.1", ports[1])).close()
                return True
            except ConnectionRefusedError:
                return False

        wait_for(is_there, "haproxy listens")
        for number in ports:
            client = self.connect(("127.0.0.1", number))
            self.assertEqual(client.get("/").status, 200)
            mine = f"127.0.0.1:{client.sock.getsockname()[1]}"
            wait_for(lambda mine=mine: any(line["client"] == mine for line in
                                           self.proxy.access_log()), f"{mine} in the log")


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2(tlvs=b"", checksum=False):
    """A header of version 2 with these TLVs and perhaps their checksum."""
    if checksum:
        tlvs += tlv(3, bytes(4))
    head = SIGNATURE + b"\x21\x11" + struct.pack("!H", 12 + len(tlvs)) + V2[16:28] + tlvs
    return head[:-4] + struct.pack("!I", crc32c(head)) if checksum else head


def parse(header):
    """The TLVs of a header of version 2; those inside of SSL under (0x20, type). A checksum must be right."""
    length, = struct.unpack("!H", header[14:16])
    assert len(header) == 16 + length, header
    at = 16 + {0x11: 12, 0x21: 36, 0x00: 0}[header[13]]
    found = {}

    def walk(data, place, outer=None):
        at = 0
        while at < len(data):
            kind, size = struct.unpack("!BH", data[at:at + 3])
            value = data[at + 3:at + 3 + size]
            assert len(value) == size
            found[(outer, kind) if outer else kind] = value
            if kind == 3 and not outer:
                start = place + at + 3
                want, = struct.unpack("!I", value)
                assert crc32c(header[:start] + bytes(4) + header[start + 4:]) == want
            if kind == 0x20:
                found["client"], found["verify"] = struct.unpack("!BI", value[:5])
                walk(value[5:], 0, 0x20)
            at += 3 + size

    walk(header[at:], at)
    return found


class Tlvs(ProxyProtocol):
    """What a header of version 2 says beyond addresses."""

    SSL = tlv(0x20, b"\x03\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"mary") + tlv(0x25, b"RSA2048"))

    def send(self, tlvs, **more):
        return self.ask(v2(tlvs, **more) + REQUEST)

    def test_the_log_tells_name_and_id(self):
        self.start()
        self.assertIn(b"200", self.send(tlv(2, b"Shop.Example") + tlv(5, b"7f:01") + tlv(1, b"h2") + self.SSL))
        line = self.last_line(1)
        self.assertEqual((line["client"], line["proxy_authority"], line["proxy_unique_id"]),
                         ("203.0.113.7:51234", "shop.example", "7f:01"))
        self.assertIn(b"200", self.send(b""))
        self.assertNotIn("proxy_authority", self.last_line(2))

    def test_what_is_wrong_ends_the_connection_and_says_why(self):
        self.start()
        good = v2(tlv(2, b"a.example"), checksum=True)
        self.assertIn(b"HTTP/1.1 200", self.ask(good + REQUEST))
        self.last_line(1)  # or another worker's may stand before it
        wrong = (
            (good[:-1] + bytes([good[-1] ^ 1]), "its checksum is wrong"),
            (good.replace(b"a.example", b"b.example"), "its checksum is wrong"),
            (v2(tlv(5, b"x" * 129)), "its TLVs are malformed"),
            (v2(tlv(2, b"a") + tlv(2, b"b")), "its TLVs are malformed"),
            (v2(tlv(0x20, b"\x01\0\0\0\0\x21\0")), "its TLVs are malformed"),
            (v2(tlv(4, bytes(1022))), "it has more than 1 KB of TLVs"),
            (b"GET / HTTP/1.1\r\n", "there is none"),
        )
        for count, (header, why) in enumerate(wrong):
            self.assertEqual(self.ask(header + REQUEST), b"", why)
            line = self.last_line(count + 2)
            self.assertEqual((line["reason"], line["protocol"], line["detail"]),
                             ("bad_proxy_header", "proxy", why))
        self.assertEqual(self.server.request_count, 1)
        self.proxy.wait_metric(len(wrong), "lbd_listener_connections_rejected_total", listener="web",
                               reason="proxy_protocol")

    def test_a_name_leads_a_connection_of_tcp(self):
        named = self.origin(lambda peer: peer.send("named"))
        self.start(protocol="tcp", script=lambda peer: peer.send("other"))
        self.proxy.put("/v1/pools/named", {"servers": {"a": {"address": named.address}}})
        self.proxy.put("/v1/routes/named", {"listener": "web", "match": {"host": ["*.shop.example"]},
                                            "action": {"pool": "named"}})
        self.assertEqual(self.ask(v2(tlv(2, b"WWW.shop.example"))), b"named")
        self.assertEqual(self.last_line(1)["pool"], "named")
        self.assertEqual(self.ask(v2()), b"other")
        self.assertEqual(self.last_line(2)["pool"], "main")

    def sent(self, words, tlvs=b"", listener=None, **pool):
        """The TLVs of the header that the server of a connection over TCP gets."""
        got = []

        def script(peer):
            got.append(peer.wait_closed())

        self.start(protocol="tcp", script=script, **(listener or {}))
        self.proxy.patch("/v1/pools/main", {"send_proxy": "v2", "send_proxy_tlvs": words, **pool})
        client = self.connect(self.proxy)
        client.send(v2(tlvs))
        client.shut_write()
        wait_for(lambda: got, "the server got it")
        return parse(got[0])

    def test_they_go_on_to_the_server(self):
        found = self.sent(["authority", "alpn", "unique_id", "ssl", "crc32c"],
                          tlv(2, b"shop.example") + tlv(5, b"id\0\xff") + tlv(1, b"h2") + self.SSL + tlv(0xe0, b"x"))
        self.assertEqual(found.pop("client") & 1, 1)
        self.assertEqual(found.pop("verify"), 0)
        found.pop(3), found.pop(0x20)
        self.assertEqual(found, {2: b"shop.example", 1: b"h2", 5: b"id\0\xff", (0x20, 0x21): b"TLSv1.3",
                                 (0x20, 0x22): b"mary"})

    def test_what_is_not_asked_for_is_not_sent(self):
        self.assertEqual(self.sent(["authority"], tlv(2, b"shop.example") + self.SSL), {2: b"shop.example"})

    def test_without_an_id_it_is_that_of_the_log(self):
        found = self.sent(["unique_id", "ssl", "authority"])
        self.assertEqual(found, {5: self.last_line(1)["connection_id"].encode()})

    def test_nonsense_is_refused(self):
        self.start()
        for change in ({"send_proxy_tlvs": ["ssl"]}, {"send_proxy": "v1", "send_proxy_tlvs": ["ssl"]},
                       {"send_proxy": "v2", "send_proxy_tlvs": ["sni"]}):
            answer = self.proxy.api("PATCH", "/v1/pools/main", change)
            self.assertEqual(answer.status, 422, change)

    def test_of_tls_that_ends_here(self):
        directory = tempfile.mkdtemp(prefix="lab-tls-")
        self.addCleanup(shutil.rmtree, directory)
        ca = Authority(directory)
        shop = ca.issue("shop", "shop.test", ["DNS:shop.test"])
        mary = ca.issue("mary", "mary", ["email:mary@shop.test"])
        got = []
        server = self.origin(lambda peer: got.append(peer.wait_closed()))
        config = config_for(
            server, listener={"protocol": "tcp", "tls": {"certificates": ["c"], "alpn": ["imap"], "client_auth": {
                "mode": "optional", "ca": "inside"}}},
            pool={"send_proxy": "v2", "send_proxy_tlvs": ["alpn", "authority", "ssl", "crc32c"]},
            certificates={"c": {"chain_file": str(shop.chain), "key_file": str(shop.key)}},
            ca_sets={"inside": {"file": str(ca.certificate)}})
        proxy = self.lbd(config)
        for mine, verify in ((mary, 0), (None, 1)):
            context = client_context(ca, mine, protocols=["imap"])
            with socket.create_connection(proxy.address(), timeout=10) as sock:
                with context.wrap_socket(sock, server_hostname="shop.test") as tls:
                    cipher, version = tls.cipher()[0].encode(), tls.version().encode()
                    tls.sendall(b"hello")
            wait_for(lambda: got, "the server got it")
            data = got.pop()
            self.assertTrue(data.endswith(b"hello"), data)
            found = parse(data[:-5])
            self.assertEqual((found[1], found[2], found["verify"]), (b"imap", b"shop.test", verify))
            self.assertEqual((found[(0x20, 0x21)], found[(0x20, 0x23)]), (version, cipher))
            self.assertEqual(found.get((0x20, 0x22)), b"mary" if mine else None)

    @unittest.skipUnless(shutil.which("haproxy"), "no haproxy")
    def test_haproxy_understands_them_and_is_understood(self):
        """HAProxy ends TLS, lbd between, HAProxy behind: what the first says, the last reads."""
        directory = tempfile.mkdtemp(prefix="lab-haproxy-")
        self.addCleanup(shutil.rmtree, directory)
        ca = Authority(directory)
        shop = ca.issue("shop", "shop.test", ["DNS:shop.test"])
        with open(f"{directory}/both.pem", "w", encoding="ascii") as pem:
            for path in (shop.chain, shop.key):
                with open(path, encoding="ascii") as file:
                    pem.write(file.read())
        front, behind = free_port(), free_port()
        self.start()
        host, port = self.proxy.address()
        with open(f"{directory}/haproxy.cfg", "w", encoding="ascii") as file:
            file.write(f"""defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend ends_tls
    mode tcp
    bind 127.0.0.1:{front} ssl crt {directory}/both.pem alpn http/1.1
    unique-id-format id-%pid-%rt
    default_backend lbd
backend lbd
    mode tcp
    server s {host}:{port} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id
frontend behind
    bind 127.0.0.1:{behind} accept-proxy
    http-request return status 200 hdr Who %[src]:%[src_port] hdr Name %[fc_pp_authority] hdr Id %[fc_pp_unique_id] content-type text/plain string ok
""")
        process = subprocess.Popen(["haproxy", "-db", "-f", f"{directory}/haproxy.cfg"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)
        self.proxy.patch("/v1/pools/main", {
            "send_proxy": "v2", "send_proxy_tlvs": ["authority", "unique_id", "ssl", "alpn", "crc32c"],
            "servers": {"a": {"address": f"127.0.0.1:{behind}"}}})

        def is_there(port):
            try:
                self.connect(("127.0.0.1", port)).close()
                return True
            except ConnectionRefusedError:
                return False

        wait_for(lambda: is_there(front) and is_there(behind), "haproxy listens")
        context = client_context(ca)
        with socket.create_connection(("127.0.0.1", front), timeout=10) as sock:
            mine = f"127.0.0.1:{sock.getsockname()[1]}"
            with context.wrap_socket(sock, server_hostname="shop.test") as tls:
                tls.sendall(REQUEST)
                answer = b""
                while more := tls.recv(65536):
                    answer += more
        self.assertIn(b"HTTP/1.1 200", answer)
        heads = dict(line.split(b": ", 1) for line in answer.split(b"\r\n\r\n")[0].split(b"\r\n")[1:])
        heads = {name.lower(): value for name, value in heads.items()}
        wait_for(lambda: any(line["client"] == mine for line in self.proxy.access_log()), "in the log")
        line = next(line for line in self.proxy.access_log() if line["client"] == mine)
        self.assertEqual(line["proxy_authority"], "shop.test")
        self.assertRegex(line["proxy_unique_id"], r"^id-\d+-\d+$")
        self.assertEqual((heads[b"who"], heads[b"name"], heads[b"id"]),
                         (mine.encode(), b"shop.test", line["proxy_unique_id"].encode()))


class Tcp(ProxyProtocol):
    def test_before_any_protocol(self):
        self.start(protocol="tcp", script=echo)
        for header, name in ((V1, "203.0.113.7:51234"), (V2, "203.0.113.7:51234")):
            client = self.connect(self.proxy)
            client.send(header + b"hello")
            self.assertEqual(client.read_exact(5), b"hello")
            found = self.proxy.get("/v1/connections")["connections"]
            self.assertEqual([c["client"] for c in found], [name])
            client.shut_write()
            self.assertTrue(client.closed_cleanly())
            wait_for(lambda: not self.proxy.get("/v1/connections")["connections"], "closed")
        self.assertEqual(self.last_line(2)["client"], "203.0.113.7:51234")

    def test_the_server_may_speak_first(self):
        self.start(protocol="tcp", script=lambda peer: peer.send("220 hello\r\n"))
        self.assertEqual(self.ask(V2), b"220 hello\r\n")

    def test_it_goes_on_to_the_server(self):
        got = []

        def script(peer):
            got.append(peer.wait_closed())

        self.start(protocol="tcp", script=script)
        self.proxy.patch("/v1/pools/main", {"send_proxy": "v1"})
        client = self.connect(self.proxy)
        client.send(V2 + b"hello")
        client.shut_write()
        wait_for(lambda: got, "the server got it")
        self.assertRegex(got[0], rb"\APROXY TCP4 203\.0\.113\.7 127\.0\.0\.1 51234 \d+\r\nhello\Z")

    def test_from_others_it_is_data(self):
        self.start(trusted=["192.0.2.1"], protocol="tcp", script=echo)
        client = self.connect(self.proxy)
        client.send(V1)
        self.assertEqual(client.read_exact(len(V1)), V1)

    def test_before_a_client_hello(self):
        got = []

        def script(peer):
            got.append(peer.sock.recv(65536))

        self.start(protocol="tls_passthrough", script=script)
        data = records(hello(sni(b"a.example")))
        for cut in (5, len(V2), len(V2) + 1, len(V2) + 30):
            self.ask(V2 + data, cuts=(cut,))
            wait_for(lambda: got, "the server got it")
            self.assertEqual(got.pop(), data)
        line = self.last_line(4)
        self.assertEqual((line["client"], line["host"]), ("203.0.113.7:51234", "a.example"))


if __name__ == "__main__":
    unittest.main()
