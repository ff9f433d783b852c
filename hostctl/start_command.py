"""What systemd will run when it starts a service the next time: the unit's ExecStart with its variables filled in.

Rules of systemd.exec(5) and systemd.service(5): `$NAME` as a word of its own is split into words, `${NAME}` is not;
later EnvironmentFile= lines win over earlier ones and over Environment=.
"""

from __future__ import annotations

import re
import shlex
from typing import Dict, Iterable, List, NamedTuple, Tuple

from hostctl import files
from hostctl.host import Host

_EXEC_START = re.compile(r"^ExecStart=\{ path=(?P<path>\S+) ; argv\[\]=(?P<argv>.*?) ; ignore_errors=", re.M)
_ENVIRONMENT = re.compile(r"^Environment=(.*)$", re.M)
_FILE = re.compile(r"^EnvironmentFiles=(.+) \(ignore_errors=(?:yes|no)\)$", re.M)
_ASSIGNMENT = re.compile(r"^\s*(\w+)=(.*)$")


class StartCommand(NamedTuple):
    """`program` is empty where the service has no command."""

    program: str = ""
    arguments: Tuple[str, ...] = ()


def start_command(host: Host, name: str) -> StartCommand:
    """The command of a service's next start."""
    shown = host.must("systemctl", "show", "-p", "ExecStart,Environment,EnvironmentFiles", f"{name}.service")
    found = _EXEC_START.search(shown)
    if not found:
        return StartCommand()
    inline = _ENVIRONMENT.search(shown)
    environment = _assignments(_words(inline.group(1) if inline else ""))
    for path in _FILE.findall(shown):
        state = files.read(host.path(path))
        text = state.content.decode(errors="replace").replace("\\\n", "") if state else ""
        environment.update(_assignments(line for line in text.splitlines() if line.lstrip()[:1] not in ("#", ";")))
    words = [word for each in found["argv"].split()[1:] for word in _expanded(each, environment)]
    return StartCommand(found["path"], tuple(words))


def _assignments(lines: Iterable[str]) -> Dict[str, str]:
    found = [_ASSIGNMENT.match(line) for line in lines]
    return {each.group(1): " ".join(_words(each.group(2))) for each in found if each}


def _expanded(word: str, environment: Dict[str, str]) -> List[str]:
    alone = re.fullmatch(r"\$(\w+)", word)
    if alone:
        return _words(environment.get(alone.group(1), ""))
    return [re.sub(r"\$\{(\w+)\}", lambda name: environment.get(name.group(1), ""), word)]


def _words(text: str) -> List[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is not closed
        return text.split()
