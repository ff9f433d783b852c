"""A large blob that is in the cache: as fast as a file?"""

from __future__ import annotations

import random
from statistics import median

from bench.hosts import program
from bench.places import CLIENT, HOSTED, LOCKED, MIRROR, MIRROR_TLS, PLAIN, PULL_THROUGH_PORT, STATIC, STATIC_TLS
from bench.report import Row, Section
from bench.running import BASIC, Bench, worker_seconds

ROUNDS = 25
HOW = """\
One client after the other, the candidates in random turns, medians of {rounds}. Over HTTP the client leaves the bytes
in the kernel, so that the server's own cost shows; over HTTPS it is curl. Both are on the proxy's host, so no network
is in the way; the last row is from another host of the lab. At several GB/s much depends on the cores that client and
server happen to get: such a ratio may be 0.7 in one run and 1.4 in the next, in both directions. What nginx's workers
spend for a GB scatters less: {costs} pulls of each, in {turns} turns."""
COST_TURNS, COST_PULLS = 3, 15


def measure(bench: Bench) -> Section:
    """Ratios of throughput."""
    plain = {
        "static": bench.url(STATIC),
        "mirror": bench.url(MIRROR),
        "hosted": bench.url(HOSTED),
        "pull-through": bench.url(PULL_THROUGH_PORT),
        "locked": bench.url(LOCKED),
        "plain": bench.url(PLAIN),
    }
    tls = {"static-tls": bench.url(STATIC_TLS, "https"), "mirror-tls": bench.url(MIRROR_TLS, "https")}
    job = {"do": "turns", "authorization": BASIC}
    program("load", {**job, "urls": {**plain, **tls}, "rounds": 2})
    near = _speeds(bench, program("load", {**job, "urls": {**plain, **tls}, "rounds": ROUNDS}))
    far = _speeds(
        bench,
        program(
            "load", {**job, "urls": {each: plain[each] for each in ("static", "mirror")}, "rounds": ROUNDS}, CLIENT
        ),
    )

    costs = _costs(bench, {each: plain[each] for each in ("static", "mirror", "hosted")})

    def row(what: str, ours: str, other: str, goal: float | None, speeds: dict[str, float] = near) -> Row:
        return Row(what, _shown(speeds[ours]), _shown(speeds[other]), speeds[ours] / speeds[other], goal)

    rows = (
        row("mirror, against the same bytes as a static file", "mirror", "static", 0.95),
        row("hosted registry with Basic auth, against the file", "hosted", "static", 0.95),
        _cost("mirror, against the file: nginx's processor time", costs["mirror"], costs["static"]),
        _cost("hosted registry with Basic auth, against the file: the same", costs["hosted"], costs["static"]),
        row("mirror with TLS, against the file with TLS", "mirror-tls", "static-tls", 0.9),
        row("mirror, against distribution's pull-through cache", "mirror", "pull-through", 3),
        row("the static file, against distribution's pull-through cache", "static", "pull-through", None),
        row("mirror, against proxy_cache as blog posts have it", "mirror", "plain", None),
        row("mirror, against proxy_cache of whole blobs with a lock", "mirror", "locked", None),
        row(f"from {CLIENT}: mirror, against the file", "mirror", "static", None, far),
    )
    return Section(
        "Warm, one blob of 200 MB", HOW.format(rounds=ROUNDS, costs=COST_TURNS * COST_PULLS, turns=COST_TURNS), rows
    )


def _costs(bench: Bench, urls: dict[str, str]) -> dict[str, float]:
    """Milliseconds of the workers' processor time for a GB, by name."""
    spent = dict.fromkeys(urls, 0.0)
    for _ in range(COST_TURNS):
        for name in random.sample(sorted(urls), len(urls)):
            before = worker_seconds()
            program("load", {"do": "turns", "authorization": BASIC, "urls": {name: urls[name]}, "rounds": COST_PULLS})
            spent[name] += worker_seconds() - before
    return {name: each * 1e12 / (bench.size * COST_TURNS * COST_PULLS) for name, each in spent.items()}


def _cost(what: str, ours: float, other: float) -> Row:
    return Row(what, f"{ours:.0f} ms/GB", f"{other:.0f} ms/GB", ours / other)


def _speeds(bench: Bench, seconds: dict[str, list[float]]) -> dict[str, float]:
    """GB/s by name."""
    return {name: bench.size / median(each) / 1e9 for name, each in seconds.items()}


def _shown(speed: float) -> str:
    return f"{speed:.2f} GB/s"
