"""Programs built from Go modules: the registry, and crictl for the hosts. Versions are pinned in lab/go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.cache import cached, entry
from lab.paths import SOURCES, cache_dir
from lab.process import LabError, run
from lab.progress import step
from toolchain.golang import go_environment, go_missing, go_needed

REMEDY = "Check that Go's module proxy answers: go env GOPROXY"


@dataclass(frozen=True)
class Program:
    """A program of a Go module; lab/go/<name> pins the module and everything it needs."""

    name: str
    package: str
    variables: tuple[str, ...]
    """`import/path.Name=value`, set by the linker, so that the program knows its version."""

    @property
    def folder(self) -> Path:
        """The folder with the program's go.mod and go.sum."""
        return SOURCES / "go" / self.name

    @property
    def target(self) -> Path:
        """The cache folder of the built program."""
        pinned = [self.folder / "go.mod", self.folder / "go.sum"]
        return entry(self.name, [*pinned, self.package, *self.variables])


REGISTRY = Program(
    "registry",
    "github.com/distribution/distribution/v3/cmd/registry",
    ("github.com/distribution/distribution/v3/version.version=v3.1.2",),
)
CRICTL = Program(
    "crictl",
    "sigs.k8s.io/cri-tools/cmd/crictl",
    ("sigs.k8s.io/cri-tools/pkg/version.Version=v1.34.0",),
)


def build(program: Program) -> Path:
    """The program's static binary, built when the cache has none."""

    def compile_into(folder: Path) -> None:
        link = " ".join(["-s", "-w", *(f"-X {variable}" for variable in program.variables)])
        output = str(folder / program.name)
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", link, "-o", output]
        env = {**go_environment(cache_dir()), "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        missing = go_missing(program.folder, env)
        if missing:
            raise LabError(f"building {program.name}: {missing}\nInstall Go {go_needed(program.folder)} or newer.")
        with step(f"building {program.name} from Go modules"):
            run(
                [*command, program.package],
                what=f"building {program.name}",
                remedy=REMEDY,
                env=env,
                cwd=program.folder,
            )

    return cached(program.target, compile_into) / program.name
