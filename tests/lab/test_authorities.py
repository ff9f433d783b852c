"""Decides that an authority counts for Docker 20.10 and 29, containerd 1.6 and 2.4, curl, and no longer once removed.

A registry of the hub's images with a certificate of a throwaway authority; no host trusts it by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

import pytest

from documents import authorities, hosts_toml
from documents.access import Access
from hostctl import certs_folders
from settings.certificates import Certificate
from settings.runtimes import Authority, Containerd, Docker, Runtime
from tests.certificates import NOW, Signed, authority
from tests.lab.hosts import HOSTCTL, must
from tests.lab.https_registry import REGISTRY, https_registry
from tests.lab.unit_requests import CONTAINERDS, DOCKERS, request

pytestmark = pytest.mark.lab

NAME = "lab-test"
IMAGE = f"{REGISTRY}/library/app:1"
FOLDERS = "/etc/ssl /usr/local/share/ca-certificates /etc/docker /etc/containerd /etc/http-registry"
TREE = f"""
for folder in {FOLDERS}; do
    [ -e $folder ] && find $folder -printf '%y %m %U:%G %p %l\\n' && find $folder -type f -exec sha256sum {{}} +
done | sort
"""
# `crictl rmi` takes the image away under every name.
FORGET_IN_CONTAINERD = f"""
if ctr -n k8s.io images ls -q | grep -q ^docker.io/library/app
then ctr -n k8s.io images ls -q | grep ^{REGISTRY}/ | xargs -r ctr -n k8s.io images rm
else crictl rmi {IMAGE}
fi
"""
PULL = {
    **dict.fromkeys(DOCKERS, f"docker pull -q {IMAGE}"),
    **dict.fromkeys(CONTAINERDS, f"crictl pull {IMAGE}"),
}
FORGET = {
    **dict.fromkeys(DOCKERS, f"docker rmi -f {IMAGE}"),
    **dict.fromkeys(CONTAINERDS, FORGET_IN_CONTAINERD),
}
BY_BUNDLE = f"curl -sS -o /dev/null https://{REGISTRY}/v2/"
BY_HASH = f"openssl s_client -connect {REGISTRY} -CApath /etc/ssl/certs -verify_return_error </dev/null"
NOBODY, EVERYBODY = {"pull": False, "bundle": False, "hash": False}, {"pull": True, "bundle": True, "hash": True}


@pytest.fixture(scope="module")
def ca() -> Iterator[Signed]:
    """The authority of a registry that runs for these tests."""
    with https_registry() as signer:
        yield signer


def test_an_authority_counts_in_an_older_docker_and_another_one_instead_of_it(ca: Signed) -> None:
    before = must("docker1", TREE)
    assert trusted("docker1") == NOBODY
    earlier = rendered("docker1", authority("Lab test authority, before"))
    try:
        assert trusted("docker1", hostctl("docker1", "apply", earlier.wish())) == NOBODY
        assert trusted("docker1", hostctl("docker1", "apply", rendered("docker1", ca).wish())) == EVERYBODY
    finally:
        assert trusted("docker1", hostctl("docker1", "remove")) == NOBODY
    assert must("docker1", TREE) == before


@pytest.mark.parametrize("host", ["docker2", *CONTAINERDS])
def test_an_authority_counts_with_and_without_a_hosts_toml_until_it_is_removed(host: str, ca: Signed) -> None:
    """Of what a hosts.toml does not name, nothing counts: not the file beside it, nor the store that the running
    program has read before."""
    before = must(host, TREE)
    assert trusted(host) == NOBODY
    wanted = rendered(host, ca)
    root = certs_folders.DOCKER if host in DOCKERS else Containerd().config_path
    folder = certs_folders.names(REGISTRY)[1 if host in DOCKERS else 0]
    file = certs_folders.rules(root, folder)
    without, with_ca = (hosts_toml.hosted(f"https://{REGISTRY}", access=Access(cas=cas)) for cas in ({}, wanted.cas()))
    again = f"{hostctl(host, 'apply', wanted.wish())} | grep unchanged && ls {certs_folders.path(root, folder, NAME)}"
    beside = hostctl(host, "apply", {**wanted.wish(), "hosts_toml": [file]})
    try:
        assert trusted(host, hostctl(host, "apply", wanted.wish())) == EVERYBODY
        assert trusted(host, again, write(file, without)) == {**EVERYBODY, "pull": False}
        assert trusted(host, beside, write(file, with_ca)) == EVERYBODY
    finally:
        assert trusted(host, f"rm -f {file}", hostctl(host, "remove")) == NOBODY
    assert must(host, TREE) == before


def rendered(host: str, signer: Signed) -> authorities.Authorities:
    wanted = Authority(name=NAME, certificate="ca.pem", registries=(REGISTRY,))
    runtime = Runtime(
        host=host,
        docker=Docker() if host in DOCKERS else None,
        containerd=Containerd() if host in CONTAINERDS else None,
    )
    return authorities.render([Certificate(wanted, signer.pem, NOW)], runtime, [])


def hostctl(host: str, action: str, wanted: dict[str, Any] | None = None) -> str:
    """The command for a request on a host."""
    return f"printf %s {quote(request(host, 'authorities', wanted))} | {HOSTCTL} {action} 2>/dev/null"


def write(file: str, text: str) -> str:
    return f"printf %s {quote(text)} > {file}"


def trusted(host: str, *commands: str) -> dict[str, bool]:
    """Who takes the registry for what it is after these commands; who does not has to name its certificate."""
    programs = {"pull": PULL[host], "bundle": BY_BUNDLE, "hash": BY_HASH}
    asked = "".join(f'said=$({each} 2>&1) && echo {name} || echo "$said"\n' for name, each in programs.items())
    done = "".join(f"{each} || exit\n" for each in commands)
    said = must(host, f"{done}{asked}{{ {FORGET[host]}\n}} >/dev/null 2>&1; true")
    found = {name: name in said.splitlines() for name in programs}
    complaints = {"pull": "x509", "bundle": "SSL certificate problem", "hash": "verify error"}
    assert all(found[name] or complaint in said for name, complaint in complaints.items()), said
    return found
