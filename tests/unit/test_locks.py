"""Decides whose locks are cleared: those of processes that are dead on this machine, and of a bucket's only our own."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import stack as ops_stack
from ops.locks import LOCKED, Locks
from ops.stack import Stack

HERE = socket.gethostname()
BUCKET = {"PULUMI_BACKEND_URL": "s3://bucket/state?region=eu-1"}


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[int]:
    """The number of a process that is called pulumi."""
    (tmp_path / "pulumi").symlink_to("/bin/sleep")
    with subprocess.Popen([tmp_path / "pulumi", "60"]) as process:
        # The kernel shows a program's name a moment after it has begun.
        while Path(f"/proc/{process.pid}/comm").read_text() != "pulumi\n":
            time.sleep(0.001)
        yield process.pid
        process.kill()


class Bucket(Stack):
    """A stack whose backend holds locks for these processes."""

    def locked_by(self, *holders: tuple[str, int]) -> Bucket:
        vars(self).update(holders=list(holders), cancelled=False)
        return self

    def refused(self, *arguments: str) -> str:
        assert arguments == ("stack", "init", "--no-select")
        holders = vars(self)["holders"]
        if not holders:
            return "error: stack 'own' already exists"
        # As pulumi v3.274.1 words it (pkg/backend/diy/lock.go).
        lines = [
            f"  s3://bucket/x.json: created by root@{host} (pid {pid}) at 2026-01-01T00:00:00Z" for host, pid in holders
        ]
        return "\n".join([f"error: {LOCKED} {len(lines)} lock(s). Either wait … or `pulumi cancel`.", *lines])

    def pulumi(self, *arguments: str, quiet: bool = False, stdin: str | None = None) -> str:
        assert arguments == ("cancel", "--yes")
        vars(self)["cancelled"] = True
        return ""

    def __post_init__(self) -> None:
        self.locked_by()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(ops_stack, "PROJECT", tmp_path)
    (tmp_path / ".work").mkdir()
    return Bucket("own", dict(BUCKET))


def started(bucket: Bucket, pid: int) -> None:
    bucket._trace.write_text(str(pid))


def test_a_bucket_s_lock_is_cleared_where_this_checkout_has_started_its_process(bucket: Bucket, dead: int) -> None:
    started(bucket.locked_by((HERE, dead)), dead)
    locks = Locks(bucket, suspect=False)
    assert (locks.dead, locks.held) == (True, "")
    locks.clear()
    assert vars(bucket)["cancelled"]


@pytest.mark.parametrize("others", [("another", 0), (HERE, 1)], ids=["elsewhere", "not-ours"])
def test_a_lock_of_somebody_else_stays_and_is_told(bucket: Bucket, dead: int, others: tuple[str, int]) -> None:
    for holders in ([others], [others, (HERE, dead)]):
        started(bucket.locked_by(*holders), dead)
        locks = Locks(bucket, suspect=False)
        assert not locks.dead
        assert locks.held.startswith(LOCKED)
        locks.clear()
        assert not vars(bucket)["cancelled"]


def test_who_works_still_is_left_alone(bucket: Bucket, alive: int) -> None:
    started(bucket.locked_by((HERE, alive)), alive)
    assert not Locks(bucket, suspect=True).dead
    assert Locks(bucket, suspect=True).held


def test_a_bucket_is_not_asked_without_a_reason(bucket: Bucket) -> None:
    assert Locks(bucket.locked_by(("another", 1)), suspect=False).held == ""
    assert Locks(bucket, suspect=True).held
    assert Locks(bucket.locked_by(), suspect=True).held == ""


@pytest.mark.parametrize("broken", [False, True])
def test_a_folder_s_locks_are_files(tmp_path: Path, dead: int, alive: int, broken: bool) -> None:
    folder = tmp_path / ".pulumi/locks/organization/http-registry/own"
    folder.mkdir(parents=True)
    lock = folder / "1.json"
    lock.write_text('{"pid":' if broken else json.dumps({"hostname": HERE, "pid": dead}))
    stack = Stack("own", {"PULUMI_BACKEND_URL": f"file://{tmp_path}"})
    locks = Locks(stack, suspect=False)
    assert locks.dead
    locks.clear()
    assert not list(folder.iterdir())
    lock.write_text(json.dumps({"hostname": HERE, "pid": alive}))
    locks = Locks(stack, suspect=False)
    assert not locks.dead
    assert f"pid {alive} on {HERE}" in locks.held
