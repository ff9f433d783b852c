"""A thousand small blobs and manifests that are in the cache: what a login and a verdict on each cost."""

from __future__ import annotations

import json
import random
from statistics import median

from bench.hosts import BenchError, on
from bench.places import ADDRESS, HOST, HOSTED, NEAR, NEAR_LOGIN, PATHS, PROGRAMS, STATIC
from bench.report import Row, Section
from bench.running import BASIC

PORTS = {"static": STATIC, "near": NEAR, "login": NEAR_LOGIN, "hosted": HOSTED}
ROUNDS, SECONDS = 15, 2
ACCEPT = "application/vnd.oci.image.manifest.v1+json"
HOW = """\
500 images' manifests and configurations of 1 to 16 kB, asked for by wrk with one thread and 8 connections that are
kept, on the proxy's host. {rounds} rounds of {seconds} s, the candidates in random turns, medians. The login is checked
once a minute by bcrypt, and else remembered; a hosted registry says besides, three times a minute and thing, whether it
still has it."""

Seen = dict[str, float]


def measure() -> Section:
    """Ratios of requests per second, and what is added to how long one takes."""
    for name in PORTS:
        _wrk(name, 3 if name == "hosted" else 1)
    found: dict[str, list[Seen]] = {name: [] for name in PORTS}
    for _ in range(ROUNDS):
        for name in random.sample(sorted(PORTS), len(PORTS)):
            found[name].append(_wrk(name, SECONDS))
    seen = {name: {key: median(each[key] for each in rounds) for key in rounds[0]} for name, rounds in found.items()}
    rows = [
        _rate("mirror with login, against static files", seen["login"], seen["static"], 0.75),
        _rate("hosted registry with Basic auth, against static files", seen["hosted"], seen["static"], 0.75),
        _rate("mirror without login, against static files", seen["near"], seen["static"], None),
        *_added("a mirror's login adds", seen["login"], seen["near"]),
        *_added("a hosted registry's login and verdict add", seen["hosted"], seen["near"]),
    ]
    return Section("Warm, 1,000 small blobs and manifests", HOW.format(rounds=ROUNDS, seconds=SECONDS), rows)


def _wrk(name: str, seconds: int) -> Seen:
    headers = {"Authorization": BASIC, "Accept": ACCEPT}
    given = " ".join(f"-H '{key}: {value}'" for key, value in headers.items())
    url = f"http://{ADDRESS}:{PORTS[name]}"
    said = on(HOST, f"wrk -t1 -c8 -d{seconds}s {given} -s {PROGRAMS}/small.lua {url} -- {PATHS}")
    seen: Seen = json.loads(said.strip().splitlines()[-1])
    if seen.pop("bad"):
        raise BenchError(f"{name}: wrk had answers that were no 200:\n{said}")
    return seen


def _rate(what: str, ours: Seen, other: Seen, goal: float | None) -> Row:
    return Row(what, f"{ours['rate']:,.0f}/s", f"{other['rate']:,.0f}/s", ours["rate"] / other["rate"], goal)


def _added(what: str, ours: Seen, other: Seen) -> list[Row]:
    return [
        Row(f"{what}, {each}: {ours[each] - other[each]:+.2f} ms", f"{ours[each]:.2f} ms", f"{other[each]:.2f} ms")
        for each in ("p50", "p99")
    ]
