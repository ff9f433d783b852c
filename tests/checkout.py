"""A checkout of a test's own: this one's code by links, with stack files, certificates and state of its own.

What its user would type works there: `make preview STACK=prod`, or `pulumi config set`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.paths import work_dir
from ops import ssh_agent
from toolchain.engine import engine_environment, ensure_engine

REAL = Path(__file__).resolve().parent.parent
OWN = {".git", ".ci", ".work", "stacks", "state", "tests"}
"""What is not linked."""


@dataclass(frozen=True)
class Checkout:
    """`environment`: in which its commands run; it has a backend, a passphrase, and perhaps an SSH agent."""

    folder: Path
    environment: Mapping[str, str]

    def write(self, stack: str, text: str) -> None:
        """The file of a stack."""
        (self.folder / "stacks" / f"Pulumi.{stack}.yaml").write_text(text)

    def read(self, stack: str) -> str:
        """The file of a stack as it is now, secrets encrypted."""
        return (self.folder / "stacks" / f"Pulumi.{stack}.yaml").read_text()

    def make(self, target: str, *, status: int = 0, **variables: str) -> str:
        """What `make target NAME=value…` prints; another exit status of the command fails the test."""
        words = [f"{name}={value}" for name, value in variables.items()]
        return self.run("make", "--no-print-directory", target, *words, status=2 if status else 0)

    def pulumi(self, *arguments: str, stdin: str | None = None, status: int = 0) -> str:
        """What pulumi prints."""
        return self.run("pulumi", *arguments, "--non-interactive", "--color", "never", stdin=stdin, status=status)

    def secret(self, stack: str, key: str, value: str) -> None:
        """As the stack's user sets one."""
        self.pulumi("config", "set", "--secret", key, "--stack", stack, stdin=value)

    def upgrade_hostctl(self) -> None:
        """Have another version of it, here alone."""
        link = self.folder / "hostctl"
        link.unlink()
        shutil.copytree(REAL / "hostctl", link)
        with (link / "__init__.py").open("a") as file:
            file.write("# Another version.\n")

    def types(self, line: str) -> str:
        """Output and errors of a line of shell, whatever its exit status is."""
        return self._done("bash", "-c", line).stdout

    def run(self, *command: str, stdin: str | None = None, status: int = 0) -> str:
        """Output and errors of a command here; another exit status fails the test."""
        done = self._done(*command, stdin=stdin)
        assert done.returncode == status, done.stdout[-8000:]
        return done.stdout

    def _done(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=dict(self.environment),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def checkout(folder: Path, agent: str | None = None) -> Checkout:
    """Make one in an empty folder. `agent`: the socket of an SSH agent; without it no host can be logged in to."""
    for each in REAL.iterdir():
        if each.name not in OWN and not each.name.endswith("_cache"):
            (folder / each.name).symlink_to(each)
    (folder / "stacks").mkdir()
    (folder / "state").mkdir()
    (folder / ".work").mkdir()
    if work_dir().exists():
        (folder / ".work" / "lab").symlink_to(work_dir())
    environment = {
        **engine_environment(ensure_engine()),
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of a test",
        "NO_COLOR": "1",
    }
    environment.pop("SSH_AUTH_SOCK", None)
    if agent:
        environment["SSH_AUTH_SOCK"] = agent
    return Checkout(folder, {key: each for key, each in environment.items() if not key.startswith("MAKE")})


@contextmanager
def on_the_lab(folder: Path) -> Iterator[Checkout]:
    """One whose agent holds the lab's key."""
    with ssh_agent.holding(work_dir() / "id_ed25519") as socket:
        yield checkout(folder, socket)
