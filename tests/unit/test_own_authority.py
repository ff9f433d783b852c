"""Decides what `make certificates` signs, when, and that private keys go to pulumi's standard input only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ops import authority
from ops.certificates import certify
from ops.stack import Stack, StackError
from settings import Tier, parse
from settings.certificates import authorities
from settings.server_certificates import server_certificates
from tests.certificates import DAY, NOW

FOLDER = "stacks/certificates/own"
CA = f"{FOLDER}/authority.pem"
WEB, HUB = f"{FOLDER}/web.pem", f"{FOLDER}/hub.pem"
HSM = {"module": "/usr/lib/softhsm/libsofthsm2.so", "token": "t", "object": "o"}


@dataclass
class Project:
    """A project folder, and pulumi's configuration as `make certificates` sees it."""

    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)
    commands: list[Sequence[str]] = field(default_factory=list)

    def pulumi(self, *arguments: str, quiet: bool = False, stdin: str | None = None) -> str:
        self.commands.append(arguments)
        assert quiet
        match arguments:
            case ("config", "--json", "--show-secrets"):
                return json.dumps({key: {"value": value, "secret": True} for key, value in self.secrets.items()})
            case ("config", "set", "--secret", key):
                assert stdin is not None
                self.secrets[key] = stdin
                return ""
        raise AssertionError(arguments)

    def certify(self, tier: Tier, now: datetime = NOW, renew: bool = False) -> list[str]:
        stack = Stack("own", {})
        vars(stack)["pulumi"] = self.pulumi
        return certify(stack, tier, self.folder, renew=renew, now=now)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def secret(self, key: str) -> str | None:
        return self.secrets.get(f"http-registry:{key}")

    def check(self, tier: Tier, now: datetime = NOW + timedelta(hours=1)) -> None:
        """What `preview` checks: the authority, the certificates and their keys."""
        authorities(tier, self.read, now)
        server_certificates(tier, self.read, self.secret, now)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def tier(web: str = "web.test", **tls: Any) -> Tier:
    """Two endpoints with TLS by a name and by an address, whose certificates are in the stack's folder."""
    return parse(
        {
            "hosts": [{"name": "h", "address": "10.0.0.1"}],
            "image": {"reference": "registry:3.1.2"},
            "registries": [
                {"kind": "hosted", "name": "own", "host": "h"},
                {"kind": "cache", "name": "hub", "host": "h", "serves": "docker.io", "upstream": "https://x"},
            ],
            "proxy": {
                "host": "h",
                "endpoints": [
                    {"registry": "own", "port": 443, "server_name": web, "tls": {"certificate": WEB, **tls}},
                    {"registry": "hub", "port": 5443, "server_name": "10.0.0.1", "tls": {"certificate": HUB}},
                ],
                "users": [{"name": "ann", "role": "push"}],
            },
            "authorities": [{"name": "own", "certificate": CA, "registries": [web, "10.0.0.1:5443"]}],
            "firewall": {"allow": ["10.0.0.0/8"]},
        }
    )


def openssl_verifies(project: Project, name: str, file: str) -> str:
    """What `openssl verify` says of a server's certificate, as a client that trusts the authority's file."""
    option = "-verify_ip" if name[0].isdigit() or ":" in name else "-verify_hostname"
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", CA, option, name, file],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_everything_is_made_once_and_then_nothing(project: Project) -> None:
    assert project.certify(tier()) == [
        f"{CA}: a new authority (there was none)",
        f"{WEB}: signed for web.test (there was none)",
        f"{HUB}: signed for 10.0.0.1 (there was none)",
    ]
    assert set(project.secrets) == {f"http-registry:{each}" for each in ("ca-key", "tls-key-own", "tls-key-hub")}
    project.check(tier())
    before = {each: project.read(each) for each in (CA, WEB, HUB)}, dict(project.secrets)
    assert project.certify(tier(), NOW + DAY) == [f"{each}: unchanged" for each in (CA, WEB, HUB)]
    assert ({each: project.read(each) for each in (CA, WEB, HUB)}, project.secrets) == before


def test_keys_are_nowhere_but_in_secrets(project: Project) -> None:
    project.certify(tier())
    assert "PRIVATE" not in "".join(each.read_text() for each in project.folder.rglob("*.pem"))
    assert "PRIVATE" not in str(project.commands)


def test_clients_accept_what_it_signs_and_it_can_sign_for_nobody_else(project: Project) -> None:
    project.certify(tier())
    assert openssl_verifies(project, "web.test", WEB) == f"{WEB}: OK\n"
    assert openssl_verifies(project, "10.0.0.1", HUB) == f"{HUB}: OK\n"
    key = authority.key_of(project.secret("ca-key"))
    assert key is not None
    thief = authority.Authority(x509.load_pem_x509_certificate(project.read(CA).encode()), key)
    for name in ("bank.test", "10.0.0.2", "fd00::1"):
        stolen = thief.sign(ec.generate_private_key(ec.SECP256R1()).public_key(), {name}, NOW)
        (project.folder / "stolen.pem").write_bytes(stolen.public_bytes(Encoding.PEM))
        assert "permitted subtree violation" in openssl_verifies(project, name, "stolen.pem")


def test_what_is_near_its_end_is_made_anew_and_the_rest_stays(project: Project) -> None:
    project.certify(tier())
    late = NOW + authority.SERVER_LIFE - authority.RENEW + DAY
    lines = project.certify(tier(), late)
    assert lines[0] == f"{CA}: unchanged"
    assert all("it ends on" in each for each in lines[1:])
    project.check(tier(), late + timedelta(hours=1))


def test_renew_makes_every_server_s_anew_with_another_key(project: Project) -> None:
    project.certify(tier())
    before = project.secret("tls-key-own"), project.secret("ca-key")
    assert project.certify(tier(), renew=True)[1:] == [
        f"{WEB}: signed for web.test (renewed)",
        f"{HUB}: signed for 10.0.0.1 (renewed)",
    ]
    assert project.secret("tls-key-own") != before[0]
    assert project.secret("ca-key") == before[1]
    project.check(tier())


def test_a_name_that_the_authority_may_not_sign_for_brings_a_successor_beside_it(project: Project) -> None:
    project.certify(tier())
    lines = project.certify(tier("new.test"))
    assert lines == [
        f"{CA}: a new authority (it may not sign for new.test); the one before it stays in the file",
        f"{WEB}: signed for new.test (it was for other names)",
        f"{HUB}: unchanged",
    ]
    project.check(tier("new.test"))
    assert openssl_verifies(project, "new.test", WEB) == f"{WEB}: OK\n"
    assert openssl_verifies(project, "10.0.0.1", HUB) == f"{HUB}: OK\n"


@pytest.mark.parametrize("lost", ["tls-key-own", "ca-key"])
def test_a_lost_key_is_made_anew(project: Project, lost: str) -> None:
    project.certify(tier())
    del project.secrets[f"http-registry:{lost}"]
    project.certify(tier())
    project.check(tier())


def test_a_lost_authority_signs_everything_anew(project: Project) -> None:
    project.certify(tier())
    (project.folder / CA).unlink()
    assert [each.partition("(")[2] for each in project.certify(tier())[1:]] == ["another authority had signed it)"] * 2
    assert openssl_verifies(project, "web.test", WEB) == f"{WEB}: OK\n"


def test_a_key_in_a_token_is_signed_by_its_request(project: Project) -> None:
    with_hsm = tier(hsm=HSM)
    with pytest.raises(StackError, match=r"web\.csr: must be a signing request"):
        project.certify(with_hsm)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, SHA256())
    (project.folder / FOLDER / "web.csr").write_bytes(request.public_bytes(Encoding.PEM))
    project.certify(with_hsm)
    made = x509.load_pem_x509_certificate(project.read(WEB).encode())
    assert made.public_key() == key.public_key()
    assert "http-registry:tls-key-own" not in project.secrets
    (project.folder / FOLDER / "web.csr").unlink()
    project.certify(with_hsm, renew=True)
    renewed = x509.load_pem_x509_certificate(project.read(WEB).encode())
    assert renewed.public_key() == key.public_key()
    assert renewed.serial_number != made.serial_number


def test_certificates_of_others_are_left_alone(project: Project) -> None:
    data = tier().model_dump(mode="json", exclude_none=True)
    for each in data["proxy"]["endpoints"]:
        each["tls"]["certificate"] = "bought/web.pem"
        each["tls"]["key"] = "web"
    data["authorities"] = []
    assert project.certify(parse(data)) == [
        "bought/web.pem: somebody else's, left as it is",
        f"nothing to sign: no endpoint's tls.certificate is in {FOLDER}/",
    ]
    assert project.secrets == {}


def test_an_authority_that_nobody_trusts_is_told_of(project: Project) -> None:
    data = tier().model_dump(mode="json", exclude_none=True)
    data["authorities"] = []
    assert project.certify(parse(data))[-1].startswith("runtimes don't trust it yet")
