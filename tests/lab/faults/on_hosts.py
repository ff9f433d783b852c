"""Has every host take its units through the faults, all hosts at once, and gathers what they tell."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from hostctl import package
from ops.stack import PROJECT
from tests.lab.faults.fault_plan import ACCOUNT, Request
from tests.lab.hosts import must

FOLDER = "/run/http-registry-faults"
PROGRAM = f"{FOLDER}/hostctl.pyz"
HERE = Path(__file__).resolve().parent
MAIN = f"""\
import sys

sys.path.insert(0, "{PROGRAM}")

from tests.lab.faults.on_host.driver import main

main()
"""


class Outcome(NamedTuple):
    """One fault. `seen`: what was seen in place of what must be; empty where it was survived."""

    host: str
    unit: str
    kind: str
    case: str
    seen: str


def driver() -> bytes:
    """What runs on a host, as a file that `python3` runs."""
    members = {f"tests/lab/faults/on_host/{each.name}": each.read_text() for each in HERE.glob("on_host/*.py")}
    for package_name in ("tests", "tests/lab", "tests/lab/faults", "tests/lab/faults/on_host"):
        members[f"{package_name}/__init__.py"] = ""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in {**members, "__main__.py": MAIN}.items():
            file.writestr(name, text)
    return buffer.getvalue()


def put(host: str, path: str, content: bytes) -> None:
    """Write a file on a host."""
    must(host, f"mkdir -p {FOLDER} && base64 -d > {path}", base64.b64encode(content).decode())


def take_through(host: str, requests: Sequence[Request]) -> list[Outcome]:
    """Everything of one host, one after the other."""
    put(host, PROGRAM, package.archive())
    put(host, f"{FOLDER}/driver.pyz", driver())
    for request in requests:
        for path, content in request.get("archives", {}).items():
            put(host, path, base64.b64decode(content))
    must(host, f"id {ACCOUNT} >/dev/null 2>&1 || useradd --create-home {ACCOUNT}")
    connections: list[subprocess.Popen[str]] = []
    outcomes = []
    asked = [{key: value for key, value in each.items() if key != "archives"} for each in requests]
    try:
        with subprocess.Popen(
            [PROJECT / "lab" / "host", host, "python3", f"{FOLDER}/driver.pyz"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            said = []
            for line in process.stdout:
                told = json.loads(line) if line.startswith("{") else {}
                if "connect" in told:
                    connections.append(connect(host, told["connect"]))
                elif "kind" in told:
                    outcomes.append(Outcome(host, told["unit"], told["kind"], told["case"], told["seen"]))
                elif "cpu" in told:
                    print(f"{host}: {told['cpu']:.0f} s of processor time by driver and hostctl")
                else:
                    said.append(line)
        if process.returncode != 0 or said:
            outcomes.append(Outcome(host, "", "no fault", "the driver ends", "".join(said)[-2000:] or "it failed"))
    finally:
        for each in connections:
            each.communicate(timeout=30)
        must(host, f"userdel --remove {ACCOUNT} 2>/dev/null; rm -rf {FOLDER}")
    return outcomes


def connect(host: str, request: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Ask hostctl by SSH, as the controller does; the connection is not going to live.

    hostctl is not told that it is one: a policy of the firewall that nobody confirms would be taken back meanwhile.
    """
    program = f"env -u SSH_CONNECTION python3 -I -S {PROGRAM} apply"
    process = subprocess.Popen(
        ["ssh", "-F", PROJECT / ".work/lab/ssh_config", "-o", "BatchMode=yes", host, program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(request))
    process.stdin.close()
    process.stdin = None
    return process


def take_all_through(requests: Mapping[str, Sequence[Request]]) -> list[Outcome]:
    """Everything of every host, the hosts side by side."""
    with ThreadPoolExecutor(len(requests)) as threads:
        found = threads.map(take_through, requests.keys(), requests.values())
        return [outcome for outcomes in found for outcome in outcomes]
