"""`python -m toolchain`: make sure of an engine and say which; with `env`: print its variables for `eval`; with
`program NAME`: build one of `languages.PROGRAMS` and print where it is."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence

from toolchain.engine import ensure_engine
from toolchain.errors import EngineError
from toolchain.languages import PROGRAMS, built_program

USAGE = (
    "usage: python -m toolchain        make sure that an engine is there, and say which\n"
    '       eval "$(python -m toolchain env)"   and set it up for this shell\n'
    f"       python -m toolchain program NAME      build one of {', '.join(sorted(PROGRAMS))}, and say where it is"
)


def export_lines(variables: Mapping[str, str]) -> list[str]:
    """Shell lines that set `variables`."""
    return [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]


def main(arguments: Sequence[str]) -> int:
    """The command line; gives the exit status."""
    if len(arguments) == 2 and arguments[0] == "program":
        return _program(arguments[1])
    if arguments not in ([], ["env"]):
        print(USAGE, file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        engine = ensure_engine()
    except EngineError as failure:
        print(f"toolchain: {failure}", file=sys.stderr)
        return 1
    if arguments:
        print("\n".join(export_lines(engine.environment)))
    else:
        print(engine.line())
    return 0


def _program(name: str) -> int:
    try:
        print(built_program(name))
    except EngineError as failure:
        print(f"toolchain: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
