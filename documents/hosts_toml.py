"""hosts.toml: which endpoints containerd asks for a registry, in which order, and what each may answer.

Format: containerd docs/hosts.md. Changes below `config_path` need no restart.
"""

from __future__ import annotations

import tomlkit

from hostctl.unit import HEADER


def mirror(endpoint: str, *, fallback: bool) -> str:
    """hosts.toml of a registry that is pulled through a mirror.

    With `fallback` the real registry is asked when the mirror fails; without, the mirror stands in its place.
    """
    document = tomlkit.document()
    document.add(tomlkit.comment(HEADER))
    if not fallback:
        document["server"] = endpoint
    _host(document, endpoint, ["pull", "resolve"])
    return tomlkit.dumps(document)


def hosted(endpoint: str) -> str:
    """hosts.toml of a registry of our own, which takes pushes too; it tells containerd the scheme."""
    document = tomlkit.document()
    document.add(tomlkit.comment(HEADER))
    document["server"] = endpoint
    _host(document, endpoint, ["pull", "resolve", "push"])
    return tomlkit.dumps(document)


def _host(document: tomlkit.TOMLDocument, endpoint: str, capabilities: list[str]) -> None:
    entry = tomlkit.table()
    entry["capabilities"] = capabilities
    hosts = tomlkit.table(is_super_table=True)
    hosts[endpoint] = entry
    document["host"] = hosts
