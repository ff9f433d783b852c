"""Lines to the engine, which shows them below the resource they belong to."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

Severity: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class EngineLog(Protocol):
    """Where a resource's messages go."""

    async def write(self, severity: Severity, message: str, *, status: bool = False) -> None:
        """Show `message`; `status` makes it ephemeral (InfoStatus: the next one takes its place)."""


class GrpcLog:
    """`EngineLog` over the engine's Log RPC. A failing log never fails the resource."""

    def __init__(self, stub: Any, urn: str) -> None:
        self._stub = stub
        self._urn = urn

    async def write(self, severity: Severity, message: str, *, status: bool = False) -> None:
        """See `EngineLog.write`."""
        # Here, since whoever only asks a plugin for its version imports this file as well.
        import asyncio

        import grpc  # type: ignore[import-untyped]
        from pulumi.runtime.proto import engine_pb2

        request = engine_pb2.LogRequest(
            severity=engine_pb2.LogSeverity.Value(severity), message=message, urn=self._urn, ephemeral=status
        )
        try:
            await asyncio.wait_for(self._stub.Log(request), timeout=10)
        except (grpc.RpcError, TimeoutError):
            return


class SilentLog:
    """`EngineLog` for when nobody listens; it keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[tuple[Severity, str, bool]] = []

    async def write(self, severity: Severity, message: str, *, status: bool = False) -> None:
        """See `EngineLog.write`."""
        self.messages.append((severity, message, status))
