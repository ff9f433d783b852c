"""`pulumi stack output --json --show-secrets | python -m examples.kubernetes FOLDER`: write what a cluster needs.

FOLDER/manifests is for kubectl, FOLDER/nodes for each node's `/`. Both hold passwords, so only you can read
them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml

from examples.kubernetes import nodes
from examples.kubernetes.manifests import manifests
from registry_outputs.contract import ContractError, parsed


def main(folder: Path, namespace: Annotated[str, typer.Option(help="Whose pods may pull.")] = "default") -> None:
    """Read a stack's outputs from stdin, and write the files below FOLDER."""
    try:
        outputs = parsed("on stdin", json.load(sys.stdin))
    except (ValueError, ContractError) as wrong:
        print(f"kubernetes: {wrong}", file=sys.stderr)
        raise typer.Exit(1) from None
    os.umask(0o077)
    for name, manifest in manifests(outputs, namespace).items():
        _write(folder / "manifests" / name, yaml.safe_dump(manifest, sort_keys=False))
    for each in nodes.files(outputs):
        _write(folder / "nodes" / each.path.lstrip("/"), each.text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(path)


if __name__ == "__main__":
    typer.run(main)
