"""Decides what the plugin says on the wire: values, errors, log lines, and that the installed folder starts."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from toolchain.paths import CHECKOUT
from toolchain.plugin_install import staged_files
from toolchain.plugins.command.copy_to_remote import CopyToRemote
from toolchain.plugins.command.local import LocalCommand
from toolchain.plugins.command.pool import Pool
from toolchain.plugins.shared.plugin import Plugin, sdk_version
from toolchain.plugins.shared.resource import Context, Created, PartialFailure
from toolchain.plugins.shared.server import Calls, handlers
from toolchain.plugins.shared.values import (
    UNKNOWN,
    Archive,
    Asset,
    Props,
    ResourceReference,
    Secret,
    Value,
    has_secret,
    has_unknown,
    plain,
)
from toolchain.plugins.shared.wire import decode, encode

URN = "urn:pulumi:dev::project::command:local:Command::thing"


class Engine:
    """Takes log lines in the engine's place."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    async def Log(self, request: Any) -> None:
        self.lines.append(request)


class HalfMade(LocalCommand):
    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        raise PartialFailure("half", {"create": "x"}, "it began", "it broke")


@asynccontextmanager
async def served(
    engine: Engine, kind: type[LocalCommand] = LocalCommand, calls: Calls | None = None
) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(Plugin("command", [kind(), CopyToRemote(Pool())]), engine, calls),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    await server.stop(grace=None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        "text",
        ["a", None, UNKNOWN],
        {"a": {"b": Secret("c")}},
        Secret([Secret("x")]),
        Secret(None),
        Asset(path="p", hash="h"),
        Asset(text="t", hash="h"),
        Asset(text="", hash="h"),
        Asset(uri="https://u"),
        Archive(path="p", hash="h"),
        Archive(assets={"a": Asset(text="t"), "b": Archive(path="p")}, hash="h"),
        ResourceReference(urn="urn", id="id", package_version="1"),
    ],
)
def test_values_survive_the_wire(value: Value) -> None:
    assert decode(encode({"value": value})) == {"value": value}


def test_secrets_and_unknowns_are_seen_at_any_depth() -> None:
    value: Value = {"a": [Secret({"b": UNKNOWN})]}
    assert has_secret(value)
    assert has_unknown(value)
    assert plain(value) == {"a": [{"b": UNKNOWN}]}


def test_an_engine_without_the_empty_text_means_an_empty_text() -> None:
    struct = encode({"value": Asset(text="", hash="h")})
    del struct.fields["value"].struct_value.fields["text"]
    assert decode(struct) == {"value": Asset(text="", hash="h")}


def test_the_plugin_speaks_the_protocol() -> None:
    async def test() -> None:
        engine = Engine()
        async with served(engine) as stub:
            assert (await stub.GetPluginInfo(Empty())).version == sdk_version("command")
            configured = await stub.Configure(provider_pb2.ConfigureRequest())
            assert (configured.acceptSecrets, configured.supportsPreview) == (True, True)
            created = await stub.Create(
                provider_pb2.CreateRequest(urn=URN, properties=encode({"create": "echo a; cat", "stdin": Secret("b")}))
            )
            state = decode(created.properties)
            assert state == {"create": "echo a; cat", "stdin": Secret("b"), "stdout": "a\nb", "stderr": ""}
            assert [(line.message, line.ephemeral, line.urn) for line in engine.lines] == [
                ("a", True, URN),
                ("b", True, URN),
            ]
            diff = await stub.Diff(
                provider_pb2.DiffRequest(
                    urn=URN,
                    old_inputs=encode({"triggers": ["a"]}),
                    news=encode({"triggers": ["b"], "create": "x"}),
                )
            )
            assert sorted(diff.detailedDiff) == ["create", "triggers[0]"]
            assert (sorted(diff.diffs), diff.changes) == (["create", "triggers"], 2)

    asyncio.run(test())


def test_what_is_not_supported_is_refused_by_name() -> None:
    async def test() -> None:
        async with served(Engine()) as stub:
            answer = await stub.Check(
                provider_pb2.CheckRequest(urn=URN, news=encode({"assetPaths": ["a"], "create": "x"}))
            )
            assert [failure.property for failure in answer.failures] == ["assetPaths"]
            config = await stub.CheckConfig(provider_pb2.CheckRequest(news=encode({"region": "x"})))
            assert [failure.property for failure in config.failures] == ["region"]
            other = URN.replace("command:local:Command", "command:remote:CopyFile")
            with pytest.raises(grpc.aio.AioRpcError, match="no resource type command:remote:CopyFile"):
                await stub.Check(provider_pb2.CheckRequest(urn=other))
            with pytest.raises(grpc.aio.AioRpcError, match="no function command:local:run"):
                await stub.Invoke(provider_pb2.InvokeRequest(tok="command:local:run"))
            with pytest.raises(grpc.aio.AioRpcError) as missing:
                await stub.GetMapping(provider_pb2.GetMappingRequest(key="terraform"))
            assert missing.value.code() == grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(test())


def test_an_error_is_its_text_alone() -> None:
    async def test() -> None:
        async with served(Engine()) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await stub.Create(provider_pb2.CreateRequest(urn=URN, properties=encode({"create": "exit 4"})))
            assert failure.value.details() == 'exit status 4: running "exit 4":\n'

    asyncio.run(test())


def test_a_half_made_resource_is_kept_in_the_state() -> None:
    async def test() -> None:
        async with served(Engine(), HalfMade) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await stub.Create(provider_pb2.CreateRequest(urn=URN))
            assert failure.value.details() == "it began; it broke"
            details = dict(failure.value.trailing_metadata() or ())["grpc-status-details-bin"]
            assert b"pulumirpc.ErrorResourceInitFailed" in bytes(details)

    asyncio.run(test())


@pytest.mark.parametrize("status", [0, 4])
def test_a_call_goes_on_to_its_end_when_its_engine_is_gone(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    began, go_on, ended = tmp_path / "began", tmp_path / "go_on", tmp_path / "ended"
    command = f"touch {began}; while [ ! -e {go_on} ]; do sleep 0.01; done; touch {ended}; exit {status}"

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    async def test() -> None:
        calls = Calls()
        async with asyncio.timeout(10), served(Engine(), calls=calls) as stub:
            call = stub.Create(provider_pb2.CreateRequest(urn=URN, properties=encode({"create": command})))
            await until(began.exists)
            call.cancel()
            await asyncio.sleep(0.1)
            assert calls.running
            go_on.touch()
            await until(lambda: not calls.running)
            assert ended.exists()

    gc.collect()  # what other tests have left may log when it goes, and is not asked about here
    caplog.clear()
    asyncio.run(test())
    gc.collect()
    assert not caplog.records


def test_the_staged_folder_starts_and_prints_its_port(tmp_path: Path) -> None:
    for path, file in staged_files(CHECKOUT / "toolchain" / "plugins", "command").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / path)
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    process = subprocess.Popen(
        [str(tmp_path / "pulumi-resource-command"), "127.0.0.1:1"],
        cwd="/",
        env={"PATH": search},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.terminate()
    assert list(tmp_path.rglob("*.py"))


def test_the_launcher_says_what_is_missing(tmp_path: Path) -> None:
    launcher = CHECKOUT / "toolchain" / "plugins" / "command" / "pulumi-resource-command"
    result = subprocess.run(
        ["/bin/sh", str(launcher), "127.0.0.1:1"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        pytest.skip("the system's python has pulumi")
    assert "put the project's venv first on PATH" in result.stderr
