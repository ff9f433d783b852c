"""After a `pulumi up` that was killed: its lock, and the containers and networks that it could not write down.

The file backend's locks: <backend>/.pulumi/locks/organization/<project>/<stack>/<uuid>.json with pid and hostname
(pulumi, pkg/backend/diy/lock.go).
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from ops.checkpoint import PROJECT_NAME, local_folder
from ops.configuration import tier_of, write_known_hosts
from ops.leftovers import wait_for_leftovers
from ops.ssh import on_host
from ops.stack import Stack
from settings.tier import Host


def recover(stack: Stack) -> None:
    """Clear the lock of a process that is dead on this machine, then remove what the state does not know.

    A state that knows nothing may have been lost, so it is treated like one after a crash; any other costs nothing.
    Volumes stay: creating one that exists adopts it. What was pending is forgotten, since every step can be taken
    again. Prints what it does.
    """
    dead = _dead_locks(stack)
    state = stack.state()
    pending = state["deployment"].get("pending_operations") or []
    if not dead and not pending and state["deployment"].get("resources"):
        return
    wait_for_leftovers(stack)
    for lock in dead:
        print(f"The process that held {stack.name}'s lock is dead: clearing the lock.", flush=True)
        lock.unlink()
    known = {resource.get("id") for resource in state["deployment"].get("resources", [])}
    tier = tier_of(stack.name)
    known_hosts = write_known_hosts(stack.name)
    for name in sorted({registry.host for registry in tier.registries}):
        _remove_strangers(stack, tier.host(name), known, known_hosts)
    if pending:
        print(f"{len(pending)} interrupted steps will be taken again.", flush=True)
        state["deployment"]["pending_operations"] = []
        stack.import_state(state)


def _dead_locks(stack: Stack) -> list[Path]:
    folder = local_folder(stack.backend)
    locks = (folder / "locks" / "organization" / PROJECT_NAME / stack.name).glob("*.json") if folder else []
    return [lock for lock in locks if _is_dead(lock)]


def _is_dead(file: Path) -> bool:
    try:
        lock = json.loads(file.read_text())
        if lock["hostname"] != socket.gethostname():
            return False
    except (ValueError, KeyError):
        return True  # its process was killed while it wrote this
    command = Path(f"/proc/{lock['pid']}/comm")
    return not command.exists() or command.read_text().strip() != "pulumi"


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
