"""Decides what `make preview` shows of a stack's life, without a host. `up` runs on hosts of paper.

One life is lived, and each test asks about a moment of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from ops.drift_marks import with_drift
from ops.preview_effects import AGAIN, DRIFTED, HIDDEN
from tests.checkout import Checkout, checkout
from tests.preview.paper_hosts import Paper, paper_hosts

pytestmark = pytest.mark.engine

STACK, HOSTS, HUB = "paper", ("one", "two"), "https://registry-1.docker.io"
PASSWORD, OTHER = "geheim-eins", "geheim-zwei"
DAEMON = "/etc/docker/daemon.json"
HOSTS_TOML = "/etc/containerd/certs.d/docker.io/hosts.toml"
PROXY = {"one-nginx-proxy", "one-nginx-proxy-settled"}
"""What takes a changed site, and then only its new passwords."""


@dataclass
class Shown:
    """What a preview has printed, the comment that it has made, and how often a host was called."""

    text: str
    comment: str
    calls: int

    @property
    def diffs(self) -> dict[str, list[str]]:
        """The changed lines by file, with the sign of each."""
        found: dict[str, list[str]] = {}
        file = ""
        for line in self.text.splitlines():
            if line.startswith(("--- /", "+++ /", "+++ users", "--- users")):
                file = line[4:] if line[4:] != "/dev/null" else file
                found.setdefault(file, [])
            elif line.startswith(("+", "-")):
                found[file].append(line)
        return {file: lines for file, lines in found.items() if file}


@dataclass
class Life:
    """A stack on hosts of paper, and what was seen of it."""

    place: Checkout
    hosts: Paper
    secret: str = ""
    salt: str = ""
    seen: dict[str, Shown] = field(default_factory=dict)
    ups: dict[str, str] = field(default_factory=dict)

    def write(self, downloads: int = 6, size: str = "4g", allow: str = "10.0.0.0/24", **more: Any) -> None:
        ssh = {"host": "127.0.0.1", "port": self.hosts.port, "host_key": self.hosts.key}
        login = {"registry": "10.0.0.1:5080", "user": "puller"}
        settings: dict[str, Any] = {
            "hosts": [{"name": name, "address": f"10.0.0.{at}", "ssh": ssh} for at, name in enumerate(HOSTS, 1)],
            "image": {"reference": "registry:3.1.2"},
            "registries": [{"kind": "cache", "name": "hub", "host": "one", "serves": "docker.io", "upstream": HUB}],
            "proxy": {
                "host": "one",
                "endpoints": [{"registry": "hub", "port": 5080, "server_name": "10.0.0.1"}],
                "users": [{"name": "puller", "role": "pull"}],
                "cache": {"size": size},
            },
            "runtimes": [
                {
                    "host": "two",
                    "docker": {"max_concurrent_downloads": downloads, "logins": [login]},
                    "containerd": {},
                }
            ],
            "firewall": {"allow": [allow], "confirm_seconds": 77},
            **more,
        }  # fmt: skip
        config: dict[str, Any] = {f"http-registry:{key}": value for key, value in settings.items()}
        if self.secret:
            config["http-registry:password-puller"] = {"secure": self.secret}
        salt = {"encryptionsalt": self.salt} if self.salt else {}
        self.place.write(STACK, yaml.safe_dump({"config": config, **salt}))

    def set_password(self, value: str) -> None:
        self.place.secret(STACK, "password-puller", value)
        written = yaml.safe_load(self.place.read(STACK))
        self.secret, self.salt = written["config"]["http-registry:password-puller"]["secure"], written["encryptionsalt"]

    def preview(self, moment: str, status: int = 0) -> Shown:
        before = self.hosts.connections
        text = self.place.make("preview", STACK=STACK, MARKDOWN="comment.md", status=status)
        comment = (self.place.folder / "comment.md").read_text()
        self.seen[moment] = Shown(text, comment, self.hosts.connections - before)
        return self.seen[moment]

    def up(self, moment: str, status: int = 0) -> None:
        self.ups[moment] = self.place.make("up", STACK=STACK, status=status)

    def mark_drift(self) -> None:
        """As `make drift` does."""
        exported = json.loads(self.place.pulumi("stack", "export", "--stack", STACK))
        keys = [{"key": "max-concurrent-downloads", "wanted": 8, "found": 5}]
        found: dict[str, dict[str, Any]] = {
            "two": {
                "docker-mirrors": {"files": {DAEMON: {"keys": keys}}},
                "containerd-mirrors": {"files": {HOSTS_TOML: {"text": "# by hand\n", "keys": []}}},
            }
        }
        exported["deployment"] = with_drift(exported["deployment"], found, f"http-registry/{STACK}")
        self.place.pulumi("stack", "import", "--stack", STACK, stdin=json.dumps(exported))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("preview")
    (disk := tmp_path_factory.mktemp("disk")).chmod(0o700)
    with paper_hosts(disk) as hosts:
        life = Life(checkout(folder), hosts)
        life.write()
        life.place.pulumi("stack", "init", STACK)
        life.set_password(PASSWORD)
        life.preview("new")
        life.up("new")
        life.preview("unchanged")
        life.write(downloads=8)
        life.preview("one line")
        life.up("one line")
        life.set_password(OTHER)
        life.preview("secret")
        life.up("secret")
        hosts.failing = {"nginx-proxy"}
        life.write(downloads=8, size="5g", allow="10.0.0.0/16")
        life.up("failed", status=1)
        life.preview("failed")
        hosts.failing = set()
        life.up("mended")
        life.place.upgrade_hostctl()
        life.preview("upgraded")
        life.up("upgraded")
        life.mark_drift()
        life.preview("drift")
        life.up("repaired")
        life.preview("last")
        life.write(firewall={})
        life.preview("wrong", status=1)
        yield life


def test_no_preview_calls_a_host(life: Life) -> None:
    assert {moment: each.calls for moment, each in life.seen.items()} == dict.fromkeys(life.seen, 0)
    assert re.search(r"^in \d\.\d s; no host was asked$", life.seen["new"].text, re.MULTILINE)


def test_no_secret_is_shown(life: Life) -> None:
    told = "".join(each.text + each.comment for each in life.seen.values())
    assert not [secret for secret in (PASSWORD, OTHER) if secret in told]


def test_a_new_stack_shows_each_file_whole(life: Life) -> None:
    new = life.seen["new"]
    assert "18 to create\n" in new.text
    outputs = json.loads(life.place.pulumi("stack", "output", "--json", "--stack", STACK))
    documents = {path: text for texts in outputs["documents"].values() for path, text in texts.items()}
    assert documents.keys() == new.diffs.keys()
    # Those that have not changed since.
    for path in (HOSTS_TOML, "/etc/http-registry/docker-relay.conf", "/etc/systemd/system/http-registry-origin.socket"):
        assert "".join(f"{line[1:]}\n" for line in new.diffs[path]) == documents[path]
    assert 'Authorization "Basic ***"' in new.text
    assert "after 77 s unless a new SSH connection confirms them" in new.text


@pytest.mark.parametrize("moment", ["unchanged", "last"])
def test_an_unchanged_stack_says_so(life: Life, moment: str) -> None:
    assert f"{STACK}: 18 unchanged: nothing changes\n" in life.seen[moment].text
    assert life.seen[moment].diffs == {}
    assert "nothing changes" in life.seen[moment].comment


def test_a_changed_line_shows_its_hunk_and_what_it_does(life: Life) -> None:
    changed = life.seen["one line"]
    assert changed.diffs == {DAEMON: ['-  "max-concurrent-downloads": 6', '+  "max-concurrent-downloads": 8']}
    assert "update  two  two-docker-mirrors  its wish\n" in changed.text
    assert "dockerd is reloaded" in changed.text
    assert f"{STACK}: 1 to update, 17 unchanged\n" in changed.text
    assert "```diff\n--- /etc/docker/daemon.json\n" in changed.comment
    assert updated(life.ups["one line"]) == {"two-docker-mirrors"}


def test_a_changed_secret_is_told_and_not_shown(life: Life) -> None:
    secret = life.seen["secret"]
    assert secret.diffs == {}
    assert secret.text.count(HIDDEN) == 3
    assert "nginx is reloaded" in secret.text
    assert updated(life.ups["secret"]) == {*PROXY, "two-docker-relay", "two-docker-mirrors"}


def test_after_a_failed_up_only_what_is_left_is_shown(life: Life) -> None:
    """The firewall's rules, which differ from the outputs as well, are in force by then."""
    failed = life.seen["failed"]
    assert {path.split("/")[2] for path in failed.diffs} == {"nginx"}
    assert updated(life.ups["mended"]) == PROXY
    assert f"{STACK}: 2 to update, 16 unchanged\n" in failed.text


def test_after_an_upgrade_of_hostctl_each_unit_is_applied_again(life: Life) -> None:
    upgraded = life.seen["upgraded"]
    assert upgraded.diffs == {}
    assert upgraded.text.count(AGAIN.text) == 6
    counts = re.search(r"(\d+) to update(?:, (\d+) to replace)?, \d+ unchanged\n", upgraded.text)
    assert counts
    assert len(updated(life.ups["upgraded"])) == int(counts[1])


def test_drift_is_shown_until_it_is_repaired(life: Life) -> None:
    drift = life.seen["drift"]
    assert drift.diffs[HOSTS_TOML][0] == "-# by hand"
    assert drift.diffs[f"{DAEMON}, changed"][1] == '-  "max-concurrent-downloads": "found 5, wanted 8"'
    assert drift.text.count(DRIFTED) == 2
    assert updated(life.ups["repaired"]) == {"two-docker-mirrors", "two-containerd-mirrors"}


def test_what_is_wrong_is_in_the_comment_too(life: Life) -> None:
    wrong = life.seen["wrong"]
    for text in (wrong.text, wrong.comment):
        assert "firewall.allow" in text
    assert "failed" in wrong.comment.splitlines()[1]


def updated(up: str) -> set[str]:
    return set(re.findall(r"command:remote:\w+ (\S+) updated", up))
