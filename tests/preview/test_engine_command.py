"""Decides that the engine in use and its command plugin keep their promises together, by real `pulumi up`s.

Needs the engine (`python -m toolchain`); the host is an SSH server inside this process, the state a folder.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from tests.preview.ssh_server import ssh_server
from tests.pulumi_stack import Stack, new_stack
from toolchain.engine import ensure_engine

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi
from pulumi_command import local, remote

config = pulumi.Config()
connection = remote.ConnectionArgs(
    host="127.0.0.1", port=config.require_int("port"), user="deploy", host_key=config.require("hostKey"),
    private_key=config.require_secret("key"), dial_error_limit=1,
)
folder = config.require("folder")
local.Command(
    "local", create="echo made >> $LOG", delete="echo gone >> $LOG", environment={"LOG": f"{folder}/local"},
    triggers=[config.get("trigger") or "first"],
)
written = remote.Command(
    "written", connection=connection, create=f"cat > {folder}/written; echo {config.get('word') or 'one'}",
    delete=f"rm {folder}/written", stdin=config.require_secret("content"), logging=remote.Logging.NONE,
    add_previous_output_in_env=False,
)
remote.CopyToRemote(
    "copied", connection=connection, source=pulumi.StringAsset(config.get("text") or "text one"),
    remote_path=f"{folder}/deep/copied",
)
pulumi.export("stdout", written.stdout)
"""
CONTENT = "s3cret-content"


class _Host(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True


async def _run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    stdin = await process.stdin.read()
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate(stdin)
    process.stdout.write(out)
    process.stderr.write(err)
    process.exit(child.returncode or 0)


@pytest.fixture
def host() -> Iterator[tuple[int, str, str]]:
    """A host's port, its public key and the private key that logs in."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key = asyncssh.generate_private_key("ssh-ed25519")
    options = {"server_factory": _Host, "process_factory": _run, "sftp_factory": True}
    authorized = asyncssh.import_authorized_keys(user_key.export_public_key().decode())
    with ssh_server(server_host_keys=[host_key], authorized_client_keys=authorized, **options) as port:
        yield port, host_key.export_public_key().decode().strip(), user_key.export_private_key().decode()


@pytest.fixture
def stack(tmp_path: Path, host: tuple[int, str, str]) -> Stack:
    """The stack `dev`, configured and not yet up."""
    (tmp_path / "host").mkdir()
    made = new_stack(tmp_path, PROGRAM)
    port, host_key, user_key = host
    for name, value in {"port": str(port), "hostKey": host_key, "folder": f"{tmp_path}/host"}.items():
        made.set(name, value)
    made.set("key", user_key, secret=True)
    made.set("content", CONTENT, secret=True)
    return made


def test_a_stacks_life(stack: Stack, host: tuple[int, str, str]) -> None:
    on_host = stack.folder / "host"
    preview = stack.pulumi("preview", "--diff")
    assert "4 to create" in preview
    assert not list(on_host.iterdir())

    assert "4 created" in stack.up()
    assert (on_host / "written").read_text() == CONTENT
    assert (on_host / "deep" / "copied").read_text() == "text one"
    assert (on_host / "local").read_text() == "made\n"
    state = stack.state()
    assert state["written"]["outputs"]["stdout"] == "one"
    assert state["copied"]["outputs"]["source"]["text"] == "text one"

    secrets = (CONTENT, host[2].splitlines()[1])
    stored = [file.read_text() for file in (stack.folder / "state").rglob("*.json*")]
    assert stored
    assert not any(secret in text for secret in secrets for text in stored)
    assert "127.0.0.1" not in json.dumps(
        [item["inputs"].get("connection") for item in state.values() if "inputs" in item]
    )

    assert "4 unchanged" in stack.up()
    assert "4 unchanged" in stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "4 unchanged" in stack.up()
    assert (on_host / "local").read_text() == "made\n"

    stack.set("word", "two")
    stack.set("text", "text two")
    difference = stack.pulumi("preview", "--diff")
    assert "2 to update" in difference
    assert "echo two" in difference
    assert not any(secret in difference for secret in secrets)
    assert "2 updated" in stack.up()
    assert (on_host / "deep" / "copied").read_text() == "text two"
    assert stack.state()["written"]["outputs"]["stdout"] == "two"

    stack.set("trigger", "second")
    assert "1 replaced" in stack.up()
    assert (on_host / "local").read_text() == "made\nmade\ngone\n"

    assert "4 deleted" in stack.pulumi("destroy", "--yes", "--skip-preview")
    assert not (on_host / "written").exists()
    assert (on_host / "deep" / "copied").exists()
    assert (on_host / "local").read_text().endswith("gone\ngone\n")


def test_a_failure_shows_its_text_and_keeps_the_old_state(stack: Stack) -> None:
    stack.up()
    stack.set("word", "x; exit 3")
    text = stack.up(fails=True)
    assert "Process exited with status 3: running" in text
    assert "Traceback" not in text
    assert CONTENT not in text
    assert stack.state()["written"]["outputs"]["stdout"] == "one"
    stack.set("word", "three")
    assert "1 updated" in stack.up()


def test_an_unsupported_property_is_refused_in_the_preview(stack: Stack) -> None:
    engine = ensure_engine()
    if engine.kind == "official":
        pytest.skip("the official plugin has it")
    program = stack.folder / "__main__.py"
    program.write_text('from pulumi_command import local\nlocal.Command("x", create="true", asset_paths=["*.txt"])\n')
    assert "has no input `assetPaths` in the offline plugin" in stack.pulumi("preview", fails=True)


def test_nothing_of_it_is_in_the_users_pulumi_home(stack: Stack) -> None:
    engine = ensure_engine()
    if engine.kind == "official":
        pytest.skip("the official engine uses the user's home")
    assert Path(engine.environment["PULUMI_HOME"]).is_relative_to(Path(__file__).parents[2] / ".work")
    assert engine.environment["PULUMI_HOME"] != str(Path("~/.pulumi").expanduser())
