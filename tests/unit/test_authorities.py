"""Decides where an authority's certificates go on which host, and when the system's store is made anew.

The update programs are functions that do what theirs do with the bundle; the real one is in tests/lab.
"""

from __future__ import annotations

import os
import signal
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import authorities
from hostctl import certificates, trust_store
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from hostctl.transaction import Transactions
from hostctl.trust_store import TrustStore
from hostctl.unit import HEADER
from hostctl.units.authorities import Authorities
from settings.certificates import Certificate
from settings.runtimes import Authority, Containerd, Docker, Runtime
from tests.certificates import DAY, NOW, Signed, authority, server

CA, NEXT = authority(), authority("Next")
THEIRS = authority("Theirs").pem
REGISTRY = "10.0.0.1:5443"
OURS = f"{certificates.FOLDER}/lab.pem"
IN_DOCKER = f"/etc/docker/certs.d/{REGISTRY}/http-registry-lab.crt"
CERTS = "/etc/containerd/certs.d"
IN_CONTAINERD = f"{CERTS}/10.0.0.1_5443_/http-registry-lab.crt"
IN_STORE = "/usr/local/share/ca-certificates/http-registry-lab.crt"


@dataclass
class Machine:
    """A host of one family. `deaf`: its update program takes nothing over."""

    host: Host
    store: TrustStore
    programs: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    deaf: bool = False

    def run(self, *flock: str, **_: Any) -> Finished:
        assert flock[:2] == ("flock", str(self.host.path(self.store.mark)))
        command = flock[2:]
        if command[0] == "rm":
            Path(command[-1]).unlink(missing_ok=True)
            return Finished(0, "")
        assert command[0] == self.store.program[0]
        self.calls.append(" ".join(command))
        if not self.deaf:
            added = sorted(self.host.path(self.store.folder).glob(f"*{self.store.suffix}"))
            half = self.host.path(self.store.half) if self.store.half else None
            begun = half.read_text() if half and half.exists() else ""
            self.write(self.store.bundle, begun + THEIRS + "".join(each.read_text() for each in added))
        return Finished(0, "")

    def write(self, path: str, text: str) -> None:
        real = self.host.path(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)

    def apply(self, wish: Any) -> dict[str, Any]:
        return Transactions(self.host).apply(Authorities(), wish)

    def remove(self) -> dict[str, Any]:
        return Transactions(self.host).remove(Authorities())

    def tree(self) -> dict[str, str]:
        """Every file but hostctl's own."""
        root = self.host.root
        found = {f"/{each.relative_to(root)}": each for each in root.rglob("*") if each.is_file()}
        return {path: each.read_text() for path, each in found.items() if not path.startswith("/var/lib/http-registry")}


Start = Callable[..., Machine]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes the host, of Debian's family where nothing else is said."""

    def started(store: TrustStore = trust_store.DEBIAN) -> Machine:
        machine = Machine(Host(tmp_path), store, {store.program[0]})
        machine.host.path(store.mark).mkdir(parents=True)
        machine.host.path(store.folder).mkdir(parents=True, exist_ok=True)
        machine.write(store.bundle, THEIRS)
        monkeypatch.setattr(Host, "run", lambda _, *command, **about: machine.run(*command, **about))
        monkeypatch.setattr(Host, "has", lambda _, program: program in machine.programs)
        return machine

    return started


def wish(
    *signed: Signed,
    docker: bool = True,
    containerd: bool = True,
    system: bool = True,
    hosts_toml: tuple[str, ...] = (),
) -> dict[str, Any]:
    return rendered(signed or (CA,), docker, containerd, system, hosts_toml).wish()


def rendered(
    signed: tuple[Signed, ...], docker: bool, containerd: bool, system: bool, hosts_toml: tuple[str, ...] = ()
) -> authorities.Authorities:
    wanted = Authority(name="lab", certificate="lab.pem", registries=(REGISTRY,), system=system)
    runtime = Runtime(host="one", docker=Docker() if docker else None, containerd=Containerd() if containerd else None)
    held = Certificate(wanted, "".join(each.pem for each in signed), NOW)
    return authorities.render([held], runtime, hosts_toml)


def test_a_host_gets_the_certificate_wherever_somebody_looks_for_it(start: Start) -> None:
    debian = start()
    before = debian.tree()
    report = debian.apply(wish())
    assert (report["result"], report["activation"], report["notes"]) == ("changed", "reload", [])
    text = f"# {HEADER}\n{CA.pem}"
    added = {path: each for path, each in debian.tree().items() if path not in before}
    assert added == dict.fromkeys([OURS, IN_DOCKER, IN_CONTAINERD, IN_STORE], text)
    assert debian.calls == ["update-ca-certificates"]
    assert debian.apply(wish())["result"] == "unchanged"
    assert debian.calls == ["update-ca-certificates"]
    assert debian.remove()["result"] == "removed"
    assert debian.tree() == before


def test_what_changes_or_goes_has_the_store_made_anew_as_a_whole(start: Start) -> None:
    debian = start()
    debian.apply(wish())
    debian.apply(wish(NEXT))
    assert certificates.held(debian.host.path(trust_store.DEBIAN.bundle).read_bytes()) >= {NEXT.der}
    debian.remove()
    assert debian.calls == ["update-ca-certificates", *["update-ca-certificates --fresh"] * 2]


def test_what_an_update_that_was_cut_off_has_left_is_not_added_to(start: Start) -> None:
    debian = start()
    debian.write(f"{trust_store.DEBIAN.bundle}.new", NEXT.pem)
    debian.apply(wish())
    assert certificates.held(debian.host.path(trust_store.DEBIAN.bundle).read_bytes()).isdisjoint({NEXT.der})


def test_an_update_that_has_outlived_its_hostctl_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside each other they would make the bundle of half of what belongs in it."""
    host, store = Host(tmp_path / "host"), trust_store.DEBIAN
    host.path(store.mark).mkdir(parents=True)
    host.path(store.bundle).parent.mkdir(parents=True)
    said = tmp_path / "said"
    program = tmp_path / store.program[0]
    program.write_text(f"#!/bin/sh\necho begins >> {said}; sleep 0.7; echo ends >> {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    child = os.fork()
    if child == 0:
        store.update(host, fresh=False)
        os._exit(1)
    while not said.exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    store.update(host, fresh=True)
    assert said.read_text().split() == ["begins", "ends"] * 2


@pytest.mark.parametrize(
    ("store", "program", "path"),
    [
        (trust_store.DEBIAN, "update-ca-certificates", IN_STORE),
        (trust_store.SUSE, "update-ca-certificates", "/etc/pki/trust/anchors/http-registry-lab.pem"),
        (trust_store.RED_HAT, "update-ca-trust extract", "/etc/pki/ca-trust/source/anchors/http-registry-lab.pem"),
    ],
)
def test_each_family_has_its_folder_and_its_program(start: Start, store: TrustStore, program: str, path: str) -> None:
    machine = start(store)
    machine.host.path("/etc/ca-certificates").mkdir(parents=True, exist_ok=True)  # SUSE has it as well
    assert path in machine.apply(wish())["files"]
    assert machine.calls == [program]
    assert machine.remove()["notes"] == []


def test_a_host_whose_store_we_do_not_know_is_left_alone(start: Start) -> None:
    machine = start()
    machine.programs.clear()
    before = machine.tree()
    with pytest.raises(HostError, match="install ca-certificates, or say `system: false` for the authority"):
        machine.apply(wish())
    assert machine.tree() == before
    report = machine.apply(wish(system=False))
    assert (IN_STORE in report["files"], report["activation"], machine.calls) == (False, "none", [])


def test_of_a_chain_the_store_gets_one_certificate_a_file(start: Start) -> None:
    debian = start()
    debian.apply(wish(CA, NEXT))
    tree = debian.tree()
    assert tree[OURS] == tree[IN_DOCKER] == f"# {HEADER}\n{CA.pem}{NEXT.pem}"
    assert tree[IN_STORE] == f"# {HEADER}\n{CA.pem}"
    assert tree[IN_STORE.replace("lab", "lab.2")] == f"# {HEADER}\n{NEXT.pem}"
    debian.apply(wish(NEXT))
    assert IN_STORE.replace("lab", "lab.2") not in debian.tree()


def test_a_bundle_that_has_lost_the_certificate_is_made_anew(start: Start) -> None:
    debian = start()
    debian.apply(wish())
    debian.write(trust_store.DEBIAN.bundle, THEIRS)
    report = debian.apply(wish())
    assert (report["result"], report["files"], report["activation"]) == ("changed", [], "reload")
    assert debian.calls[1:] == ["update-ca-certificates --fresh"]


def test_a_store_that_does_not_take_it_over_is_an_error_and_all_is_taken_back(start: Start) -> None:
    debian = start()
    before = debian.tree()
    debian.deaf = True
    with pytest.raises(HostError, match=r"ca-certificates\.crt: does not hold what .*http-registry-lab\.crt says"):
        debian.apply(wish())
    assert debian.tree() == before


def test_what_somebody_else_trusts_too_stays_trusted_and_is_told(start: Start) -> None:
    debian = start()
    debian.write("/usr/local/share/ca-certificates/theirs.crt", CA.pem)
    debian.apply(wish())
    assert debian.remove()["notes"] == [
        "/etc/ssl/certs/ca-certificates.crt: still holds what was taken out; a file of somebody else has it too"
    ]


def test_a_removal_does_without_a_program_that_has_gone(start: Start) -> None:
    debian = start()
    debian.apply(wish())
    debian.programs.clear()
    report = debian.remove()
    assert report["result"] == "removed"
    assert "stays as it is, since update-ca-certificates is no longer on this host" in report["notes"][0]


def test_a_file_of_somebody_at_our_place_comes_back(start: Start) -> None:
    debian = start()
    debian.write(IN_DOCKER, THEIRS)
    assert "there was a file of somebody else" in debian.apply(wish())["notes"][0]
    debian.remove()
    assert debian.tree()[IN_DOCKER] == THEIRS


def test_where_a_hosts_toml_of_ours_will_be_containerd_gets_no_file_that_would_not_count(start: Start) -> None:
    debian = start()
    debian.apply(wish(hosts_toml=(f"{CERTS}/10.0.0.1_5443_/hosts.toml",)))
    assert IN_CONTAINERD not in debian.tree()
    debian.apply(wish(hosts_toml=(f"{CERTS}/docker.io/hosts.toml",)))
    assert IN_CONTAINERD in debian.tree()


def test_a_mirror_of_every_registry_is_not_hidden_by_a_folder_of_ours(start: Start) -> None:
    debian = start()
    debian.apply(wish(hosts_toml=(f"{CERTS}/_default/hosts.toml",)))
    assert IN_CONTAINERD not in debian.tree()


@pytest.mark.parametrize("folder", ["10.0.0.1_5443_", REGISTRY, "_default"])
def test_a_hosts_toml_of_somebody_is_left_alone_and_told(start: Start, folder: str) -> None:
    debian = start()
    theirs = f"{CERTS}/{folder}/hosts.toml"
    debian.write(theirs, 'server = "https://mirror"\n')
    for _ in range(2):
        report = debian.apply(wish())
        assert report["notes"] == [
            f'{theirs} is somebody\'s, and containerd trusts only what that names: add ca = "{OURS}" to it; or restart '
            "it, since it reads the system's store at its start"
        ]
    assert report["result"] == "unchanged"
    assert IN_CONTAINERD not in debian.tree()
    debian.write(theirs, f'server = "https://mirror"\nca = ["{OURS}"]\n')
    assert debian.apply(wish())["notes"] == []


def test_a_folder_of_ours_does_not_hide_what_somebody_writes_later(start: Start) -> None:
    debian = start()
    debian.apply(wish())
    debian.write(f"{CERTS}/{REGISTRY}/hosts.toml", 'server = "https://mirror"\n')
    report = debian.apply(wish())
    assert (len(report["notes"]), debian.host.path(IN_CONTAINERD).parent.exists()) == (1, False)


def test_beside_a_hosts_toml_of_ours_that_goes_our_file_stands_ready(start: Start) -> None:
    debian = start()
    debian.write(f"{CERTS}/10.0.0.1_5443_/hosts.toml", f'# {HEADER}\nserver = "https://10.0.0.1:5443"\n')
    assert debian.apply(wish())["notes"] == []
    assert IN_CONTAINERD in debian.tree()


def test_a_folder_of_somebody_that_containerd_looks_into_takes_our_file_in(start: Start) -> None:
    debian = start()
    debian.write(f"{CERTS}/{REGISTRY}/theirs.crt", THEIRS)
    debian.write(f"{CERTS}/{REGISTRY}/hosts.toml", " \n")
    for _ in range(2):
        report = debian.apply(wish())
    assert report["result"] == "unchanged"
    assert f"{CERTS}/{REGISTRY}/http-registry-lab.crt" in debian.tree()
    assert IN_CONTAINERD not in debian.tree()


@pytest.mark.parametrize(("folder", "ours"), [(REGISTRY, True), ("_default", False)])
def test_beside_a_hosts_toml_of_somebody_s_our_file_counts_for_older_dockers(
    start: Start, folder: str, ours: bool
) -> None:
    debian = start()
    theirs = f"/etc/docker/certs.d/{folder}/hosts.toml"
    debian.write(theirs, 'server = "https://mirror"\n')
    for _ in range(2):
        (note,) = debian.apply(wish(containerd=False, system=False))["notes"]
    told = f'{theirs} is somebody\'s, and Docker 28 or newer trusts only what that names: add ca = "{OURS}" to it'
    assert (note, IN_DOCKER in debian.tree()) == (told, ours)


def test_a_folder_that_would_hide_docker_s_is_refused(start: Start) -> None:
    debian = start()
    debian.write("/etc/docker/certs.d/10.0.0.1_5443_/hosts.toml", "x")
    with pytest.raises(HostError, match=r"10\.0\.0\.1_5443_: dockerd looks there and then not into .*:5443, which"):
        debian.apply(wish())


@pytest.mark.parametrize(
    ("pem", "error"),
    [
        (CA.pem + CA.private, "authority lab: holds a EC PRIVATE KEY, which no host needs; take it out"),
        ("", "wish, pem: must be a string that is not empty"),
        ("nothing", "authority lab: holds no certificate in PEM form"),
        (CA.pem.replace("MII", "M?II"), "authority lab: certificate 1 is no base64"),
        (CA.pem + CA.pem.replace("MII", "MIJ"), "authority lab: certificate 2 is damaged"),
        (server("10.0.0.1", CA).pem, "authority lab: certificate 1 is no authority's"),
        (authority(starts=NOW - 9 * DAY, ends=NOW - DAY).pem, "certificate 1 has ended on .* by this host's clock"),
    ],
)
def test_what_is_no_authority_s_certificate_is_refused_before_anything_is_touched(
    start: Start, pem: str, error: str
) -> None:
    debian = start()
    before = debian.tree()
    wanted = wish()
    wanted["authorities"][0]["pem"] = pem
    with pytest.raises(HostError, match=error) as refused:
        debian.apply(wanted)
    assert not any(line in str(refused.value) for line in CA.private.splitlines())
    assert debian.tree() == before


@pytest.mark.parametrize(("key", "value"), [("name", "../lab"), ("registries", ["a/../../b"]), ("registries", [".."])])
def test_a_name_that_leads_elsewhere_is_refused(start: Start, key: str, value: Any) -> None:
    wanted = wish()
    wanted["authorities"][0][key] = value
    with pytest.raises(HostError, match="is no name"):
        start().apply(wanted)


def test_openssl_reads_past_our_header(tmp_path: Path) -> None:
    file = tmp_path / "ours.crt"
    file.write_bytes(certificates.text([CA.der, NEXT.der]))
    assert set(ssl.create_default_context(cafile=str(file)).get_ca_certs(binary_form=True)) == {CA.der, NEXT.der}


@given(st.lists(st.binary(min_size=1), min_size=1, unique=True), st.binary())
def test_certificates_are_found_again_among_anything(ders: list[bytes], noise: bytes) -> None:
    text = certificates.text(ders)
    assert certificates.split(text.decode(), "here") == ders
    assert certificates.held(noise + b"\n" + text) >= set(ders)


def test_people_see_where_the_certificate_goes_on_every_host() -> None:
    wanted = rendered((CA,), docker=True, containerd=True, system=True)
    text = f"# In the system's store too.\n# {HEADER}\n{CA.pem}"
    assert wanted.shown() == {OURS: text, IN_DOCKER: text}
    assert wanted.cas() == {REGISTRY: OURS}
    assert rendered((CA,), docker=False, containerd=False, system=False).shown() == {OURS: f"# {HEADER}\n{CA.pem}"}


def test_every_file_of_ours_is_observed(start: Start) -> None:
    debian = start()
    debian.apply(wish())
    debian.write("/usr/local/share/ca-certificates/theirs.crt", THEIRS)
    assert set(Authorities().observe(debian.host)) == {OURS, IN_DOCKER, IN_STORE}
