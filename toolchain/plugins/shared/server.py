"""The gRPC server of a plugin.

Contract with the engine: the engine's address is the first argument, the port goes to stdout as the first
line, and nothing else is ever written there.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, status_pb2

from toolchain.plugins.shared.plugin import Plugin
from toolchain.plugins.shared.resource import PartialFailure, ProviderError
from toolchain.plugins.shared.servicer import Servicer
from toolchain.plugins.shared.wire import encode

MESSAGE_LIMIT = 400 * 1024 * 1024
"""Bytes of one message; the engine's own limit."""

_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]
_REQUESTS: dict[str, type[Message]] = {
    "GetPluginInfo": Empty,
    "GetSchema": provider_pb2.GetSchemaRequest,
    "Cancel": Empty,
    "CheckConfig": provider_pb2.CheckRequest,
    "DiffConfig": provider_pb2.DiffRequest,
    "Configure": provider_pb2.ConfigureRequest,
    "Invoke": provider_pb2.InvokeRequest,
    "Check": provider_pb2.CheckRequest,
    "Diff": provider_pb2.DiffRequest,
    "Create": provider_pb2.CreateRequest,
    "Read": provider_pb2.ReadRequest,
    "Update": provider_pb2.UpdateRequest,
    "Delete": provider_pb2.DeleteRequest,
}


def main(plugin: Plugin) -> None:
    """Serve `plugin` to the engine until the engine ends."""
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not addresses:
        raise SystemExit(f"pulumi-resource-{plugin.name} is started by the Pulumi engine, with its address")
    try:
        asyncio.run(_serve(plugin, addresses[0]))
    except KeyboardInterrupt:
        return


async def _serve(plugin: Plugin, engine_address: str) -> None:
    async with grpc.aio.insecure_channel(engine_address, options=_OPTIONS) as channel:
        calls = Calls()
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((handlers(plugin, engine_pb2_grpc.EngineStub(channel), calls),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await _engine_gone(calls)
        await server.stop(grace=None)


class Calls:
    """The calls that are running. A call that has begun runs to its end, also when its engine is gone."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Message]] = set()

    async def finished(self, call: Coroutine[Any, Any, Message]) -> Message:
        """What `call` gives; gRPC cancels the one that waits here when the connection breaks, not the call."""
        task = asyncio.create_task(call)
        self.running.add(task)
        task.add_done_callback(self._ended)
        # Not `shield`: newer Pythons log the failure of a task that nobody waits for any more.
        await asyncio.wait({task})
        return task.result()

    def _ended(self, task: asyncio.Task[Message]) -> None:
        self.running.discard(task)
        if not task.cancelled():
            task.exception()


async def _engine_gone(calls: Calls) -> None:
    """Returns when the process that started this one has ended and no call is running any more."""
    parent = os.getppid()
    while os.getppid() == parent or calls.running:
        await asyncio.sleep(1)


def handlers(plugin: Plugin, engine: Any, calls: Calls | None = None) -> grpc.GenericRpcHandler:
    """The RPC handlers of `plugin`; `engine` is the stub that takes its log lines."""
    servicer = Servicer(plugin, engine)
    begun = calls or Calls()
    return grpc.method_handlers_generic_handler(
        "pulumirpc.ResourceProvider",
        {
            name: grpc.unary_unary_rpc_method_handler(
                _answering(getattr(servicer, name), begun),
                request_deserializer=request.FromString,
                response_serializer=lambda response: response.SerializeToString(),
            )
            for name, request in _REQUESTS.items()
        },
    )


def _answering(
    method: Callable[[Any], Coroutine[Any, Any, Message]], calls: Calls
) -> Callable[[Any, Any], Coroutine[Any, Any, Message]]:
    """`method` with its exceptions turned into the engine's errors: the text alone, no traceback."""

    async def answer(request: Any, context: Any) -> Message:
        try:
            return await calls.finished(method(request))
        except PartialFailure as failure:
            await context.abort(grpc.StatusCode.UNKNOWN, str(failure), _init_failed(failure))
            raise
        except ProviderError as failure:
            await context.abort(grpc.StatusCode.UNKNOWN, str(failure))
            raise
        except Exception as failure:
            await context.abort(grpc.StatusCode.UNKNOWN, f"{type(failure).__name__}: {failure}")
            raise

    return answer


def _init_failed(failure: PartialFailure) -> tuple[tuple[str, bytes]]:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=failure.id, properties=encode(failure.state), reasons=list(failure.reasons)
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failure))
    status.details.add().Pack(detail)
    return (("grpc-status-details-bin", status.SerializeToString()),)
