"""All packet filter rules that a host has in force, whoever made them, each once."""

from __future__ import annotations

import json
from typing import List, NamedTuple

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.nft_rules import merged, nft_tables, rule_texts
from hostctl.packets import Table
from hostctl.rule_sets import iptables_tables

PROGRAMS = {4: "iptables", 6: "ip6tables"}
NFT, LEGACY = "nft", "legacy"


class LiveRules(NamedTuple):
    """The tables, whether bridges have rules of their own, and what of this a person should know."""

    tables: List[Table]
    guards_bridges: bool
    notes: List[str]


def live_rules(host: Host, version: int) -> LiveRules:
    """Read the rules of one IP version. Raises HostError where a program that is installed does not tell."""
    by_nft = _saved(host, version, NFT)
    legacy = _saved(host, version, LEGACY)
    if not host.has("nft"):
        note = ["nft is not installed: rules that only nft shows are not seen"]
        return LiveRules([*by_nft, *legacy], False, note)
    listing = host.must("nft", "-j", "list", "ruleset")
    listing = listing[max(listing.find('{"nftables"'), 0) :]
    texts = rule_texts(host.must("nft", "-a", "-s", "list", "ruleset"))
    try:
        tables = merged(by_nft, nft_tables(listing, texts))
        return LiveRules([*tables, *legacy], _guards_bridges(listing), [])
    except (ValueError, KeyError, TypeError, AttributeError) as odd:
        raise HostError(f"nft -j list ruleset: not as expected ({type(odd).__name__}); please report it") from odd


def _saved(host: Host, version: int, variant: str) -> List[Table]:
    """What iptables of one variant has. Where a host has but one program, its version tells the variant."""
    name = PROGRAMS[version]
    program = f"{name}-{variant}-save"
    if not host.has(program):
        if any(host.has(f"{name}-{each}-save") for each in (NFT, LEGACY)) or not host.has(f"{name}-save"):
            return []
        program = f"{name}-save"
        if ("nf_tables" in host.must(name, "--version")) is not (variant == NFT):
            return []
    return iptables_tables(host.must(program), f"{name}-{variant}", version)


def _guards_bridges(listing: str) -> bool:
    objects = json.loads(listing).get("nftables", []) if listing.strip() else []
    return any("rule" in each and each["rule"].get("family") == "bridge" for each in objects)
