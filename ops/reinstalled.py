"""A host that was installed from scratch under its old name: the state forgets what was there; `up` makes it anew."""

from __future__ import annotations

from ops.configuration import tier_of, write_known_hosts
from ops.diagnosis import SSH_FAILED, remedy
from ops.forget import forget
from ops.ssh import on_host
from ops.stack import Stack, StackError
from settings.registries import HostedRegistry

RECORDS = "/var/lib/http-registry/units"
"""Where hostctl keeps what it has done to a host."""


def reinstalled(stack: Stack, name: str) -> list[str]:
    """Drop from the state what was on the host; returns the names of it, then what is lost.

    Raises StackError where the host can't be asked, or is no new one.
    """
    tier = tier_of(stack.name)
    host = next((each for each in tier.hosts if each.name == name), None)
    if host is None:
        known = ", ".join(each.name for each in tier.hosts)
        raise StackError(f"HOST={name}: the settings of {stack.name} have no such host; there are: {known}")
    done = on_host(stack, host, write_known_hosts(stack.name), f"! [ -e {RECORDS} ]")
    if done.returncode == SSH_FAILED:
        raise StackError(remedy(stack.name, name, done.stderr))
    if done.returncode != 0:
        raise StackError(f"{name}: is no new host, since hostctl's records are there ({RECORDS}); 'make up' will do")
    forgotten = [f"forgotten: {each}" for each in forget(stack, name)]
    lost = [
        f"lost: the images of {each.name}, which were in a volume there; push them again, or 'make restore "
        f"STACK={stack.name} FROM=…' a backup of them"
        for each in tier.registries
        if isinstance(each, HostedRegistry) and each.host == name and not each.storage.s3
    ]
    return [*forgotten, *lost]
