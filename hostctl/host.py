"""The host as hostctl sees it: files below a root, and programs that are run on it.

A file's name is its absolute path, or `~account/…` for one in the home of an account."""

from __future__ import annotations

import grp
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, NamedTuple, Optional, Sequence

from hostctl import files, homes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.homes import Account

if TYPE_CHECKING:
    from http.client import HTTPConnection

ORDERS = (signal.SIGINT, signal.SIGTERM)
"""Signals that tell hostctl to stop; the others that it takes it ignores."""
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""What root's PATH may lack."""


class Finished(NamedTuple):
    """A program that has ended: its exit status and what it printed (standard error behind standard output)."""

    status: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether the program ended with status 0."""
        return self.status == 0

    def tail(self, lines: int = 5) -> str:
        """The last lines of the output on one line, for an error message."""
        return " | ".join(line.strip() for line in self.output.strip().splitlines()[-lines:])


class Host:
    """Access to one host. `root` is prefixed to every path, so that tests and image builds can use another tree."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """The real place of the file that the host knows as `name`, symbolic links followed."""
        if name.startswith("~"):
            account, _, rest = name[1:].partition("/")
            name = f"{self.account(account).home}/{rest}"
        return Path(os.path.realpath(self.root / name.lstrip("/")))

    def folders(self, name: str) -> List[str]:
        """The folders above a file, by names, innermost first. A home is none of them: it is never made."""
        if name.startswith("~"):
            parts = name.split("/")
            return ["/".join(parts[:end]) for end in range(len(parts) - 1, 1, -1)]
        root = self.path("/")
        return [f"/{each.relative_to(root)}" for each in self.path(name).parents if root in each.parents]

    @contextmanager
    def rights(self, name: str) -> Iterator[None]:
        """Have the rights to read and write a file: root's, or those of the account in whose home it is."""
        if name.startswith("~"):
            with homes.acting_as(self.account(name[1:].partition("/")[0])):
                yield
        else:
            yield

    def account(self, name: str) -> Account:
        """An account by name. Raises HostError where the host has none of that name."""
        return homes.account(name)

    def group(self, name: str) -> Optional[int]:
        """The number of a group, or None where the host has none of that name."""
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):
            return None

    def offers(self, what: str, ask: Callable[[], bool]) -> bool:  # noqa: ARG002
        """Whether the machine offers something that no program tells, by asking its kernel.

        `what`: its name, for a machine that is only described.
        """
        return ask()

    def connect(self, socket: str, timeout: float) -> HTTPConnection:
        """A connection to an HTTP server on a Unix socket, not yet dialled."""
        from hostctl.unix_http import UnixConnection  # an HTTP client, for which most calls have no use

        return UnixConnection(str(self.path(socket)), timeout)

    def is_gone(self, name: str) -> bool:
        """Whether the file was in the home of an account that the host has no longer: nothing is ours to do there."""
        try:
            self.path(name)
        except HostError:
            return True
        return False

    def read(self, name: str) -> Optional[FileState]:
        """The file, or None where there is none."""
        with self.rights(name):
            return files.read(self.path(name))

    def has(self, program: str) -> bool:
        """Whether `program` is installed."""
        return self.find(program) is not None

    def run(self, *command: str, stdin: Optional[str] = None, timeout: float = 60) -> Finished:
        """Run a program without a shell and wait for it, `timeout` seconds at most.

        Raises HostError if it is not installed or does not end in time; a status other than 0 is the caller's affair.
        """
        program = self.find(command[0])
        if program is None:
            raise HostError(f"{command[0]}: not installed on this host; install it and try again")
        process = None
        try:
            with _orders_held_back():  # one in here would leave a program behind that nobody knows of
                process = subprocess.Popen(
                    [program, *command[1:]],
                    stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env={**os.environ, "LC_ALL": "C"},
                    start_new_session=True,
                )
            output, _ = process.communicate(stdin, timeout)
        except BaseException as failure:
            if process is not None:
                _end(process)
            if isinstance(failure, subprocess.TimeoutExpired):
                late = f"{command[0]}: did not end within {timeout:g} s ({_shown(command)})"
                raise HostError(late) from failure
            raise
        return Finished(process.returncode, output)

    def must(self, *command: str, stdin: Optional[str] = None, timeout: float = 60) -> str:
        """Run a program that has to succeed and return what it printed. Raises HostError with the end of its output."""
        done = self.run(*command, stdin=stdin, timeout=timeout)
        if not done.ok:
            raise HostError(f"{_shown(command)}: exit status {done.status}: {done.tail()}")
        return done.output

    @staticmethod
    def find(program: str) -> Optional[str]:
        """Where a program is, also where root's PATH lacks the sbin folders."""
        places = (Path(folder, program) for folder in (*os.get_exec_path(), *SBIN))
        return next((str(each) for each in places if os.access(each, os.X_OK) and each.is_file()), None)


@contextmanager
def _orders_held_back() -> Iterator[None]:
    """Have an order to stop, which raises where it is handled, come behind this.

    No signal is blocked for it: the program would have it blocked too, and Python has to fork itself to undo that in
    the program, which takes longer than most programs run.
    """
    came: List[int] = []
    hears = threading.current_thread() is threading.main_thread()  # no other runs handlers, or may set one
    own = {each: handler for each in ORDERS if hears and callable(handler := signal.getsignal(each))}
    try:
        for each in own:
            signal.signal(each, lambda number, _frame: came.append(number))
        yield
    finally:
        for each, handler in own.items():
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program with all that it has started: that would go on beside what is done next."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:
        pass  # waits for it, and closes its pipes


def _shown(command: Sequence[str]) -> str:
    return " ".join(command)
