"""`up` and `preview` of one host alone, by pulumi's `--target`, and a state that then says no more than is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.configuration import tier_of
from ops.deployment import STACK, hosts_of, stack_of
from ops.stack import Stack, StackError
from settings.resource_names import targets
from settings.tier import Tier

PER_HOST = "documents"
"""The output that holds each host's files."""


def arguments(stack: str, host: str) -> list[str]:
    """What pulumi is told; nothing where no host is named. Raises StackError where the settings have no such host."""
    if not host:
        return []
    known = [each.name for each in tier_of(stack).hosts]
    if host not in known:
        raise StackError(f"HOST={host}: the settings of {stack} have no such host; there are: {', '.join(known)}")
    return [word for pattern in targets(host) for word in ("--target", pattern)]


def up(stack: Stack, host: str, *options: str) -> None:
    """Bring one host up. Others stay as they are, and so does what the state says of them.

    Raises StackError where pulumi fails, or where a host that others need has never been up.
    """
    targeted = arguments(stack.name, host)
    before = stack.state()["deployment"]
    if missing := never_up(before, tier_of(stack.name), host):
        raise StackError(f"others need what is on {', '.join(missing)}, never up yet: HOST={missing[0]} first, or all")
    done = False
    try:
        stack.pulumi("up", *options, *targeted)
        done = True
    finally:
        state = stack.state()
        kept = with_others_as_before(before, state["deployment"], host if done else "")
        if kept != state["deployment"]:
            stack.import_state({**state, "deployment": kept})


def never_up(deployment: Mapping[str, Any], tier: Tier, host: str) -> list[str]:
    """Hosts with registries that the state does not know; pulumi can bring no other one up before them."""
    known = {*hosts_of(deployment), *(each.name for each in tier.hosts if each.was)}
    return sorted({each.host for each in tier.registries} - known - {host})


def with_others_as_before(before: Mapping[str, Any], after: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The deployment after an `up` of one host: of the outputs only the host's own `documents` are those after it.

    Pulumi itself takes all outputs of the program, as if every host had got its files. Where there were none before,
    the others of them stay. No `host`: all are as before, since a failed `up` may not have come so far.
    """
    earlier, now = _outputs(before), _outputs(after)
    if not now:
        return dict(after)
    documents = {name: texts for name, texts in (earlier.get(PER_HOST) or {}).items() if name != host}
    if host in (now.get(PER_HOST) or {}):
        documents[host] = now[PER_HOST][host]
    outputs = {**(earlier or now), PER_HOST: documents}
    return {
        **after,
        "resources": [{**each, "outputs": outputs} if each["type"] == STACK else each for each in after["resources"]],
    }


def _outputs(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    return stack_of(deployment).get("outputs") or {}
