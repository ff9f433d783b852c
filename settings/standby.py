"""A second proxy on another host, for when the first one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from settings.values import Address, Name, Settings, matching

if TYPE_CHECKING:
    from settings.tier import Tier

Interface = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", "a network interface's name, such as eth0")]


class Standby(Settings):
    """The same endpoints, users and certificates on another host, with a cache and registry containers of its own."""

    host: Name
    """The second proxy's host, by its name in `hosts`."""
    by: Literal["keepalived", "dns"]
    """How clients come to the proxy that works. `keepalived`: `address` is always at one of the two hosts, at the other
    within seconds (VRRP). `dns`: the endpoints' name has the addresses of both, which you see to; clients try the next
    one."""
    address: Address | None = None
    """With keepalived: an IP address of the hosts' network that no machine has. Endpoints have it, or a name of it, as
    their `server_name`."""
    interface: Interface | None = None
    """Which interface of either host gets it; if absent, the one that has the host's own `address`."""
    router_id: int = Field(default=51, ge=1, le=255)
    """VRRP's number for the two: another one than any other such pair of the same network has."""


def views(tier: Tier) -> tuple[Tier, ...]:
    """The tier as it is, and where there is a standby, as it looks from there: `standby_view`."""
    return (tier, standby_view(tier)) if tier.proxy and tier.proxy.standby else (tier,)


def standby_view(tier: Tier) -> Tier:
    """The tier with the standby in place of the proxy's host, for what is behind the proxy."""
    assert tier.proxy
    assert tier.proxy.standby
    host = tier.proxy.standby.host
    registries = [
        each.model_copy(update={"host": host}) if tier.behind_proxy(each) else each for each in tier.registries
    ]
    return tier.model_copy(update={"proxy": tier.proxy.seen_from_standby(), "registries": tuple(registries)})
