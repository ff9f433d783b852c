"""Decides what of a host is drift: our files, keys and items, never what others have beside them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostctl import containerd_toml, daemon_json
from hostctl.containerd_versions import RELEASES
from hostctl.daemon_json import Wanted
from hostctl.difference import Difference
from hostctl.drift import GONE, INTERRUPTED, drift
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.journal import Journal
from hostctl.masking import masked_value
from hostctl.nginx_conf import PULLERS
from hostctl.store import Store
from hostctl.transaction import Transactions
from hostctl.unit import RELOAD, Change, Unit
from hostctl.units.nginx_proxy import NginxProxy
from tests.unit.hostctl_app import OLD, SHARED, App, host, tree

__all__ = ["host"]

OWNER, OWN = "project/stack/host", "/etc/app/own/a"
MIRROR = "http://192.168.1.11:5080"


class Watched(App):
    """An App that knows its key in the shared file."""

    def drift(self, path: str, current: bytes, ours: dict[str, Any]) -> list[Difference]:
        try:
            found = json.loads(current or b"{}").get("ours")
        except ValueError as broken:
            raise HostError("not JSON") from broken
        return [] if found == 1 else [Difference("ours", 1, found)]


def named(name: str) -> Unit:
    return Watched()


def found(host: Host, owner: str = OWNER) -> dict[str, Any]:
    """What has drifted in the unit `app`; nothing on the host may change by asking, its program's memory included."""
    before = tree(host)
    report = drift(host, owner, ["app", "absent"], named)
    assert tree(host) == before
    assert report["result"] == "observed"
    units: dict[str, Any] = report["units"]
    told: dict[str, Any] = units.get("app", {"no": "record"})
    return told


@pytest.fixture
def applied(host: Host) -> Host:
    Transactions(host, owner=OWNER).apply(Watched(), OLD)
    return host


def test_a_host_as_we_left_it_has_no_drift(applied: Host) -> None:
    assert found(applied) == {"files": {}}


def test_a_host_without_us_is_not_touched(host: Host) -> None:
    assert found(host) == {"no": "record"}
    assert not (host.root / "var/lib/http-registry").exists()


def test_another_owners_unit_is_not_told(applied: Host) -> None:
    assert found(applied, "project/other/host") == {"no": "record"}


def test_an_edited_file_of_ours_is_shown_without_its_secrets(applied: Host) -> None:
    (applied.root / OWN[1:]).write_text('server = "http://user:geheim@a"\npassword = "geheim"\n')
    assert found(applied)["files"] == {
        OWN: {"keys": [], "text": 'server = "http://***@a"\npassword = "***"\n'},
    }


def test_a_deleted_file_of_ours_is_drift(applied: Host) -> None:
    (applied.root / OWN[1:]).unlink()
    assert found(applied)["files"] == {OWN: {"keys": [], "text": None}}


def test_a_mode_of_ours_that_was_changed_is_drift(applied: Host) -> None:
    (applied.root / OWN[1:]).chmod(0o600)
    assert found(applied)["files"] == {OWN: {"keys": [{"key": "mode", "wanted": "0644", "found": "0600"}]}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ours": 2, "theirs": 1}', {"keys": [{"key": "ours", "wanted": 1, "found": 2}]}),
        ("{}", {"keys": [{"key": "ours", "wanted": 1, "found": None}]}),
        (None, {"keys": [{"key": "ours", "wanted": 1, "found": None}], "why": GONE}),
        ("{", {"keys": [], "why": "not JSON"}),
    ],
)
def test_a_shared_file_is_judged_by_our_key_alone(applied: Host, text: str | None, expected: dict[str, Any]) -> None:
    path = applied.root / SHARED[1:]
    path.unlink() if text is None else path.write_text(text)
    assert found(applied)["files"] == {SHARED: expected}


def test_foreign_keys_and_another_mode_of_a_shared_file_are_no_drift(applied: Host) -> None:
    path = applied.root / SHARED[1:]
    path.write_text(json.dumps({"ours": 1, "theirs": 5, "new": 6}, indent=4))
    path.chmod(0o600)
    Watched().activate(applied, Change({}, {}), RELOAD)  # the program knows their keys
    assert found(applied) == {"files": {}}


def test_a_program_that_shows_something_else_than_its_files_is_drift(applied: Host) -> None:
    (applied.root / "run/app").write_text("{}")
    assert found(applied) == {"files": {}, "live": "app shows something else"}


@pytest.mark.parametrize("committed", [True, False])
def test_an_interrupted_change_is_drift_and_one_that_is_only_not_closed_is_none(applied: Host, committed: bool) -> None:
    store = Store(applied)
    record = store.record("app")
    assert record
    transaction = record.transaction if committed else "another"
    store.write_journal("app", Journal(transaction, {}, {}, {}, {}, {}, True, [], [], {}))
    assert found(applied) == ({"files": {}} if committed else {"files": {}, "live": INTERRUPTED})


def test_a_host_that_is_being_changed_is_asked_again_later(applied: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostctl.drift.PATIENCE", 0.1)
    lock = os.open(applied.root / "var/lib/http-registry/lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(HostError, match="another hostctl has been at work"):
            found(applied)
    finally:
        os.close(lock)


def test_apply_repairs_what_drift_has_found(applied: Host) -> None:
    (applied.root / OWN[1:]).chmod(0o600)
    (applied.root / "etc/app/own/b").unlink()
    (applied.root / SHARED[1:]).write_text('{"ours": 2, "theirs": 1}')
    assert len(found(applied)["files"]) == 3
    Transactions(applied, owner=OWNER).apply(Watched(), OLD)
    assert found(applied) == {"files": {}}


def test_password_files_are_shown_by_their_names_only() -> None:
    assert NginxProxy().shown(PULLERS, b"# head\nann:$2y$10$abc\n") == "ann:***\n"


DAEMON = Wanted((MIRROR,), ("192.168.1.11",), 6, True)
DAEMON_BASE = b'{"registry-mirrors": ["http://theirs"], "labels": ["a=b"]}'


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"labels": [], "new": 1}, []),
        ({"registry-mirrors": ["http://third", f"{MIRROR}/"]}, []),
        ({"max-concurrent-downloads": 5}, [("max-concurrent-downloads", 6, 5)]),
        ({"max-concurrent-downloads": "five"}, [("max-concurrent-downloads", 6, "five")]),
        ({"debug": None}, [("debug", True, None)]),
        ({"registry-mirrors": ["http://theirs"]}, [("registry-mirrors", [MIRROR], ["http://theirs"])]),
        ({"registry-mirrors": MIRROR}, [("registry-mirrors", [MIRROR], MIRROR)]),
        ({"insecure-registries": None}, [("insecure-registries", ["192.168.1.11"], None)]),
    ],
)
def test_daemon_json_drifts_in_our_values_and_items(change: dict[str, Any], expected: list[Any]) -> None:
    text, ours = daemon_json.merge(DAEMON_BASE, DAEMON)
    values = {key: value for key, value in {**json.loads(text), **change}.items() if value is not None}
    assert daemon_json.drift(json.dumps(values, indent=1).encode(), ours) == expected


def test_an_item_that_others_had_before_us_is_ours_as_well() -> None:
    _, ours = daemon_json.merge(f'{{"registry-mirrors": ["{MIRROR}"]}}'.encode(), Wanted((MIRROR,)))
    assert daemon_json.drift(b"{}", ours) == [("registry-mirrors", [MIRROR], None)]


@pytest.mark.parametrize("broken", [b"{", b"[]", b"\xff"])
def test_a_daemon_json_that_cant_be_read_says_why(broken: bytes) -> None:
    _, ours = daemon_json.merge(None, DAEMON)
    with pytest.raises(HostError, match=r"/etc/docker/daemon\.json"):
        daemon_json.drift(broken, ours)


LISTS = st.lists(st.sampled_from(["http://theirs", "http://third"]), unique=True)


@given(
    st.dictionaries(st.sampled_from(["labels", "mtu", "hosts"]), st.integers()),
    LISTS,
    st.dictionaries(st.text(min_size=1), st.booleans() | st.text()),
)
def test_whatever_others_add_is_no_drift(base: dict[str, Any], mirrors: list[str], more: dict[str, Any]) -> None:
    text, ours = daemon_json.merge(json.dumps(base).encode(), DAEMON)
    now = {**more, **json.loads(text)}
    now["registry-mirrors"] = [*mirrors, *now["registry-mirrors"]]
    assert daemon_json.drift(json.dumps(now).encode(), ours) == []


CONTAINERD = containerd_toml.Wanted("/etc/containerd/certs.d", downloads=6)
CRI = 'plugins."io.containerd.grpc.v1.cri"'


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("", ""), []),
        (("= 6", "= 6 # six"), []),
        (("[plugins]", "root = '/x'\n[plugins]"), []),
        (("= 6", "= 5"), [(f"{CRI}.max_concurrent_downloads", 6, 5)]),
        (('"/etc/containerd/certs.d"', '""'), [(f"{CRI}.registry.config_path", "/etc/containerd/certs.d", "")]),
    ],
)
def test_config_toml_drifts_in_our_keys(change: tuple[str, str], expected: list[Any]) -> None:
    base = b'version = 2\n[plugins]\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "x"\n'
    text, ours = containerd_toml.merge(base, CONTAINERD, RELEASES[0])
    assert (change[0] in text.decode()) or not change[0]
    assert containerd_toml.drift(text.decode().replace(*change).encode(), ours) == expected


def test_a_config_toml_of_ours_that_is_gone_lacks_its_version_as_well() -> None:
    _, ours = containerd_toml.merge(None, CONTAINERD, RELEASES[0])
    assert [each.key.rpartition(".")[2] for each in containerd_toml.drift(b"", ours)] == [
        "version",
        "max_concurrent_downloads",
        "config_path",
    ]


def test_a_config_toml_that_cant_be_read_says_where() -> None:
    _, ours = containerd_toml.merge(None, CONTAINERD, RELEASES[0])
    with pytest.raises(HostError, match="line 1"):
        containerd_toml.drift(b"= 1", ours)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("auths", {"a": {"auth": "Z2VoZWlt"}}, {"a": {"auth": "***"}}),
        ("registry-mirrors", ["http://u:geheim@a"], ["http://***@a"]),
        ('plugins."x".password', "geheim", "***"),
        ("password", None, None),
        ("max-concurrent-downloads", 6, 6),
    ],
)
def test_values_are_told_without_secrets(key: str, value: object, shown: object) -> None:
    assert masked_value(key, value) == shown


def test_no_program_is_asked_where_its_own_files_say_something_else(applied: Host) -> None:
    (applied.root / OWN[1:]).unlink()
    assert "live" not in found(applied)


def test_the_program_on_the_host_knows_the_action() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hostctl", "drift"], input=b'{"owner": "none/at/all"}', capture_output=True, check=False
    )
    assert json.loads(done.stdout) == {"result": "observed", "units": {}}
