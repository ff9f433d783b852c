"""A service of ours before it goes live: its program reads the coming configuration, and systemd its units."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Iterator, NamedTuple, Sequence

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.unit import Change


class Trial(NamedTuple):
    """A folder that has the coming files by their last names, those of the program in one of its own."""

    host: Host
    folder: Path
    program: str

    def place(self, path: str) -> str:
        """Where a coming file stands for the trial."""
        return str(self.folder / Path(path).name)

    def reads(self, config: str) -> None:
        """Raises HostError where the program does not accept that configuration."""
        program = self.place(self.program)
        done = self.host.run("python3", "-I", "-B", program, "--check", self.place(config))
        if not done.ok:
            raise HostError(f"{config}: the program does not accept it: {self._told(done.tail(1))}")

    def runs(self, units: Sequence[str]) -> None:
        """Raises HostError where systemd does not accept the units."""
        done = self.host.run("systemd-analyze", "verify", *map(self.place, units))
        if not done.ok:
            names = [Path(each).name for each in units]
            lines = [line for line in self._told(done.output).splitlines() if line.startswith(tuple(names))]
            raise HostError(f"systemd does not accept {', '.join(names)}: {' | '.join(lines) or done.tail()}")

    def _told(self, text: str) -> str:
        return text.replace(f"{self.folder}/", "")


@contextmanager
def trial(host: Host, change: Change, program: str = "") -> Iterator[Trial]:
    """The change's files, laid out. `program`: the folder of the service's own modules."""
    with TemporaryDirectory(prefix="http-registry-trial-") as folder:
        for path, state in change.after.items():
            if state is not None:
                own = bool(program) and wishes.is_below(path, program)
                place = Path(folder, Path(program).name if own else "", Path(path).name)
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(state.content)
        yield Trial(host, Path(folder), program)
