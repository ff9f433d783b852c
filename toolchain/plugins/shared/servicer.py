"""The engine's calls (`pulumi/provider.proto`), translated for a `Plugin`."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from toolchain.plugins.shared.diff import Diff
from toolchain.plugins.shared.log import GrpcLog
from toolchain.plugins.shared.plugin import Plugin
from toolchain.plugins.shared.resource import Checked, Context, DiffRequest, Failure
from toolchain.plugins.shared.wire import decode, encode


class Servicer:
    """One method an RPC; what isn't here answers UNIMPLEMENTED, which the engine knows how to take."""

    def __init__(self, plugin: Plugin, engine: Any) -> None:
        self._plugin = plugin
        self._engine = engine

    async def GetPluginInfo(self, request: Empty) -> plugin_pb2.PluginInfo:
        """The plugin's version."""
        return plugin_pb2.PluginInfo(version=self._plugin.version)

    async def GetSchema(self, request: provider_pb2.GetSchemaRequest) -> provider_pb2.GetSchemaResponse:
        """No schema: the SDK package brings its own."""
        return provider_pb2.GetSchemaResponse(schema="{}")

    async def Cancel(self, request: Empty) -> Empty:
        """Running commands finish, as in the official plugin."""
        return Empty()

    async def CheckConfig(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        """The provider's configuration, checked."""
        return _checked(await self._plugin.check_config(decode(request.olds), decode(request.news)))

    async def DiffConfig(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """What changed in the provider's configuration."""
        return _diff(await self._plugin.diff_config(decode(request.old_inputs), decode(request.news)))

    async def Configure(self, request: provider_pb2.ConfigureRequest) -> provider_pb2.ConfigureResponse:
        """Take the configuration."""
        await self._plugin.configure(decode(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=False
        )

    async def Invoke(self, request: provider_pb2.InvokeRequest) -> provider_pb2.InvokeResponse:
        """Run a function."""
        result = await self._plugin.function(request.tok)(self._context("", 0), decode(request.args))
        return provider_pb2.InvokeResponse(**{"return": encode(result)})

    async def Check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        """Refuse what isn't supported, then let the type check the rest."""
        context = self._context(request.urn, 0, request.randomSeed)
        kind = self._plugin.kind(context)
        new = decode(request.news)
        refused = kind.unsupported(new)
        if refused:
            return _checked(Checked(new, refused))
        return _checked(await kind.check(context, decode(request.olds), new))

    async def Diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        """What changed."""
        context = self._context(request.urn, 0)
        wanted = DiffRequest(
            id=request.id,
            old_state=decode(request.olds),
            old_inputs=decode(request.old_inputs),
            new_inputs=decode(request.news),
            ignore_changes=tuple(request.ignoreChanges),
        )
        return _diff(await self._plugin.kind(context).diff(context, wanted))

    async def Create(self, request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:
        """Make a resource."""
        context = self._context(request.urn, request.timeout)
        created = await self._plugin.kind(context).create(context, decode(request.properties), request.preview)
        return provider_pb2.CreateResponse(id=created.id, properties=encode(created.state))

    async def Read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:
        """A resource as it is; an empty answer says that it is gone."""
        context = self._context(request.urn, request.timeout)
        kind = self._plugin.kind(context)
        found = await kind.read(context, request.id, decode(request.properties), decode(request.inputs))
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=found.id, properties=encode(found.state), inputs=encode(found.inputs))

    async def Update(self, request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:
        """Change a resource in place."""
        context = self._context(request.urn, request.timeout)
        state = await self._plugin.kind(context).update(
            context,
            request.id,
            decode(request.olds),
            decode(request.old_inputs),
            decode(request.news),
            request.preview,
        )
        return provider_pb2.UpdateResponse(properties=encode(state))

    async def Delete(self, request: provider_pb2.DeleteRequest) -> Empty:
        """Remove a resource."""
        context = self._context(request.urn, request.timeout)
        await self._plugin.kind(context).delete(context, request.id, decode(request.properties))
        return Empty()

    def _context(self, urn: str, timeout: float, random_seed: bytes = b"") -> Context:
        return Context(
            urn=urn,
            log=GrpcLog(self._engine, urn),
            config=self._plugin.config,
            random_seed=random_seed,
            timeout=timeout,
        )


def _checked(checked: Checked) -> provider_pb2.CheckResponse:
    return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=_failures(checked.failures))


def _failures(failures: Sequence[Failure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures]


def _diff(diff: Diff) -> provider_pb2.DiffResponse:
    kinds = provider_pb2.PropertyDiff.Kind
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted({path.split(".")[0].split("[")[0] for path in diff.changes}),
        replaces=[path for path, how in diff.changes.items() if how.endswith("_REPLACE")],
        deleteBeforeReplace=diff.delete_before_replace,
        detailedDiff={
            path: provider_pb2.PropertyDiff(kind=kinds.Value(how), inputDiff=True) for path, how in diff.changes.items()
        },
        hasDetailedDiff=True,
    )
