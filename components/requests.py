"""What `up` would ask of each host: the program itself, run without an engine, under pulumi's mocks.

`python -m components.requests` in the project's folder reads a stack's configuration from standard input, secrets in
clear, and prints the requests in the order in which they would be sent. Nothing is reached, nothing is written but
what the program always makes in `.work`.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

COMMAND, CONTAINER = "command:remote:Command", "docker:index/container:Container"
REFERENCE = "pulumi:pulumi:StackReference"


Program = Callable[[], object]
"""What declares the stack's resources."""


class _Recorder(mocks.Mocks):
    """Answers as hosts would that do as they are asked; notes what that was.

    `references`: the outputs of other stacks, by name.
    """

    def __init__(self, references: Mapping[str, Mapping[str, Any]]) -> None:
        self.references = references
        self.requests: list[dict[str, Any]] = []
        self.containers: list[dict[str, str]] = []

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        return {}, None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = dict(args.inputs)
        if args.typ == REFERENCE:
            outputs = dict(self.references[inputs["name"]])
            return inputs["name"], {**inputs, "outputs": outputs, "secretOutputNames": []}
        if args.typ == COMMAND:
            if inputs.get("create", "").endswith(" apply"):
                self.requests.append(json.loads(rpc.unwrap_rpc_secret(inputs["stdin"])))
            return args.name, {**inputs, "stdout": "{}", "stderr": ""}
        if args.typ == CONTAINER:
            provider, _, _ = (args.provider or "").rpartition("::")
            self.containers.append({"name": inputs["name"], "provider": provider.rpartition("::")[2]})
        return args.name, {"imageId": f"sha256:{args.name}", **inputs}


def recorded(
    program: Program, project: str, stack: str, references: Mapping[str, Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The requests of a program, and its containers: `name`, and the `provider` of the Docker that runs it."""
    recorder = _Recorder(references)
    mocks.set_mocks(recorder, project=project, stack=stack, preview=False)

    def run() -> None:
        program()

    _sync_await(run_pulumi_func(run))
    return recorder.requests, recorder.containers


def main() -> int:
    """Read `project`, `stack`, `config` (values by full name), `secrets` (names) and `references`; print `requests`
    and `containers`."""
    from components.configuration import load
    from components.topology import declare

    asked = json.load(sys.stdin)
    # As the engine hands them over; values of secrets go no further than this process.
    os.environ["PULUMI_CONFIG"] = json.dumps(asked["config"])
    os.environ["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(asked["secrets"])
    try:
        requests, containers = recorded(
            lambda: declare(load(Path.cwd())), asked["project"], asked["stack"], asked["references"]
        )
    except pulumi.RunError as wrong:
        print(wrong, file=sys.stderr)
        return 1
    print(json.dumps({"requests": requests, "containers": containers}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
