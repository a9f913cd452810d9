"""The letter that SSL Labs would give, from the findings of testssl.sh (the SSL Server Rating Guide, 2009r).

    rating = rate(findings)         {id: {"severity": .., "finding": ..}}, of a run with -p -s -f -P -S -U -E
    rating.letter                   "A+" (with HSTS), "A", "A-", "B" .. "F"; "T": nobody trusts the certificate
    rating.scores                   {"protocol": 100, "key exchange": 90, "cipher": 90}
    rating.caps                     [("B", "TLS 1.0 is offered"), ..]: what the letter is held down by

Three scores of 0 to 100 weigh 30, 30 and 40 %; the sum is a letter, which faults hold down. What testssl.sh could not
find out holds it down, too: a finding that is missing or a warning gives no A.
"""

import re

LETTERS = ["A+", "A", "A-", "B", "C", "D", "E", "F", "T"]

PROTOCOLS = {"SSLv2": 0, "SSLv3": 80, "TLS1": 90, "TLS1_1": 95, "TLS1_2": 100, "TLS1_3": 100}

# strength of RSA in bits below which a key has this score
KEYS = [(512, 20), (1024, 40), (2048, 80), (4096, 90)]

# bits of a curve that are as good as so many of RSA (NIST SP 800-57)
CURVES = [(512, 15360), (384, 7680), (253, 3072), (224, 2048), (160, 1024)]

CIPHERS = [(1, 0), (128, 20), (256, 80)]

# id, what its finding must hold (any of these words), the letter without that
MUST = [
    ("SSLv2", "not offered", "F"), ("SSLv3", "not offered", "B"), ("TLS1", "not offered", "B"),
    ("TLS1_1", "not offered", "B"), ("TLS1_3", "offered with final", "A-"),
    ("cipherlist_NULL", "not offered", "F"), ("cipherlist_aNULL", "not offered", "F"),
    ("cipherlist_EXPORT", "not offered", "F"), ("cipherlist_LOW", "not offered", "F"),
    ("cipherlist_STRONG", "offered", "B"), ("PFS", "offered", "B"),
    ("RC4", "not vulnerable", "B"), ("cipherlist_3DES_IDEA", "not offered", "C"),
    ("heartbleed", "not vulnerable", "F"), ("CCS", "not vulnerable", "F"),
    ("ticketbleed", "not vulnerable|no session ticket extension", "F"), ("ROBOT", "not vulnerable", "F"),
    ("secure_renego", "supported|TLS 1.3 only", "A-"), ("secure_client_renego", "not vulnerable", "F"),
    ("CRIME_TLS", "not vulnerable", "C"), ("POODLE_SSL", "not vulnerable", "C"),
    ("FREAK", "not vulnerable", "F"), ("DROWN", "not vulnerable", "F"), ("LOGJAM", "not vulnerable", "F"),
    ("cert_chain_of_trust", "passed", "T"), ("cert_trust", "Ok", "T"),
]
WEAK_SIGNATURES = {"MD2": "F", "MD4": "F", "MD5": "F", "SHA1": "T"}


class Rating:
    def __init__(self):
        self.scores = {}
        self.caps = []
        self.letter = None

    def cap(self, letter, why):
        self.caps.append((letter, why))

    def __str__(self):
        scores = ", ".join(f"{name} {score:g}" for name, score in self.scores.items())
        caps = "; ".join(f"at most {letter}: {why}" for letter, why in self.caps)
        return f"{self.letter} ({scores}{'; ' if caps else ''}{caps})"


def _says(found, name):
    return found[name]["finding"] if name in found else ""


def _step(steps, bits):
    for below, score in steps:
        if bits < below:
            return score
    return 100


def rsa_bits(kind, bits):
    """How many bits of RSA (or of a finite field) a key is worth."""
    if kind in ("RSA", "DSA", "DH"):
        return bits
    return next((worth for least, worth in CURVES if bits >= least), 0)


def _offered(found, name):
    return _says(found, name).startswith("offered")


def _protocol_score(found):
    offered = [score for name, score in PROTOCOLS.items() if _offered(found, name)]
    return (max(offered) + min(offered)) / 2 if offered else 0


def _ciphers(found):
    """(key exchange, its bits or None, bits of the cipher) of each that was offered, with each protocol."""
    for name, entry in found.items():
        if name.startswith("cipher-"):
            line = re.search(r"\sx\w+\s+\S+\s+(\w+)(?: +(\d+))?\s+\S+\s+(\d+)", entry["finding"])
            kind, exchange, bits = line.groups() if line else ("", None, 0)
            yield kind, int(exchange) if exchange else None, int(bits)


def _key_score(found):
    key = re.match(r"(\w+) (\d+) bits", _says(found, "cert_keySize"))
    if key is None:
        return 0
    worth = [rsa_bits(key[1], int(key[2]))]
    worth += [rsa_bits(kind, bits) for kind, bits, _ in _ciphers(found) if bits is not None]
    return _step(KEYS, min(worth))


def _cipher_score(found):
    bits = [bits for _, _, bits in _ciphers(found)]
    return (_step(CIPHERS, max(bits)) + _step(CIPHERS, min(bits))) / 2 if bits else 0


def _hold_down(rating, found):
    for name, words, letter in MUST:
        finding = _says(found, name)
        negative = not words.startswith("not ") and finding.startswith("not ")
        if negative or not any(word in finding for word in words.split("|")) or found[name]["severity"] == "WARN":
            rating.cap(letter, f"{name}: {finding or 'not known'}")
    if _offered(found, "TLS1_2") is _offered(found, "TLS1_3") is False:
        rating.cap("C", "neither TLS 1.2 nor TLS 1.3 is offered")
    if rating.scores["key exchange"] < 90:
        rating.cap("F" if rating.scores["key exchange"] < 40 else "B", "a key of less than 2048 bits of RSA")
    signature = _says(found, "cert_signatureAlgorithm")
    for weak, letter in WEAK_SIGNATURES.items():
        if weak in signature:
            rating.cap(letter, f"signed with {signature}")
    expiry = found.get("cert_expirationStatus", {"severity": "WARN", "finding": "not known"})
    if expiry["severity"] in ("WARN", "CRITICAL"):
        rating.cap("T", f"cert_expirationStatus: {expiry['finding']}")


def rate(found):
    rating = Rating()
    rating.scores = {"protocol": _protocol_score(found), "key exchange": _key_score(found),
                     "cipher": _cipher_score(found)}
    scores = list(rating.scores.values())
    total = 0 if 0 in scores else 0.3 * scores[0] + 0.3 * scores[1] + 0.4 * scores[2]
    letter = next((letter for least, letter in ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E"))
                   if total >= least), "F")
    _hold_down(rating, found)
    if letter == "A" and not rating.caps and _says(found, "HSTS").startswith("offered"):
        letter = "A+"
    rating.letter = max([letter, *(cap for cap, _ in rating.caps)], key=LETTERS.index)
    return rating
