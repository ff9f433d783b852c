"""A large blob that nobody has asked for yet: what many clients at once cost, in time and at the upstream."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench import running
from bench.hosts import on, program
from bench.places import HOST, HOSTED, HUB, LOCKED, MIRROR, NAME, PLAIN, PLAIN_LOCKED, PULL_THROUGH_PORT
from bench.report import Row, Section
from bench.running import BASIC, Bench
from lab.services import HUB_LOG

PORTS = {
    "mirror": MIRROR,
    "hosted": HOSTED,
    "locked": LOCKED,
    "pull-through": PULL_THROUGH_PORT,
    "plain": PLAIN,
    "plain-locked": PLAIN_LOCKED,
}
CLIENTS = (1, 8, 32)
ROUNDS = 3
LINE, GIGABIT = 32, 118
"""MB/s: one as it is met in practice, and an Ethernet's."""
FAST = [*((name, n) for name in ("mirror", "hosted", "locked") for n in CLIENTS), ("pull-through", 8), ("plain", 8)]
OURS = [("mirror", n) for n in CLIENTS]
SLOW = [*((name, n) for name in ("mirror", "locked") for n in CLIENTS), ("plain-locked", 8)]
HOW_FAST = """\
Rivals: distribution's pull-through cache alone; before it the `proxy_cache` of the usual blog posts, its key
`$uri`; and before it the best that nginx can do without slices, whole blobs with a lock that waits.
The upstream is the lab's hub, which asks for tokens as Docker Hub does, on the same machine: as fast as that carries
it. {rounds} rounds in random order, medians; all caches are emptied before each run. Upstream bytes are from the
upstream's log. A client that waits for what another one fetches looks for it twice a second (nginx's lock), which
counts where the whole blob takes no longer than that. Clients, proxy and upstream share the machine's cores, so many
clients cost time that in a network they would not."""
HOW_SLOW = """\
The same over a line of {line} MB/s that all connections share (tc tbf on the hub; without a delay), {rounds}. A hosted
registry is on the proxy's own host, so it is not here."""


@dataclass(frozen=True)
class Run:
    """Seconds to the last byte of all and to the first of the slowest; how often the upstream has sent the blob."""

    wall: float
    first: float
    copies: float


Found = dict[tuple[str, int], Run]


def measure(bench: Bench) -> tuple[Section, ...]:
    """As fast as the machine is, and over slower lines."""
    fast = _median([_round(bench, FAST) for _ in range(ROUNDS)])
    running.limited(GIGABIT)
    gigabit = _median([_round(bench, OURS) for _ in range(ROUNDS)])
    running.limited(LINE)
    slow = _round(bench, SLOW)
    running.unlimited()
    return (
        Section(
            "Cold, one blob of 200 MB, a fast upstream",
            HOW_FAST.format(rounds=ROUNDS),
            [
                *_of_one(fast, "mirror", "mirror"),
                *_of_one(fast, "hosted", "hosted registry"),
                *_against(fast, "pull-through", "pull-through cache"),
                *_against(fast, "plain", "plain proxy_cache"),
                *_against(fast, "locked", "whole blobs with a lock"),
            ],
        ),
        Section(
            f"Cold, the same over {GIGABIT} MB/s",
            HOW_SLOW.format(line=GIGABIT, rounds=f"medians of {ROUNDS} rounds"),
            [*_of_one(gigabit, "mirror", "mirror")],
        ),
        Section(
            f"Cold, the same over {LINE} MB/s",
            HOW_SLOW.format(line=LINE, rounds="one round"),
            [
                *_of_one(slow, "mirror", "mirror"),
                *_against(slow, "locked", "whole blobs with a lock"),
                *_against(slow, "plain-locked", "plain proxy_cache with proxy_cache_lock"),
            ],
        ),
    )


def _of_one(found: Found, name: str, shown: str) -> Iterator[Row]:
    """More clients against one."""
    alone = found[name, 1]
    for clients in CLIENTS[1:]:
        run = found[name, clients]
        goal = 1.2 if clients == 8 else None
        what = f"{shown}, {clients} clients against 1: time until all have it"
        yield Row(what, f"{run.wall:.2f} s", f"{alone.wall:.2f} s", run.wall / alone.wall, goal, "at most")
        yield Row(
            f"{shown}, {clients} clients: sent by the upstream", f"{run.copies:.2f} x", "1 x", run.copies, 1, "at most"
        )


def _against(found: Found, rival: str, shown: str) -> Iterator[Row]:
    """The mirror against a rival, where both were measured with several clients."""
    for clients in CLIENTS[1:]:
        if (rival, clients) in found:
            ours, other = found["mirror", clients], found[rival, clients]
            what = f"mirror against {shown}, {clients} clients"
            yield Row(f"{what}: time", f"{ours.wall:.2f} s", f"{other.wall:.2f} s", ours.wall / other.wall)
            first = ours.first / other.first
            yield Row(f"{what}: slowest first byte", f"{ours.first:.2f} s", f"{other.first:.2f} s", first)
            copies = ours.copies / other.copies
            yield Row(f"{what}: sent by the upstream", f"{ours.copies:.2f} x", f"{other.copies:.2f} x", copies)


def _round(bench: Bench, wanted: Sequence[tuple[str, int]]) -> Found:
    return {(name, clients): _run(bench, name, clients) for name, clients in random.sample(wanted, len(wanted))}


def _run(bench: Bench, name: str, clients: int) -> Run:
    running.cold()
    before = _sent(bench, name)
    job = {"do": "together", "url": bench.url(PORTS[name]), "clients": clients, "authorization": BASIC}
    seen = program("load", job)
    return Run(seen["wall"], seen["first"], (_sent(bench, name) - before) / bench.size)


def _sent(bench: Bench, name: str) -> int:
    """Bytes of the blob that the upstream of a candidate has sent so far, from its log in the combined format."""
    host, log = (HOST, f"docker logs {NAME}-registry 2>/dev/null") if name == "hosted" else (HUB, f"cat {HUB_LOG}")
    # An entry is written after the last byte.
    count = f"""awk '$6 == "\\"GET" && index($7, "{bench.path}") == 1 {{sum += $10}} END {{printf "%.0f", sum}}'"""
    return int(on(host, f"sleep 0.2; {log} | {count}"))


def _median(rounds: list[Found]) -> Found:
    def of(key: tuple[str, int], field: str) -> float:
        return float(median(getattr(each[key], field) for each in rounds))

    # The most that the upstream has ever sent, since one round too much is a fault.
    return {key: Run(of(key, "wall"), of(key, "first"), max(each[key].copies for each in rounds)) for key in rounds[0]}
