"""Decides that Debian's cloud-init takes what `make render` writes, and makes the very same files of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.render_cloud_init import document
from ops.render_machine import Machine
from tests.paper_site import HOSTS, rendered
from tests.programs import cloud_init

ROOTS_KEYS, THEIRS = "/root/.ssh/authorized_keys", b"ssh-ed25519 AAAA the-cloud\n"
"""What the cloud has put there."""


@pytest.mark.parametrize("host", HOSTS)
def test_cloud_init_writes_the_files_that_were_rendered(host: str, tmp_path: Path) -> None:
    made = rendered(host, tmp_path / "work")
    file = tmp_path / "cloud-init.yaml"
    file.write_text(document(made, Machine(), host))
    assert not cloud_init.schema(file)
    machine = tmp_path / "machine"
    keys = machine / ROOTS_KEYS[1:]
    keys.parent.mkdir(parents=True)
    keys.write_bytes(THEIRS)
    cloud_init.write_files(file, machine)
    for each in made.files:
        path = machine / each.path[1:]
        status = path.stat()
        assert path.read_bytes() == (THEIRS if each.path == ROOTS_KEYS else b"") + each.content, each.path
        assert f"{status.st_mode & 0o7777:04o}" == f"{each.mode:04o}", each.path
        assert (_name(machine, "passwd", status.st_uid), _name(machine, "group", status.st_gid)) == (
            each.owner,
            each.group,
        ), each.path
    wrote = {f"/{path.relative_to(machine)}" for path in machine.rglob("*") if path.is_file()}
    others = {f"/{path}" for path in ("etc/passwd", "etc/group", "etc/cloud/cloud.cfg")}
    ours = {each.path for each in made.files}
    assert {path for path in wrote - ours - others if not path.startswith(("/run/", "/var/log/"))} == set()


def test_a_wrong_document_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cloud-init.yaml"
    file.write_text(document(rendered("site", tmp_path / "work"), Machine(), "x").replace("defer: true", "defer: 7"))
    assert "7 is not of type 'boolean'" in cloud_init.schema(file)


def _name(machine: Path, file: str, number: int) -> str:
    rows = [line.split(":") for line in (machine / "etc" / file).read_text().splitlines()]
    return next(row[0] for row in rows if row[2] == str(number))
