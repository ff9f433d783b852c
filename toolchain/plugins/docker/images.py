"""Finding an image on a daemon, pulling it where it is missing.

Behaviour: `findImage`, `pullImage` and `determineRepoDigest` of `internal/provider/resource_docker_image_funcs.go`
and `data_source_docker_image.go` (kreuzwerker).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from toolchain.plugins.docker.daemon import Client, Daemon, DaemonError, Inspected
from toolchain.plugins.docker.settings import RegistryAuth
from toolchain.plugins.shared.resource import ProviderError

HUB: Final = frozenset({"registry.hub.docker.com", "index.docker.io", "registry-1.docker.io", "docker.io"})
"""Addresses of `registryAuth` that mean Docker Hub, for images whose name has no registry."""


async def find_image(daemon: Daemon, name: str) -> Inspected:
    """The image, pulled with the provider's `registryAuth` if the daemon hasn't got it."""
    found = await local_image(daemon, name)
    if found is not None:
        return found
    try:
        await daemon.call(lambda client: _pull(client, name, daemon.settings.registry_auth))
    except DaemonError as failure:
        raise ProviderError(f"unable to pull image {name}: error pulling image {name}: {failure}") from None
    found = await local_image(daemon, name)
    if found is None:
        raise ProviderError(f"unable to find or pull image {name}")
    return found


async def local_image(daemon: Daemon, name: str) -> Inspected | None:
    """The image, None if the daemon hasn't got it."""
    try:
        return await daemon.call(lambda client: client.inspect_image(name))  # type: ignore[no-untyped-call]
    except DaemonError as failure:
        if failure.gone:
            return None
        raise


def _pull(client: Client, name: str, auths: Sequence[RegistryAuth]) -> None:
    for line in client.pull(name, stream=True, decode=True, auth_config=_credentials(name, auths)):
        if "error" in line:
            raise DaemonError(f"Error response from daemon: {line['error']}", 500)


def registry_of(name: str) -> str:
    """The registry in an image's name: what is before the first `/`, if it looks like a host; else nothing."""
    first, slash, rest = name.partition("/")
    looks_like_a_host = "/" in rest or "." in first or ":" in first or first == "localhost"
    return first if slash and looks_like_a_host else ""


def repo_digest(name: str, digests: Sequence[str]) -> str:
    """The `repo@sha256:...` of an image that goes with its name; nothing for one that was never pulled."""
    if len(digests) == 1:
        return digests[0]
    repository = name.partition("@")[0]
    head, slash, tail = repository.rpartition("/")
    repository = f"{head}{slash}{tail.partition(':')[0]}"
    return next((digest for digest in digests if digest.startswith(f"{repository}@")), "")


def _credentials(name: str, auths: Sequence[RegistryAuth]) -> dict[str, str]:
    """What logs in at the image's registry; empty when the provider has nothing for it."""
    registry = registry_of(name)
    wanted = {registry} if registry else HUB
    for auth in auths:
        address = auth.address.partition("://")[2] or auth.address
        if address.partition("/")[0] in wanted:
            return _login(auth, address.partition("/")[0])
    return {}


def _login(auth: RegistryAuth, registry: str) -> dict[str, str]:
    from docker.auth import load_config

    if auth.username:
        return {"username": auth.username, "password": auth.password, "serveraddress": registry}
    if auth.config_file_content:
        try:
            loaded = load_config(config_dict=json.loads(auth.config_file_content))
        except ValueError:
            raise ProviderError("Error parsing docker registry config json: configFileContent is no JSON") from None
    else:
        from pathlib import Path

        loaded = load_config(config_path=str(Path(auth.config_file).expanduser()))
    return dict(loaded.resolve_authconfig("docker.io" if registry in HUB else registry) or {})
