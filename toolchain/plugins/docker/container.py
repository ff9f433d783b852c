"""docker:index/container:Container.

Behaviour: `internal/provider/resource_docker_container_funcs.go` (kreuzwerker/terraform-provider-docker). On
purpose otherwise: a container that failed to start is removed, so that the next update can make it anew; one with
`rm` is removed too, not just forgotten.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from toolchain.plugins.docker import container_state
from toolchain.plugins.docker.container_fields import FIELDS, IN_PLACE, OUTPUTS, UNAPPLIED
from toolchain.plugins.docker.container_life import created, inspected, removed, started
from toolchain.plugins.docker.container_request import taken_away, update_request
from toolchain.plugins.docker.container_state import matches, outputs, published_ports, running
from toolchain.plugins.docker.daemon import Client, Daemon, DaemonError, Inspected, daemon_of
from toolchain.plugins.docker.durations import nanoseconds
from toolchain.plugins.docker.fields import Field
from toolchain.plugins.docker.images import find_image
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.docker.masking import masked
from toolchain.plugins.shared.resource import Context, Created, Failure, ProviderError, Read
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret, Value, has_unknown, plain


class Container(DockerType):
    """A container; replaced by deleting the old one first, for its name and its ports."""

    token = "docker:index/container:Container"  # noqa: S105 - a type token
    fields: ClassVar[Mapping[str, Field]] = FIELDS
    inputs = frozenset(FIELDS)
    in_place = IN_PLACE
    outputs = OUTPUTS
    always_delete_first = True
    schema_version = 2

    def wrong(self, inputs: Props) -> tuple[Failure, ...]:
        """Uploads, mounts and durations."""
        given = _plain(inputs)
        failures = [
            *_wrong_uploads(given.get("uploads")),
            *_wrong_mounts(given.get("mounts")),
            *_wrong_durations(given.get("healthcheck")),
        ]
        if isinstance(given.get("command"), list) and "" in given["command"]:
            failures.append(Failure("command", "docker: Container: values for `command` may not be empty"))
        return tuple(failures)

    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Find or pull the image, make the container, start it, see it run."""
        if preview:
            return Created("", self.previewed({**inputs, **_unknown_ports(inputs)}))
        daemon, given = daemon_of(context), _plain(inputs)
        try:
            try:
                await find_image(daemon, given["image"])
            except ProviderError as failure:
                raise ProviderError(f"Unable to create container with image {given['image']}: {failure}") from None
            id = await created(daemon, given)
            try:
                log = await started(daemon, id, given) if given.get("start") else None
                found = await inspected(daemon, id)
            except ProviderError:
                await removed(daemon, id, {"removeVolumes": True})
                raise
        except ProviderError as failure:
            raise ProviderError(masked(str(failure), inputs)) from None
        extra: Props = {"containerLogs": log} if log is not None else {}
        return Created(id, {**self._state_of(inputs, found), **extra})

    async def read(self, context: Context, id: str, state: Props, inputs: Props) -> Read | None:
        """As it is now. One that must run and doesn't gets `mustRun` false, and so started by the next update."""
        try:
            found = await inspected(daemon_of(context), id)
        except DaemonError as failure:
            if failure.gone:
                return None
            raise ProviderError(f"error fetching container information from Docker: {failure}") from None
        seen = container_state.observed(found)
        if inputs and _image_unchanged(inputs, found):
            del seen["image"]
        now = self.refreshed(inputs, seen) if inputs else self.imported(seen)
        if plain(now.get("mustRun")) and plain(now.get("start")) and not running(found):
            now["mustRun"] = False
        log: Props = {"containerLogs": state["containerLogs"]} if state.get("containerLogs") else {}
        return Read(found["Id"], {**self._state_of(now, found), **log}, now)

    async def update(
        self, context: Context, id: str, old_state: Props, old_inputs: Props, new: Props, preview: bool
    ) -> Props:
        """Apply limits and restart policy; start it if it must run and doesn't."""
        if preview:
            # With the ports that Docker chose: other ports would have been a replacement.
            ports: Props = {"ports": old_state["ports"]} if "ports" in old_state else {}
            return {**self.updated(old_state, new), **ports}
        daemon, old, given = daemon_of(context), _plain(old_inputs), _plain(new)
        await _warn(context, old, given)
        try:
            await _apply(daemon, id, old, given)
            found = await inspected(daemon, id)
            if given.get("start") and given.get("mustRun") and not running(found):
                await started(daemon, id, given)
                found = await inspected(daemon, id)
        except ProviderError as failure:
            raise ProviderError(masked(f"Unable to update a container: {failure}", new)) from None
        log: Props = {"containerLogs": old_state["containerLogs"]} if old_state.get("containerLogs") else {}
        return {**self._state_of(new, found), **log}

    async def delete(self, context: Context, id: str, state: Props) -> None:
        """Stop and remove it."""
        await removed(daemon_of(context), id, _plain(state))

    def matches(self, name: str, given: Value, observed: Value) -> bool:
        """Docker has some values in another form."""
        known = matches(name, given, observed)
        return super().matches(name, given, observed) if known is None else known

    def _state_of(self, inputs: Props, found: Inspected) -> Props:
        state = self.state(inputs, outputs(found))
        if "ports" in state:
            ports = state["ports"]
            published = published_ports(plain(ports), found)
            state["ports"] = Secret(published) if isinstance(ports, Secret) else published
        return state


def _plain(props: Props) -> dict[str, Any]:
    return cast("dict[str, Any]", plain(props))


def _image_unchanged(inputs: Props, found: Inspected) -> bool:
    """The program may name the image by its name; the container has the id too."""
    return plain(inputs.get("image")) in (found["Image"], found["Config"].get("Image"))


def _unknown_ports(inputs: Props) -> Props:
    """In a preview nobody knows which port Docker will choose."""
    ports = inputs.get("ports")
    if not isinstance(ports, list):
        return {}
    return {"ports": [{"external": UNKNOWN, **port} if isinstance(port, dict) else port for port in ports]}


async def _apply(daemon: Daemon, id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    body = update_request(old, new)
    if not body:
        return

    def apply(client: Client) -> None:
        client.update_container(
            id,
            cpu_period=body.get("CpuPeriod"),
            cpu_quota=body.get("CpuQuota"),
            cpu_shares=body.get("CpuShares"),
            cpuset_cpus=body.get("CpusetCpus"),
            mem_limit=body.get("Memory"),
            mem_reservation=body.get("MemoryReservation"),
            memswap_limit=body.get("MemorySwap"),
            restart_policy=body.get("RestartPolicy"),
        )

    await daemon.call(apply)


async def _warn(context: Context, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    unapplied = [name for name in sorted(UNAPPLIED) if old.get(name) != new.get(name)] + taken_away(old, new)
    if unapplied:
        await context.log.write(
            "WARNING",
            f"docker: Container: the change of {', '.join(unapplied)} is in the state but not in the running "
            f"container, which Docker can't change so; replace_on_changes={unapplied} would replace it",
        )


def _wrong_uploads(uploads: Any) -> list[Failure]:
    failures = []
    for index, upload in enumerate(uploads if isinstance(uploads, list) else ()):
        path = f"uploads[{index}]"
        if not isinstance(upload, dict) or has_unknown(upload):
            continue
        contents = [name for name in ("content", "contentBase64") if upload.get(name)]
        if len(contents) != 1:
            rule = "one of" if not contents else "only one of"
            failures.append(
                Failure(path, f"docker: Container: {rule} `content` and `contentBase64` must be set in `{path}`")
            )
        if upload.get("contentBase64") and not _is_base64(upload["contentBase64"]):
            failures.append(Failure(f"{path}.contentBase64", f"docker: Container: `{path}.contentBase64` is no base64"))
        if not re.fullmatch(r"(0?[0-7]{3,4})?", upload.get("permissions") or ""):
            failures.append(
                Failure(f"{path}.permissions", f"docker: Container: `{path}.permissions` must be octal, like 0644")
            )
    return failures


def _wrong_mounts(mounts: Any) -> list[Failure]:
    failures = []
    for index, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        kind = mount.get("type") if isinstance(mount, dict) else None
        if not isinstance(kind, str):
            continue
        for other in ("bind", "volume", "tmpfs"):
            path = f"mounts[{index}].{other}Options"
            if other != kind and f"{other}Options" in mount:
                reason = f"docker: Container: `{path}` is only for mounts of type {other}, this one is of type {kind}"
                failures.append(Failure(path, reason))
    return failures


def _wrong_durations(check: Any) -> list[Failure]:
    failures = []
    for name in ("interval", "timeout", "startPeriod", "startInterval"):
        value = check.get(name) if isinstance(check, dict) else None
        if isinstance(value, str):
            try:
                nanoseconds(value)
            except ValueError as failure:
                path = f"healthcheck.{name}"
                failures.append(Failure(path, f"docker: Container: `{path}`: {failure}"))
    return failures


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
