"""Decides what the unit ssh-access writes among others' keys, when it is taken back, and what it says of why.

sshd and its journal are fakes; real ones are in tests/lab/spare/test_rotation.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostctl import homes, systemd
from hostctl.authorized_keys import fingerprint
from hostctl.commit_confirmed import NotConfirmed, confirm, revert_all
from hostctl.drift import drift
from hostctl.errors import HostError
from hostctl.homes import Account
from hostctl.host import Finished
from hostctl.transaction import Transactions
from hostctl.units.ssh_access import SshAccess
from settings.ssh_key import KEY, new_key, public_half
from tests.unit.fake_systemd import FakeSystemd

OWNER = "http-registry/own/one"
FIRST, SECOND, THEIRS = (public_half(KEY, new_key()) for _ in range(3))
FOREIGN = f'from="10.0.0.0/8" {THEIRS} admin\n# http-registry is not theirs\n\nssh-rsa AAAA= http-registry-lab'.encode()
FILE = "root/.ssh/authorized_keys"


@dataclass(frozen=True)
class Machine(FakeSystemd):
    """`said`: sshd's settings; `log`: its journal."""

    root: Path = Path("/")
    said: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        if command[0] == "sshd":
            settings = {"authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
                        "pubkeyacceptedalgorithms": "ssh-ed25519,rsa-sha2-512", **self.said}  # fmt: skip
            return Finished(0, "".join(f"{key} {value}\n" for key, value in settings.items()))
        if command[0] == "journalctl":
            return Finished(0, "\n".join(self.log))
        return super().run(*command, stdin=stdin, timeout=timeout)


class Around:
    """Connections, each opened by a key, and the clock."""

    def __init__(self, host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.now = 1_000_000
        self._monkeypatch = monkeypatch
        self._ports = iter(range(50000, 60000))
        monkeypatch.setattr(systemd, "monotonic", lambda: self.now)
        monkeypatch.setattr(systemd, "boot", lambda: "boot")
        root = Account("root", 0, 0, "/root")
        monkeypatch.setattr(homes, "account", lambda _name: root)

    def connect(self, key: str = FIRST) -> None:
        port = next(self._ports)
        self._monkeypatch.setenv("SSH_CONNECTION", f"10.0.0.9 {port} 10.0.0.1 22")
        self.host.log.append(f"Accepted publickey for root from 10.0.0.9 port {port} ssh2: ED25519 {fingerprint(key)}")

    def apply(self, key: str) -> dict[str, Any]:
        self.connect()
        return Transactions(self.host, owner=OWNER).apply(SshAccess(), wish(key))

    def confirm(self, key: str, by: str) -> dict[str, Any]:
        self.connect(by)
        return confirm(Transactions(self.host, owner=OWNER), SshAccess(), wish(key))

    def fire(self) -> None:
        self.now += 31_000_000
        (self.host.root / "run/timer").unlink()
        self._monkeypatch.delenv("SSH_CONNECTION")
        assert revert_all(Transactions(self.host), lambda _name: SshAccess())["units"] == ["ssh-access"]

    @property
    def text(self) -> bytes:
        return (self.host.root / FILE).read_bytes()


def wish(key: str) -> dict[str, Any]:
    return {"line": f"{key} http-registry http-registry/own"}


def with_ours(key: str, foreign: bytes = FOREIGN) -> bytes:
    return foreign + b"\n" * (not foreign.endswith(b"\n")) + f"{wish(key)['line']}\n".encode()


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Around:
    for folder in ("root/.ssh", f".{systemd.WANTS}", "run", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / FILE).write_bytes(FOREIGN)
    (tmp_path / FILE).chmod(0o640)
    return Around(Machine(tmp_path), monkeypatch)


def test_our_line_comes_is_replaced_and_goes_and_others_lines_stay(around: Around) -> None:
    assert around.apply(FIRST)["confirm_within"] == 30
    assert around.text == with_ours(FIRST)
    assert around.confirm(FIRST, FIRST)["key"] == fingerprint(FIRST)
    around.apply(SECOND)
    assert around.text == with_ours(SECOND)
    assert around.confirm(SECOND, SECOND)["key"] == fingerprint(SECOND)
    assert (around.host.root / FILE).stat().st_mode & 0o777 == 0o640
    assert Transactions(around.host, owner=OWNER).remove(SshAccess())["result"] == "kept"
    Transactions(around.host, owner=OWNER).remove_all([SshAccess()])
    assert around.text == FOREIGN


@pytest.mark.parametrize(
    ("edit", "left"),
    [
        (lambda text: text + b"ssh-rsa BBBB= new\n", FOREIGN + b"\nssh-rsa BBBB= new\n"),
        (lambda text: text.replace(b"ssh-ed25519 AAAA", b'from="10.0.0.1" ssh-ed25519 AAAA'), None),
    ],
    ids=["another-line", "options-before-each"],
)
def test_what_others_do_meanwhile_outlives_a_trial_that_goes_back(
    around: Around, edit: Callable[[bytes], bytes], left: bytes | None
) -> None:
    around.apply(FIRST)
    around.confirm(FIRST, FIRST)
    around.apply(SECOND)
    (around.host.root / FILE).write_bytes(edit(around.text))
    others = left or edit(FOREIGN) + b"\n"
    around.fire()
    assert around.text == with_ours(FIRST, others)
    around.apply(SECOND)
    around.confirm(SECOND, SECOND)
    assert around.text == with_ours(SECOND, others)
    Transactions(around.host, owner=OWNER).remove_all([SshAccess()])
    assert around.text == others


def test_a_first_line_that_nobody_confirms_goes_with_its_file(around: Around) -> None:
    (around.host.root / FILE).unlink()
    (around.host.root / "root/.ssh").rmdir()
    around.apply(FIRST)
    assert (around.host.root / FILE).stat().st_mode & 0o777 == 0o600
    assert (around.host.root / "root/.ssh").stat().st_mode & 0o777 == 0o700
    around.fire()
    assert not (around.host.root / "root/.ssh").exists()


def test_a_connection_that_another_key_has_opened_confirms_nothing_and_the_old_line_is_back_at_once(
    around: Around,
) -> None:
    around.apply(FIRST)
    around.confirm(FIRST, FIRST)
    around.apply(SECOND)
    with pytest.raises(
        NotConfirmed, match=f"opened by the key {fingerprint(THEIRS)}, and not by the new one".replace("+", r"\+")
    ):
        around.confirm(SECOND, THEIRS)
    assert around.text == with_ours(FIRST)
    assert not around.host.ticks
    with pytest.raises(NotConfirmed, match="applied again"):
        around.confirm(SECOND, SECOND)
    assert around.confirm(SECOND, SECOND)["result"] == "confirmed"


def test_where_sshds_log_is_silent_the_connection_counts(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostctl.sshd.LOG_PATIENCE", 0)
    around.apply(FIRST)
    around.host.log[:] = ["nothing of it"]
    around._monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 40000 10.0.0.1 22")
    report = confirm(Transactions(around.host, owner=OWNER), SshAccess(), wish(FIRST))
    assert "sshd's log does not tell" in report["notes"][0]


def test_why_a_key_was_refused_is_told_in_sshds_words(around: Around) -> None:
    around.apply(FIRST)
    around.confirm(FIRST, FIRST)
    around.apply(SECOND)
    around.host.log.append("Authentication refused: bad ownership or modes for directory /root/.ssh")
    around.host.log.append("Connection closed by authenticating user root 10.0.0.9 port 5 [preauth]")
    around.fire()
    with pytest.raises(NotConfirmed, match=r"has refused it: Authentication refused: bad .*/root/\.ssh\. Mend"):
        around.confirm(SECOND, FIRST)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            {"pubkeyacceptedalgorithms": "rsa-sha2-512,ecdsa-sha2-nistp256"},
            "would refuse the new SSH key, a ssh-ed25519",
        ),
        ({"pubkeyauthentication": "no"}, "PubkeyAuthentication is no"),
        ({"authorizedkeysfile": "none"}, "AuthorizedKeysFile is none"),
    ],
)
def test_what_sshd_says_it_would_refuse_is_refused_before(around: Around, said: dict[str, str], error: str) -> None:
    around.host.said.update(said)
    with pytest.raises(HostError, match=error):
        around.apply(FIRST)
    assert around.text == FOREIGN


def test_the_line_goes_where_sshd_looks(around: Around) -> None:
    around.host.said["authorizedkeysfile"] = "/etc/ssh/keys/%u.%% .ssh/authorized_keys"
    assert around.apply(FIRST)["files"] == ["/etc/ssh/keys/root.%"]
    assert around.text == FOREIGN
    around.confirm(FIRST, FIRST)
    del around.host.said["authorizedkeysfile"]
    assert around.apply(FIRST)["files"] == ["/etc/ssh/keys/root.%", "~root/.ssh/authorized_keys"]
    assert around.text == with_ours(FIRST)
    assert not (around.host.root / "etc/ssh").exists()


def test_a_line_whose_record_is_lost_is_known_by_its_mark(around: Around) -> None:
    (around.host.root / FILE).write_bytes(with_ours(FIRST))
    around.apply(SECOND)
    around.confirm(SECOND, SECOND)
    assert around.text == with_ours(SECOND)
    Transactions(around.host, owner=OWNER).remove_all([SshAccess()])
    assert around.text == FOREIGN + b"\n"


def test_drift_is_our_line_only(around: Around) -> None:
    around.apply(FIRST)
    around.confirm(FIRST, FIRST)

    def drifted() -> Any:
        return drift(around.host, OWNER, ["ssh-access"], lambda _name: SshAccess())["units"]["ssh-access"]["files"]

    (around.host.root / FILE).write_bytes(with_ours(FIRST) + b"ssh-rsa BBBB= new\n")
    assert drifted() == {}
    (around.host.root / FILE).write_bytes(FOREIGN)
    [found] = drifted()["~root/.ssh/authorized_keys"]["keys"]
    assert (found["wanted"], found["found"]) == (wish(FIRST)["line"], None)
    started = time.monotonic()
    assert around.apply(FIRST)["confirm_within"] is None
    assert time.monotonic() - started < 5
    assert around.text == with_ours(FIRST)


@pytest.mark.parametrize(
    "line",
    ["", f"{FIRST}", f"{FIRST} other", f"{FIRST} http-registry a/b\n{THEIRS} http-registry a/b"],
    ids=("empty", "no comment", "another comment", "two lines"),
)
def test_only_a_marked_line_is_taken(around: Around, line: str) -> None:
    with pytest.raises(HostError, match="wish, line"):
        Transactions(around.host, owner=OWNER).apply(SshAccess(), {"line": line})
