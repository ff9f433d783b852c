"""Decides: a change on trial stays where another connection confirms it, and goes back by itself everywhere else.

The program and systemd are fakes; the timer is fired by the test. What it is in a real stack is in tests/preview.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostctl import confirmation, systemd
from hostctl.commit_confirmed import APPLIED_AGAIN, NotConfirmed, confirm, revert_all
from hostctl.confirmation import Confirmation, Trial
from hostctl.errors import HostError
from hostctl.plan import KEPT_SUFFIX
from hostctl.recovery import TransactionFailed
from hostctl.revert_timer import service_text
from hostctl.transaction import Transactions
from hostctl.unit import RELOAD, Change, Wish
from tests.unit.fake_systemd import FakeSystemd
from tests.unit.hostctl_app import STEPS, App, at, die, in_child, memory, on_disk, tree

OLD: Wish = {"own": {"a": "one", "b": "two"}}
NEW: Wish = {"own": {"a": "changed", "c": "three"}}
OTHER: Wish = {"own": {"a": "other"}}
SECONDS = 30


class Guarded(App):
    """The app, as something that can cut its admin off."""

    def confirm_seconds(self, wish: Wish) -> int | None:
        return int(wish.get("confirm_seconds", SECONDS))


def wished(found: dict[str, str]) -> dict[str, str]:
    """The texts of the own files, without those that were put aside."""
    return {Path(path).name: text.splitlines()[-1] for path, text in found.items() if KEPT_SUFFIX not in path}


class Around:
    """What is around hostctl: the connections that reach it, the clock, the timer's firing."""

    def __init__(self, host: FakeSystemd, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.now = 1_000_000
        self.boot = "first"
        self._monkeypatch = monkeypatch
        self._connections = iter(range(50000, 60000))
        monkeypatch.setattr(systemd, "monotonic", lambda: self.now)
        monkeypatch.setattr(systemd, "boot", lambda: self.boot)
        monkeypatch.setattr(time, "sleep", self.wait)
        self.connect()

    def connect(self) -> None:
        self._monkeypatch.setenv("SSH_CONNECTION", f"10.0.0.9 {next(self._connections)} 10.0.0.1 22")

    def at_console(self) -> None:
        self._monkeypatch.delenv("SSH_CONNECTION")

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1e6)

    def apply(self, wish: Wish, unit: Guarded | None = None) -> dict[str, Any]:
        self.connect()
        return Transactions(self.host).apply(unit or Guarded(), wish)

    def confirm(self, wish: Wish) -> dict[str, Any]:
        self.connect()
        return confirm(Transactions(self.host), Guarded(), wish)

    def applied_and_confirmed(self, wish: Wish) -> dict[str, Any]:
        report = self.apply(wish)
        self.confirm(wish)
        return report

    def fire(self) -> dict[str, Any]:
        """The timer's time has come, or the host has been restarted: the service runs, without any connection."""
        (self.host.root / "run/timer").unlink(missing_ok=True)
        self._monkeypatch.delenv("SSH_CONNECTION", raising=False)
        return revert_all(Transactions(self.host), lambda _name: Guarded())

    def restart(self) -> None:
        (self.host.root / "run/timer").unlink(missing_ok=True)
        self.boot += "+"
        self.now = 0

    @property
    def known(self) -> Confirmation:
        return confirmation.load(Transactions(self.host).store, "app")

    @property
    def live(self) -> dict[str, str]:
        """What the program has in memory; the files say the same."""
        found: dict[str, str] = json.loads(memory(self.host).read_text())
        assert found == on_disk(self.host)
        return wished(found)

    @property
    def settled(self) -> bool:
        """Whether nothing of a trial is left."""
        return not self.host.ticks and not list((self.host.root / "etc/systemd").rglob("*revert*"))


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Around:
    for folder in ("etc/app", f".{systemd.WANTS}", "run", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    host = FakeSystemd(tmp_path)
    App().activate(host, Change({}, {}), RELOAD)
    return Around(host, monkeypatch)


def test_a_new_connection_confirms_and_the_timer_goes(around: Around) -> None:
    before = tree(around.host)
    report = around.apply(OLD)
    assert report["confirm_within"] == SECONDS
    assert (
        "app: in force for 30 s, and then taken back by itself, unless a new connection confirms it"
        in (report["notes"])
    )
    assert around.host.ticks
    assert around.confirm(OLD)["result"] == "confirmed"
    assert around.settled
    assert around.confirm(OLD)["result"] == "unchanged"
    around.wait(60)
    assert around.fire()["result"] == "unchanged"
    assert around.live == OLD["own"]
    assert Transactions(around.host).remove(Guarded())["result"] == "removed"
    assert tree(around.host) == before


def test_the_connection_that_asked_can_t_confirm(around: Around) -> None:
    around.apply(OLD)
    with pytest.raises(NotConfirmed, match="proves nothing"):
        confirm(Transactions(around.host), Guarded(), OLD)
    assert around.host.ticks
    around.at_console()
    assert confirm(Transactions(around.host), Guarded(), OLD)["result"] == "confirmed"


@pytest.mark.parametrize("first", [True, False], ids=["first", "update"])
def test_what_nobody_confirms_goes_back_is_told_once_and_then_tried_again(around: Around, first: bool) -> None:
    if not first:
        around.applied_and_confirmed(OLD)
    before = tree(around.host)
    around.apply(NEW)
    around.wait(SECONDS)
    assert around.fire() == {
        "result": "reverted",
        "units": ["app"],
        "notes": ["app: not confirmed within 30 s; what was in force before is so again"],
    }
    assert tree(around.host) == before
    assert around.live == ({} if first else OLD["own"])
    assert around.settled
    assert around.fire()["result"] == "unchanged"

    with pytest.raises(NotConfirmed, match=r"came back at .* UTC, .* within 30 s.*from 10\.0\.0\.9.*mend the settings"):
        around.confirm(NEW)
    assert tree(around.host) == before
    with pytest.raises(NotConfirmed, match=APPLIED_AGAIN):
        around.confirm(NEW)
    assert around.live == NEW["own"]
    assert around.host.ticks
    assert around.confirm(NEW)["result"] == "confirmed"
    assert around.settled
    assert around.live == NEW["own"]


def test_a_second_try_that_fails_is_told_anew(around: Around) -> None:
    around.apply(NEW)
    for _ in range(2):
        around.wait(SECONDS)
        around.fire()
        with pytest.raises(NotConfirmed, match="came back"):
            around.confirm(NEW)
        with pytest.raises(NotConfirmed, match=APPLIED_AGAIN):
            around.confirm(NEW)


def test_after_a_restart_the_service_takes_it_back_at_once(around: Around) -> None:
    around.applied_and_confirmed(OLD)
    around.apply(NEW)
    around.restart()
    around.fire()
    assert around.live == OLD["own"]
    assert around.settled
    with pytest.raises(NotConfirmed, match="before the host was restarted"):
        around.confirm(NEW)


def test_the_time_that_a_change_takes_is_not_the_admins(around: Around) -> None:
    around.apply(OLD)
    around.confirm(OLD)
    around.connect()
    slow = Transactions(around.host, at("verify", lambda: around.wait(20)))
    slow.apply(Guarded(), NEW)
    around.wait(15)
    fired = around.now
    around.fire()
    assert around.now == fired + 15 * 1_000_000
    assert around.live == OLD["own"]


def test_a_confirmation_while_the_service_waits_ends_it(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    around.apply(OLD)

    def meanwhile(seconds: float) -> None:
        around.wait(seconds)
        around.confirm(OLD)

    monkeypatch.setattr(time, "sleep", meanwhile)
    assert around.fire()["result"] == "unchanged"
    assert around.live == OLD["own"]


def test_a_wish_that_was_confirmed_is_put_back_without_a_trial(around: Around) -> None:
    first = around.applied_and_confirmed(OLD)
    memory(around.host).write_text("{}")
    report = around.apply({**OLD, "confirm_seconds": 60, "force": True})
    assert (report["result"], report["confirm_within"], report["trial"]) == ("changed", None, first["trial"])
    assert around.settled
    (around.host.root / "etc/app/own/a").write_text("by hand")
    assert around.apply(OLD)["confirm_within"] is None
    assert around.live == OLD["own"]
    assert around.apply(OLD)["trial"] == first["trial"]


def test_what_somebody_did_by_hand_is_not_what_comes_back(around: Around) -> None:
    around.applied_and_confirmed(OLD)
    (around.host.root / "etc/app/own/b").write_text("by hand")
    around.apply(NEW)
    around.wait(SECONDS)
    around.fire()
    assert around.live == OLD["own"]


def test_a_change_during_a_trial_goes_back_to_what_was_confirmed(around: Around) -> None:
    around.applied_and_confirmed(OLD)
    around.apply(NEW)
    around.wait(20)
    around.apply(OTHER)
    assert around.host.ticks
    around.wait(15)
    around.fire()
    assert around.live == OLD["own"]


def test_going_back_by_hand_during_a_trial_ends_it(around: Around) -> None:
    around.applied_and_confirmed(OLD)
    around.apply(NEW)
    assert around.apply(OLD)["confirm_within"] is None
    assert around.settled
    assert around.live == OLD["own"]


def test_the_same_once_more_during_a_trial_begins_it_anew(around: Around) -> None:
    around.apply(OLD)
    around.wait(20)
    report = around.apply(OLD)
    assert (report["result"], report["confirm_within"]) == ("unchanged", SECONDS)
    around.wait(15)
    assert around.host.ticks
    assert around.confirm(OLD)["result"] == "confirmed"


def test_a_sooner_end_gets_a_timer_of_its_own(around: Around) -> None:
    around.apply({**OLD, "confirm_seconds": 600})
    around.apply(NEW)
    assert "--on-active=30" in (around.host.root / "run/timer").read_text()


def test_at_the_console_nothing_is_on_trial(around: Around) -> None:
    around.at_console()
    assert Transactions(around.host).apply(Guarded(), OLD)["confirm_within"] is None
    assert around.settled
    assert around.confirm(OLD)["result"] == "unchanged"
    around.apply(NEW)
    around.at_console()
    assert Transactions(around.host).apply(Guarded(), NEW)["result"] == "unchanged"
    assert around.settled
    around.wait(SECONDS)
    around.fire()
    assert around.live == NEW["own"]


@pytest.mark.parametrize("removal", ["remove", "remove-all"])
def test_a_removal_needs_no_confirmation_and_disarms(around: Around, removal: str) -> None:
    before = tree(around.host)
    around.apply(OLD)
    if removal == "remove":
        Transactions(around.host).remove(Guarded())
    else:
        Transactions(around.host).remove_all([Guarded()])
        assert not (around.host.root / "var/lib/http-registry").exists()
    assert tree(around.host) == before
    assert around.settled
    around.wait(SECONDS)
    around.fire()
    assert tree(around.host) == before


def test_what_an_earlier_hostctl_has_applied_counts_as_confirmed(around: Around) -> None:
    Transactions(around.host).apply(App(), OLD)
    assert around.confirm(OLD)["result"] == "confirmed"
    assert around.confirm(OLD)["result"] == "unchanged"
    Transactions(around.host).store.keep_confirmation("app", None)
    around.apply(NEW)
    around.wait(SECONDS)
    around.fire()
    assert around.live == OLD["own"]


def test_a_host_without_a_timer_is_refused_before_anything_is_touched(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(around.host)
    monkeypatch.setattr(FakeSystemd, "lacks", ("systemd-run",))
    with pytest.raises(HostError, match="systemd-run: not installed"):
        around.apply(OLD)
    monkeypatch.setattr(FakeSystemd, "lacks", ())

    def broken(command: tuple[str, ...]) -> None:
        if command[0] == "systemd-run":
            raise HostError("systemd-run: exit status 1: no bus")

    monkeypatch.setattr(FakeSystemd, "called", staticmethod(broken))
    with pytest.raises(HostError, match=r"no timer can be armed .* no bus"):
        around.apply(OLD)
    assert tree(around.host) == before
    assert around.known == Confirmation()


@pytest.mark.parametrize("place", ["check_forth", "activate_forth", "verify_forth"])
@pytest.mark.parametrize("during", [False, True], ids=["settled", "during another trial"])
def test_a_change_that_is_rolled_back_disarms(around: Around, place: str, during: bool) -> None:
    around.applied_and_confirmed(OLD)
    if during:
        around.apply(OTHER)
    before, known = tree(around.host), around.known
    with pytest.raises(TransactionFailed):
        around.apply(NEW, Guarded(**{place: HostError("no")}))
    assert tree(around.host) == before
    assert around.known == known
    assert around.host.ticks == during


def test_a_change_that_can_t_be_rolled_back_stays_armed_until_it_can(around: Around) -> None:
    around.applied_and_confirmed(OLD)
    with pytest.raises(TransactionFailed, match="Going back failed"):
        around.apply(NEW, Guarded(activate=HostError("gone")))
    assert around.host.ticks
    around.wait(SECONDS)
    around.fire()
    assert around.live == OLD["own"]
    assert around.settled


def never_unguarded(around: Around, confirmed: dict[str, str]) -> None:
    """What nobody has confirmed is not in force, and won't be at the next boot, without a timer."""
    live, files = json.loads(memory(around.host).read_text()), on_disk(around.host)
    if wished(live) != confirmed or wished(files) != confirmed:
        assert around.host.ticks
        assert around.known.trial


@pytest.mark.parametrize("step", ["arm", "armed", *STEPS])
@pytest.mark.parametrize("start", ["bare", "confirmed", "during a trial"])
@pytest.mark.parametrize("then", ["fires", "confirmed", "applied"])
def test_a_kill_at_any_step_leaves_nothing_without_a_timer(around: Around, step: str, start: str, then: str) -> None:
    before = prepared(around, start)
    around.connect()
    killed = Transactions(around.host, at(step, die))
    assert in_child(lambda: killed.apply(Guarded(), NEW)) == -signal.SIGKILL
    never_unguarded(around, before)
    ends_well(around, before, then)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("start", ["bare", "confirmed", "during a trial"])
def test_a_kill_while_systemd_is_asked_leaves_nothing_without_a_timer(
    around: Around, monkeypatch: pytest.MonkeyPatch, number: int, start: str
) -> None:
    before = prepared(around, start)
    around.connect()
    die_at_call(monkeypatch, number)
    status = in_child(lambda: Transactions(around.host).apply(Guarded(), NEW))
    monkeypatch.setattr(FakeSystemd, "called", staticmethod(lambda _command: None))
    assert status == (-signal.SIGKILL if number < (3 if start == "during a trial" else 4) else 0)
    never_unguarded(around, before)
    ends_well(around, before, "fires")


def prepared(around: Around, start: str) -> dict[str, str]:
    """Bring the host to where the story starts; what is confirmed then."""
    if start == "bare":
        return {}
    around.applied_and_confirmed(OLD)
    if start == "during a trial":
        around.apply(OTHER)
    confirmed: dict[str, str] = OLD["own"]
    return confirmed


def die_at_call(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    calls = iter(range(1000))
    monkeypatch.setattr(FakeSystemd, "called", staticmethod(lambda _command: die() if next(calls) == number else None))


def ends_well(around: Around, before: dict[str, str], then: str) -> None:
    if then == "fires":
        around.wait(SECONDS)
        around.fire()
        assert around.live == before
        assert around.settled
    if then == "applied":
        around.apply(NEW)
    again: list[Callable[[], Any]] = [lambda: around.confirm(NEW)] * 3
    for each in again:
        try:
            each()
            break
        except NotConfirmed:
            continue
    assert around.confirm(NEW)["result"] == "unchanged"
    assert around.settled
    assert around.live == NEW["own"]


@pytest.mark.parametrize("step", [*STEPS, "reverted"])
@pytest.mark.parametrize("start", ["bare", "confirmed"])
def test_a_revert_that_is_killed_is_finished_by_the_next(around: Around, step: str, start: str) -> None:
    before = prepared(around, start)
    around.apply(NEW)
    around.wait(SECONDS)
    (around.host.root / "run/timer").unlink()
    killed = Transactions(around.host, at(step, die))
    assert in_child(lambda: revert_all(killed, lambda _name: Guarded())) == -signal.SIGKILL
    around.fire()
    assert around.live == before
    assert around.settled
    with pytest.raises(NotConfirmed, match="came back"):
        around.confirm(NEW)


@pytest.mark.parametrize("number", range(3))
def test_a_confirmation_that_is_killed_has_confirmed_or_not(
    around: Around, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    around.applied_and_confirmed(OLD)
    around.apply(NEW)
    around.connect()
    die_at_call(monkeypatch, number)
    in_child(lambda: confirm(Transactions(around.host), Guarded(), NEW))
    monkeypatch.setattr(FakeSystemd, "called", staticmethod(lambda _command: None))
    confirmed = around.known.trial is None
    around.wait(SECONDS)
    around.fire()
    assert around.live == (NEW if confirmed else OLD)["own"]
    assert around.settled


def test_a_full_disk_at_the_confirmation_leaves_the_trial(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    around.apply(OLD)

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/lib/http-registry")

    monkeypatch.setattr(confirmation, "keep", full)
    with pytest.raises(OSError, match="No space left"):
        around.confirm(OLD)
    assert around.known.trial
    assert around.host.ticks


def test_a_unit_without_confirmation_writes_nothing_of_it(around: Around) -> None:
    report = Transactions(around.host).apply(App(), OLD)
    assert "trial" not in report
    assert around.known == Confirmation()


def test_the_service_runs_hostctl_until_it_succeeds() -> None:
    text = service_text("firewall", "/usr/bin/python3 -I -S /var/lib/http-registry/hostctl-0123.pyz revert")
    assert (
        "ExecStart=/usr/bin/python3 -I -S /var/lib/http-registry/hostctl-0123.pyz revert\nRestart=on-failure\n" in text
    )
    assert "WantedBy=multi-user.target" in text


def test_another_stack_can_t_confirm(around: Around) -> None:
    Transactions(around.host, owner="project/lab/one").apply(Guarded(), OLD)
    around.connect()
    with pytest.raises(HostError, match="managed by the stack project/lab"):
        confirm(Transactions(around.host, owner="project/prod/one"), Guarded(), OLD)


def test_a_trial_of_another_boot_has_no_time_left(around: Around) -> None:
    trial = Trial.begun("", "", "", SECONDS)
    assert trial.left == SECONDS
    around.restart()
    assert trial.left == 0
