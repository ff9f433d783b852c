"""A stack on a pair of spare hosts: one has a registry and a mirror behind a proxy, the other's Docker pulls there.

Clients know the registry by a name that each host looks up in its /etc/hosts.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import host
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import CACHE, PAIR, REGISTRY, RUNTIME, SITE

NAME = "registry.test"
PASSWORD = "of-a-pusher"
COUNTS = re.compile(r"^\S+: (\d+ (?:to )?[a-z]+.*)$", re.MULTILINE)
"""A preview's last line but one."""
CLIENT = (Path(__file__).parents[2] / "registry_client.py").read_text()
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"pusher:{PASSWORD}".encode()).decode()}
SETTINGS: dict[str, Any] = {
    **SITE,
    "registries": [
        {"kind": "hosted", "name": "hosted", "host": REGISTRY},
        CACHE,
    ],
    "proxy": {
        "host": REGISTRY,
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": NAME},
            {"registry": "hub-cache", "port": 5080, "server_name": NAME},
        ],
        "users": [{"name": "pusher", "role": "push"}],
        "bcrypt_cost": 4,
    },
    "runtimes": [{"host": RUNTIME, "docker": {"max_concurrent_downloads": 6}}],
}


@dataclass(frozen=True)
class TwoHosts:
    """The stack and its file."""

    checkout: Checkout
    stack: str

    def write(self, settings: dict[str, Any]) -> None:
        """Replace the settings; secrets stay."""
        file = self.checkout.folder / "stacks" / f"Pulumi.{self.stack}.yaml"
        whole = yaml.safe_load(file.read_text()) if file.exists() else {}
        secrets = {key: each for key, each in whole.get("config", {}).items() if "secure" in each}
        config = {**{f"http-registry:{key}": each for key, each in settings.items()}, **secrets}
        self.checkout.write(self.stack, yaml.safe_dump({**whole, "config": config}))

    def make(self, target: str, *, fails: bool = False, **variables: str) -> str:
        """What `make TARGET STACK=…` prints."""
        return self.checkout.make(target, status=1 if fails else 0, STACK=self.stack, **variables)

    def state(self) -> dict[str, Any]:
        """The state's resources by name and type."""
        deployment = json.loads(self.checkout.pulumi("stack", "export", "--stack", self.stack))["deployment"]
        return {f"{each['urn'].rpartition('::')[2]} {each['type']}": each for each in deployment["resources"]}

    def documents(self) -> dict[str, dict[str, str]]:
        """What the state says of each host's files."""
        found: dict[str, dict[str, str]] = self.state()[f"http-registry-{self.stack} pulumi:pulumi:Stack"]["outputs"][
            "documents"
        ]
        return found


def settings() -> dict[str, Any]:
    """A copy of them to change."""
    return copy.deepcopy(SETTINGS)


def begun(checkout: Checkout, stack: str, wanted: dict[str, Any]) -> TwoHosts:
    """The stack with its file and secret, not yet up. The name leads to the registry's host."""
    two = TwoHosts(checkout, stack)
    two.write(wanted)
    checkout.pulumi("stack", "init", stack, "--no-select")
    checkout.secret(stack, "password-pusher", PASSWORD)
    lead_to(REGISTRY)
    return two


@contextmanager
def two_hosts(
    folder: Path, stack: str, wanted: dict[str, Any], seen: Callable[[str], list[str]] = without_records
) -> Iterator[TwoHosts]:
    """The stack when it is up, with an image in it; afterwards both hosts are as they were, by what is `seen` there."""
    before = {name: seen(name) for name in PAIR}
    with on_the_lab(folder) as checkout:
        made = begun(checkout, stack, wanted)
        try:
            made.make("up")
            push("1")
            yield made
        finally:
            ended(made)
    after = {name: seen(name) for name in PAIR}
    changed = {name: sorted(set(after[name]) ^ set(before[name])) for name in PAIR}
    assert after == before, changed


def lead_to(name: str, *where: str) -> None:
    """Let the registry's name lead to a host, as seen from both hosts unless `where` says from which."""
    # The file is a mount of Docker's: it can be written, but not replaced. One write: who looks finds the name.
    line = f"{host(name).address} {NAME}" if name else ""
    for each in where or PAIR:
        must(each, f"text=$(grep -v ' {NAME}$' /etc/hosts; echo '{line}'); echo \"$text\" > /etc/hosts")


def ended(two: TwoHosts) -> None:
    """Take everything back, and what was kept for good as well."""
    two.make("destroy")
    for name in PAIR:
        must(name, "docker volume ls --quiet --filter name=http-registry- | xargs -r docker volume rm")
    lead_to("")


def client(script: str) -> str:
    """A program for a host that asks the registry by its name; it has `client`, who is logged in."""
    return f"{CLIENT}\nclient = Client('http://{NAME}', {LOGIN!r})\n{script}\n"


def push(tag: str, size: int = 1000) -> None:
    """Push an image of that many bytes from the runtime's host."""
    layer = f"os.urandom({size})"
    must(RUNTIME, "python3 -", client(f"import os\nclient.push('team/app', {tag!r}, os.urandom(16), {layer})"))


def pulls(*tags: str) -> bool:
    """Whether the runtime's host can pull them all, whole."""
    return must(RUNTIME, "python3 -", client(f"print(all(client.pull('team/app', tag) for tag in {tags!r}))")) == (
        "True\n"
    )


AND_STILL_TRIED = 30
"""Seconds."""


@contextmanager
def looping(body: str) -> Iterator[dict[str, Any]]:
    """Something done over and over by the runtime's host while the block runs: statements with `client`, `number` and
    `told`.

    Behind the block, what was `told`: a dictionary of lists, an exception in the list `lost`. Where the last one was
    lost it is tried again for a while, so that it is told when it went on.
    """
    script = f"""
import http.client, json, os, time
from collections import defaultdict
from pathlib import Path
told = defaultdict(list)
stop, well = Path("$stop"), True
for number in range(10**6):
    if stop.exists() and (well or time.time() > stop.stat().st_mtime + {AND_STILL_TRIED}):
        break
    well = False
    try:
{textwrap.indent(body, " " * 8)}
        well = True
    except (AssertionError, OSError, http.client.HTTPException) as why:
        told["lost"].append(f"{{time.time():.2f}} {{type(why).__name__}} {{why}}"[:300])
    time.sleep(0.05)
print(json.dumps(told))
"""
    folder = must(RUNTIME, "mktemp --directory /run/loop-XXXXXX").strip()
    program = client(script).replace("$stop", f"{folder}/stop")
    must(RUNTIME, f"cat > {folder}/program; python3 {folder}/program > {folder}/told 2>&1 &", program)
    found: dict[str, Any] = {}
    try:
        yield found
    finally:
        wait = f"until [ -s {folder}/told ]; do sleep 0.05; done"
        told = must(RUNTIME, f"touch {folder}/stop; {wait}; cat {folder}/told; rm -r {folder}")
        found.update({"lost": []} | json.loads(told))


@contextmanager
def pulling(tag: str) -> Iterator[dict[str, Any]]:
    """Pulls of an image while the block runs; each looks up the name and connects anew for every request."""
    with looping(f"assert client.pull('team/app', {tag!r})\ntold['pulls'].append(number)") as found:
        yield found


def planned(text: str) -> dict[str, int]:
    """The counts at the end of a preview or an `up`: what would happen, or has, to how many resources."""
    end = text.rpartition("Resources:")[2] if "Resources:" in text else COUNTS.findall(text)[-1]
    return {what: int(count) for count, what in re.findall(r"(\d+) (?:to )?([a-z]+)", end) if what != "changes"}
