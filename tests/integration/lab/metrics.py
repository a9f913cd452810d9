"""The Prometheus text format, read back strictly."""

import re

SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([0-9eE.+-]+|NaN|[+-]Inf)(?: [0-9]+)?\Z"
)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|\Z)')


class Metrics(dict):
    """{(name, frozenset of (label, value)): number}; `types` and `helps` by family."""

    def __init__(self):
        super().__init__()
        self.types = {}
        self.helps = {}


def parse_labels(text):
    labels = []
    position = 0
    while position < len(text):
        match = LABEL.match(text, position)
        if not match:
            raise ValueError(f"bad labels: {text!r}")
        labels.append((match[1], match[2]))
        position = match.end()
    if len({n for n, _ in labels}) != len(labels):
        raise ValueError(f"label twice: {text!r}")
    return frozenset(labels)


def parse(text):
    result = Metrics()
    if not text.endswith("\n"):
        raise ValueError("the text must end in a line feed")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in result.types:
                raise ValueError(f"second TYPE of {name}")
            result.types[name] = kind
        elif line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            result.helps[name] = words
        elif line and not line.startswith("#"):
            match = SAMPLE.match(line)
            if not match:
                raise ValueError(f"bad sample: {line!r}")
            key = (match[1], parse_labels(match[2] or ""))
            if key in result:
                raise ValueError(f"sample twice: {line!r}")
            result[key] = float(match[3])
    return result


HISTOGRAM = ("_bucket", "_sum", "_count")


def parse_openmetrics(text):
    """OpenMetrics 1.0, strictly; families under the names they have there."""
    result = Metrics()
    result.units = {}
    if not text.endswith("# EOF\n") or text.count("# EOF") != 1:
        raise ValueError("the text must end in # EOF")
    family, kind, seen_sample = None, None, True
    for line in text.splitlines()[:-1]:
        if line.startswith("# "):
            _, keyword, name, *words = line.split(" ", 3)
            if name != family:
                if name in result.helps or name in result.types:
                    raise ValueError(f"{name} is not in one place")
                family, kind, seen_sample = name, None, False
            if seen_sample:
                raise ValueError(f"{line!r} after samples")
            if keyword == "TYPE":
                kind = words[0]
                if kind not in ("counter", "gauge", "histogram", "unknown", "info"):
                    raise ValueError(f"no type: {line!r}")
                result.types[name] = kind
            elif keyword == "HELP":
                result.helps[name] = words[0]
            elif keyword == "UNIT":
                if not name.endswith("_" + words[0]):
                    raise ValueError(f"{name} does not end in its unit {words[0]}")
                result.units[name] = words[0]
            else:
                raise ValueError(f"no keyword: {line!r}")
            continue
        match = SAMPLE.match(line)
        if not match:
            raise ValueError(f"bad sample: {line!r}")
        endings = {"counter": ("_total",), "histogram": HISTOGRAM}.get(kind, ("",))
        if match[1] not in [family + ending for ending in endings]:
            raise ValueError(f"{line!r} does not belong to {kind} {family}")
        key = (match[1], parse_labels(match[2] or ""))
        if key in result:
            raise ValueError(f"sample twice: {line!r}")
        result[key] = float(match[3])
        seen_sample = True
    taken = {}
    for name, kind in result.types.items():
        endings = {"counter": ("", "_total"), "histogram": ("", *HISTOGRAM)}.get(kind, ("",))
        for ending in endings:
            if taken.setdefault(name + ending, name) != name:
                raise ValueError(f"{name} and {taken[name + ending]} clash")
    return result


def select(metrics, name, **labels):
    """{labels: value} of the samples of `name` that carry `labels`."""
    wanted = set(labels.items())
    return {k[1]: v for k, v in metrics.items() if k[0] == name and wanted <= k[1]}


def total(metrics, name, **labels):
    return sum(select(metrics, name, **labels).values())


def family_of(metrics, name):
    """The family a sample belongs to (histogram samples carry a suffix)."""
    if name in metrics.types:
        return name
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and metrics.types.get(base) in ("histogram", "summary"):
            return base
    return None


def went_back(before, after):
    """Counters (and histogram samples) that are smaller in `after`, or gone."""
    worse = []
    for key, value in before.items():
        family = family_of(before, key[0])
        if before.types.get(family) not in ("counter", "histogram"):
            continue
        if key not in after or after[key] < value:
            worse.append((key[0], dict(key[1]), value, after.get(key)))
    return worse
