"""Decides that the proxy changes no verdict of the OCI distribution specification's own conformance suite.

What the registry itself does not do (sha512, referrers, …) it does not do through the proxy either; nothing else fails.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from lab import binaries, docker, host
from lab.services import PUSH_PORT
from ops.proof import APP, MIRROR, REGISTRY
from ops.stack import Stack
from tests.lab.hosts import must

pytestmark = pytest.mark.lab

Verdicts = Counter[tuple[str, str]]
"""How often a test came to a verdict: some names stand for several tests, whose order is another one each time."""

RUNNERS = ("hub", "registry", "docker1")
PROGRAM = "/root/conformance"
RUN = f"folder=$(mktemp -d) && cd $folder && OCI_CONFIGURATION=/dev/stdin {PROGRAM} 2>/dev/null; rm -r $folder"
"""The suite exits 1 where a single test fails, and crashes after its report when it may not push."""
VERDICT = re.compile(r"^ *(OCI Conformance Test.*): (\w+)$", re.MULTILINE)
READ_ONLY = {"push": False, **{kind: {"delete": False} for kind in ("blobs", "manifests", "tags")}}


@pytest.fixture(scope="module", autouse=True)
def suite() -> Iterator[None]:
    """The suite on the hosts that run it."""
    engine = docker.running()
    assert engine is not None
    built = binaries.build(binaries.CONFORMANCE) / "conformance"
    for name in RUNNERS:
        engine("cp", str(built), f"{host(name).container}:{PROGRAM}")
    yield
    for name in RUNNERS:
        must(name, f"rm {PROGRAM}")


def verdicts(name: str, settings: Mapping[str, object]) -> Verdicts:
    """Of a run on a host; the suite's report has a line for each test and for each group of them."""
    report = must(name, RUN, stdin=json.dumps({"tls": "disabled", **settings}))
    assert "\nOCI Conformance Result: " in report, report[-3000:]
    return Counter(VERDICT.findall(report))


def count(of: Verdicts, verdict: str) -> int:
    return sum(number for (_, said), number in of.items() if said == verdict)


def repositories(of: str) -> dict[str, str]:
    return {"repo1": f"conformance/{of}-1", "repo2": f"conformance/{of}-2"}


def test_push_pull_discovery_and_management_through_the_proxy(stack: Stack) -> None:
    password = stack.pulumi("config", "get", "password-pusher", quiet=True).strip()
    itself = verdicts("registry", {"registry": "127.0.0.1:5000", **repositories("itself")})
    proxied = verdicts(
        "docker1", {"registry": REGISTRY, **repositories("proxied"), "username": "pusher", "password": password}
    )
    assert proxied - itself == itself - proxied == Counter()
    assert count(itself, "Pass") > 500


def test_pull_and_discovery_through_the_mirror() -> None:
    mirror = MIRROR.removeprefix("http://")
    manifest = must("docker1", f"skopeo inspect --tls-verify=false --raw docker://{mirror}/{APP}")
    described = json.loads(manifest)
    repository, _, tag = APP.partition(":")
    settings = {
        "repo1": repository,
        "apis": READ_ONLY,
        "roData": {
            "tags": [tag],
            "manifests": [f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"],
            "blobs": [each["digest"] for each in (described["config"], *described["layers"])],
        },
    }
    itself = verdicts("hub", {"registry": f"127.0.0.1:{PUSH_PORT}", **settings})
    mirrored = verdicts("docker1", {"registry": mirror, **settings})
    assert mirrored - itself == itself - mirrored == Counter()
    failed = {name.rpartition("/")[2] for name, verdict in mirrored if verdict == "FAIL" and name.count("/") > 1}
    assert failed == {"referrers"}
    assert count(mirrored, "Pass") > 10
