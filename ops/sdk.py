"""The package's SDK for programs in a language: the package's schema, through Pulumi's own generators."""

from __future__ import annotations

import subprocess
from pathlib import Path

from component_package.provider import PLUGIN, schema_text
from ops.stack import StackError
from toolchain.engine import engine_environment, ensure_engine
from toolchain.languages import built_program


def write_sdk(language: str, folder: Path) -> None:
    """Write it into a folder. Raises StackError.

    The official engine generates for each language that it has. The one built from Go modules has the generators of
    Python and of Node.js beside it.
    """
    engine = ensure_engine()
    if engine.kind == "official":
        command = ["pulumi", "package", "gen-sdk", str(PLUGIN), "--language", language, "--out", str(folder)]
    else:
        command = [str(built_program("gen-sdk")), language, str(folder)]
    done = subprocess.run(
        command, env=engine_environment(engine), input=schema_text(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"no SDK for {language}: {done.stderr.strip() or done.stdout.strip()}")
