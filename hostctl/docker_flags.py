"""dockerd's command line. A key of daemon.json that is a flag as well keeps dockerd from starting, and from reloading.

Only flags that set the same option count (moby daemon/config findConfigurationConflicts): `--debug=false` excludes
`debug` as `-D` does; `--log-level` does not. Rules of a command line: spf13/pflag.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Sequence

from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS

FLAGS = {
    MIRRORS: ("--registry-mirror",),
    INSECURE: ("--insecure-registry",),
    DOWNLOADS: ("--max-concurrent-downloads",),
    DEBUG: ("--debug", "-D"),
}
CONFIG_FILE = "--config-file"
LOG_LEVEL = ("--log-level", "-l")
_SHORT_WITH_VALUE = "GHbglps"


def flags(arguments: Sequence[str]) -> Dict[str, str]:
    """The flags and their values; of one that takes none, the value is whatever follows."""
    found: Dict[str, str] = {}
    for place, argument in enumerate(arguments):
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            found[name] = value if equals else following
        elif argument.startswith("-"):
            found.update(_short(argument[1:], following))
    return found


def excluded(keys: Iterable[str], given: Mapping[str, str]) -> Dict[str, str]:
    """Those of our keys among these that are flags as well, each with the flag."""
    return {key: flag for key in keys for flag in FLAGS.get(key, ()) if flag in given}


def value_of(names: Sequence[str], given: Mapping[str, str]) -> str:
    """The value of the first of these flags that is given; empty if none is."""
    values: List[str] = [given[name] for name in names if name in given]
    return values[0] if values else ""


def _short(letters: str, following: str) -> Dict[str, str]:
    """`-DHfd://`: letters in a row, until one that takes the rest as its value."""
    found = {}
    for place, letter in enumerate(letters):
        rest = letters[place + 1 :]
        if letter in _SHORT_WITH_VALUE or rest.startswith("="):
            found[f"-{letter}"] = (rest[1:] if rest.startswith("=") else rest) or following
            break
        found[f"-{letter}"] = following
    return found
