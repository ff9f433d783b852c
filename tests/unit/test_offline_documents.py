"""What goes to a host for bundles. Pure; tests/programs has the runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from documents import offline_sync
from hostctl.errors import HostError
from hostctl.masking import MASK
from hostctl.unit import NONE, RESTART, Change
from hostctl.units.offline_sync import AUTH, CONFIG, PROGRAM, SERVICE_FILE, TIMER_FILE, OfflineSync
from offline_sync.config import Server, Wanted, read
from settings import parse
from settings.tier import Tier

SECRETS = {"password-ann": "geheim-a", "password-robot": "geheim-r"}
SYNC: dict[str, Any] = {
    "host": "h",
    "schedule": "Sat 02:00",
    "images": [
        {"registry": "docker.io", "repository": "alpine", "tags": ["3.*"]},
        {"registry": "quay.io", "repository": "a/b", "digests": [f"sha256:{'0' * 64}"], "platforms": ["linux/amd64"]},
        {"registry": "core.example", "repository": "team/app", "tags": ["1"]},
    ],
    "sources": [
        {"registry": "quay.io", "url": "https://mirror.example:8443", "user": "org$robot", "password": "robot"},
        {"registry": "core.example", "through": "hosted", "user": "ann", "authority": "ca.pem"},
    ],
    "into": [{"registry": "docker.io", "to": "hosted", "user": "ann"}],
}


def tier(**changed: Any) -> Tier:
    sync = {key: each for key, each in {**SYNC, **changed}.items() if each is not None}
    return parse(
        {
            "hosts": [{"name": "h", "address": "10.0.0.1"}],
            "image": {"reference": "registry:3.1.2"},
            "registries": [{"kind": "hosted", "name": "hosted", "host": "h"}],
            "proxy": {
                "host": "h",
                "endpoints": [{"registry": "hosted", "port": 81, "server_name": "10.0.0.1"}],
                "users": [{"name": "ann", "role": "push"}],
            },
            "firewall": {"allow": ["10.0.0.0/8"]},
            "offline_sync": sync,
        },
        SECRETS,
    )


def placed(folder: Path, wanted: offline_sync.OfflineSync) -> Path:
    """The configuration and the logins in a folder."""
    for each in wanted.files:
        if each.path in (CONFIG, AUTH):
            (folder / Path(each.path).name).write_text(each.text)
    return folder / Path(CONFIG).name


def test_the_program_reads_what_is_rendered(tmp_path: Path) -> None:
    config = read(placed(tmp_path, offline_sync.render(tier(), "site", {"ca.pem": "PEM"}, SECRETS)))
    assert config.name == "site"
    assert config.images[0] == Wanted("docker.io", "library/alpine", ("3.*",), (), None)
    assert config.images[1].platforms == ("linux/amd64",)
    assert config.sources == {
        "docker.io": Server("https://registry-1.docker.io"),
        "quay.io": Server("https://mirror.example:8443"),
        "core.example": Server("http://10.0.0.1:81", "PEM"),
    }
    assert config.targets == {"docker.io": Server("http://10.0.0.1:81", volume="http-registry-hosted")}
    assert set(config.logins) == {"mirror.example:8443", "10.0.0.1:81"}


def test_passwords_stand_in_one_file_that_root_alone_reads() -> None:
    files = {each.path: each for each in offline_sync.render(tier(), "site", {}, SECRETS).files}
    assert files[AUTH].mode == 0o600
    assert not [path for path, each in files.items() if path != AUTH and "Z2VoZWlt" in each.text]
    shown = offline_sync.render(tier(), "site").shown()
    assert MASK in shown[AUTH]
    assert OfflineSync().shown(AUTH, files[AUTH].text.encode()).count(MASK) == 2


def test_a_timer_only_with_a_schedule() -> None:
    with_timer = {each.path for each in offline_sync.render(tier(), "site").files}
    without = {each.path for each in offline_sync.render(tier(schedule=None), "site").files}
    assert with_timer - without == {SERVICE_FILE, TIMER_FILE}


def test_what_a_preview_says() -> None:
    files = OfflineSync().own_files(FakeHost(), offline_sync.render(tier(), "site").wish())  # type: ignore[arg-type]
    states = {each.path: each.state for each in files}
    gone = dict.fromkeys(states)
    unit = OfflineSync()
    assert unit.foresee(Change(gone, states), {}).levels == (RESTART,)
    assert "bundles and loaded images stay" in unit.foresee(Change(states, gone), {}).text
    plain = {path: each for path, each in states.items() if path not in (SERVICE_FILE, TIMER_FILE)}
    assert unit.foresee(Change(dict.fromkeys(plain), plain), {}).levels == (NONE,)


class FakeHost:
    """A host without skopeo."""

    def has(self, program: str) -> bool:
        return False


def test_a_host_without_skopeo_hears_it_first() -> None:
    with pytest.raises(HostError, match=r"skopeo: not installed on this host; install it .*apt-get install skopeo"):
        OfflineSync().preflight(FakeHost(), {})  # type: ignore[arg-type]


def test_somebody_else_s_files_are_refused() -> None:
    wish = offline_sync.render(tier(), "site").wish()
    wish["files"].append({"path": "/etc/passwd", "content": "x"})
    with pytest.raises(HostError, match=f"must be {AUTH}, {CONFIG}.* and what is below {PROGRAM}"):
        OfflineSync().own_files(FakeHost(), wish)  # type: ignore[arg-type]


def test_logins_that_can_t_be_read_are_masked() -> None:
    assert OfflineSync().shown(AUTH, b"{broken") == f"{MASK}\n"
