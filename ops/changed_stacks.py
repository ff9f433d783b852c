"""`python3 -m ops.changed_stacks REF`: the stacks that a change since REF can change, as a JSON list.

For CI: of the standard library, so that it needs no .venv. Without REF all that there are. The lab's stack is left out,
since nobody reaches its hosts from elsewhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

PROJECT = Path(__file__).absolute().parent.parent
LAB = "lab"
INERT = (
    ".ci/", ".github/", ".gitignore", "bench/", "component_package/", "docs/", "examples/", "lab/", "tests/",
    "README.md",
)  # fmt: skip
"""What no stack is made of, files and folders; everything else may be, so that something new is never passed over."""
STACKS = "stacks/"


def changed_stacks(paths: Iterable[str], stacks: Mapping[str, str]) -> list[str]:
    """The names of the stacks that these files of the project belong to. `stacks`: the texts of the stacks' files.

    A stack's own are its file, what is below `stacks/certificates/NAME/`, and what its file names. A file that no stack
    names and that is not inert is the program's, and all stacks'.
    """
    found: set[str] = set()
    for path in paths:
        owners = {name for name, text in stacks.items() if _is_of(path, name, text)}
        if not owners and not path.startswith((*INERT, STACKS)):
            return sorted(stacks)
        found |= owners
    return sorted(found)


def stack_files(folder: Path) -> dict[str, str]:
    """The texts of the stacks' files, by the stacks' names, without the lab's."""
    files = sorted(folder.glob("Pulumi.*.yaml"))
    texts = {file.stem.removeprefix("Pulumi."): file.read_text() for file in files}
    return {name: text for name, text in texts.items() if name != LAB}


def changed_files(since: str) -> list[str] | None:
    """The files that differ from a commit, also under the name that they had; None where git does not know it."""
    command = ["git", "diff", "--name-only", "--no-renames", "-z", since, "HEAD"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return None if done.returncode else [each for each in done.stdout.split("\0") if each]


def main(arguments: list[str]) -> int:
    """Print the list; returns the exit status."""
    stacks = stack_files(PROJECT / STACKS)
    paths = changed_files(arguments[0]) if arguments else None
    print(json.dumps(sorted(stacks) if paths is None else changed_stacks(paths, stacks)))
    return 0


def _is_of(path: str, name: str, text: str) -> bool:
    return path == f"{STACKS}Pulumi.{name}.yaml" or path.startswith(f"{STACKS}certificates/{name}/") or path in text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
