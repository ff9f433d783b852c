"""Starting a container and watching that it stays up; stopping and removing it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal

from toolchain.plugins.docker.container_request import create_request, upload_archive
from toolchain.plugins.docker.container_state import running
from toolchain.plugins.docker.daemon import Client, Daemon, DaemonError, Inspected
from toolchain.plugins.shared.resource import ProviderError

SETTLE_SECONDS: Final = 0.5
"""How long a container that must run is watched after its start; a wrong configuration ends it sooner."""
POLL_SECONDS: Final = 0.1
LOG_LINES: Final = 20
"""The last lines of its log that an error shows."""


async def created(daemon: Daemon, given: Mapping[str, Any]) -> str:
    """Make the container with its networks and files, not started. Gives its id."""
    try:
        made = await daemon.call(
            lambda client: client.create_container_from_config(  # type: ignore[no-untyped-call]
                create_request(given), name=given["name"]
            )
        )
    except DaemonError as failure:
        hint = (
            f" (if an interrupted update left it behind: docker rm -f {given['name']})" if failure.status == 409 else ""
        )
        raise ProviderError(f"Unable to create container: {failure}{hint}") from None
    id = str(made["Id"])
    try:
        await _furnish(daemon, id, given)
    except ProviderError:
        await removed(daemon, id, {"removeVolumes": True})
        raise
    return id


async def _furnish(daemon: Daemon, id: str, given: Mapping[str, Any]) -> None:
    networks = given.get("networksAdvanced") or ()
    if networks:
        try:
            await daemon.call(lambda client: client.disconnect_container_from_network(id, "bridge"))
        except DaemonError as failure:
            if "is not connected to" not in str(failure):
                raise ProviderError(f"Unable to disconnect the default network: {failure}") from None
    for network in networks:
        try:
            await daemon.call(partial(_connect, id=id, network=network))
        except DaemonError as failure:
            raise ProviderError(f"Unable to connect to network '{network['name']}': {failure}") from None
    if given.get("uploads"):
        archive = upload_archive(given["uploads"])
        try:
            await daemon.call(lambda client: client.put_archive(id, "/", archive))
        except DaemonError as failure:
            raise ProviderError(f"Unable to upload volume content: {failure}") from None


def _connect(client: Client, id: str, network: Mapping[str, Any]) -> None:
    client.connect_container_to_network(
        id,
        network["name"],
        aliases=network.get("aliases"),
        ipv4_address=network.get("ipv4Address"),
        ipv6_address=network.get("ipv6Address"),
    )


async def started(daemon: Daemon, id: str, given: Mapping[str, Any]) -> str | None:
    """Start it and see it run, be healthy, or end, as the inputs ask. Gives its log if they ask for it."""
    try:
        await daemon.call(lambda client: client.start(id))
    except DaemonError as failure:
        raise ProviderError(f"Unable to start container: {failure}") from None
    if given.get("attach"):
        await daemon.call(lambda client: client.wait(id))
        return await _log(daemon, id, "all") if given.get("logs") else None
    if given.get("mustRun"):
        await _settled(daemon, id)
    if given.get("wait"):
        await _healthy(daemon, id, float(given.get("waitTimeout") or 60))
    return None


async def _settled(daemon: Daemon, id: str) -> None:
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        try:
            found = await inspected(daemon, id)
        except DaemonError as failure:
            if failure.gone:
                raise ProviderError("container exited immediately and was removed by `rm`") from None
            raise
        state = found["State"]
        if not running(found) or state.get("Restarting") or found.get("RestartCount"):
            raise await _exited(daemon, found, "container exited immediately")


async def _healthy(daemon: Daemon, id: str, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await inspected(daemon, id)
        if not running(found):
            raise await _exited(daemon, found, "container exited before it was healthy")
        health = found["State"].get("Health")
        if not health:
            raise ProviderError("container has no healthcheck to wait for: give it one, or leave out `wait`")
        if health["Status"] == "healthy":
            return
        late = asyncio.get_running_loop().time() > deadline
        if late or health["Status"] == "unhealthy":
            last = (health.get("Log") or [{}])[-1].get("Output", "").strip()
            problem = f"container is not healthy after {seconds:g} s" if late else "container is unhealthy"
            raise ProviderError(f"{problem}; its last check said: {last or '(nothing)'}")
        await asyncio.sleep(POLL_SECONDS * 2)


async def _exited(daemon: Daemon, found: Inspected, what: str) -> ProviderError:
    state = found["State"]
    text = f"{what} with exit code {state.get('ExitCode')}"
    if state.get("Error"):
        text += f" ({state['Error']})"
    log = await _log(daemon, found["Id"], LOG_LINES)
    return ProviderError(f"{text}; the end of its log:\n{log}" if log else f"{text}; its log is empty")


async def _log(daemon: Daemon, id: str, tail: int | Literal["all"]) -> str:
    try:
        said = await daemon.call(lambda client: client.logs(id, stdout=True, stderr=True, tail=tail))
    except DaemonError:
        return ""
    return bytes(said).decode(errors="replace").rstrip()


async def inspected(daemon: Daemon, id: str) -> Inspected:
    """The container as it is."""
    return await daemon.call(lambda client: client.inspect_container(id))


async def removed(daemon: Daemon, id: str, given: Mapping[str, Any]) -> None:
    """Stop it within `destroyGraceSeconds`, remove it; fine if it is gone."""
    grace = int(given.get("destroyGraceSeconds") or 0)
    try:
        if grace > 0 and not given.get("attach"):
            await daemon.call(lambda client: client.stop(id, timeout=grace))
    except DaemonError as failure:
        if failure.gone:
            return
        raise ProviderError(f"Error stopping container {id}: {failure}") from None
    try:
        volumes = bool(given.get("removeVolumes", True))
        await daemon.call(lambda client: client.remove_container(id, v=volumes, force=True))
    except DaemonError as failure:
        if not failure.gone and "is already in progress" not in str(failure):
            raise ProviderError(f"Error deleting container {id}: {failure}") from None
    await _really_gone(daemon, id)


async def _really_gone(daemon: Daemon, id: str) -> None:
    """A removal that was in progress (`rm`, another client) still holds the name for a moment."""
    for _ in range(100):
        try:
            await inspected(daemon, id)
        except DaemonError as failure:
            if failure.gone:
                return
            raise
        await asyncio.sleep(POLL_SECONDS)
    raise ProviderError(f"Error waiting for container removal '{id}': it is still there after 10 s")
