"""Reads `nft -j list ruleset` into tables that a packet can be walked through: libnftables-json(5).

iptables-nft keeps its rules in nft tables too. There nft shows some matches by name only (`xt`), and iptables-nft-save
shows some rules of nft itself wrongly: so those tables are read from iptables' listing (`merged`), and the rules that
only nft can have made from nft's.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from hostctl.nft_expressions import statement_steps
from hostctl.packets import Chain, Rule, Table

VERSIONS = {"ip": (4,), "ip6": (6,), "inet": (4, 6), "netdev": (4, 6)}
OF_NFT_ALONE = {"set", "vmap", "map", "fib", "ct", "concat", "dnat", "redirect", "reject"}
"""What iptables-nft writes by `xt` or never."""
BY = "nft"


def nft_tables(listing: str, texts: Mapping[Tuple[str, str, int], str]) -> List[Table]:
    """The tables of a listing, those of bridges and ARP left out. `texts`: see `rule_texts`."""
    objects = json.loads(listing).get("nftables", []) if listing.strip() else []
    tables: Dict[Tuple[str, str], Table] = {}
    sets: Dict[Tuple[str, str], Dict[str, Any]] = {}
    rules = []
    for each in objects:
        ((kind, item),) = each.items()
        family = item.get("family", "") if isinstance(item, dict) else ""
        if family not in VERSIONS:
            continue
        if kind == "table":
            tables[family, item["name"]] = Table(BY, f"{family} {item['name']}", VERSIONS[family], {})
        elif kind == "chain":
            tables[family, item["table"]].chains[item["name"]] = _chain(item)
        elif kind in ("set", "map"):
            sets.setdefault((family, item["table"]), {})[item["name"]] = item
        elif kind == "rule":
            rules.append(item)
    for item in rules:
        key = (item["family"], item["table"])
        chain = tables[key].chains[item["chain"]]
        text = texts.get((*key, item["handle"])) or json.dumps(item["expr"])
        steps = tuple(statement_steps(item["expr"], sets.get(key, {})))
        chain.rules.append(Rule(len(chain.rules) + 1, text, steps, _is_of_nft_alone(item["expr"])))
    return list(tables.values())


def _chain(item: Mapping[str, Any]) -> Chain:
    hook = item.get("hook", "")
    device = item.get("dev", "?") if hook == "ingress" else ""
    priority, kind = item.get("prio", 0), item.get("type", "filter")
    policy = item.get("policy", "accept")
    if not isinstance(priority, int) or not isinstance(policy, str):
        raise TypeError("a chain's prio is a number, its policy a word")
    return Chain(item["name"], [], hook, priority, policy, kind, str(device))


def _is_of_nft_alone(expression: object) -> bool:
    if isinstance(expression, dict):
        return any(key in OF_NFT_ALONE or _is_of_nft_alone(value) for key, value in expression.items())
    if isinstance(expression, list):
        return any(map(_is_of_nft_alone, expression))
    return isinstance(expression, str) and expression.startswith("@")


def merged(iptables: Sequence[Table], nft: Sequence[Table]) -> List[Table]:
    """The tables of both listings, each once."""
    families = {"ip": 4, "ip6": 6}
    listed = {(table.name, table.versions[0]): table for table in iptables}
    both = list(iptables)
    for table in nft:
        family, name = table.name.split(" ", 1)
        known = listed.get((name, families.get(family, 0)))
        if known is None:
            both.append(table)
            continue
        for chain in table.chains.values():
            same = known.chains.get(chain.name)
            if same is not None and len(same.rules) == len(chain.rules):
                same.rules = [theirs if theirs.native else ours for ours, theirs in zip(same.rules, chain.rules)]
            else:
                known.chains[chain.name] = chain
    return both


def rule_texts(listing: str) -> Dict[Tuple[str, str, int], str]:
    """Each rule as `nft -a -s list ruleset` prints it, by family, table and handle."""
    return dict(_texts(listing))


def _texts(listing: str) -> Iterator[Tuple[Tuple[str, str, int], str]]:
    family = table = ""
    gathered = ""
    for line in listing.splitlines():
        start = re.match(r"table (\S+) (\S+) \{", line)
        if start:
            family, table = start[1], start[2]
        gathered = f"{gathered} {line.strip()}".strip()
        ended = re.search(r"^(.*?)\s*# handle (\d+)$", gathered)
        if ended and not ended[1].endswith("{"):
            yield (family, table, int(ended[2])), ended[1]
        if ended or line.strip() == "}" or line.rstrip().endswith(";"):
            gathered = ""
