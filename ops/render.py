"""`make render`: what `up` would write on a host, as a folder and as a cloud-init document, without the host.

The wishes are the program's own: it runs under pulumi's mocks (components/requests.py), in a process of its own since
only it knows pulumi. The files are made by hostctl's units (ops/render_files.py).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hostctl.errors import HostError
from ops.checkpoint import PROJECT_NAME
from ops.configuration import tier_of
from ops.render_cloud_init import document, packages, to_bring
from ops.render_files import Rendered, render
from ops.render_machine import Machine, machine
from ops.render_tree import CLOUD_INIT, write
from ops.stack import PROJECT, Stack, StackError
from settings.upstream_stack import stacks

FOLDER = PROJECT / ".work" / "render"


def render_hosts(stack: Stack, host: str, out: Path | None, on: str, base: Path | None) -> Iterator[str]:
    """Write them; gives what a person should know of it.

    `host`: each in a folder of its own if empty. `out`: the folder; one of this checkout's own if None. `on`: what the
    machine is, `base`: a folder with the files of its image. Raises StackError where the settings, the machine or the
    folder are wrong.
    """
    names = [each.name for each in tier_of(stack.name).hosts]
    if host and host not in names:
        raise StackError(f"HOST={host}: the stack {stack.name} has no host of that name; it has {', '.join(names)}")
    if base and not (base / "etc").is_dir():
        raise StackError(f"BASE={base}: must be a folder with the image's files; it has no etc")
    try:
        described = machine(on)
    except ValueError as wrong:
        raise StackError(str(wrong)) from None
    asked = requests(stack)
    for name in [host] if host else names:
        folder = out if out and host else (out or FOLDER / stack.name) / name
        yield from _render_host(stack, name, asked, described, folder, base)
    yield "all of it may hold secrets: the folders are yours alone (0700), and git passes them by"


def _render_host(
    stack: Stack, host: str, asked: dict[str, Any], described: Machine, folder: Path, base: Path | None
) -> Iterator[str]:
    own = [each for each in asked["requests"] if each["owner"] == f"{PROJECT_NAME}/{stack.name}/{host}"]
    containers = [each["name"] for each in asked["containers"] if each["provider"] == f"{host}-docker"]
    try:
        with tempfile.TemporaryDirectory(prefix="render-") as work:
            rendered = render(own, described, Path(work), base, containers)
    except HostError as refused:
        raise StackError(f"{host}: {refused}") from None
    title = f"http-registry: {host} of the stack {stack.name}. Holds secrets."
    text = document(rendered, described, title)
    more = {
        "stack": stack.name,
        "host": host,
        "machine": asdict(described),
        "packages": packages(rendered, described),
    }
    write(folder, rendered, text, more)
    yield from _told(folder, host, rendered, described, text)


def requests(stack: Stack) -> dict[str, Any]:
    """What the program would ask of its hosts: `requests` and `containers`. Raises StackError that says what is wrong
    with the settings."""
    listed = json.loads(stack.pulumi("config", "--json", "--show-secrets", quiet=True))
    given = {
        "project": PROJECT_NAME,
        "stack": stack.name,
        "config": {key: each["value"] for key, each in listed.items() if "value" in each},
        "secrets": [key for key, each in listed.items() if each["secret"]],
        "references": {name: _outputs(stack, name) for name in stacks(tier_of(stack.name))},
    }
    done = subprocess.run(
        [sys.executable, "-m", "components.requests"],
        cwd=PROJECT,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(done.stderr.strip())
    print(done.stderr, end="", flush=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _outputs(stack: Stack, name: str) -> dict[str, Any]:
    """All outputs of another stack, secrets in clear."""
    told: dict[str, Any] = json.loads(
        Stack(name, stack.environment).pulumi("stack", "output", "--json", "--show-secrets", quiet=True)
    )
    return told


def _told(folder: Path, host: str, rendered: Rendered, described: Machine, text: str) -> Iterator[str]:
    place = folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder
    size, packed = (len(each) / 1024 for each in (text.encode(), gzip.compress(text.encode(), mtime=0)))
    units = ", ".join(dict.fromkeys(each.unit for each in rendered.files)) or "no unit"
    yield f"{host}: {len(rendered.files)} files of {units}, in {place}"
    yield f"  {CLOUD_INIT}: {size:.0f} KiB, {packed:.0f} KiB gzipped"
    for each in to_bring(rendered, described):
        yield f"  the image has to bring {each}: no package of Debian 12"
    for each in rendered.containers:
        yield f"  the container {each} is no file: `up` makes it"
    for each in rendered.notes:
        yield f"  {each}"
