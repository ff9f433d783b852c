"""The measured part of docs/scale.md: what was seen, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.capacity import Cost, Proxy
from bench.report import markdown_table
from bench.scale import CLIENTS, ROUNDS, Seen, cost

BEGIN, END = "<!-- Written by `python -m bench scale`: from here -->", "<!-- to here -->"
NICS = ((1, 1), (10, 1), (10, 4), (25, 2), (25, 8), (100, 16))
"""Gbit/s and cores."""
FLEET = (10, 50, 200, 1000, 5000)
SIZES = {"100 MB": 100e6, "1 GB": 1e9, "5 GB": 5e9}
TYPICAL = {"1 Gbit/s, 2 cores": (1, 2), "10 Gbit/s, 4 cores": (10, 4), "25 Gbit/s, 16 cores": (25, 16)}
MINUTES = 5


def written(page: str, machine: Mapping[str, str], seen: Sequence[Seen]) -> str:
    """The page with its measured part anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{part(machine, seen)}\n\n{END}{after}"


def part(machine: Mapping[str, str], seen: Sequence[Seen]) -> str:
    """Tables, each with a title."""
    costs = {scheme: cost(seen, scheme) for scheme in ("http", "https")}
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    return "\n\n".join(
        [
            f"### Measured\n\n{facts}. {ROUNDS} rounds in random turns; the highest rate, the lowest cost.",
            _measured(seen),
            "### What one proxy carries\n\nComputed: `bytes/s = min(NIC x 0.94 / 8, cores / cost of a byte)`.",
            _carries(costs),
            "### Minutes until every client has the image\n\nComputed, rounded up to 0.1, over HTTPS, the image in the "
            "proxy's cache. `=`: what one client alone takes to unpack it; a faster proxy would not help.",
            _minutes(costs["https"]),
            f"### Proxies or edges for {MINUTES} minutes\n\nComputed, over HTTPS: how many it takes, each for a "
            f"share, so that every client has the image within {MINUTES} minutes.",
            _needed(costs["https"]),
        ]
    )


def _measured(seen: Sequence[Seen]) -> str:
    at = {(each.what, each.scheme, each.clients): each for each in seen}
    rows = []
    for what, title in {
        "small": "small things, connections kept",
        "connection": "small things, a connection each",
        "large": "a layer of 200 MB",
    }.items():
        for clients in CLIENTS:
            pair = [at[what, scheme, clients] for scheme in ("http", "https")]
            rows.append([title, str(clients), *(_rate(each) for each in pair), *(_cost(each) for each in pair)])
    return markdown_table(("asked for", "clients", "HTTP", "HTTPS", "nginx's CPU, HTTP", "nginx's CPU, HTTPS"), rows)


def _rate(seen: Seen) -> str:
    return f"{seen.rate / 1e9:.2f} GB/s" if seen.what == "large" else f"{seen.rate:,.0f}/s"


def _cost(seen: Seen) -> str:
    return f"{seen.cost * 1e12:.0f} ms/GB" if seen.what == "large" else f"{seen.cost * 1e6:.0f} ms/1,000"


def _carries(costs: Mapping[str, Cost]) -> str:
    rows = []
    for gigabits, cores in NICS:
        plain, tls = (Proxy(gigabits, cores, costs[scheme]) for scheme in ("http", "https"))
        rows.append(
            [
                f"{gigabits} Gbit/s, {cores} {'core' if cores == 1 else 'cores'}",
                *(f"{each.bytes / 1e9:.2f} GB/s, by the {each.bound}" for each in (plain, tls)),
                *(f"{each.cores_for_the_wire:.2f}" for each in (plain, tls)),
                *(f"{each.requests:,.0f}/s" for each in (plain, tls)),
            ]
        )
    heads = ("proxy", "HTTP", "HTTPS", "cores that fill the NIC, HTTP", "HTTPS", "small requests, HTTP", "HTTPS")
    return markdown_table(heads, rows)


def _minutes(cost_of: Cost) -> str:
    rows = []
    for name, (gigabits, cores) in TYPICAL.items():
        proxy = Proxy(gigabits, cores, cost_of)
        for clients in FLEET:
            seconds = [(proxy.seconds(clients, size), proxy.seconds(1, size)) for size in SIZES.values()]
            rows.append([name, f"{clients:,}", *(("= " if all_ == one else "") + _time(all_) for all_, one in seconds)])
    return markdown_table(("proxy", "clients", *SIZES), rows)


def _time(seconds: float) -> str:
    if seconds < 6:
        return "0.1"
    return f"{seconds / 60:,.0f}" if seconds >= 600 else f"{seconds / 60:.1f}"


def _needed(cost_of: Cost) -> str:
    rows = []
    for name, (gigabits, cores) in TYPICAL.items():
        proxy = Proxy(gigabits, cores, cost_of)
        for clients in FLEET:
            found = [proxy.needed(clients, size, MINUTES * 60) for size in SIZES.values()]
            rows.append([name, f"{clients:,}", *("none" if each is None else f"{each:,}" for each in found)])
    return markdown_table(("proxy", "clients", *SIZES), rows)
