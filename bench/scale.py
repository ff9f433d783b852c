"""How much one proxy carries by the number of clients, and what it costs nginx: what docs/scale.md extrapolates."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.capacity import Cost
from bench.hosts import BenchError, on
from bench.places import FOLDER, HOST, MIRROR, MIRROR_TLS, PROGRAMS
from bench.running import Bench, worker_seconds

CLIENTS = (1, 8, 64, 256)
SCHEMES = {"http": MIRROR, "https": MIRROR_TLS}
KINDS = {"small": 2, "connection": 2, "large": 4}
"""Seconds of a round by what is asked for: small things on connections that are kept, on a new one each, a layer."""
CLOSING = "-H 'Connection: close'"
ROUNDS = 3
INDEX = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
MANIFESTS = f"{INDEX}, application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Seen:
    """A round's best. `rate`: requests or bytes a second; `cost`: nginx's processor seconds for one request or byte."""

    what: str
    scheme: str
    clients: int
    rate: float
    cost: float


def measure(bench: Bench) -> list[Seen]:
    """Each kind, scheme and number of clients in random turns. Of the rounds, the highest rate and the lowest cost:
    whatever else runs on the machine takes from the one and adds to the other."""
    paths = _paths(bench)
    wanted = [(what, scheme, clients) for what in KINDS for scheme in SCHEMES for clients in CLIENTS]
    for what, scheme, _ in wanted[:: len(CLIENTS)]:
        _round(bench, what, scheme, 1, paths[what])
    found: dict[tuple[str, str, int], list[tuple[float, float]]] = {each: [] for each in wanted}
    for _ in range(ROUNDS):
        for what, scheme, clients in random.sample(wanted, len(wanted)):
            found[what, scheme, clients].append(_round(bench, what, scheme, clients, paths[what]))
    return [
        Seen(*each, rate=max(rate for rate, _ in rounds), cost=min(cost for _, cost in rounds))
        for each, rounds in found.items()
    ]


def cost(seen: Sequence[Seen], scheme: str) -> Cost:
    """What a request, a connection and a byte cost, by the round with the most clients. With few, nginx sleeps between
    two requests, and each wakes it anew."""
    at = {each.what: each.cost for each in seen if (each.scheme, each.clients) == (scheme, CLIENTS[-1])}
    return Cost(at["small"], at["connection"], at["large"])


def _paths(bench: Bench) -> dict[str, str]:
    """Files on the host with the paths that are asked for: an image's manifest and configuration; its layer."""
    repository = bench.path.partition("/blobs/")[0]
    url = bench.url(MIRROR).partition(bench.path)[0] + repository
    head = on(HOST, f"curl -sSfI -H 'Accept: {MANIFESTS}' {url}/manifests/1").splitlines()
    digest = next(line.split()[1] for line in head if line.lower().startswith("docker-content-digest"))
    manifest = json.loads(on(HOST, f"curl -sSf -H 'Accept: {MANIFESTS}' {url}/manifests/{digest}"))
    small = f"{repository}/manifests/{digest}\n{repository}/blobs/{manifest['config']['digest']}\n"
    files = {"small": small, "connection": small, "large": f"{bench.path}\n"}
    for name, text in files.items():
        on(HOST, f"cat > {FOLDER}/{name}", text)
    return {name: f"{FOLDER}/{name}" for name in files}


def _round(bench: Bench, what: str, scheme: str, clients: int, paths: str) -> tuple[float, float]:
    url = bench.url(SCHEMES[scheme], scheme).partition(bench.path)[0]
    headers = f"-H 'Accept: {MANIFESTS}' {CLOSING if what == 'connection' else ''}"
    before = worker_seconds()
    said = on(
        HOST,
        f"wrk -t1 -c{clients} -d{KINDS[what]}s --timeout 60s {headers} -s {PROGRAMS}/small.lua {url} -- {paths}",
    )
    spent = worker_seconds() - before
    seen = json.loads(said.strip().splitlines()[-1])
    if seen["bad"]:
        raise BenchError(f"{what} over {scheme}: wrk had answers that were no 200:\n{said}")
    carried = seen["bytes"] if what == "large" else seen["requests"]
    return carried / seen["seconds"], spent / carried
