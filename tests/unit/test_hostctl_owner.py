"""Decides: a host belongs to one stack and may be renamed in it; `remove-all` takes back what no state knows."""

from __future__ import annotations

import pytest

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.store import mark
from hostctl.transaction import Transactions
from tests.unit.hostctl_app import NEW, OLD, App, at, die, host, in_child, tree

__all__ = ["host"]

ONE, RENAMED, OTHER = "project/lab/one", "project/lab/renamed", "project/prod/one"


def owned_by(host: Host, owner: str) -> Transactions:
    return Transactions(host, owner=owner)


def test_another_stack_is_refused_by_name_before_anything_is_touched(host: Host) -> None:
    owned_by(host, ONE).apply(App(), OLD)
    before = tree(host)
    with pytest.raises(HostError, match=r"managed by the stack project/lab; take it out of .* project/prod"):
        owned_by(host, OTHER).apply(App(), NEW)
    assert owned_by(host, OTHER).remove(App())["result"] == "absent"
    assert tree(host) == before


def test_a_renamed_host_is_taken_over_and_its_old_name_removes_nothing(host: Host) -> None:
    owned_by(host, ONE).apply(App(), OLD)
    assert owned_by(host, RENAMED).apply(App(), OLD)["result"] == "unchanged"
    before = tree(host)
    report = owned_by(host, ONE).remove(App())
    assert report["result"] == "absent"
    assert report["notes"] == [f"app: belongs to {RENAMED} by now; left alone"]
    owned_by(host, ONE).remove_all([App()])
    assert tree(host) == before


def test_hostctl_s_folder_goes_with_the_last_of_those_who_share_the_host(host: Host) -> None:
    owned_by(host, ONE).apply(App(), OLD)
    folder = host.root / "var/lib/http-registry"
    (folder / "owners").mkdir()
    for owner in (ONE, RENAMED):
        (folder / "owners" / mark(owner)).touch()
    owned_by(host, ONE).remove_all([App()])
    assert [each.name for each in (folder / "owners").iterdir()] == [mark(RENAMED)]
    owned_by(host, RENAMED).remove_all([App()])
    assert not folder.exists()


def test_remove_all_takes_everything_of_its_owner_and_hostctl_s_folder(host: Host) -> None:
    before = tree(host)
    owned_by(host, ONE).apply(App(), OLD)
    assert owned_by(host, ONE).remove_all([App()])["units"] == ["app"]
    assert tree(host) == before
    assert not (host.root / "var/lib/http-registry").exists()


@pytest.mark.parametrize("step", ["journal", "swap", "verify", "close"])
def test_remove_all_takes_back_a_first_apply_that_was_killed(host: Host, step: str) -> None:
    before = tree(host)
    assert in_child(lambda: Transactions(host, at(step, die), ONE).apply(App(), OLD)) < 0
    owned_by(host, ONE).remove_all([App()])
    assert tree(host) == before
    assert not (host.root / "var/lib/http-registry").exists()
