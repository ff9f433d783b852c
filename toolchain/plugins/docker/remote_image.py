"""docker:index/remoteImage:RemoteImage. Behaviour: `resource_docker_image_funcs.go` (kreuzwerker)."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from typing import ClassVar

from toolchain.plugins.docker.daemon import DaemonError, Inspected, daemon_of
from toolchain.plugins.docker.fields import BOOL, MAP, REQUIRED, STRING_SET
from toolchain.plugins.docker.images import find_image, local_image, repo_digest
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.shared.resource import Context, Created, ProviderError, Read
from toolchain.plugins.shared.values import Props, plain


class RemoteImage(DockerType):
    """An image on the daemon. What isn't there is pulled; what is there is taken as it is.

    So a changed `pullTriggers` pulls anew only where the delete before it removed the image: not with
    `keepLocally`. That is the official plugin's rule; name an image by digest to be sure of its content.
    """

    token = "docker:index/remoteImage:RemoteImage"  # noqa: S105 - a type token
    fields: ClassVar = {
        "name": REQUIRED,
        "pullTriggers": STRING_SET,
        "triggers": MAP,
        "keepLocally": BOOL,
        "forceRemove": BOOL,
    }
    inputs = frozenset(fields)
    in_place = frozenset({"keepLocally", "forceRemove"})
    outputs = frozenset({"imageId", "repoDigest"})
    auto_named = False

    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Find or pull it. Its id is the image's id and the name."""
        if preview:
            return Created("", self.previewed(inputs))
        name = _name(inputs)
        found = await self._found(context, name)
        return Created(found["Id"] + name, self.state(inputs, _outputs(name, found)))

    async def read(self, context: Context, id: str, state: Props, inputs: Props) -> Read | None:
        """As it is now; gone when the daemon has no image of that name."""
        name = _name(inputs or state)
        if not name:
            raise ProviderError("a RemoteImage can't be imported: it is found or pulled when it is created")
        try:
            found = await local_image(daemon_of(context), name)
        except DaemonError as failure:
            raise ProviderError(f"Error reading docker image list: {failure}") from None
        if found is None:
            return None
        return Read(found["Id"] + name, self.state(inputs, _outputs(name, found)), inputs)

    async def update(
        self, context: Context, id: str, old_state: Props, old_inputs: Props, new: Props, preview: bool
    ) -> Props:
        """Take the new flags, for the delete to come; find the image anew."""
        if preview:
            return self.updated(old_state, new)
        name = _name(new)
        return self.state(new, _outputs(name, await self._found(context, name)))

    async def delete(self, context: Context, id: str, state: Props) -> None:
        """Remove the name, and the image with its last name; not with `keepLocally`."""
        if plain(state.get("keepLocally")):
            return
        name, force = _name(state), bool(plain(state.get("forceRemove")))
        try:
            await daemon_of(context).call(lambda client: client.remove_image(name, force=force))
        except DaemonError as failure:
            if not failure.gone:
                raise ProviderError(f"Unable to remove Docker image: {failure}") from None

    async def _found(self, context: Context, name: str) -> Inspected:
        try:
            return await find_image(daemon_of(context), name)
        except ProviderError as failure:
            raise ProviderError(f"Unable to read Docker image into resource: {failure}") from None


def _name(props: Props) -> str:
    return str(plain(props.get("name")) or "")


def _outputs(name: str, found: Inspected) -> Props:
    return {"imageId": found["Id"], "repoDigest": repo_digest(name, found.get("RepoDigests") or [])}
