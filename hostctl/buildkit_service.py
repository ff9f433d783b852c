"""The BuildKit daemon of a host: how its service starts it, where it answers, and whether it would take a file."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Iterable, List, Optional

from hostctl import http2_probe
from hostctl.buildkit_toml import PATH
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.start_command import start_command
from hostctl.systemd import Service, service

PROGRAM = "buildkitd"
SOCKET = "unix:///run/buildkit/buildkitd.sock"
ACTIVATED = "fd://"
"""The socket is systemd's; the project's own buildkit.socket has it where buildkitd would have its own."""
NOT_PARSED = ("failed to parse config", "failed to load config")
PARSES_ONLY = ("--log-format", "http-registry-check", "--root", "/dev/null/http-registry-check")


def installed(host: Host) -> bool:
    """Whether buildkitd is on PATH."""
    return host.has(PROGRAM)


def has_buildx(host: Host) -> bool:
    """Whether the docker command line has buildx, whose builders may be BuildKit daemons of their own."""
    return host.has("docker") and host.run("docker", "buildx", "version").ok


def arguments(host: Host, name: str) -> Optional[List[str]]:
    """What buildkitd is given at the service's next start; of a script's, what the running one was given.

    None where neither tells.
    """
    start = start_command(host, name)
    for words in ([start.program, *start.arguments], _running(service(host, name))):
        for place, word in enumerate(words):
            if posixpath.basename(word) == PROGRAM:
                return words[place + 1 :]
    return None


def config(given: Iterable[str]) -> str:
    """The file that a buildkitd with these arguments reads."""
    return next(reversed(flag(given, "--config")), PATH)


def refusal(host: Host, name: str, file: Path) -> Optional[str]:
    """Why buildkitd would not start with a file; None if it would, or if there is no way to ask.

    It has no command for that, but reads the file before it looks at its flags, and stops at the log format before it
    touches anything; one that knows no log formats stops at the folder.
    """
    program = start_command(host, name).program
    program = program if posixpath.basename(program) == PROGRAM and host.has(program) else PROGRAM
    if not host.has(program):
        return None
    done = host.run(program, "--config", str(file), *PARSES_ONLY)
    if not any(each in done.output for each in NOT_PARSED):
        return None
    return masked(done.output.splitlines()[0]).replace(f"{PROGRAM}: ", "", 1)


def complaint(host: Host, daemon: Service, told: List[str]) -> Optional[str]:
    """Why the service's buildkitd does not answer; None if it does. `told`: the addresses in its file."""
    if not daemon.runs:
        return f"{daemon.name} does not run; look at 'journalctl -u {daemon.name}'"
    found = flag(_running(daemon), "--addr") or told or [SOCKET]
    paths = [(SOCKET if each == ACTIVATED else each)[len("unix://") :] for each in found if _is_path(each)]
    if paths and not any(http2_probe.answers(str(host.path(each))) for each in paths):
        return f"{daemon.name} runs, but does not answer on {paths[0]}; look at 'journalctl -u {daemon.name}'"
    return None


def flag(given: Iterable[str], name: str) -> List[str]:
    """The values of a flag that may be there several times."""
    words = list(given)
    values = []
    for word, following in zip(words, [*words[1:], ""]):
        here, equals, value = word.partition("=")
        if here in (name, name[1:]):
            values.append(value if equals else following)
    return values


def _is_path(address: str) -> bool:
    return address == ACTIVATED or address.startswith("unix://")


def _running(daemon: Service) -> List[str]:
    return [daemon.program(), *daemon.arguments()]
