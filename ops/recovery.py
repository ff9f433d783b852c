"""After a `pulumi up` that was killed: its lock, and the containers and networks that it could not write down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.checkpoint import PROJECT_NAME
from ops.configuration import tier_of, write_known_hosts
from ops.deployment import hosts_of, resources_of
from ops.leftovers import wait_for_leftovers
from ops.locks import Locks
from ops.many_hosts import are_many
from ops.ssh import on_host
from ops.stack import Stack, StackError
from settings.tier import Host


def recover(stack: Stack) -> dict[str, Any]:
    """Clear the lock of a process that is dead on this machine, then remove what the state does not know.

    A state that knows nothing may have been lost, so it is treated like one after a crash; any other costs nothing.
    Volumes stay: creating one that exists adopts it. What was pending is forgotten, since every step can be taken
    again. Where the state is written once, a dead pulumi may have removed what the state still has: Docker is asked.
    Prints what it does; returns the deployment.
    """
    state = stack.state()
    pending = state["deployment"].get("pending_operations") or []
    suspect = bool(pending) or not state["deployment"].get("resources")
    locks = Locks(stack, suspect=suspect)
    deployment: dict[str, Any] = state["deployment"]
    if not locks.dead and not suspect:
        return deployment
    if locks.held:
        # What the state does not know may be what somebody is just making.
        raise StackError(locks.held)
    wait_for_leftovers(stack)
    died = locks.dead
    locks.clear()
    state = stack.state()  # somebody may have ended meanwhile
    deployment = state["deployment"]
    pending = deployment.get("pending_operations") or []
    known = {resource.get("id") for resource in resources_of(deployment)}
    tier = tier_of(stack.name)
    known_hosts = write_known_hosts(stack.name)
    for name in sorted({registry.host for registry in tier.registries}):
        _remove_strangers(stack, tier.host(name), known, known_hosts)
    if pending:
        print(f"{len(pending)} interrupted steps will be taken again.", flush=True)
        deployment["pending_operations"] = []
        stack.import_state(state)
    # The settings may have changed since.
    hosts = max(len(tier.hosts), len(hosts_of(deployment)))
    if died and resources_of(deployment) and are_many(hosts):
        print("What the interrupted command has removed is looked for: it writes the state at its end.", flush=True)
        stack.pulumi("refresh", "--yes", "--skip-preview", "--suppress-outputs")
        deployment = stack.state()["deployment"]
    return deployment


def _remove_strangers(stack: Stack, host: Host, known: set[str | None], known_hosts: Path) -> None:
    label = f"label=http-registry.stack={PROJECT_NAME}/{stack.name}"
    for kind, listing, removal in (
        ("container", ["ps", "--all", "--no-trunc"], ["rm", "--force"]),
        ("network", ["network", "ls", "--no-trunc"], ["network", "rm"]),
    ):
        found = _docker(stack, host, known_hosts, *listing, "--filter", label, "--format", "{{.ID}}").split()
        for identity in found:
            if identity not in known:
                print(
                    f"{host.name}: removing the {kind} {identity[:12]}, which the state does not know.",
                    flush=True,
                )
                _docker(stack, host, known_hosts, *removal, identity)


def _docker(stack: Stack, host: Host, known_hosts: Path, *arguments: str) -> str:
    """Run docker on a host; an unreachable one is reported by the `pulumi up` that follows."""
    command = " ".join(["docker", *(f"'{each}'" for each in arguments)])
    done = on_host(stack, host, known_hosts, command)
    if done.returncode != 0:
        print(f"{host.name}: can't look for leftovers: {done.stderr.strip()}", flush=True)
    return done.stdout
