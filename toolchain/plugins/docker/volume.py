"""docker:index/volume:Volume. Behaviour: `internal/provider/resource_docker_volume.go` (kreuzwerker)."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

from toolchain.plugins.docker.daemon import Client, DaemonError, Inspected, daemon_of
from toolchain.plugins.docker.fields import LABELS, MAP, STRING
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.docker.labels import label_list, label_map
from toolchain.plugins.docker.masking import masked
from toolchain.plugins.docker.removal import removed
from toolchain.plugins.shared.resource import Context, Created, ProviderError, Read
from toolchain.plugins.shared.values import Props, plain

REMOVE_SECONDS: Final = 30
"""How long a volume that is in use may stay so before its removal fails."""


class Volume(DockerType):
    """Every change replaces. A volume of that name which exists already is taken over, as Docker does it."""

    token = "docker:index/volume:Volume"  # noqa: S105 - a type token
    fields: ClassVar = {"name": STRING, "driver": STRING, "driverOpts": MAP, "labels": LABELS}
    inputs = frozenset(fields)
    outputs = frozenset({"driver", "mountpoint"})
    schema_version = 1

    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Make it. Its id is its name."""
        if preview:
            return Created("", self.previewed(inputs))
        given = cast("dict[str, Any]", plain(inputs))

        def make(client: Client) -> Inspected:
            made = client.create_volume(
                name=given["name"],
                driver=given.get("driver"),
                driver_opts=given.get("driverOpts"),
                labels=label_map(given.get("labels")) or None,
            )
            return client.inspect_volume(made["Name"])

        try:
            found = await daemon_of(context).call(make)
        except DaemonError as failure:
            raise ProviderError(masked(f"Unable to create volume: {failure}", inputs)) from None
        return Created(found["Name"], self.state(inputs, _outputs(found)))

    async def read(self, context: Context, id: str, state: Props, inputs: Props) -> Read | None:
        """As it is now."""
        try:
            found = await daemon_of(context).call(lambda client: client.inspect_volume(id))
        except DaemonError as failure:
            if failure.gone:
                return None
            raise ProviderError(f"Unable to inspect volume: {failure}") from None
        observed = _observed(found)
        now = self.refreshed(inputs, observed) if inputs else self.imported(observed)
        return Read(found["Name"], self.state(now, _outputs(found)), now)

    async def delete(self, context: Context, id: str, state: Props) -> None:
        """Remove it and its content; waits while a container uses it."""
        await removed(
            daemon_of(context), f"volume {id}", lambda client: client.remove_volume(id, force=True), "volume is in use"
        )


def _outputs(found: Inspected) -> Props:
    return {"driver": found["Driver"], "mountpoint": found["Mountpoint"]}


def _observed(found: Inspected) -> Props:
    return {
        "name": found["Name"],
        "driver": found["Driver"],
        "driverOpts": found.get("Options") or {},
        "labels": label_list(found.get("Labels")),
    }
