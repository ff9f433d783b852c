"""docker:index/network:Network. Behaviour: `internal/provider/resource_docker_network_funcs.go` (kreuzwerker)."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from toolchain.plugins.docker.daemon import Client, DaemonError, Inspected, daemon_of
from toolchain.plugins.docker.fields import BOOL, LABELS, MAP, STRING, Field
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.docker.labels import label_list, label_map
from toolchain.plugins.docker.masking import masked
from toolchain.plugins.docker.removal import removed
from toolchain.plugins.shared.resource import Context, Created, ProviderError, Read
from toolchain.plugins.shared.values import Props, Value, plain

if TYPE_CHECKING:
    from docker.types import IPAMConfig

REMOVE_SECONDS: Final = 30
"""How long a network may keep its last endpoints before its removal fails."""


class Network(DockerType):
    """Every change replaces."""

    token = "docker:index/network:Network"  # noqa: S105 - a type token
    fields: ClassVar = {
        "name": STRING,
        "driver": STRING,
        "options": MAP,
        "labels": LABELS,
        "internal": BOOL,
        "attachable": BOOL,
        "ingress": BOOL,
        "ipv6": BOOL,
        "ipamDriver": Field("string", default="default"),
        "ipamOptions": MAP,
        "ipamConfigs": Field(
            "objects",
            unordered=True,
            fields={"subnet": STRING, "gateway": STRING, "ipRange": STRING, "auxAddress": MAP},
        ),
    }
    inputs = frozenset(fields)
    outputs = frozenset({"driver", "internal", "ipamConfigs", "options", "scope"})
    schema_version = 1

    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Make it."""
        if preview:
            return Created("", self.previewed(inputs))
        given = cast("dict[str, Any]", plain(inputs))

        def make(client: Client) -> Inspected:
            made = client.create_network(
                given["name"],
                driver=given.get("driver"),
                options=given.get("options"),
                ipam=_ipam(given),
                check_duplicate=True,
                internal=bool(given.get("internal")),
                labels=label_map(given.get("labels")) or None,
                enable_ipv6=bool(given.get("ipv6")),
                attachable=given.get("attachable"),
                ingress=given.get("ingress"),
            )
            return cast("Inspected", client.inspect_network(made["Id"]))

        try:
            found = await daemon_of(context).call(make)
        except DaemonError as failure:
            hint = (
                f" (if an interrupted update left it behind: docker network rm {given['name']})"
                if failure.status == 409
                else ""
            )
            raise ProviderError(masked(f"Unable to create network: {failure}{hint}", inputs)) from None
        return Created(found["Id"], self.state(inputs, _outputs(found)))

    async def read(self, context: Context, id: str, state: Props, inputs: Props) -> Read | None:
        """As it is now."""
        try:
            found = await daemon_of(context).call(lambda client: client.inspect_network(id))
        except DaemonError as failure:
            if failure.gone:
                return None
            raise ProviderError(f"Unable to inspect network: {failure}") from None
        observed = _observed(found)
        now = self.refreshed(inputs, observed) if inputs else self.imported(observed)
        return Read(found["Id"], self.state(now, _outputs(found)), now)

    async def delete(self, context: Context, id: str, state: Props) -> None:
        """Remove it; waits for its last endpoints to go."""
        await removed(
            daemon_of(context), f"network {id}", lambda client: client.remove_network(id), "has active endpoints"
        )

    def matches(self, name: str, given: Value, observed: Value) -> bool:
        """The daemon adds a gateway to each subnet and options of its own: only what was given counts."""
        if name == "options" and isinstance(given, dict) and isinstance(observed, dict):
            return all(observed.get(option) == value for option, value in given.items())
        if name == "ipamConfigs" and isinstance(given, list) and isinstance(observed, list):
            return len(given) == len(observed) and all(any(_holds(o, g) for o in observed) for g in given)
        return super().matches(name, given, observed)


def _holds(observed: Value, given: Value) -> bool:
    if not isinstance(observed, dict) or not isinstance(given, dict):
        return observed == given
    return all(observed.get(name) == value for name, value in given.items())


def _ipam(given: dict[str, Any]) -> IPAMConfig:
    """The request's `IPAM`."""
    from docker.types import IPAMConfig, IPAMPool

    pools = [
        IPAMPool(
            subnet=entry.get("subnet"),
            iprange=entry.get("ipRange"),
            gateway=entry.get("gateway"),
            aux_addresses=entry.get("auxAddress"),
        )
        for entry in given.get("ipamConfigs") or ()
    ]
    return IPAMConfig(given.get("ipamDriver") or "default", pools, given.get("ipamOptions"))


def _outputs(found: Inspected) -> Props:
    observed = _observed(found)
    return {
        "driver": observed["driver"],
        "internal": observed["internal"],
        "ipamConfigs": observed["ipamConfigs"],
        "options": observed["options"],
        "scope": found["Scope"],
    }


def _observed(found: Inspected) -> Props:
    ipam = found.get("IPAM") or {}
    configs: list[Value] = [
        {
            "subnet": entry.get("Subnet", ""),
            "gateway": entry.get("Gateway", ""),
            "ipRange": entry.get("IPRange", ""),
            "auxAddress": dict(entry.get("AuxiliaryAddresses") or {}),
        }
        for entry in ipam.get("Config") or ()
    ]
    return {
        "name": found["Name"],
        "driver": found["Driver"],
        "options": dict(found.get("Options") or {}),
        "labels": label_list(found.get("Labels")),
        "internal": bool(found.get("Internal")),
        "attachable": bool(found.get("Attachable")),
        "ingress": bool(found.get("Ingress")),
        "ipv6": bool(found.get("EnableIPv6")),
        "ipamDriver": ipam.get("Driver") or "default",
        "ipamConfigs": configs,
    }
