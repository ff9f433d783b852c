"""Shell scripts on the lab's hosts, and the bench's programs there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.places import HOST, PROGRAMS
from documents.document import Document
from lab import docker, host

ON_HOST = Path(__file__).parent / "on_host"
SECONDS = 180.0
PLACE = """\
import json, os, pathlib, sys
for path, text, mode in json.load(sys.stdin):
    place = pathlib.Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
"""


class BenchError(Exception):
    """The bench can't go on; the text says why and what to do."""


def on(name: str, script: str, stdin: str = "") -> str:
    """What a shell script on a host prints. Raises BenchError where it fails."""
    engine = docker.running()
    if engine is None:
        raise BenchError("the lab is down; start it and the stack with: make up")
    try:
        done = subprocess.run(
            ["docker", "exec", "--interactive", host(name).container, "sh", "-ec", script],
            env=engine.env, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BenchError(f"{name}: no end after {SECONDS:g} s: {script}") from None
    if done.returncode != 0:
        raise BenchError(f"{name}: status {done.returncode}: {script}\n{done.stdout}{done.stderr}")
    return done.stdout


def place(name: str, files: Iterable[Document]) -> None:
    """Write files on a host."""
    on(name, f"python3 -c '{PLACE}'", json.dumps([[each.path, each.text, each.mode] for each in files]))


def programs() -> list[Document]:
    """The bench's programs, as files on a host."""
    return [
        Document(f"{PROGRAMS}/{each.name}", each.read_text()) for each in ON_HOST.iterdir() if each.suffix != ".pyc"
    ]


def program(name: str, job: Mapping[str, Any], at: str = HOST) -> Any:
    """What a program of the bench on a host says to a job."""
    return json.loads(on(at, f"python3 -B {PROGRAMS}/{name}.py", json.dumps(job)))
