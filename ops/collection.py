"""Garbage collection now, in place of at its time."""

from __future__ import annotations

from hostctl.units.garbage_collection import service
from ops.configuration import tier_of, write_known_hosts
from ops.ssh import on_host
from ops.stack import Stack, StackError
from settings.registries import HostedRegistry


def collect_garbage(stack: Stack) -> None:
    """Run it for each registry that has a schedule, one after the other, and print what each run said.

    Raises StackError where there is none, or where a run failed, after the others have had theirs.
    """
    tier = tier_of(stack.name)
    wanted = [each for each in tier.registries if isinstance(each, HostedRegistry) and each.garbage_collection]
    if not wanted:
        raise StackError("no registry of this stack has garbage_collection; give it a schedule and run 'make up'")
    known_hosts = write_known_hosts(stack.name)
    failed = []
    for each in wanted:
        name = service(each.name)
        # The runs' own lines only: since the second in which this one began.
        command = (
            f"since=$(date +%s); systemctl start {name}; status=$?; "
            f"journalctl -u {name} --since=@$since -o cat --no-pager -q _COMM=python3; exit $status"
        )
        done = on_host(stack, tier.host(each.host), known_hosts, command)
        for line in (done.stdout + done.stderr).splitlines():
            print(f"{each.name}: {line}", flush=True)
        if done.returncode != 0:
            failed.append(each.name)
    if failed:
        raise StackError(f"garbage collection failed: {', '.join(failed)} (what it said is above)")
