"""A preview with `observe` of hosts on which the stack has nothing yet: what their runtimes' files say already.

`make drift` can ask no hostctl there, so they are read as `make adopt` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ops.adopt import read_host
from ops.adopt.agreement import Agreed, agreement
from ops.configuration import resolved_tier, write_known_hosts
from ops.drift_marks import places
from ops.preview_plan import Plan
from ops.stack import Stack, StackError
from settings.tier import Host, Tier

UNITS = ("docker-mirrors", "containerd-mirrors")
Seen = Mapping[str, Sequence[Agreed]]
"""What was found on each host that was read."""


def new_hosts(stack: Stack) -> Callable[[Plan], Plan]:
    """Read the hosts whose runtimes are not in the state; gives what adds to a plan what was seen there."""
    seen = _seen(stack)
    return lambda plan: with_hosts(plan, seen)


def _seen(stack: Stack) -> Seen:
    """One that does not answer is told and left out."""
    tier = resolved_tier(stack)
    known = {place.host for place in places(stack.state()["deployment"]) if place.unit in UNITS}
    new = [tier.host(each.host) for each in tier.runtimes if each.host not in known]
    if not new:
        return {}
    known_hosts = write_known_hosts(stack.name)
    with ThreadPoolExecutor(len(new)) as pool:
        seen = dict(
            zip([each.name for each in new], pool.map(lambda it: _read(stack, tier, it, known_hosts), new), strict=True)
        )
    found = {name: each for name, each in seen.items() if each is not None}
    print(f"{', '.join(found) or 'nobody'}: read, since the stack has no runtimes there yet", flush=True)
    return found


def _read(stack: Stack, tier: Tier, host: Host, known_hosts: Path) -> list[Agreed] | None:
    try:
        return agreement(tier, host.name, read_host(stack, host, known_hosts))
    except StackError as silent:
        print(silent, flush=True)
        return None


def with_hosts(plan: Plan, seen: Seen) -> Plan:
    """The plan, and what the hosts' files say already, in the words of `documents`. Pure."""
    there: dict[str, dict[str, str]] = {}
    for host, agreed in seen.items():
        texts = there.setdefault(host, {})
        coming = plan.after.get(host, {})
        for each in agreed:
            if each.says_it and each.shown in coming:
                texts[each.shown] = coming[each.shown]
            elif each.there is not None and each.is_whole:
                texts[each.shown] = each.there
    return replace(plan, there=there)
