"""Programs built from Go modules: registry, object store, crictl, newer runtimes than Debian's. lab/go pins them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.cache import cached, entry
from lab.paths import SOURCES, cache_dir
from lab.process import LabError, run
from lab.progress import step
from toolchain.golang import go_environment, go_missing, go_needed

REMEDY = "Check that Go's module proxy answers: go env GOPROXY"
FOLDER = "/usr/local/bin"
"""Where a host has programs of ours; it is before Debian's folders on every PATH."""


@dataclass(frozen=True)
class Program:
    """Programs of one Go module; lab/go/<name> pins the module and everything it needs."""

    name: str
    packages: tuple[str, ...]
    """A binary each, named by the last word."""
    variables: tuple[str, ...]
    """`import/path.Name=value`, set by the linker, so that the program knows its version."""
    without: tuple[str, ...] = ()
    """Debian's files that a plain install of this version does not have; they go from a host that runs it."""

    @property
    def folder(self) -> Path:
        """The folder with the program's go.mod and go.sum."""
        return SOURCES / "go" / self.name

    @property
    def files(self) -> dict[str, Path]:
        """What a host needs to run it in place of Debian's, by the path below /: lab/programs/<name>."""
        root = SOURCES / "programs" / self.name
        return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}

    @property
    def target(self) -> Path:
        """The cache folder of the built binaries."""
        pinned = [self.folder / "go.mod", self.folder / "go.sum"]
        return entry(self.name, [*pinned, *self.packages, *self.variables])


REGISTRY = Program(
    "registry",
    ("github.com/distribution/distribution/v3/cmd/registry",),
    ("github.com/distribution/distribution/v3/version.version=v3.1.2",),
)
CRICTL = Program(
    "crictl",
    ("sigs.k8s.io/cri-tools/cmd/crictl",),
    ("sigs.k8s.io/cri-tools/pkg/version.Version=v1.34.0",),
)
CONTAINERD = Program(
    "containerd",
    (
        "github.com/containerd/containerd/v2/cmd/containerd",
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2/cmd/ctr",
    ),
    ("github.com/containerd/containerd/v2/version.Version=v2.4.2",),
    without=("/etc/containerd/config.toml",),
)
DOCKERD = Program(
    "dockerd",
    # Debian's docker-proxy is too old for this dockerd: it does not take its socket over (-use-listen-fd).
    ("github.com/moby/moby/v2/cmd/dockerd", "github.com/moby/moby/v2/cmd/docker-proxy"),
    # The module has no other name for the engine's version than what its developers' builds say.
    (
        "github.com/moby/moby/v2/dockerversion.Version=29.0.0-dev",
        "github.com/moby/moby/v2/dockerversion.GitCommit=v2.0.0-beta.24",
    ),
)
BUILDKIT = Program(
    "buildkit",
    ("github.com/moby/buildkit/cmd/buildctl", "github.com/moby/buildkit/cmd/buildkitd"),
    ("github.com/moby/buildkit/version.Version=v0.33.0",),
)
VERSITYGW = Program(
    "versitygw",
    ("github.com/versity/versitygw/cmd/versitygw",),
    ("main.Version=v1.8.0",),
)
CONFORMANCE = Program(
    "conformance",
    ("github.com/opencontainers/distribution-spec/conformance",),
    ("main.Version=v0.0.0-20260831232431-97274622c111",),
)
"""On no host; a test builds it where the cache has none, in seconds."""
ACTIONLINT = Program(
    "actionlint",
    ("github.com/rhysd/actionlint/cmd/actionlint",),
    ("github.com/rhysd/actionlint.version=v1.7.12",),
)
"""On no host; a test of the workflows builds it."""
PROGRAMS = {
    program.name: program
    for program in (CRICTL, REGISTRY, CONTAINERD, DOCKERD, BUILDKIT, VERSITYGW, CONFORMANCE, ACTIONLINT)
}


def build(program: Program) -> Path:
    """The folder with the program's static binaries, built when the cache has none."""

    def compile_into(folder: Path) -> None:
        link = " ".join(["-s", "-w", *(f"-X {variable}" for variable in program.variables)])
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", link, "-o", f"{folder}/"]
        env = {**go_environment(cache_dir()), "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        missing = go_missing(program.folder, env)
        if missing:
            raise LabError(f"building {program.name}: {missing}\nInstall Go {go_needed(program.folder)} or newer.")
        with step(f"building {program.name} from Go modules"):
            run(
                [*command, *program.packages],
                what=f"building {program.name}",
                remedy=REMEDY,
                env=env,
                cwd=program.folder,
            )

    return cached(program.target, compile_into)
