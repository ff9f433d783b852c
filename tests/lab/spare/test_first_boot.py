"""Decides what docs/render.md says of machines that are born with their files: one boots with the tree in its image,
on the other Debian's cloud-init writes them and runs the commands. The next `up` changes nothing there, and `destroy`
gives back what the image had.

What is not tried: that cloud-init installs packages, which the hosts have.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.checkout import on_the_lab
from tests.lab.hosts import must, restart, without_records
from tests.lab.spare.site import PAIR, REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import TwoHosts, begun, ended, planned, pulls, push, settings
from tests.programs import cloud_init

pytestmark = pytest.mark.lab

STACK = "rendered"
BY_TREE = REGISTRY
"""The host that boots with the tree; cloud-init makes the other one."""
FOLDER = "/run/cloud-init-of-a-test"
CONFIG = (
    f"datasource_list: [None]\\nsystem_info: {{distro: debian, paths: {{cloud_dir: {FOLDER}, run_dir: {FOLDER}}}}}\\n"
)
MODULE = f"""
export CLOUD_CFG={FOLDER}/cloud.cfg PYTHONPATH={FOLDER}/modules PYTHONDONTWRITEBYTECODE=1
printf '{CONFIG}' > $CLOUD_CFG
python3 -m cloudinit.cmd.main --file {FOLDER}/document single --frequency always --name $name
"""
COMMANDS = f"sh -e $(find {FOLDER} -name runcmd -path '*scripts*')"
IMAGE = "tar -C / -c --ignore-failed-read etc 2>/dev/null | base64"
DAEMONS = "systemctl show --property MainPID,NRestarts docker containerd nginx"


class Born(NamedTuple):
    """By host: what `make render` has printed, and files.json; which files, and which daemons, are there after that."""

    two: TwoHosts
    told: dict[str, tuple[str, dict[str, Any]]]
    files: dict[str, str]
    daemons: dict[str, str]


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Born]:
    """The pair after its first boot, before any `up`."""
    before = {name: without_records(name) for name in PAIR}
    folder = tmp_path_factory.mktemp("render")
    wanted = settings()
    wanted["runtimes"][0]["containerd"] = {"max_concurrent_downloads": 6}
    modules = _packed(cloud_init.library())
    with on_the_lab(folder) as checkout:
        two = begun(checkout, STACK, wanted)
        try:
            told, files = {}, {}
            for name in PAIR:
                base, out = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("out")
                with tarfile.open(fileobj=io.BytesIO(b64decode(must(name, IMAGE)))) as image:
                    image.extractall(base, filter="tar")
                said = two.make("render", HOST=name, BASE=str(base), OUT=str(out))
                told[name] = (said, json.loads((out / "files.json").read_text()))
                if name == BY_TREE:
                    must(name, "base64 -d | tar -C / -xz --no-overwrite-dir", _packed(out / "tree"))
                    restart(name)
                else:
                    must(name, f"mkdir -p {FOLDER}/modules; base64 -d | tar -C {FOLDER}/modules -xz", modules)
                    must(name, f"cat > {FOLDER}/document", (out / "cloud-init.yaml").read_text())
                    for module in ("write_files_deferred", "runcmd"):
                        must(name, f"name={module}; {MODULE}")
                    must(name, f"{COMMANDS}; rm -r {FOLDER}")
                files[name] = must(name, "python3 -", _stamps(told[name][1]))
            yield Born(two, told, files, {name: must(name, DAEMONS) for name in PAIR})
        finally:
            ended(two)
            for name in PAIR:
                _taken_back(two, name)
    after = {name: without_records(name) for name in PAIR}
    changed = {name: sorted(set(after[name]) ^ set(before[name])) for name in PAIR}
    assert after == before, changed


def _taken_back(two: TwoHosts, name: str) -> None:
    """Also where no `up` has come, so that no state knows of the host."""
    program = b64encode((two.checkout.folder / ".work/hostctl.pyz").read_bytes()).decode()
    request = json.dumps({"owner": f"http-registry/{STACK}/{name}"})
    run = f"base64 -d > /run/hostctl.pyz; echo '{request}' | python3 /run/hostctl.pyz remove-all; rm /run/hostctl.pyz"
    must(name, f"rm -rf {FOLDER}; [ ! -d /var/lib/http-registry ] || {{ {run}; }}", program)


def _packed(folder: Path) -> str:
    done = subprocess.run(["tar", "-C", folder, "-cz", "."], capture_output=True, check=True)
    return b64encode(done.stdout).decode()


def _stamps(told: dict[str, Any]) -> str:
    """A program that prints which files they are: a file that is written anew is another one."""
    paths = [each["path"] for each in told["files"]]
    return (
        f"import os\nfor each in {paths!r}:\n    s = os.stat(each)\n    print(each, s.st_ino, s.st_ctime_ns, s.st_mode)"
    )


def test_a_machine_is_born_as_up_would_make_it(born: Born) -> None:
    """Before any `up` Docker reads the mirror, nginx answers at the endpoint, the firewall guards its port."""
    assert "the container http-registry-hosted is no file: `up` makes it" in born.told[REGISTRY][0]
    assert "5080" in must(RUNTIME, "docker info --format '{{.RegistryConfig.Mirrors}}'")
    assert must(REGISTRY, "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5080/v2/") == "200"
    assert "HTTP-REGISTRY" in must(REGISTRY, "iptables -t mangle -S PREROUTING")


def test_up_changes_no_file_there_and_restarts_nothing(born: Born) -> None:
    assert planned(born.two.make("up"))["created"] > 0
    results = {
        name: json.loads(each["outputs"]["stdout"])
        for name, each in born.two.state().items()
        if each["type"] == "command:remote:Command" and '"result"' in each["outputs"].get("stdout", "")
    }
    changed = {name: each for name, each in results.items() if each["result"] == "changed"}
    assert [name.split()[0] for name in changed] == [f"{REGISTRY}-docker-image"]
    for name in PAIR:
        assert must(name, "python3 -", _stamps(born.told[name][1])) == born.files[name]
        assert must(name, DAEMONS) == born.daemons[name]
    push("1")
    assert pulls("1")
