"""Decides, on the lab's hosts, what `up` and `destroy` of the whole stack leave on a host, and where secrets show.

The hosts get files, sites and rules of somebody else first. One life is watched, and each test asks about it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops.proof import Claim, Unproved, claims, prove
from ops.stack import LAB_STATE, PROJECT, Stack
from tests.lab.hosts import HOSTS, logins, must, pulumi, snapshot

pytestmark = pytest.mark.lab

DAEMON_JSON = '{ "debug":false,\n\t"registry-mirrors" : ["http://192.168.1.10:5000"], "labels": ["a=b"] }'
CONFIG_TOML = """\
# written by hand
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "registry.k8s.io/pause:3.6" # ours
"""
SITE = "server { listen 8081; location / { return 200 theirs; } }\n"
RULES = ("-A INPUT -p tcp --dport 9 -j DROP", "-t mangle -A PREROUTING -p tcp --dport 9 -j DROP")

FOREIGN = {
    "docker1": ("/etc/docker/daemon.json", DAEMON_JSON, "systemctl restart docker"),
    "containerd1": ("/etc/containerd/config.toml", CONFIG_TOML, "systemctl restart containerd"),
    "registry": ("/etc/nginx/conf.d/theirs.conf", SITE, "systemctl reload nginx"),
}
WITHOUT_PYTHON = "containerd1"
VERBOSE = ("-v=9", "--logtostderr", "--logflow")


@dataclass
class Life:
    """What was seen."""

    secrets: list[str]
    before: dict[str, list[str]] = field(default_factory=dict)
    without_python: str = ""
    untouched: list[str] = field(default_factory=list)
    up: str = ""
    while_up: dict[str, str] = field(default_factory=dict)
    proved: bool = False
    state: str = ""
    records: str = ""
    journals: str = ""
    command_lines: set[str] = field(default_factory=set)
    destroy: str = ""
    after: dict[str, list[str]] = field(default_factory=dict)
    again: str = ""

    @property
    def logs(self) -> str:
        """All that pulumi printed."""
        return "\n".join((self.without_python, self.up, self.destroy, self.again))


@contextmanager
def foreign_files() -> Iterator[None]:
    """Put somebody else's files and rules on the hosts; Debian's come back afterwards."""
    for name, (path, text, take_over) in FOREIGN.items():
        must(name, f"[ ! -e {path} ] || cp -a {path} /root/kept; cat > {path}; {take_over}", stdin=text)
    must("registry", "; ".join(f"iptables {rule}" for rule in RULES))
    try:
        yield
    finally:
        for name, (path, _, take_over) in FOREIGN.items():
            must(name, f"if [ -e /root/kept ]; then mv /root/kept {path}; else rm {path}; fi; {take_over}")
        must("registry", "; ".join(f"iptables {rule.replace('-A', '-D')}" for rule in RULES))


@contextmanager
def watched_command_lines(seen: set[str]) -> Iterator[None]:
    """Note every command line on this machine, which shows the processes of the lab's hosts as well."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@pytest.fixture(scope="module")
def life(stack: Stack) -> Life:
    """Destroy what `make up` made, then watch a whole life among files of somebody else."""
    keys = ("password-pusher", "password-puller")
    seen = Life([stack.pulumi("config", "get", key, quiet=True).strip() for key in keys])
    assert "deleted" in pulumi(stack, "destroy", "--yes", "--skip-preview")
    try:
        with foreign_files():
            seen.before = {name: snapshot(name) for name in HOSTS}
            with watched_command_lines(seen.command_lines):
                must(WITHOUT_PYTHON, "mv /usr/bin/python3 /usr/bin/python3.away")
                try:
                    seen.without_python = pulumi(stack, "up", "--yes", "--skip-preview", fails=True)
                    seen.untouched = snapshot(WITHOUT_PYTHON)
                finally:
                    must(WITHOUT_PYTHON, "mv /usr/bin/python3.away /usr/bin/python3")
                seen.up = pulumi(stack, "up", "--yes", "--skip-preview", *VERBOSE)
            seen.while_up = {name: must(name, f"cat {path}") for name, (path, _, _) in FOREIGN.items()}
            seen.while_up["rules"] = must("registry", "iptables -S; iptables -t mangle -S")
            seen.while_up["site"] = must("registry", "curl -s http://127.0.0.1:8081/")
            seen.proved = prove(stack)
            seen.state = "".join(file.read_text() for file in LAB_STATE.rglob("*") if file.is_file())
            seen.records = "".join(must(name, "grep -r '' /var/lib/http-registry/units") for name in HOSTS)
            seen.journals = "".join(must(name, "journalctl -q --no-pager; cat /var/log/nginx/*") for name in HOSTS)
            seen.destroy = pulumi(stack, "destroy", "--yes", "--skip-preview")
            seen.after = {name: snapshot(name) for name in HOSTS}
    finally:
        seen.again = pulumi(stack, "up", "--yes", "--skip-preview")
    return seen


def test_a_host_without_python_is_told_so_and_left_alone(life: Life) -> None:
    assert "install the package python3" in life.without_python
    assert life.untouched == life.before[WITHOUT_PYTHON]


def test_up_goes_on_where_it_failed_and_the_result_is_proved(life: Life) -> None:
    assert "Resources:" in life.up
    assert life.proved


def test_what_others_wrote_stays_in_force(life: Life) -> None:
    daemon = json.loads(life.while_up["docker1"])
    assert daemon["registry-mirrors"] == ["http://192.168.1.11:5080", "http://192.168.1.10:5000"]
    assert daemon["labels"] == ["a=b"]
    assert 'sandbox_image = "registry.k8s.io/pause:3.6" # ours' in life.while_up["containerd1"]
    assert life.while_up["registry"] == SITE
    assert life.while_up["site"] == "theirs"
    assert life.while_up["rules"].count("--dport 9 -j DROP") == len(RULES)


def test_destroy_gives_every_host_back_as_it_was(life: Life) -> None:
    assert life.destroy.count("deleted")
    for name in HOSTS:
        assert life.after[name] == life.before[name]
        assert not [line for line in life.after[name] if "/var/lib/http-registry" in line or "HTTP-REGISTRY" in line]


def test_up_works_again_after_destroy(life: Life) -> None:
    assert "created" in life.again


@pytest.mark.parametrize("where", ["state", "records", "journals", "logs"])
def test_no_password_is_readable(life: Life, where: str) -> None:
    text = getattr(life, where)
    assert text
    assert not [secret for secret in life.secrets if secret in text]


def test_no_password_is_on_a_command_line(life: Life) -> None:
    assert any(line.startswith("python3 -I -S /var/lib/http-registry/hostctl-") for line in life.command_lines)
    assert not [secret for secret in life.secrets if any(secret in line for line in life.command_lines)]


def test_a_second_up_finds_nothing_to_do_and_logs_in_nowhere(life: Life, stack: Stack) -> None:
    before = {name: logins(name) for name in HOSTS}
    text = pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
    assert "unchanged" in text
    assert not [word for word in ("created", "updated", "replaced", "deleted") if word in text]
    assert {name: logins(name) for name in HOSTS} == before


def test_nothing_answers_on_the_hosts_where_the_preview_asks_nobody(life: Life, stack: Stack, tmp_path: Path) -> None:
    """The hosts stand still; the preview is exact all the same, and shows the lines that would change."""
    text = (PROJECT / "stacks" / "Pulumi.lab.yaml").read_text()
    wish = tmp_path / "Pulumi.lab.yaml"
    wish.write_text(text.replace("max_concurrent_downloads: 6", "max_concurrent_downloads: 8"))
    containers = [f"http-registry-lab-{name}" for name in HOSTS]
    docker("pause", *containers)
    try:
        same = pulumi(stack, "preview", "--diff")
        changed = pulumi(stack, "preview", "--diff", "--config-file", str(wish))
    finally:
        docker("unpause", *containers)
    assert "unchanged" in same
    assert "to update" not in same
    assert "4 to update" in changed
    assert "- max_concurrent_downloads = 6" in changed
    assert "+ max_concurrent_downloads = 8" in changed
    assert "max-concurrent-downloads: 6 => 8" in changed
    assert not [secret for secret in life.secrets if secret in changed]


def docker(*arguments: str) -> None:
    """The Docker that carries the lab."""
    from lab import docker as lab_docker

    engine = lab_docker.running()
    assert engine is not None
    engine(*arguments)


def test_the_proof_fails_where_a_runtime_asks_the_hub_itself(life: Life, stack: Stack) -> None:
    """Its pull works all the same; only the logs tell."""
    daemon = must("docker1", "cat /etc/docker/daemon.json")
    around = daemon.replace("http://192.168.1.11:5080", "http://192.168.1.10:5000")
    must("docker1", "cat > /etc/docker/daemon.json; systemctl reload docker; sleep 1", stdin=around)
    try:
        failed = {claim.what for claim in claims(stack) if not holds(claim)}
    finally:
        must("docker1", "cat > /etc/docker/daemon.json; systemctl reload docker; sleep 1", stdin=daemon)
    assert failed == {
        "docker1: docker pull library/app:1 comes through the proxy",
        "hub: library/app:1 was asked for by the proxy only",
    }


def holds(claim: Claim) -> bool:
    try:
        claim.check()
    except Unproved:
        return False
    return True
