"""Programs of others that use the component package: the examples, or a text, in a folder of the test's own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from component_package.provider import PLUGIN
from ops.sdk import write_sdk
from tests.checkout import REAL, Checkout
from toolchain.engine import engine_environment, ensure_engine
from toolchain.languages import built_program

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx"
STACK = "dev"


def yaml_program(folder: Path, text: str, config: Mapping[str, str], agent: str | None = None) -> Checkout:
    """A YAML program; the package is named by it as in the examples."""
    made = _program(folder, agent)
    (made.folder / "Pulumi.yaml").write_text(text.replace("../../component_package", str(PLUGIN.parent)))
    return _configured(made, config)


def example(folder: Path, name: str, config: Mapping[str, str], agent: str | None = None) -> Checkout:
    """One of the examples; one in Python has its SDK."""
    text = (REAL / "examples" / name / "Pulumi.yaml").read_text()
    made = _program(folder, agent)
    shutil.copytree(REAL / "examples" / name, made.folder, dirs_exist_ok=True)
    (made.folder / "Pulumi.yaml").write_text(text.replace("../../component_package", str(PLUGIN.parent)))
    if "python" in text:
        (made.folder / ".venv").symlink_to(REAL / ".venv")
        write_sdk("python", made.folder / "sdk")
        packages = made.environment["PYTHONPATH"]
        made.run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", packages, "./sdk")
    return _configured(made, config)


def _program(folder: Path, agent: str | None) -> Checkout:
    (folder / "state").mkdir(parents=True)
    (folder / "program").mkdir()
    engine = ensure_engine()
    environment = {
        **engine_environment(engine),
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of a test",
        "PYTHONPATH": str(folder / "packages"),
        "NO_COLOR": "1",
    }
    if engine.kind == "built":
        host = built_program("language-yaml").parent
        environment["PATH"] = os.pathsep.join((environment["PATH"], str(host)))
    environment.pop("SSH_AUTH_SOCK", None)
    if agent:
        environment["SSH_AUTH_SOCK"] = agent
    return Checkout(folder / "program", environment)


def _configured(made: Checkout, config: Mapping[str, str]) -> Checkout:
    made.pulumi("stack", "init", STACK)
    for key, value in config.items():
        made.pulumi("config", "set", key, value, "--stack", STACK)
    return made
