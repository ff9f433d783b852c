"""Host keys: given with the host, or found in a file in known_hosts format."""

from __future__ import annotations

from settings.errors import SettingsError
from settings.tier import Host, Tier


def host_keys(tier: Tier, known_hosts: str) -> dict[str, str]:
    """The public key of each host by its name; `known_hosts` is the text of the file that `tier.known_hosts` names.

    Raises SettingsError that lists every host without a key: an unknown host key is an error, never a shrug.
    """
    keys = {}
    errors = []
    for index, host in enumerate(tier.hosts):
        key = host.ssh.host_key or _looked_up(known_hosts, entry_name(host))
        if key is None:
            where = (
                f"no line for {entry_name(host)} in {tier.known_hosts}"
                if tier.known_hosts
                else "known_hosts is not set"
            )
            errors.append(
                f"hosts.{index}.ssh.host_key: is required ({where}); add the key that the host's own console shows, "
                "for example with 'ssh-keyscan' from a network you trust"
            )
        else:
            keys[host.name] = key
    if errors:
        raise SettingsError(errors)
    return keys


def entry_name(host: Host) -> str:
    """The host as known_hosts names it: with its port in brackets where that isn't 22."""
    name = host.ssh.host or host.address
    return name if host.ssh.port == 22 else f"[{name}]:{host.ssh.port}"


def render(tier: Tier, keys: dict[str, str]) -> str:
    """A known_hosts file with one line for each host, for programs that take only a file."""
    return "".join(f"{entry_name(host)} {keys[host.name]}\n" for host in tier.hosts)


def _looked_up(text: str, name: str) -> str | None:
    for line in text.splitlines():
        names, _, key = line.strip().partition(" ")
        if name in names.split(",") and not line.startswith("#"):
            return " ".join(key.split()[:2])
    return None
