"""Decides that a registry's outputs are all that an application, or a cluster, needs to run from it.

examples/app-infra is installed as its README says and reads them by StackReference; what examples/kubernetes makes of
them is used by skopeo and by containerd, which gets the login as the kubelet hands it over.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab import host
from lab.hosts import SSH_PORT
from ops.proof import on
from tests.checkout import REAL, Checkout
from tests.lab.hosts import must
from tests.lab.spare.kubernetes_node import CRICTL, node
from tests.lab.spare.registry_stack import HTTP_PORT, PREFIX, SETTINGS, STACK, Registry, registry_stack
from tests.lab.spare.site import RUNTIME

pytestmark = pytest.mark.lab

SECOND = "second-of-puller"


@dataclass(frozen=True)
class Application:
    """The stack `app` of examples/app-infra, in a Python of its own that has nothing else of this checkout."""

    checkout: Checkout

    def preview(self, tag: str) -> str:
        self.checkout.pulumi("config", "set", "image", f"team/app:{tag}", "--stack", "app")
        return self.checkout.pulumi("preview", "--stack", "app")

    def up(self, tag: str, status: int = 0) -> str:
        self.checkout.pulumi("config", "set", "image", f"team/app:{tag}", "--stack", "app")
        return self.checkout.pulumi("up", "--yes", "--skip-preview", "--stack", "app", status=status)

    def states(self) -> str:
        """Everything that both stacks keep."""
        state = Path(self.checkout.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return "".join(each.read_text() for each in state.rglob("*") if each.is_file())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry_stack(tmp_path_factory.mktemp("registry")) as up:
        yield up


@pytest.fixture(scope="module")
def application(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("product")
    shutil.copy(REAL / "pyproject.toml", folder)
    for each in ("registry_outputs", "examples/app-infra"):
        shutil.copytree(REAL / each, folder / each, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    project = folder / "examples" / "app-infra"
    python = installed(project)
    environment = registry.checkout.environment
    made = Checkout(project, {**environment, "PATH": f"{python.parent}:{environment['PATH']}"})
    made.run(python.name, "-c", "import registry_outputs.reader")
    assert "No module named 'settings'" in made.run(python.name, "-c", "import settings", status=1)
    made.pulumi("stack", "init", "app")
    for key, value in {
        "registry": f"organization/http-registry/{STACK}",
        "host": f"ssh://root@{host(RUNTIME).ssh_address}:{SSH_PORT}",
        "known_hosts": str(registry.checkout.folder / SETTINGS["known_hosts"]),
        "image": "team/app:0",
        "port": str(HTTP_PORT),
    }.items():
        made.pulumi("config", "set", key, value, "--stack", "app")
    try:
        yield Application(made)
    finally:
        made.pulumi("destroy", "--yes", "--skip-preview", "--stack", "app")


def installed(project: Path) -> Path:
    """A Python with the project's requirements; what this one has in the wanted version is not fetched again."""
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True)
    python = project / ".venv" / "bin" / "python3"
    theirs = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    Path(theirs, "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", "requirements.txt"], cwd=project, check=True)
    return python


def running() -> str:
    """The image that the application's container was made from, if it answers."""
    must(
        RUNTIME,
        f"timeout 10 sh -c 'until curl -sf -o /dev/null http://127.0.0.1:{HTTP_PORT}/bin/busybox; do sleep 0.1; done'",
    )
    return must(RUNTIME, "docker inspect -f '{{index .Config.Labels \"tag\"}}' app-infra").strip()


def pulled_by(registry: Registry, tag: str, image: str = "team/app", since: int = 0) -> set[str]:
    """As whom the runtime has got a manifest. `since`: so many lines of the log are from before."""
    wanted = f"/v2/{image}/manifests/{tag}"
    return {
        each["user"]
        for each in registry.log()[since:]
        if each["client"] == host(RUNTIME).address and wanted in each["request"] and each["status"] == "200"
    }


def test_it_runs_and_nothing_changes_the_second_time(registry: Registry, application: Application) -> None:
    registry.push("team/app", "1")
    assert "4 to create" in application.preview("1")
    application.up("1")
    assert running() == "1"
    assert pulled_by(registry, "1") == {"puller"}
    assert "4 unchanged" in application.up("1")


def test_a_cluster_pulls_with_the_secret_and_through_the_mirror(registry: Registry, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.kubernetes", str(tmp_path)]
    subprocess.run(command, input=json.dumps(registry.outputs()), cwd=REAL, text=True, check=True)
    secret = yaml.safe_load((tmp_path / "manifests" / "secret.yaml").read_text())
    config = b64decode(secret["data"][".dockerconfigjson"]).decode()
    image, before = f"{PREFIX}/team/app:1", len(registry.log())

    asked = f"""umask 077; file=$(mktemp); cat > $file
        skopeo inspect --tls-verify=false --authfile $file docker://{image}; status=$?; rm $file; exit $status"""
    assert '"tag": "1"' in must(RUNTIME, asked, config)
    assert "unauthorized" in on(RUNTIME, asked, '{"auths": {}}').stdout
    with node(tmp_path / "nodes"):
        assert "401 Unauthorized" in on(RUNTIME, f"{CRICTL} pull {image}").stdout
        auth = json.loads(config)["auths"][PREFIX]["auth"]
        must(RUNTIME, f"read -r CRICTL_AUTH; export CRICTL_AUTH; {CRICTL} pull {image}", f"{auth}\n")
        must(RUNTIME, f"{CRICTL} pull docker.io/library/app:1")
    assert pulled_by(registry, "1", since=before) == {"puller"}
    assert pulled_by(registry, "1", "library/app", before) == {"puller"}


def test_a_password_that_was_changed_counts_at_the_next_up(registry: Registry, application: Application) -> None:
    registry.push("team/app", "2")
    registry.set_password("puller", SECOND)
    registry.up()
    application.up("2")
    assert running() == "2"
    assert pulled_by(registry, "2") == {"puller"}
    assert not [each for each in ("first-of-puller", SECOND) if each in application.states()]


def test_without_a_login_it_says_so_and_the_old_one_runs_on(registry: Registry, application: Application) -> None:
    registry.push("team/app", "3")
    proxy = SETTINGS["proxy"]
    registry.configure(
        proxy={**proxy, "endpoints": proxy["endpoints"][:1], "users": [{"name": "pusher", "role": "push"}]},
        registries=SETTINGS["registries"][:1],
        runtimes=[{"host": RUNTIME, "docker": {}}],
    )
    registry.up()
    assert registry.outputs().get("pull_credentials") is None
    said = application.up("3", status=1)
    assert f"unable to pull image {PREFIX}/team/app:3" in said
    assert "no basic auth credentials" in said
    assert running() == "2"
