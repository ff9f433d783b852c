"""Decides, on the spare hosts, that `up` does what the preview before it has announced: resources and restarts.

One stack lives through changes, each previewed, made, and compared with what hostctl reports.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostctl.unit import NONE, RELOAD, RESTART
from lab import docker, host
from lab.commands import alone
from ops.preview import preview_environment
from ops.preview_effects import Effect, effects
from ops.preview_plan import Plan, plan
from ops.preview_report import groups
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import logins, without_records
from tests.lab.spare.site import ADDRESS, CACHE, PAIR, REGISTRY, RUNTIME, SITE

pytestmark = pytest.mark.lab

STACK = "previewed"
Settings = dict[str, Any]
Edit = Callable[[Settings], Any]


def settings() -> Settings:
    """A proxy before a hosted registry and a cache; the other host has each runtime, and logins."""
    login = {"registry": ADDRESS, "user": "puller"}
    return {
        **copy.deepcopy(SITE),
        "registries": [
            {"kind": "hosted", "name": "hosted", "host": REGISTRY, "port": 5000, "keep_data": False},
            dict(CACHE),
        ],
        "proxy": {
            "host": REGISTRY,
            "endpoints": [
                {"registry": "hosted", "port": 80, "server_name": ADDRESS},
                {"registry": "hub-cache", "port": 5080, "server_name": ADDRESS},
            ],
            "users": [{"name": "puller", "role": "pull"}],
            "cache": {"size": "1g"},
        },
        "runtimes": [
            {
                "host": RUNTIME,
                "docker": {"logins": [{**login, "registry": f"{ADDRESS}:5080"}]},
                "containerd": {"logins": [login]},
                "cli": [{"user": "root", "logins": [login]}],
            }
        ],
    }  # fmt: skip


def of_runtimes(config: Settings) -> Any:
    return config["runtimes"][0]


def downloads(config: Settings) -> None:
    for each in ("docker", "containerd"):
        of_runtimes(config)[each]["max_concurrent_downloads"] = 7


def no_setting(_config: Settings) -> None:
    pass


def hosts_toml(config: Settings) -> None:
    of_runtimes(config)["docker"]["fallback"] = of_runtimes(config)["containerd"]["fallback"] = True


EDITS: dict[str, tuple[Edit, dict[str, str]]] = {
    "daemon.json and config.toml": (
        downloads,
        {f"{RUNTIME} docker-mirrors": RELOAD, f"{RUNTIME} containerd-mirrors": RESTART},
    ),
    # Docker 20.10 does not read them, so nothing is written for it.
    "hosts.toml": (hosts_toml, {f"{RUNTIME} containerd-mirrors": NONE}),
    "the cache's size": (
        lambda config: config["proxy"]["cache"].update(size="2g"),
        {f"{REGISTRY} nginx-proxy": RELOAD},
    ),
    "the allowlist": (
        lambda config: config["firewall"]["allow"].append("192.168.2.0/24"),
        {f"{REGISTRY} firewall": RELOAD, f"{REGISTRY} nginx-proxy": RELOAD},
    ),
    "the registry's port": (
        lambda config: config["registries"][0].update(port=5001),
        {f"{REGISTRY} nginx-proxy": RELOAD},
    ),
    "the relay": (
        lambda config: of_runtimes(config)["docker"].pop("logins"),
        {f"{RUNTIME} docker-mirrors": RELOAD},
    ),
    "a password": (
        no_setting,
        {f"{REGISTRY} nginx-proxy": RELOAD, f"{RUNTIME} containerd-mirrors": NONE, f"{RUNTIME} docker-cli": NONE},
    ),
    "hostctl": (no_setting, {}),
}  # fmt: skip
"""What is changed, one on top of the other, and how hostctl makes it live; `hostctl` itself: in no way."""


@dataclass
class Change:
    """What was announced, and what has happened."""

    plan: Plan
    up: str
    reports: dict[str, dict[str, Any]]

    @property
    def announced(self) -> dict[str, Effect]:
        """By host and unit."""
        return {f"{each.step.host} {each.step.unit}": each for each in effects(self.plan) if each.step.unit}

    @property
    def resources(self) -> dict[str, set[str]]:
        """Those that were announced, by what becomes of them."""
        found: dict[str, set[str]] = {}
        for each in self.plan.steps:
            if not groups(each):
                found.setdefault(each.change, set()).add(each.name)
        return found


@dataclass
class Life:
    """A stack on the spare hosts."""

    place: Checkout
    events: Path
    config: Settings = field(default_factory=settings)
    secrets: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)

    def write(self) -> None:
        config = {f"http-registry:{key}": each for key, each in self.config.items()}
        salt = {key: each for key, each in self.secrets.items() if key == "encryptionsalt"}
        secrets = {key: each for key, each in self.secrets.items() if key not in salt}
        self.place.write(STACK, yaml.safe_dump({"config": {**config, **secrets}, **salt}))

    def set_password(self, value: str) -> None:
        self.write()
        self.place.secret(STACK, "password-puller", value)
        written = yaml.safe_load(self.place.read(STACK))
        kept = {key: each for key, each in written["config"].items() if "password" in key}
        self.secrets = {**kept, "encryptionsalt": written["encryptionsalt"]}

    def planned(self) -> Plan:
        environment = {**self.place.environment, **preview_environment(dict(self.place.environment))}
        command = ["pulumi", "preview", "--stack", STACK, "--non-interactive", "--event-log", str(self.events)]
        subprocess.run(command, cwd=self.place.folder, env=environment, capture_output=True, check=True)
        with self.events.open() as lines:
            return plan(map(json.loads, lines))

    def change(self, name: str) -> None:
        found = self.planned()
        up = self.place.make("up", STACK=STACK)
        state = json.loads(self.place.pulumi("stack", "export", "--stack", STACK))
        self.changes[name] = Change(found, up, dict(reports(state["deployment"])))


def reports(deployment: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What hostctl has reported at last, by host and unit."""
    for each in deployment["resources"]:
        said = (each.get("outputs") or {}).get("stdout")
        if each["type"] == "command:remote:Command" and said and said.startswith("{"):
            name = each["urn"].rpartition("::")[2]
            spare = next(one for one in PAIR if name.startswith(one))
            yield f"{spare} {name.removeprefix(f'{spare}-')}", json.loads(said)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    before = {each: without_records(each) for each in PAIR}
    with on_the_lab(tmp_path_factory.mktemp("previewed")) as place:
        life = Life(place, tmp_path_factory.mktemp("events") / "events")
        life.write()
        place.pulumi("stack", "init", STACK)
        life.set_password("geheim-eins")
        try:
            life.change("new")
            for name, (edit, _) in EDITS.items():
                edit(life.config)
                life.write()
                if name == "a password":
                    life.set_password("geheim-zwei")
                if name == "hostctl":
                    life.place.upgrade_hostctl()
                life.change(name)
            yield life
        finally:
            place.make("destroy", STACK=STACK)
    assert {each: without_records(each) for each in PAIR} == before


@pytest.mark.parametrize("name", EDITS)
def test_up_makes_live_what_the_preview_has_announced_and_in_that_way(life: Life, name: str) -> None:
    change, levels = life.changes[name], EDITS[name][1]
    happened = {
        unit: report["activation"] for unit, report in change.reports.items()
        if unit in change.announced and report["result"] == "changed"
    }  # fmt: skip
    assert happened == levels
    for unit, effect in change.announced.items():
        if effect.step.change != "delete":
            assert change.reports[unit]["activation"] in effect.levels, (unit, effect)
            # Whether a secret has changed a file, and what Docker has in force, no preview can know.
            if effect.diffs:
                assert effect.levels == (change.reports[unit]["activation"],), (unit, effect)


@pytest.mark.parametrize("name", ["new", *EDITS])
def test_up_touches_the_resources_that_were_announced_and_no_others(life: Life, name: str) -> None:
    change = life.changes[name]
    done = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}
    for kind, word in done.items():
        named = set(re.findall(rf"(?:command:remote|docker:index)\S* (\S+) {word}\b", change.up))
        assert named >= change.resources.get(kind, set()), kind
    counted = re.findall(r"^ +[~+-]+ *(\d+) (\w+)$", change.up[change.up.index("Resources:") :], re.MULTILINE)
    words = {each: number for number, each in counted}
    assert words == {done[kind]: str(count) for kind, count in change.plan.counts.items() if kind != "same"}


def test_the_registrys_container_stays_through_an_upgrade_of_hostctl(life: Life) -> None:
    change = life.changes["hostctl"]
    assert "replace" not in change.plan.counts or "hosted-container" not in change.resources["replace"]
    assert f"{REGISTRY} docker-image" in change.announced


def test_a_preview_needs_no_host(life: Life) -> None:
    """They stand still; the unchanged stack says so all the same."""
    engine = docker.running()
    assert engine is not None
    before = {each: logins(each) for each in PAIR}
    containers = [host(each).container for each in PAIR]
    with alone():
        engine("pause", *containers)
        try:
            text = life.place.make("preview", STACK=STACK)
        finally:
            engine("unpause", *containers)
    assert re.search(rf"^{STACK}: \d+ unchanged: nothing changes$", text, re.MULTILINE)
    assert {each: logins(each) for each in PAIR} == before
