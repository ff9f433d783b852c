"""Decides, on the lab's hosts, that changes by hand are found, shown by the next preview and repaired by the next up.

Each host is edited once, and each test asks about what followed. The lab is left as it was.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import pytest

from ops import __main__ as commands
from ops import proof
from ops.configuration import tier_of
from ops.drift import Seen, ask, refresh_drift
from ops.drift_marks import is_drift, places
from ops.stack import LAB, PROJECT, Stack
from tests.lab.hosts import HOSTS, must, pulumi

pytestmark = pytest.mark.lab

DAEMON, CONFIG = "/etc/docker/daemon.json", "/etc/containerd/config.toml"
HOSTS_TOML = "/etc/containerd/certs.d/docker.io/hosts.toml"
SITE = "/etc/nginx/conf.d/http-registry.conf"
KEPT = "http-registry-kept"
EDITS = {
    "docker1": f"""sed -i 's/downloads": 6/downloads": 5, "experimental": false/' {DAEMON}""",
    "containerd1": f"sed -i 's/max_concurrent_downloads = 6/max_concurrent_downloads = 7/' {CONFIG}",
    "containerd2": f"echo '# by hand, token = \"geheim\"' >> {HOSTS_TOML}",
    "registry": f"echo '# by hand' >> {SITE}; iptables -t mangle -F HTTP-REGISTRY",
}
UNITS = {
    "docker1-docker-mirrors",
    "containerd1-containerd-mirrors",
    "containerd2-containerd-mirrors",
    "registry-nginx-proxy",
    "registry-firewall",
}
KEEP = {"docker1": (DAEMON, "docker-mirrors"), "containerd1": (CONFIG, "containerd-mirrors")}
"""Files whose value by hand would count as somebody else's from the repair on, and their records."""


@dataclass
class Story:
    """What was seen."""

    seen: Seen
    printed: str
    preview: str
    up: str
    again: str
    after: Seen
    daemon: str
    secrets: list[str] = field(repr=False)

    @property
    def told(self) -> str:
        """All that anybody could read."""
        return "".join((self.printed, self.preview, self.up, self.again))


@contextmanager
def put_back(stack: Stack) -> Iterator[None]:
    """Restore the edited files, what their records know of them, and the state."""
    records = {host: f"/var/lib/http-registry/units/{unit}.json" for host, (_, unit) in KEEP.items()}
    for host, (path, _) in KEEP.items():
        must(host, f"cp -a {path} /root/drift-file; cp -a {records[host]} /root/drift-record")
    try:
        yield
    except BaseException:
        pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
        raise
    finally:
        for host, (path, _) in KEEP.items():
            must(host, f"mv /root/drift-file {path}; mv /root/drift-record {records[host]}")
        must("registry", f"rm -f {SITE}.{KEPT}*")
        must("containerd2", f"rm -f {HOSTS_TOML}.{KEPT}*")


@pytest.fixture(scope="module")
def story(stack: Stack) -> Iterator[Story]:
    secrets = [stack.pulumi("config", "get", f"password-{user}", quiet=True).strip() for user in ("pusher", "puller")]
    with put_back(stack):
        for host, edit in EDITS.items():
            must(host, edit)
        printed = io.StringIO()
        with redirect_stdout(printed):
            seen = refresh_drift(stack)
        preview = pulumi(stack, "preview", "--diff")
        up, again = (pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs") for _ in range(2))
        after = ask(stack, places(stack.state()["deployment"]))
        yield Story(seen, printed.getvalue(), preview, up, again, after, must("docker1", f"cat {DAEMON}"), secrets)


def command(stack: Stack) -> tuple[int, str, float]:
    """Exit status and output of `make drift`, and the seconds that it took."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ops", "drift"], cwd=PROJECT, env=stack.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


def test_on_an_untouched_lab_there_is_none(stack: Stack) -> None:
    before = stack.state()
    status, text, seconds = command(stack)
    print(f"make drift: {seconds:.1f} s")
    assert (status, f"{len(HOSTS)} hosts asked: no drift." in text) == (0, True), text
    assert stack.state() == before
    assert seconds < 5


def test_just_our_keys_and_files_are_found(story: Story) -> None:
    drifted: dict[str, Any] = {
        host: {unit: drift for unit, drift in units.items() if is_drift(drift)}
        for host, units in story.seen.found.items()
    }
    site = drifted["registry"]["nginx-proxy"]["files"].pop(SITE)
    mirror = drifted["containerd2"]["containerd-mirrors"]["files"].pop(HOSTS_TOML)
    assert site["text"].endswith("}\n# by hand\n")
    assert mirror["text"].endswith('# by hand, token = "***"\n')
    assert drifted["registry"]["firewall"].pop("live").startswith("iptables: the chain HTTP-REGISTRY is not")
    assert drifted == {
        "docker1": {"docker-mirrors": only(DAEMON, "max-concurrent-downloads", 6, 5)},
        "containerd1": {
            "containerd-mirrors": only(CONFIG, 'plugins."io.containerd.grpc.v1.cri".max_concurrent_downloads', 6, 7)
        },
        "containerd2": {"containerd-mirrors": {"files": {}}},
        "registry": {"nginx-proxy": {"files": {}}, "firewall": {"files": {}}},
        "docker2": {},
    }
    assert not story.seen.silent


def only(path: str, key: str, wanted: int, found: int) -> dict[str, Any]:
    return {"files": {path: {"keys": [{"key": key, "wanted": wanted, "found": found}]}}}


def test_the_table_and_the_preview_show_each_key(story: Story) -> None:
    assert "max-concurrent-downloads" in story.printed
    assert "+# by hand" in story.printed
    # The firewall's confirmation too: whether its repair begins a trial is known only then.
    assert f"{len(UNITS) + 1} to update" in story.preview
    for line in (
        '- max-concurrent-downloads: "found 5, wanted 6"',
        '- plugins."io.containerd.grpc.v1.cri".max_concurrent_downloads: "found 7, wanted 6"',
        '- # by hand, token = "***"',
        "- # by hand",
        "- firewall, running",
    ):
        assert line in story.preview
    assert "experimental" not in story.told


def test_up_repairs_just_what_has_drifted_and_a_second_one_nothing(story: Story) -> None:
    assert updated(story.up) == UNITS
    assert not re.search(r" (created|updated|replaced|deleted)\b", story.again)
    assert not story.after.drifted


def updated(up: str) -> set[str]:
    """The units that an `up` has seen to. A confirmation is none: it comes again where other tests' own applies, at the
    console, have passed no trial."""
    return set(re.findall(r"command:remote:Command (\S+) updated", up)) - {"registry-firewall-confirmed"}


def test_what_others_wrote_stays_and_no_secret_is_told(story: Story) -> None:
    assert '"experimental": false' in story.daemon
    assert '"max-concurrent-downloads": 6' in story.daemon
    assert not [secret for secret in (*story.secrets, "geheim") if secret in story.told]


MORE = (
    {
        "containerd2-containerd-mirrors": f"rm {HOSTS_TOML}",
        "containerd1-containerd-mirrors": f"sed -i /max_concurrent_downloads/d {CONFIG}",
        "docker1-docker-mirrors": f"sed -i 's#\"http://192.168.1.11:5080\"##' {DAEMON}; systemctl reload docker",
        "registry-nginx-proxy": "systemctl stop nginx",
        "docker2-docker-cli": "docker logout 192.168.1.11",
        "docker2-buildkit-mirrors": "sed -i '/http = true/d' /etc/buildkit/buildkitd.toml",
    },
    {
        "containerd2-containerd-mirrors": f"chmod 600 {HOSTS_TOML}",
        "docker1-docker-mirrors": f"rm {DAEMON}",
        "registry-firewall": "rm /etc/systemd/system/multi-user.target.wants/http-registry-firewall.service",
    },
)
"""By the unit that has to find it."""


@pytest.mark.parametrize("edits", MORE, ids=["gone", "changed"])
def test_each_kind_of_drift_is_found_and_repaired(stack: Stack, edits: dict[str, str]) -> None:
    for name, edit in edits.items():
        must(name.partition("-")[0], edit)
    seen = refresh_drift(stack)
    up = pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
    found = {f"{host}-{unit}" for host, units in seen.found.items() for unit in units if is_drift(units[unit])}
    assert found == edits.keys()
    assert updated(up) == edits.keys()
    assert not ask(stack, places(stack.state()["deployment"])).drifted


def test_a_tier_that_observes_shows_and_repairs_it_by_preview_and_up_alone(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    observing = tier_of(LAB).model_copy(update={"observe": True})
    monkeypatch.setattr("ops.configuration.tier_of", lambda _: observing)
    monkeypatch.setattr("ops.stack_file.observes", lambda _: True)
    monkeypatch.setattr(proof, "prove", lambda _: True)
    must("docker2", "docker logout 192.168.1.11")
    commands.preview()
    shown = capfd.readouterr().out
    assert "docker-cli" in shown
    assert "1 to update" in shown
    commands.up()
    assert re.findall(r"command:remote:Command (\S+) updated", capfd.readouterr().out) == ["docker2-docker-cli"]
    assert "192.168.1.11" in must("docker2", "cat /root/.docker/config.json")


def test_a_marked_unit_can_be_destroyed_and_no_secret_is_lost_from_the_state(stack: Stack) -> None:
    before = ciphertexts(stack)
    must("containerd2", f"echo '# by hand' >> {HOSTS_TOML}")
    try:
        assert command(stack)[0] == 2
        # The request of the drifted unit, in its inputs and its outputs.
        assert ciphertexts(stack) == before - 2
        marked = next(each for each in stack.state()["deployment"]["resources"] if is_command(each, "containerd2"))
        pulumi(stack, "destroy", "--yes", "--skip-preview", "--target", marked["urn"], "--target-dependents")
        assert must("containerd2", f"ls {HOSTS_TOML} 2>&1 || true").startswith("ls:")
    finally:
        up = pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
        must("containerd2", f"rm -f {HOSTS_TOML}.{KEPT}*")
    # The last step of an `up` comes after the runtimes.
    made = {"containerd2-containerd-mirrors", "registry-nginx-proxy-settled"}
    assert set(re.findall(r"command:remote:Command (\S+) created", up)) == made
    assert "+ 2 created" in up
    assert ciphertexts(stack) == before


def ciphertexts(stack: Stack) -> int:
    return json.dumps(stack.state()).count('"ciphertext"')


def is_command(resource: dict[str, Any], host: str) -> bool:
    return bool(resource["urn"].endswith(f"::{host}-containerd-mirrors"))
