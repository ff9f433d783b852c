"""Decides: a change to a host is whole or not at all, whatever step it dies at.

The runtime is a fake that "reads" its files when it is activated; real ones are in tests/lab.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest

from hostctl import files
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.recovery import TransactionFailed
from hostctl.transaction import Transactions
from hostctl.unit import Change, Wish
from tests.unit.hostctl_app import NEW, OLD, SHARED, STEPS, App, at, die, host, in_child, memory, on_disk, tree

__all__ = ["host"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("wish", [OLD, None], ids=["first apply", "remove"])
def test_a_kill_at_any_step_is_finished_by_the_next_call(host: Host, step: str, wish: Wish | None) -> None:
    untouched = tree(host)
    if wish is None:
        Transactions(host).apply(App(), OLD)
    before = tree(host)
    killed = Transactions(host, at(step, die))
    work = (lambda: killed.remove(App())) if wish is None else (lambda: killed.apply(App(), OLD))
    assert in_child(work) == -signal.SIGKILL
    if step == "close":
        Transactions(host).recovery.finish(App())
        assert (tree(host) == untouched) is (wish is None)
    else:
        Transactions(host).recovery.finish(App())
        assert tree(host) == before
    assert json.loads(memory(host).read_text()) == on_disk(host)
    assert not list((host.root / "var/lib/http-registry").glob("journal/*.json"))
    Transactions(host).apply(App(), OLD)
    Transactions(host).remove(App())
    assert tree(host) == untouched


@pytest.mark.parametrize("step", STEPS[1:-1])
def test_an_exception_at_any_step_of_an_update_goes_back(host: Host, step: str) -> None:
    Transactions(host).apply(App(), OLD)
    before, record = tree(host), Transactions(host).store.record("app")

    def fail() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere")

    with pytest.raises(TransactionFailed, match="No space left") as failed:
        Transactions(host, at(step, fail)).apply(App(), NEW)
    assert failed.value.rolled_back
    assert tree(host) == before
    assert Transactions(host).store.record("app") == record
    assert json.loads(memory(host).read_text()) == on_disk(host)


def test_a_stop_signal_after_the_commit_changes_nothing_any_more(host: Host) -> None:
    def stop() -> None:
        raise SystemExit(143)

    assert Transactions(host, at("close", stop)).apply(App(), OLD)["result"] == "changed"
    assert Transactions(host).apply(App(), OLD)["result"] == "unchanged"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("which", range(5))
def test_a_disk_that_refuses_a_write_leaves_the_old_state(
    host: Host, monkeypatch: pytest.MonkeyPatch, number: int, which: int
) -> None:
    before = tree(host)
    real, calls = files._write_durably, iter(range(1000))

    def refuse(path: Path, state: FileState) -> None:
        if next(calls) == which:
            path.touch()
            raise OSError(number, os.strerror(number), str(path))
        real(path, state)

    monkeypatch.setattr(files, "_write_durably", refuse)
    with pytest.raises((OSError, HostError)):
        Transactions(host).apply(App(), OLD)
    assert tree(host) == before


def test_a_refused_candidate_touches_nothing(host: Host) -> None:
    before, unit = tree(host), App(check=HostError("line 3: nonsense"))
    with pytest.raises(TransactionFailed, match="line 3: nonsense"):
        Transactions(host).apply(unit, OLD)
    assert tree(host) == before
    assert unit.activations == 0


@pytest.mark.parametrize("place", ["activate_forth", "verify_forth"])
def test_a_runtime_that_refuses_gets_its_old_files_and_is_reactivated(host: Host, place: str) -> None:
    Transactions(host).apply(App(), OLD)
    before, unit = tree(host), App(**{place: HostError("does not start")})
    with pytest.raises(TransactionFailed, match="does not start") as failed:
        Transactions(host).apply(unit, NEW)
    assert failed.value.rolled_back
    assert tree(host) == before
    assert unit.activations == 2
    assert json.loads(memory(host).read_text()) == on_disk(host)


def test_a_failed_way_back_says_so_and_the_next_call_finishes_it(host: Host) -> None:
    before = on_disk(host)
    with pytest.raises(TransactionFailed, match="Going back failed as well") as failed:
        Transactions(host).apply(App(activate=HostError("gone")), OLD)
    assert not failed.value.rolled_back
    assert on_disk(host) == before
    report = Transactions(host).apply(App(), OLD)
    assert report["result"] == "changed"
    assert any("interrupted" in note for note in report["notes"])


def test_a_runtime_that_stays_broken_does_not_block_the_next_request(host: Host) -> None:
    assert in_child(lambda: Transactions(host, at("verify", die)).apply(App(), OLD)) == -signal.SIGKILL
    report = Transactions(host).apply(App(activate_back=HostError("still broken")), OLD)
    assert "after that: still broken" in report["notes"]


def test_a_foreign_edit_after_a_crash_is_not_overwritten(host: Host) -> None:
    assert in_child(lambda: Transactions(host, at("verify", die)).apply(App(), OLD)) == -signal.SIGKILL
    path = host.root / "etc/app/shared.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "added": 7}))
    Transactions(host).apply(App(), OLD)
    Transactions(host).remove(App())
    assert json.loads(path.read_text()) == {"theirs": 1, "added": 7}


def test_a_file_deleted_after_a_crash_stays_deleted(host: Host) -> None:
    assert in_child(lambda: Transactions(host, at("verify", die)).apply(App(), OLD)) == -signal.SIGKILL
    (host.root / "etc/app/shared.json").unlink()
    assert Transactions(host).remove(App())["result"] == "absent"
    assert on_disk(host) == {}


def test_an_edit_while_hostctl_works_stops_it(host: Host) -> None:
    path = host.root / "etc/app/shared.json"

    def edit() -> None:
        path.write_text("{}")

    with pytest.raises(TransactionFailed, match="somebody changed it"):
        Transactions(host, at("check", edit)).apply(App(), OLD)
    assert path.read_text() == "{}"


def test_a_fault_in_a_unit_goes_back_and_does_not_show_its_text(host: Host) -> None:
    before = tree(host)
    with pytest.raises(TransactionFailed, match=r"a fault in hostctl \(KeyError at hostctl_app") as failed:
        Transactions(host).apply(App(verify_forth=KeyError("hunter2")), OLD)
    assert "hunter2" not in str(failed.value)
    assert tree(host) == before


class Staged(App):
    """A runtime that has to see an empty file before it sees another one."""

    def stages(self, host: Host, change: Change, level: str) -> list[Change]:
        state = change.after[SHARED] or change.before[SHARED]
        assert state is not None
        return [Change(change.before, {SHARED: state.with_content(b"{}")}, change.wish)]

    def activate(self, host: Host, change: Change, level: str) -> None:
        super().activate(host, change, level)
        if on_disk(host)[str(host.root / "etc/app/shared.json")] == "{}":
            self.notes.append("saw the stage")


def test_stages_are_live_one_after_another(host: Host) -> None:
    report = Transactions(host).apply(Staged(), {"value": 1})
    assert report["notes"] == ["saw the stage"]
    assert json.loads((host.root / "etc/app/shared.json").read_text()) == {"theirs": 1, "ours": 1}


@pytest.mark.parametrize("step", ["stage", "swap", "activate"])
def test_a_kill_between_stages_goes_back_whole(host: Host, step: str) -> None:
    before = tree(host)
    assert in_child(lambda: Transactions(host, at(step, die)).apply(Staged(), {"value": 1})) == -signal.SIGKILL
    assert Transactions(host).remove(Staged())["result"] == "absent"
    assert tree(host) == before
