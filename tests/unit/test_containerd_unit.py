"""Decides what hostctl's containerd-mirrors believes: a containerd that does not do what config.toml says is a failure.

The containerd is a fake; that real ones behave like it is decided in tests/lab.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostctl import containerd_says, containerd_toml, recovery
from hostctl.containerd_toml import Wanted
from hostctl.containerd_versions import IMAGES, PATH, RELEASES, release
from hostctl.errors import HostError
from hostctl.recovery import TransactionFailed
from hostctl.systemd import Service
from hostctl.transaction import Transactions
from hostctl.unit import HEADER
from hostctl.units.containerd_mirrors import ContainerdMirrors
from tests.unit.fake_containerd import RELEASES as PRINTED
from tests.unit.fake_containerd import ContainerdHost, on_disk

CERTS = "/etc/containerd/certs.d"
WISH: dict[str, Any] = {"config_path": CERTS, "max_concurrent_downloads": 10, "debug": True}
NEWEST = list(PRINTED)[-1]
UNKNOWN = (
    'time="t" level=warning msg="Ignoring unknown key in TOML for plugin" error="strict mode" '
    'key="registry config_path" plugin=io.containerd.cri.v1.images'
)
MIRRORS = b"""version = 2
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
  endpoint = ["https://cache.example"]
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."quay.io"]
  endpoint = ["https://cache.example"]
[plugins."io.containerd.grpc.v1.cri".registry.configs."quay.io".auth]
  username = "u"
"""


@pytest.fixture(params=PRINTED, ids=lambda printed: printed.split()[2])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> ContainerdHost:
    return ContainerdHost(tmp_path, request.param)


@pytest.fixture
def modern(tmp_path: Path) -> ContainerdHost:
    return ContainerdHost(tmp_path, NEWEST)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "VERIFY_PATIENCE", 0.1)


def put(host: ContainerdHost, text: bytes) -> None:
    file = host.path(PATH)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)


def test_keys_are_set_once_and_taken_back(host: ContainerdHost) -> None:
    assert Transactions(host).apply(ContainerdMirrors(), WISH)["activation"] == "restart"
    again = Transactions(host).apply(ContainerdMirrors(), WISH)
    assert (again["result"], again["activation"], host.state.restarts) == ("unchanged", "none", 1)
    Transactions(host).remove(ContainerdMirrors())
    assert (on_disk(host), host.state.restarts) == ({}, 2)


def test_an_unchanged_config_toml_is_not_merged_again(host: ContainerdHost, monkeypatch: pytest.MonkeyPatch) -> None:
    put(host, b"version = 2\n")
    Transactions(host).apply(ContainerdMirrors(), WISH)
    merges: list[bytes | None] = []
    real = containerd_toml.merge

    def merge(base: bytes | None, *others: Any) -> Any:
        merges.append(base)
        return real(base, *others)

    monkeypatch.setattr(containerd_toml, "merge", merge)
    assert Transactions(host).apply(ContainerdMirrors(), WISH)["result"] == "unchanged"
    assert merges == []
    put(host, host.path(PATH).read_bytes() + b"oom_score = 1\n")
    for wish in (WISH, {**WISH, "max_concurrent_downloads": 3}):
        Transactions(host).apply(ContainerdMirrors(), wish)
    assert len(merges) == 2
    Transactions(host).remove(ContainerdMirrors())
    assert b"oom_score = 1" in host.path(PATH).read_bytes()


@pytest.mark.parametrize("mode", [None, 0o644, 0o640])
def test_config_toml_is_root_s_alone_while_it_holds_a_login(host: ContainerdHost, mode: int | None) -> None:
    """`mode`: that of somebody else's file, None where there is none."""
    file, login = host.path(PATH), {"registry": "r:5000", "user": "me", "password": "geheim"}
    if mode:
        put(host, b"version = 2\n# theirs\n")
        file.chmod(mode)
    Transactions(host).apply(ContainerdMirrors(), {**WISH, "logins": [login]})
    assert b"geheim" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert Transactions(host).apply(ContainerdMirrors(), {**WISH, "logins": [login]})["result"] == "unchanged"
    Transactions(host).apply(ContainerdMirrors(), WISH)
    assert file.stat().st_mode & 0o777 == (mode or 0o644)
    file.chmod(0o604)
    Transactions(host).apply(ContainerdMirrors(), {**WISH, "max_concurrent_downloads": 9})
    assert file.stat().st_mode & 0o777 == 0o604


def test_every_cri_plugin_must_have_loaded(host: ContainerdHost) -> None:
    for plugin in PRINTED[host.printed].plugins:
        host.state.failed = (plugin,)
        with pytest.raises(TransactionFailed, match=f"plugin {plugin} is in state 'error'") as failed:
            Transactions(host).apply(ContainerdMirrors(), WISH)
        assert failed.value.rolled_back
        assert on_disk(host) == {}


def test_a_key_of_ours_that_config_dump_does_not_know_is_never_written(modern: ContainerdHost) -> None:
    modern.state.complaints = (UNKNOWN,)
    with pytest.raises(TransactionFailed, match=f"does not know our key {IMAGES}.registry.config_path"):
        Transactions(modern).apply(ContainerdMirrors(), WISH)
    assert modern.state.restarts == 0


def test_a_key_of_ours_that_the_log_does_not_know_is_taken_back(
    modern: ContainerdHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    modern.state.complaints = (UNKNOWN,)
    monkeypatch.setattr(containerd_says, "dump_complaint", lambda *_: None)
    with pytest.raises(TransactionFailed, match="does not know our key"):
        Transactions(modern).apply(ContainerdMirrors(), WISH)
    assert (on_disk(modern), modern.state.restarts) == ({}, 2)


def test_a_containerd_that_does_not_log_at_level_debug_is_a_failure(host: ContainerdHost) -> None:
    host.state.deaf = True
    with pytest.raises(TransactionFailed, match="does not log at level debug"):
        Transactions(host).apply(ContainerdMirrors(), WISH)
    assert Transactions(host).apply(ContainerdMirrors(), {**WISH, "debug": False})["result"] == "changed"


def test_a_containerd_that_is_newer_than_all_is_told(tmp_path: Path) -> None:
    future = "containerd containerd.io 2.5.0 x"
    PRINTED[future] = RELEASES[-1]
    try:
        report = Transactions(ContainerdHost(tmp_path, future)).apply(ContainerdMirrors(), WISH)
    finally:
        del PRINTED[future]
    assert "containerd 2.5 is newer than this program, which treats it like 2.4" in report["notes"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-c", "/etc/other.toml"], "containerd reads /etc/other.toml in place of"),
        (["--config=/etc/other.toml"], "containerd reads /etc/other.toml in place of"),
        (["--log-level", "info"], "containerd was started with --log-level, which outdoes"),
        (["-l=info"], "containerd was started with --log-level, which outdoes"),
    ],
)
def test_a_flag_that_outdoes_the_file_is_refused(
    arguments: list[str], error: str, modern: ContainerdHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "arguments", lambda _: arguments)
    with pytest.raises(HostError, match=error):
        Transactions(modern).apply(ContainerdMirrors(), WISH)


def test_the_containerd_that_the_service_runs_is_asked(modern: ContainerdHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "program", lambda _: "/opt/bin/containerd")
    Transactions(modern).apply(ContainerdMirrors(), WISH)
    assert {each for each in modern.state.programs if "containerd" in each} == {"/opt/bin/containerd"}


def test_a_folder_that_is_passed_over_from_now_on_is_told(modern: ContainerdHost) -> None:
    theirs = modern.path(f"{CERTS}/r.example:5000/hosts.toml")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")
    ours = {"path": f"{CERTS}/r.example_5000_/hosts.toml", "content": f"# {HEADER}\n", "mode": 0o644}
    report = Transactions(modern).apply(ContainerdMirrors(), {"files": [ours]})
    assert (
        f"{CERTS}/r.example:5000/hosts.toml: is passed over, since containerd looks for {ours['path']} first"
        in (report["notes"])
    )


def test_deprecated_mirrors_become_files_of_ours_and_come_back(host: ContainerdHost) -> None:
    put(host, MIRRORS)
    text = f"# {HEADER}\n"
    ours = {"path": f"{CERTS}/docker.io/hosts.toml", "content": text, "mode": 0o644}
    wish = {"config_path": CERTS, "migrate_deprecated": True, "files": [ours]}
    report = Transactions(host).apply(ContainerdMirrors(), wish)
    found = on_disk(host)
    assert found["etc/containerd/certs.d/docker.io/hosts.toml"] == text.encode()
    assert b'[host."https://cache.example"]' in found["etc/containerd/certs.d/quay.io/hosts.toml"]
    assert found["etc/containerd/certs.d/quay.io/hosts.toml"].startswith(text.encode())
    assert b"endpoint" not in found["etc/containerd/config.toml"]
    assert b'username = "u"' in found["etc/containerd/config.toml"]
    assert [note for note in report["notes"] if "docker.io gives way to this stack's" in note]
    assert [note for note in report["notes"] if f"quay.io stands in {CERTS}/quay.io/hosts.toml" in note]
    assert [note for note in report["notes"] if "the logins for quay.io stay there" in note]
    assert Transactions(host).apply(ContainerdMirrors(), wish)["result"] == "unchanged"

    path = host.path(PATH)
    path.write_bytes(path.read_bytes() + b"[ttrpc]\n")
    Transactions(host).apply(ContainerdMirrors(), wish)
    assert on_disk(host).keys() == found.keys()
    path.write_bytes(MIRRORS)
    Transactions(host).apply(ContainerdMirrors(), wish)
    Transactions(host).remove(ContainerdMirrors())
    assert on_disk(host) == {"etc/containerd/config.toml": MIRRORS}


def test_deprecated_mirrors_without_leave_to_move_them_are_refused(host: ContainerdHost) -> None:
    put(host, MIRRORS)
    with pytest.raises(HostError, match=r"set containerd\.migrate_deprecated of this host's runtimes"):
        Transactions(host).apply(ContainerdMirrors(), WISH)


IMAGES_TABLE = f"[plugins.'{IMAGES}']\n"
SET = f"[plugins.'{IMAGES}'.registry]\nconfig_path = '/c'\n[plugins.'io.containerd.transfer.v1.local']\n"
SET += "max_concurrent_downloads = 10\n"


@pytest.mark.parametrize(
    ("dump", "complaint"),
    [
        (SET, None),
        (f'time="t" level=warning msg="Configuration migrated from version 2"\n{SET}', None),
        (
            SET.replace("10", "3"),
            "would use max_concurrent_downloads = 3 in place of 10; look for it in the files that",
        ),
        (SET.replace("'/c'", "'/d'"), "would use config_path = '/d' in place of '/c'"),
        (f"{IMAGES_TABLE}max_concurrent_downloads = 5\n{SET}", "because of max_concurrent_downloads in the CRI's own"),
        (f"{IMAGES_TABLE}max_concurrent_downloads = 3\n{SET}", None),
        (f"{IMAGES_TABLE}use_local_image_pull = true\n{SET}", "because of use_local_image_pull"),
        (f"{IMAGES_TABLE}disable_snapshot_annotations = false\n{SET}", "disable_snapshot_annotations = false"),
        (f"{SET}[plugins.'{IMAGES}'.registry.configs.'a'.auth]\nusername = 'u'\n", "because of registry.configs"),
        (f"{UNKNOWN}\n{SET}", "does not know our key"),
        (UNKNOWN.replace("config_path", "configs a tls") + f"\n{SET}", None),
        (UNKNOWN.replace('"registry config_path"', "registry") + f"\n{SET}", "does not know our key"),
    ],
)
def test_config_dump_is_believed(dump: str, complaint: str | None) -> None:
    found = containerd_says.dump_complaint(dump, Wanted("/c", 10), release((2, 4)))
    assert (found is None) if complaint is None else (found is not None and complaint in found)


def test_logs_in_json_are_read_too() -> None:
    unknown = (
        '{"error":"strict mode","key":"max_concurrent_downloads","level":"warning","msg":"Ignoring unknown key in TOML '
        'for plugin","plugin":"io.containerd.transfer.v1.local","time":"t"}'
    )
    found = containerd_says.ignored_complaint([unknown], Wanted("/c", 10), release((2, 4)))
    assert "io.containerd.transfer.v1.local.max_concurrent_downloads" in str(found)
    unknown = 'time="t" level=warning msg="Ignoring unknown key in TOML" file=/c.toml key="debug level" row=1'
    assert containerd_says.ignored_complaint([unknown], Wanted("/c"), release((2, 4))) is None
    assert containerd_says.ignored_complaint([unknown], Wanted("/c", debug=True), release((2, 4)))
    assert containerd_says.debug_complaint(['{"level":"debug","msg":"x"}']) is None
    assert containerd_says.debug_complaint(['{"level":"info","msg":"debug"}'])
    assert containerd_says.debug_complaint([]) is None
