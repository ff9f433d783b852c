"""What is wrong between the settings of bundles and the others, and the secrets that go with them. On raw data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.raw_items import Item, items


def offline_contradictions(
    data: Mapping[str, Any], hosts: list[str], registries: list[Item], endpoints: list[Item]
) -> Iterator[str]:
    """A line for each. `hosts`: their names. `registries`, `endpoints`: those of the tier by their paths."""
    sync = data.get("offline_sync")
    if not isinstance(sync, Mapping):
        return
    if isinstance(sync.get("host"), str) and sync["host"] not in hosts:
        yield f"offline_sync.host = {sync['host']!r}: must be a name from hosts ({', '.join(hosts) or 'none there'})"
    names = [str(item.get("name")) for _, item in registries]
    hosted = [str(item.get("name")) for _, item in registries if item.get("kind") == "hosted"]
    for path, item in items(sync, "sources", "offline_sync."):
        through = item.get("through")
        if isinstance(through, str) and through not in names:
            yield f"{path}.through = {through!r}: must be a name from registries ({', '.join(names) or 'none there'})"
    users: dict[object, Item] = {}
    for path, item in items(sync, "into", "offline_sync."):
        to = item.get("to")
        if isinstance(to, str) and to not in hosted:
            rule = (
                "must be a hosted registry; nothing can be pushed to a cache"
                if to in names
                else "must be a hosted registry"
            )
            yield f"{path}.to = {to!r}: {rule} ({', '.join(hosted) or 'none there'})"
        theirs = [each for _, each in endpoints if each.get("registry") == to]
        if theirs and all(each.get("anonymous_pull") is True for each in theirs):
            yield (
                f"{path}.to = {to!r}: each of its endpoints has anonymous_pull, and there skopeo never sends a login; "
                "add an endpoint without it, on another port"
            )
        first, other = users.setdefault(to, (path, item))
        if other.get("user") != item.get("user"):
            yield f"{path}.user = {item.get('user')!r}: {first} has another user for the same registry; take one"


def offline_passwords(data: Mapping[str, Any]) -> Iterator[object]:
    """Whose passwords the logins need, as in `SyncLogin.secret`."""
    sync = data.get("offline_sync")
    for key in ("sources", "into") if isinstance(sync, Mapping) else ():
        assert isinstance(sync, Mapping)
        for _, item in items(sync, key):
            if item.get("user"):
                yield item.get("password", item["user"])
