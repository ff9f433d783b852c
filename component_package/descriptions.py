"""What the settings' own docstrings say of each key: the one source of every SDK's documentation."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from settings import values
from settings.values import Settings


@cache
def of_fields(model: type[Settings]) -> Mapping[str, str]:
    """Each field's docstring, or else what its type says; a field of a base is documented there."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, Settings) and each is not Settings:
            found |= {name: text for name, text in _own(each).items() if text or name not in found}
    return {name: text for name, text in found.items() if text}


def of_class(model: type[Settings]) -> str:
    """The docstring of the model itself."""
    return inspect.cleandoc(vars(model).get("__doc__") or "")


def _own(model: type[Settings]) -> dict[str, str]:
    documented = _tree(inspect.getfile(model))
    names = {**_aliases(inspect.getfile(values)), **_aliases(inspect.getfile(model))}
    body = next(each.body for each in documented.body if isinstance(each, ast.ClassDef) and each.name == model.__name__)
    return {
        field: text or _of_type(annotation, names, model)
        for field, annotation, text in _documented(body)
        if not field.startswith("_")
    }


def _of_type(annotation: ast.expr | None, names: Mapping[str, str], model: type[Settings]) -> str:
    """What the first type in an annotation that has a docstring says: a value's alias, or other settings."""
    module = inspect.getmodule(model)
    for each in ast.walk(annotation) if annotation else ():
        if isinstance(each, ast.Name):
            kind = getattr(module, each.id, None)
            if inspect.isclass(kind) and issubclass(kind, Settings):
                return of_class(kind).partition("\n\n")[0]
            if each.id in names:
                return names[each.id]
    return ""


@cache
def _aliases(file: str) -> Mapping[str, str]:
    return {name: text for name, _, text in _documented(_tree(file).body) if text}


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | None, str]]:
    """Each name that is given a type or a value there: the name, its annotation, the docstring below it."""
    for each, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield each.target.id, each.annotation, inspect.cleandoc(str(text))
        elif isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            yield each.targets[0].id, None, inspect.cleandoc(str(text))


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text())
