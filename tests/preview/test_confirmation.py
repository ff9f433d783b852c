"""Decides that `pulumi up` alone confirms a change of the firewall, says why one was taken back, and heals by the next.

The engine, the command plugin, the SSH connections and hostctl's transactions are real; the firewall and systemd of the
host, which is an SSH server inside this process, are fakes. It lets nobody in while the fake rules shut the admin out.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hostctl.systemd import WANTS
from ops.drift_marks import with_drift
from tests.preview.ssh_server import ssh_server
from tests.pulumi_stack import Stack, new_stack

pytestmark = pytest.mark.engine

PROJECT = Path(__file__).parents[2]
PROGRAM = f"""
import sys
from pathlib import Path

sys.path.insert(0, {str(PROJECT)!r})

import pulumi
from pulumi_command import local

from components.host import Host, HostArgs
from settings.tier import Host as HostSettings

config = pulumi.Config()
key = config.require("hostKey")
machine = HostSettings(name="one", address="127.0.0.1", ssh={{"port": config.require_int("port"), "host_key": key}})
host = Host("one", HostArgs(machine, key, Path("hostctl.pyz"), "0" * 64, Path("known_hosts"), {{}}))
wish = {{"own": {{"rules": config.require("rules")}}}}
applied = host.run_unit("firewall", wish, host)
confirmed = host.confirm_unit("firewall", wish, applied, 10, host)
local.Command("after", create="true", environment={{"RULES": wish["own"]["rules"]}},
    opts=pulumi.ResourceOptions(depends_on=[confirmed]))
"""
PYZ = r"/var/lib/http-registry/hostctl-\w+\.pyz"
HOSTCTL = re.compile(
    rf"(?:if \[ -e /var/lib/http-registry/units \] \|\| \[ -e {PYZ} \]; then (?=.*; fi))?"
    rf"python3 -I -S {PYZ} (apply|confirm|remove)(?:; fi)?"
)
BACK, CONFIRMED = "came back", "confirmed by a new connection"


@dataclass
class Machine:
    """The host. `shut_out`: the rules that are going to let nobody in any more, until they are taken back."""

    root: Path
    port: int = 0
    key: str = ""
    shut_out: list[str] = field(default_factory=list)
    shut: bool = False
    connections: int = 0
    asked: list[str] = field(default_factory=list)

    def hostctl(self, action: str, connection: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": "/usr/bin:/bin", "SSH_CONNECTION": connection}
        return subprocess.run(
            [sys.executable, "-m", "tests.preview.guarded_host", str(self.root), action],
            cwd=PROJECT, env=environment, input=stdin, capture_output=True, check=False,
        )  # fmt: skip

    def new_connection(self) -> bool:
        """Whether it gets through. One that does not has waited until the timer has put the old rules back."""
        if self.shut:
            assert self.hostctl("revert").returncode == 0
            self.shut = False
            return False
        self.connections += 1
        return True

    def run(self, command: str, connection: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        """Only hostctl is really run: the other commands mean the host's own folders."""
        found = HOSTCTL.fullmatch(command)
        if not found:
            return subprocess.CompletedProcess([], 0, b"", b"")
        self.asked.append(found[1])
        done = self.hostctl(found[1], connection, stdin)
        if self.shut_out and (self.root / "run/timer").exists() and self.rules == self.shut_out[0]:
            self.shut_out.pop(0)
            self.shut = True
        return done

    @property
    def rules(self) -> str:
        """What is in force."""
        known: dict[str, str] = json.loads((self.root / "run/app").read_text())
        return "".join(text.splitlines()[1] for text in known.values())

    def told(self) -> list[str]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    root = tmp_path / "machine"
    for folder in ("etc/app", f".{WANTS}", "run", "var/lib/http-registry"):
        (root / folder).mkdir(parents=True)
    made = Machine(root)

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            if not made.new_connection():
                conn.abort()

        def begin_auth(self, username: str) -> bool:
            return False

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        stdin = await process.stdin.read()
        ends = (*process.get_extra_info("peername")[:2], *process.get_extra_info("sockname")[:2])
        done = await asyncio.to_thread(made.run, process.command or "", " ".join(map(str, ends)), stdin)
        process.stdout.write(done.stdout)
        process.stderr.write(done.stderr)
        process.exit(done.returncode)

    def files(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(root).encode())

    key = asyncssh.generate_private_key("ssh-ed25519")

    options = {"server_factory": Server, "process_factory": run, "sftp_factory": files}
    with ssh_server(server_host_keys=[key], **options) as made.port:
        made.key = " ".join(key.export_public_key().decode().split()[:2])
        yield made


@pytest.fixture
def stack(tmp_path: Path, machine: Machine) -> Stack:
    """The stack `dev`, configured for the rules `one` and not yet up."""
    made = new_stack(tmp_path, PROGRAM)
    (tmp_path / "hostctl.pyz").write_text("never run")
    for name, value in {"port": str(machine.port), "hostKey": machine.key, "rules": "one"}.items():
        made.set(name, value)
    return made


def test_up_confirms_and_an_unchanged_stack_makes_no_connection(stack: Stack, machine: Machine) -> None:
    preview = stack.pulumi("preview", "--diff")
    assert "::one-firewall-confirmed]" in preview
    assert "hostctl-0000000000000000.pyz confirm" in preview
    assert machine.connections == 0

    text = stack.up()
    assert "in force for 30 s" in text
    assert CONFIRMED in text
    assert machine.told() == ["apply", "confirm"]
    connections = machine.connections
    assert " unchanged" in stack.up()
    assert " unchanged" in stack.pulumi("preview")
    assert machine.connections == connections

    stack.set("rules", "two")
    assert "one-firewall-confirmed update" in stack.pulumi("preview")
    assert CONFIRMED in stack.up()
    assert machine.told() == ["apply", "confirm"]
    assert machine.rules == "two"
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert machine.told() == ["remove"]
    assert machine.rules == ""


def test_a_lost_confirmation_fails_with_the_reason_and_the_next_up_heals(stack: Stack, machine: Machine) -> None:
    stack.up()
    stack.set("rules", "two")
    machine.shut_out = ["two", "two"]
    machine.told()
    text = stack.up(fails=True)
    assert "no new connection reached the host within 30 s" in text
    assert "who come from 127.0.0.1" in text
    assert "Command after" not in text
    assert machine.rules == "one"
    assert machine.told() == ["apply", "confirm"]

    text = stack.up(fails=True)
    assert "applied again" in text
    assert BACK in text
    assert machine.rules == "one"
    assert machine.told() == ["confirm", "confirm"]

    text = stack.up()
    assert "applied again" in text
    assert CONFIRMED in text
    assert "Command after updated" in text
    assert machine.rules == "two"
    assert machine.told() == ["confirm", "confirm"]
    assert " unchanged" in stack.up()


def test_a_first_up_that_is_not_confirmed_is_tried_again_by_the_next(stack: Stack, machine: Machine) -> None:
    machine.shut_out = ["one"]
    text = stack.up(fails=True)
    assert BACK in text
    assert "Command after" not in text
    assert machine.rules == ""
    stack.up()
    assert machine.rules == "one"


def test_a_repair_is_confirmed_where_it_has_to_be(stack: Stack, machine: Machine) -> None:
    """Rules that were confirmed come back without a trial; a host that knows nothing any more puts them on trial."""
    stack.up()
    machine.told()
    (machine.root / "run/app").write_text("{}")
    marked_as_drifted(stack)
    text = stack.up()
    assert "1 updated" in text
    assert machine.told() == ["apply"]
    assert machine.rules == "one"

    shutil.rmtree(machine.root / "var/lib/http-registry")
    marked_as_drifted(stack)
    text = stack.up()
    assert CONFIRMED in text
    assert machine.told() == ["apply", "confirm"]


def marked_as_drifted(stack: Stack) -> None:
    """The state as `make drift` leaves it."""
    state: dict[str, Any] = json.loads(stack.pulumi("stack", "export"))
    drift = {"one": {"firewall": {"files": {}, "live": "gone"}}}
    marked = {**state, "deployment": with_drift(state["deployment"], drift, "engine-test/dev")}
    (stack.folder / "marked.json").write_text(json.dumps(marked))
    stack.pulumi("stack", "import", "--file", "marked.json")
