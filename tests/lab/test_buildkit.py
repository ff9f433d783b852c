"""Decides, on a real buildkitd, that its builds pull through the mirror, log in there, and that its file comes back."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from documents import buildkit_mirrors
from lab import host
from ops.configuration import tier_of
from ops.proof import REGISTRY, proxy_log
from ops.stack import Stack
from settings.runtimes import BuildKit
from tests.lab import unit_requests
from tests.lab.hosts import must

pytestmark = pytest.mark.lab

HOST = "docker2"
TIER = tier_of("lab")
RUNTIME = next(each for each in TIER.runtimes if each.host == HOST)
SETTINGS = RUNTIME.buildkit or BuildKit()
WISH = buildkit_mirrors.render(SETTINGS, TIER.mirrors(), TIER.hosted()).wish()
MIRROR = f"{REGISTRY}:5080"
FOLDER = "/run/http-registry-test"
THEIRS = (
    '# theirs\n[log]\n  level = "debug" # for now\n\n[registry."docker.io"]\nmirrors = [\n  "far.example", # last\n]\n'
)
STATE = f"""
stat -c '%a %U:%G' {SETTINGS.config} 2>/dev/null && sha256sum < {SETTINGS.config}
ls -A /etc/buildkit 2>/dev/null
true
"""


def hostctl(action: str, wish: dict[str, Any] | None = None, fails: bool = False) -> dict[str, Any]:
    """The report of a request."""
    return unit_requests.hostctl(HOST, action, wish, unit="buildkit-mirrors", fails=fails)


@pytest.fixture(autouse=True)
def theirs() -> Iterator[None]:
    """A file of somebody else, and a buildkitd that runs; afterwards all is as the stack had it."""
    before = must(HOST, STATE)
    hostctl("remove")
    bare = must(HOST, STATE)
    must(HOST, f"mkdir -p /etc/buildkit {FOLDER} && cat > {SETTINGS.config} && chmod 640 {SETTINGS.config}", THEIRS)
    must(HOST, f"systemctl start {SETTINGS.service}")
    yield
    hostctl("remove")
    assert must(HOST, f"cat {SETTINGS.config}; stat -c %a {SETTINGS.config}") == f"{THEIRS}640\n"
    must(HOST, f"rm -rf {SETTINGS.config} {FOLDER}; rmdir --ignore-fail-on-non-empty /etc/buildkit")
    assert must(HOST, STATE) == bare
    must(HOST, f"systemctl restart {SETTINGS.service}")
    if RUNTIME.buildkit:
        hostctl("apply", WISH)
    assert must(HOST, STATE) == before


def build(image: str, config: str = "{}") -> str:
    """What `buildctl` says of a build that needs the whole image; `config` is the client's config.json."""
    must(HOST, f"cat > {FOLDER}/config.json", config)
    dockerfile = shlex.quote(f"FROM {image}\n")
    local = f"--local context={FOLDER} --local dockerfile={FOLDER} --output type=oci,dest={FOLDER}/image.tar"
    return must(
        HOST,
        f"buildctl prune --all >/dev/null; printf %s {dockerfile} > {FOLDER}/Dockerfile\n"
        f"DOCKER_CONFIG={FOLDER} buildctl build --frontend dockerfile.v0 --no-cache --progress plain {local} 2>&1; "
        "echo rc=$?",
    )


def asked(run: str, *arguments: str) -> list[dict[str, str]]:
    """What the proxy has been asked by this host during a build."""
    with proxy_log() as log:
        said = build(*arguments)
    assert said.rstrip().endswith(run), said
    return [entry for entry in log if entry["client"] == host(HOST).address]


def pid() -> str:
    return must(HOST, f"systemctl show -p MainPID --value {SETTINGS.service}").strip()


def test_a_build_pulls_through_the_mirror_while_the_file_says_so() -> None:
    assert asked("rc=1", "docker.io/library/app:1") == []
    report = hostctl("apply", WISH)
    assert (report["result"], report["activation"]) == ("changed", "restart")
    running = pid()
    again = hostctl("apply", WISH)
    assert (again["result"], again["activation"], pid()) == ("unchanged", "none", running)
    entries = asked("rc=0", "docker.io/library/app:1")
    assert {entry["host"] for entry in entries} == {REGISTRY}
    for part in ("/manifests/1", "/blobs/sha256:"):
        assert [each for each in entries if part in each["request"] and each["status"] == "200"], entries
    text = must(HOST, f"cat {SETTINGS.config}")
    assert THEIRS.replace('[\n  "far', f'[\n  "{MIRROR}",\n  "far') in text
    assert hostctl("remove")["activation"] == "restart"
    assert asked("rc=1", "docker.io/library/app:1") == []


def test_a_file_that_buildkitd_would_refuse_leaves_it_running() -> None:
    must(HOST, f"printf '[worker.oci]\\nplatforms = 3\\n' >> {SETTINGS.config}")
    running = pid()
    report = hostctl("apply", WISH, fails=True)
    assert f"{SETTINGS.config}: buildkitd would refuse it: toml: cannot decode" in report["error"]
    assert (report["rolled_back"], pid()) == (True, running)
    assert "5080" not in must(HOST, f"cat {SETTINGS.config}; ls /etc/buildkit")
    must(HOST, f"cat > {SETTINGS.config}", THEIRS)


def test_a_login_of_the_client_reaches_the_mirror(stack: Stack) -> None:
    """The hosted endpoint asks for one; as a mirror of a registry that has nothing, it answers 401 or 404."""
    password = stack.pulumi("config", "get", "password-puller", quiet=True).strip()
    login = base64.b64encode(f"puller:{password}".encode()).decode()
    hostctl("apply", {**WISH, "registries": {**WISH["registries"], "r.example": {"mirrors": [REGISTRY]}}})
    without = asked("rc=1", "r.example/none:1")
    assert {(entry["user"], entry["status"]) for entry in without} == {("", "401")}
    other = asked("rc=1", "r.example/none:1", json.dumps({"auths": {"r.example": {"auth": login}}}))
    assert {(entry["user"], entry["status"]) for entry in other} == {("", "401")}
    logged_in = asked("rc=1", "r.example/none:1", json.dumps({"auths": {REGISTRY: {"auth": login}}}))
    assert {(entry["user"], entry["status"]) for entry in logged_in} >= {("puller", "404")}
