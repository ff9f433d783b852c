"""Host keys: given with the host, or found in a file in known_hosts format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from settings.settings_error import SettingsError
from settings.tier import Host, Tier


def host_keys(tier: Tier, known_hosts: str) -> dict[str, str]:
    """The public key of each host by its name; `known_hosts` is the text of the file that `tier.known_hosts` names.

    Raises SettingsError that lists every host without a key.
    """
    hosts = [(f"hosts.{index}", host) for index, host in enumerate(tier.hosts)]
    if errors := list(unknown(hosts, tier.known_hosts, known_hosts)):
        raise SettingsError([f"{path}{rest}" for path, rest in errors])
    found = {host.name: host_key(host, known_hosts) for host in tier.hosts}
    return {name: key for name, key in found.items() if key is not None}


def unknown(hosts: Iterable[tuple[str, Host]], file: object, known_hosts: str) -> Iterator[tuple[str, str]]:
    """An error for each host without a key, since an unknown host key is never a shrug: its key path, and the rest of
    the line.

    `hosts`: with their key paths. `file`: the name of the file whose text is `known_hosts`, as far as there is one.
    """
    for path, host in hosts:
        if host_key(host, known_hosts) is None:
            where = f"no line for {entry_name(host)} in {file}" if file else "known_hosts is not set"
            yield (
                f"{path}.ssh.host_key",
                f": is required ({where}); add the key that the host's own console shows, for example with "
                "'ssh-keyscan' from a network you trust",
            )


def host_key(host: Host, known_hosts: str) -> str | None:
    """The public key of one host: its own setting, or its line in the text of a known_hosts file."""
    return host.ssh.host_key or _looked_up(known_hosts, entry_name(host))


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
