"""What is wrong between a standby proxy and the other settings. Works on the raw data."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from settings.raw_items import items
from settings.values import is_ip_address

PATH = "proxy.standby"


def standby_contradictions(data: Mapping[str, Any]) -> Iterator[str]:
    """A line for each."""
    proxy = data.get("proxy")
    standby = proxy.get("standby") if isinstance(proxy, Mapping) else None
    if not isinstance(proxy, Mapping) or not isinstance(standby, Mapping):
        return
    addresses = {each.get("name"): each.get("address") for _, each in items(data, "hosts")}
    host, first = standby.get("host"), proxy.get("host")
    if isinstance(host, str) and host not in addresses:
        yield f"{PATH}.host = {host!r}: must be a name from hosts ({', '.join(map(str, addresses)) or 'none there'})"
    elif isinstance(host, str) and host == first:
        yield f"{PATH}.host = {host!r}: is the proxy's own host; choose another one"
    yield from _address(standby, addresses, [first, host])
    yield from _one_host(proxy, addresses, [first, host])
    yield from _registries(data, proxy)


def shared_ports(data: Mapping[str, Any], containers: list[tuple[str, Mapping[str, Any]]]) -> tuple[object, list[Any]]:
    """The standby's host, None where there is none; and `containers` as they are there, with those behind the proxy."""
    proxy = data.get("proxy")
    standby = proxy.get("standby") if isinstance(proxy, Mapping) else None
    if not isinstance(proxy, Mapping) or not isinstance(standby, Mapping):
        return None, []
    host, first = standby.get("host"), proxy.get("host")
    behind = [(path, {**item, "host": host}) for path, item in containers if item.get("host") == first]
    return host, [*behind, *((path, item) for path, item in containers if item.get("host") == host)]


def _address(standby: Mapping[str, Any], addresses: Mapping[Any, Any], pair: list[object]) -> Iterator[str]:
    address, by = standby.get("address"), standby.get("by")
    if by == "dns":
        for key in ("address", "interface", "router_id"):
            if standby.get(key) is not None:
                yield f"{PATH}.{key} = {standby[key]!r}: is keepalived's; remove it, or set by: keepalived"
    elif by == "keepalived" and address is None:
        yield f"{PATH}.address: keepalived needs the address that moves; add one of the hosts' network that is free"
    elif by == "keepalived" and isinstance(address, str):
        if not is_ip_address(address):
            yield f"{PATH}.address = {address!r}: must be an IP address; a name of it belongs into server_name"
            return
        taken = [name for name, each in addresses.items() if each == address]
        if taken:
            yield f"{PATH}.address = {address!r}: is host {taken[0]!r}'s own; choose one that no machine has"
        for name in pair:
            own = addresses.get(name)
            if (
                not is_ip_address(own)
                or ipaddress.ip_address(str(own)).version != ipaddress.ip_address(address).version
            ):
                yield (
                    f"{PATH}.address = {address!r}: the two proxies must know each other by IP addresses of the same "
                    f"kind, but host {name!r} has {own!r}; change one of them"
                )


def _one_host(proxy: Mapping[str, Any], addresses: Mapping[Any, Any], pair: list[object]) -> Iterator[str]:
    """A server name that leads to one of the two only."""
    own = {addresses.get(name): name for name in pair}
    for path, each in items(proxy, "endpoints", "proxy."):
        name = each.get("server_name")
        if isinstance(name, str) and is_ip_address(name) and name in own:
            yield (
                f"{path}.server_name = {name!r}: is host {own[name]!r}'s own address, so clients "
                f"would not come to the other proxy; take {PATH}.address or a name"
            )


def _registries(data: Mapping[str, Any], proxy: Mapping[str, Any]) -> Iterator[str]:
    behind = {each.get("registry") for _, each in items(proxy, "endpoints")}
    for path, each in items(data, "registries"):
        if each.get("kind") != "hosted" or each.get("name") not in behind:
            continue
        storage = each.get("storage")
        if not (isinstance(storage, Mapping) and storage.get("s3")):
            yield (
                f"{path}.storage: behind two proxies ({PATH}) each host would have images of its own; keep "
                "them in one bucket (storage.s3)"
            )
        if not each.get("replica_ports") and each.get("http_secret") is not True:
            yield (
                f"{path}.http_secret: an upload may go on at the other proxy's containers ({PATH}), which "
                "must know the same secret; set it to true"
            )
