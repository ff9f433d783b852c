"""Types of settings and arguments as a reader of the docs reads them: from their source, so that names stay."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from annotated_types import Ge, Le, MinLen

Linked = Callable[[str], str | None]
"""What stands in the page for a name, with its package where it has one; None: the name itself, as code."""
LISTS = ("tuple", "list", "Sequence", "Iterable")
MAPS = ("dict", "Mapping")


def shown(source: str, linked: Linked, aliases: Mapping[str, str] = {}) -> str:
    """`aliases`: sources of types by names that say nothing to a reader."""
    return _shown(ast.parse(source, mode="eval").body, linked, aliases)


def limits(metadata: list[Any]) -> str:
    """What a number or a list may be, such as `, 1 to 64`."""
    low = next((each.ge for each in metadata if isinstance(each, Ge)), None)
    high = next((each.le for each in metadata if isinstance(each, Le)), None)
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", {low} or more"
    return ", one or more" if any(isinstance(each, MinLen) and each.min_length == 1 for each in metadata) else ""


def _shown(node: ast.expr, linked: Linked, aliases: Mapping[str, str]) -> str:
    def inner(each: ast.expr) -> str:
        return _shown(each, linked, aliases)

    match node:
        case ast.BinOp(left=left, right=ast.Constant(value=None)):
            return inner(left)
        case ast.BinOp(left=left, right=right):
            return f"{inner(left)} or {inner(right)}"
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return inner(first)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            values = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return " or ".join(f"`{ast.literal_eval(each)}`" for each in values)
        case ast.Subscript(value=ast.Name(id=name), slice=of) if name in LISTS:
            return f"list of {inner(of.elts[0] if isinstance(of, ast.Tuple) else of)}"
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=[key, value])) if name in MAPS:
            return f"map of {inner(key)} to {inner(value)}"
        case ast.Subscript(value=ast.Attribute(attr="Output"), slice=of):
            return f"Output of {inner(of)}"
        case ast.Name(id=name) if name in aliases:
            return _shown(ast.parse(aliases[name], mode="eval").body, linked, aliases)
        case ast.Name(id="str"):
            return "text"
        case ast.Name(id="int"):
            return "number"
        case ast.Name(id="bool"):
            return "true or false"
    name = ast.unparse(node)
    return linked(name) or f"`{name}`"
