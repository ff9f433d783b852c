"""nginx configuration as data, and its one text form.

Quoting as ngx_conf_read_token reads it: inside quotes a backslash counts only before a quote, a backslash, t, r or n.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ESCAPES = re.compile(r"""\\(?=["'\\trn]|$)""")
_PLAIN = re.compile(r"[^\s;{}\"'\\#]+")


@dataclass(frozen=True)
class Directive:
    """`name args;` or, with a block, `name args { block }`."""

    name: str
    args: tuple[str, ...] = ()
    block: tuple[Directive, ...] | None = None

    def lines(self) -> Iterable[str]:
        """The text's lines, without line ends."""
        head = " ".join(map(quoted, [self.name, *self.args]))
        if self.block is None:
            yield f"{head};"
            return
        yield f"{head} {{"
        for each in self.block:
            yield from (f"    {line}" for line in each.lines())
        yield "}"


def directive(name: str, *args: str | int) -> Directive:
    """A directive without a block."""
    return Directive(name, tuple(map(str, args)))


def block(name: str, *args: str, body: Iterable[Directive]) -> Directive:
    """A directive with a block."""
    return Directive(name, args, tuple(body))


def is_by_path(one: Directive) -> bool:
    """Whether it is a location that requests come to by their path, among others of its kind."""
    return one.name == "location" and one.args[0] in ("~", "/")


def text(directives: Iterable[Directive]) -> str:
    """The file's text; a blank line before each block."""
    lines: list[str] = []
    for each in directives:
        lines += ["", *each.lines()] if each.block is not None else each.lines()
    return "\n".join(lines) + "\n"


def quoted(argument: str) -> str:
    """The argument as one token. Variables stay variables."""
    if _PLAIN.fullmatch(argument):
        return argument
    mark = "'" if '"' in argument and "'" not in argument else '"'
    return mark + _ESCAPES.sub(r"\\\\", argument).replace("\n", "\\n").replace(mark, "\\" + mark) + mark
