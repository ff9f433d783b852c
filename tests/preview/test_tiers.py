"""Decides that each file under stacks/ works as it is committed, once its reader has typed what its head says; and that
a copy of one under another name is a tier of its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout import Checkout, checkout
from tests.outputs_alone import only_outputs
from tests.tier_file import STACKS, renamed, text_of, type_head

pytestmark = pytest.mark.engine

CONTAINER, COMMAND = "docker:index/container:Container", "command:remote:Command"

STEPS = ("-python", "-confirmed", "-settled", "-drained", "-ready")
"""How commands that are no units end."""


@dataclass(frozen=True)
class Planned:
    """`containers` and `units` by the host or registry that they begin with; `urls` of all endpoints."""

    containers: dict[str, int]
    units: set[str]
    urls: set[str]


PLANNED = {
    "dev": Planned(
        {"hosted": 1, "hub-cache": 1},
        {"dev-firewall", "dev-docker-mirrors"},
        {"http://10.20.0.10:5000", "http://10.20.0.10:5001"},
    ),
    "staging": Planned(
        {"hosted": 1},
        {
            *("registry-firewall", "registry-origin", "registry-nginx-proxy"),
            *("app-docker-mirrors", "app-containerd-mirrors"),
        },
        {"http://10.20.1.10", "http://10.20.1.10:5080"},
    ),
    "prod": Planned(
        {"hosted": 2},
        {
            *("registry-firewall", "registry-origin", "registry-nginx-proxy", "registry-garbage-collection"),
            *("app-authorities", "app-docker-mirrors", "app-containerd-mirrors", "app-docker-cli"),
        },
        {"https://10.20.2.10", "https://10.20.2.10:5443"},
    ),
    "core": Planned(
        {"hosted": 2},
        {
            *("registry-firewall", "registry-origin", "registry-nginx-proxy", "registry-garbage-collection"),
            "registry-offline-sync",
        },
        {"https://10.20.3.10", "https://10.20.3.10:5443"},
    ),
    "edge": Planned(
        {},
        {
            *("edge-firewall", "edge-origin", "edge-nginx-proxy"),
            *("app-docker-mirrors", "app-containerd-mirrors"),
        },
        {"https://10.20.3.10", "https://10.20.3.10:5443", "http://10.20.4.10:5080", "http://10.20.4.10:5081"},
    ),
    "offline": Planned(
        {"hub": 1, "ours": 1},
        {
            *("registry-firewall", "registry-nginx-proxy", "registry-offline-sync"),
            *("app-docker-mirrors", "app-containerd-mirrors"),
        },
        {"http://10.20.5.10", "http://10.20.5.10:5080", "http://10.20.5.10:5081"},
    ),
}
"""What the tiers mean that are more than a lab. A file without an entry is previewed all the same."""
TIERS = sorted(path.stem.removeprefix("Pulumi.") for path in STACKS.glob("Pulumi.*.yaml"))


def bring_up_upstreams(mine: Checkout, text: str) -> None:
    """The stacks that this one's file names as upstreams, their outputs at least."""
    for stack in set(re.findall(r"upstream_stack: (\w+)", text)):
        folder = mine.folder / f"its-{stack}"
        folder.mkdir()
        theirs = Checkout(checkout(folder).folder, mine.environment)
        theirs.write(stack, text_of(stack))
        type_head(theirs, text_of(stack))
        only_outputs(theirs)
        theirs.pulumi("up", "--yes", "--skip-preview", "--stack", stack)


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_s_file_is_planned_as_it_stands(tmp_path: Path, tier: str) -> None:
    mine = checkout(tmp_path)
    mine.write(tier, text_of(tier))
    bring_up_upstreams(mine, text_of(tier))
    typed = type_head(mine, text_of(tier))
    text = mine.make("preview", STACK=tier)
    assert re.search(rf"^{tier}: \d+ to create$", text, re.MULTILINE)
    rendered = mine.make("render", STACK=tier)
    told = [file.read_text() for file in (mine.folder / ".work/render" / tier).glob("*/files.json")]
    shown = "\n".join([text, rendered, *told])
    assert not [key for key, value in typed.items() if value in shown]
    assert "PRIVATE KEY" not in shown
    if planned := PLANNED.get(tier):
        said = mine.pulumi("preview", "--json", "--stack", tier)
        steps = [each["urn"].split("::")[-2:] for each in json.loads(said)["steps"]]
        kinds = [(kind.split("$")[-1], name) for kind, name in steps]
        containers = [re.sub(r"^[^.]+\.|-container.*", "", name) for kind, name in kinds if kind == CONTAINER]
        assert Counter(containers) == Counter(planned.containers)
        commands = {name for kind, name in kinds if kind == COMMAND}
        assert {name for name in commands if not name.endswith(STEPS)} == planned.units
        assert {f"{host['host']}-{each['unit']}" for host in map(json.loads, told) for each in host["files"]} == (
            planned.units
        )
        assert planned.urls <= set(re.findall(r"https?://[\d.:]+", text))


def test_a_copy_under_another_name_is_a_tier_of_its_own(tmp_path: Path) -> None:
    tier, name = "prod", "prod-eu"
    mine = checkout(tmp_path)
    text = renamed(text_of(tier), tier, name)
    mine.write(name, text)
    type_head(mine, text)
    assert re.search(rf"^{name}: \d+ to create$", mine.make("preview", STACK=name), re.MULTILINE)
    assert [each["name"] for each in json.loads(mine.pulumi("stack", "ls", "--json"))] == [name]


def test_what_a_tier_still_needs_is_told_with_the_command_that_sets_it(tmp_path: Path) -> None:
    """A preview that fails for it tells so too. Once each line is typed, nothing is missing. A name that is no secret's
    is refused.
    """
    mine = checkout(tmp_path)
    mine.write("prod", text_of("prod"))
    told = re.findall(r"still to set: (make secret \S+ KEY=(\S+))", mine.make("secret", STACK="prod"))
    assert len(told) == 6
    failed = mine.make("preview", STACK="prod", status=1)
    assert [f"make secret STACK=prod KEY={key}" in failed for _, key in told] == [True] * len(told)
    for command, key in told:
        if key.startswith("tls-key-"):
            mine.make("certificates", STACK="prod")
        else:
            mine.run("sh", "-c", command, stdin="geheim geheim\n")
    assert "every secret" in mine.make("secret", STACK="prod")
    assert mine.pulumi("config", "get", "password-ci", "--stack", "prod") == "geheim geheim\n"
    for key, value, why in (("pasword-ci", "x", "no secret's name"), ("password-ci", "\n", "nothing was given")):
        said = mine.run("make", "secret", "STACK=prod", f"KEY={key}", stdin=value, status=2)
        assert why in said
        assert "Traceback" not in said
