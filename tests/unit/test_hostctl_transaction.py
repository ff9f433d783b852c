"""Decides: apply and remove give the old bytes back, repeat nothing, and leave alone what others wrote.

The runtime is a fake that "reads" its files when it is activated; real ones are in tests/lab.
"""

from __future__ import annotations

import json
import multiprocessing
import stat
import time
from pathlib import Path

import pytest

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.unit import HEADER
from tests.unit.hostctl_app import FOREIGN, NEW, OLD, SHARED, App, host, memory, on_disk, tree

__all__ = ["host"]


def test_apply_writes_activates_and_reports(host: Host) -> None:
    report = Transactions(host).apply(App(), OLD)
    assert report["result"] == "changed"
    assert report["files"] == ["/etc/app/own/a", "/etc/app/own/b", SHARED]
    assert json.loads((host.root / "etc/app/shared.json").read_text()) == {"theirs": 1, "ours": 1}
    assert stat.S_IMODE((host.root / "etc/app/shared.json").stat().st_mode) == 0o640
    assert not list(host.root.rglob("*.http-registry-new"))
    assert not list((host.root / "var/lib/http-registry/journal").iterdir())


def test_a_second_apply_writes_and_activates_nothing(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    stamps = {path: path.stat().st_mtime_ns for path in host.root.rglob("*") if path.is_file()}
    unit = App()
    assert Transactions(host).apply(unit, OLD)["result"] == "unchanged"
    assert unit.activations == 0
    assert {path: path.stat().st_mtime_ns for path in host.root.rglob("*") if path.is_file()} == stamps


def test_apply_then_remove_gives_back_the_bytes_and_takes_its_folders(host: Host) -> None:
    before = tree(host)
    Transactions(host).apply(App(), OLD)
    Transactions(host).apply(App(), NEW)
    assert Transactions(host).remove(App())["result"] == "removed"
    assert tree(host) == before
    assert Transactions(host).remove(App())["result"] == "absent"


def test_what_left_the_wish_is_taken_away(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    Transactions(host).apply(App(), {"own": {"a": "one"}})
    assert on_disk(host).keys() == {str(host.root / "etc/app/own/a"), str(host.root / "etc/app/shared.json")}
    assert (host.root / "etc/app/shared.json").read_bytes() == FOREIGN


def test_a_foreign_edit_between_two_applies_survives_both_ways(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    path = host.root / "etc/app/shared.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "added": 7}))
    assert Transactions(host).apply(App(), NEW)["result"] == "changed"
    assert json.loads(path.read_text()) == {"theirs": 1, "added": 7, "ours": 2}
    Transactions(host).remove(App())
    assert json.loads(path.read_text()) == {"theirs": 1, "added": 7}


@pytest.mark.parametrize("in_between", [True, False])
def test_a_file_that_we_made_goes_with_us_though_somebody_wrote_in_it_meanwhile(host: Host, in_between: bool) -> None:
    path = host.root / "etc/app/shared.json"
    path.unlink()
    before = tree(host)
    Transactions(host).apply(App(), OLD)
    path.write_text(json.dumps({**json.loads(path.read_text()), "added": 7}))
    Transactions(host).apply(App(), NEW)
    path.write_text(json.dumps({key: each for key, each in json.loads(path.read_text()).items() if key != "added"}))
    if in_between:
        Transactions(host).apply(App(), OLD)
    Transactions(host).remove(App())
    assert tree(host) == before


def test_a_file_deleted_by_hand_comes_back(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    (host.root / "etc/app/own/a").unlink()
    assert Transactions(host).apply(App(), OLD)["files"] == ["/etc/app/own/a"]


def test_a_hand_edited_own_file_is_put_aside_each_time_under_a_new_name(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    path = host.root / "etc/app/own/a"
    for text in ("first", "second"):
        path.write_text(f"# {HEADER}\n{text}\n")
        report = Transactions(host).apply(App(), OLD)
        assert any("was changed by hand" in note for note in report["notes"])
    assert path.with_name("a.http-registry-kept").read_text().endswith("first\n")
    assert path.with_name("a.http-registry-kept-2").read_text().endswith("second\n")


def test_a_file_of_somebody_else_in_our_place_comes_back_at_remove(host: Host) -> None:
    (host.root / "etc/app/own").mkdir()
    (host.root / "etc/app/own/a").write_text("theirs\n")
    before = tree(host)
    report = Transactions(host).apply(App(), OLD)
    assert any("somebody else" in note for note in report["notes"])
    Transactions(host).remove(App())
    assert tree(host) == before


def test_a_file_that_somebody_put_in_our_place_since_stays_at_remove(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    (host.root / "etc/app/own/a").write_text("theirs\n")
    report = Transactions(host).remove(App())
    assert any("it stays" in note for note in report["notes"])
    assert on_disk(host)[str(host.root / "etc/app/own/a")] == "theirs\n"


def test_our_file_without_a_record_is_ours_still(host: Host) -> None:
    before = tree(host)
    Transactions(host).apply(App(), {"own": {"a": "one"}})
    (host.root / "var/lib/http-registry/units/app.json").unlink()
    Transactions(host).apply(App(), {"own": {"a": "one"}})
    Transactions(host).remove(App())
    assert tree(host).keys() - before.keys() == {"etc/app/own"}


def test_a_symbolic_link_stays_one(host: Host) -> None:
    path = host.root / "etc/app/shared.json"
    path.rename(host.root / "real.json")
    path.symlink_to(host.root / "real.json")
    Transactions(host).apply(App(), OLD)
    assert path.is_symlink()
    Transactions(host).remove(App())
    assert path.read_bytes() == FOREIGN


def test_a_runtime_that_forgot_is_activated_again_without_a_write(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    memory(host).write_text("{}")
    unit = App()
    report = Transactions(host).apply(unit, OLD)
    assert (report["result"], report["files"], unit.activations) == ("changed", [], 1)


def test_a_damaged_record_is_an_error_with_a_remedy(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    (host.root / "var/lib/http-registry/units/app.json").write_text("{")
    with pytest.raises(HostError, match="is damaged; put it back"):
        Transactions(host).apply(App(), OLD)


def test_state_is_readable_by_root_only(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    state = host.root / "var/lib/http-registry"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "units/app.json").stat().st_mode) == 0o600


def test_what_could_not_be_cleaned_up_is_a_note(host: Host) -> None:
    Transactions(host).apply(App(), OLD)
    report = Transactions(host).remove(App(forget=HostError("/var/cache/app: busy")))
    assert report["result"] == "removed"
    assert any("/var/cache/app: busy" in note for note in report["notes"])


def _slow(root: Path, value: int, log: Path) -> None:
    def step(name: str) -> None:
        if name in ("journal", "close"):
            with log.open("a") as file:
                file.write(f"{value} {name}\n")
        time.sleep(0.01)

    Transactions(Host(root), step).apply(App(), {"value": value})


def test_concurrent_calls_wait_for_each_other(host: Host, tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_slow, args=(host.root, value, log)) for value in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) == 8
    assert all(first[0] == second[0] for first, second in zip(lines[::2], lines[1::2], strict=True))
    Transactions(host).remove(App())
    assert (host.root / "etc/app/shared.json").read_bytes() == FOREIGN


def test_a_lock_that_is_held_too_long_is_an_error(host: Host) -> None:
    store = Transactions(host).store
    with store.lock(), pytest.raises(HostError, match="another hostctl has been at work"), store.lock(patience=0):
        pass
