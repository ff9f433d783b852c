"""The components' part of docs/api.md: what each declares, its arguments, its attributes, what it offers others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import griffe

from ops.api_settings import SettingsPage, anchor, row, text
from ops.api_types import shown

TOKEN = re.compile(r'"(http-registry:index:\w+)"')
ARGS, COMMON = "args", ("self", "name", "opts", "args", "after")
"""The parameter with a component's arguments, and what constructors have besides those of their own."""


class ComponentsPage:
    """`package`: the sources of `components`. `settings`: where arguments that are settings are told."""

    def __init__(self, package: griffe.Module, settings: SettingsPage) -> None:
        self._settings = settings
        modules = [package.modules[name] for name in sorted(package.modules)]
        self._components = [
            each
            for module in modules
            for each in module.classes.values()
            if not each.is_alias and "ComponentResource" in _bases(each)
        ]
        self._names = {each.name for each in self._components}

    def lines(self) -> Iterator[str]:
        """A heading each."""
        for component in self._components:
            yield from self._component(component)

    def _component(self, component: griffe.Class) -> Iterator[str]:
        made = component.functions["__init__"]
        token = TOKEN.search(component.source)
        assert token, component.path
        yield f"\n### {component.name}\n"
        yield f"{text(component)}\n"
        yield f"`{component.path}({_signature(made)})`; its type in the state is `{token[1]}`.\n"
        if said := text(made):
            yield f"{said}\n"
        own = [each for each in made.parameters if each.name not in COMMON]
        fields = [(each.name, self._type(each.annotation), _default(each.default)) for each in own]
        if ARGS in made.parameters:
            args = component.parent
            assert isinstance(args, griffe.Module)
            of = args.classes[f"{component.name}Args"]
            yield f"**{of.name}.** {text(of)}\n"
            fields += [(each.name, self._type(each.annotation), _default(each.value)) for each in attributes(of)]
        yield "| argument | type | default |"
        yield "| --- | --- | --- |"
        yield from (row(f"`{name}`", kind, default) for name, kind, default in fields)
        if found := attributes(component):
            yield "\n| attribute | type | meaning |"
            yield "| --- | --- | --- |"
            yield from (row(f"`{each.name}`", self._type(each.annotation), text(each)) for each in found)
        if offered := list(_offered(component)):
            yield "\n| method or property | what it does |"
            yield "| --- | --- |"
            yield from (row(f"`{call}`", meaning) for call, meaning in offered)

    def _type(self, annotation: griffe.Expr | str | None) -> str:
        return shown(str(annotation), self._linked, self._settings.aliases)

    def _linked(self, name: str) -> str | None:
        return f"[{name}](#{anchor(name)})" if name in self._names else self._settings.linked(name.rpartition(".")[2])


def attributes(of: griffe.Class) -> list[griffe.Attribute]:
    """The public ones that have a type of their own."""
    found = [each for each in of.attributes.values() if each.is_public and "property" not in each.labels]
    return [each for each in found if each.annotation is not None]


def _bases(of: griffe.Class) -> str:
    return " ".join(str(each) for each in of.bases)


def _signature(function: griffe.Function) -> str:
    """The parameters' names, in order; with a default where they may be left out."""
    words = []
    starred = False
    for each in function.parameters:
        if each.name == "self":
            continue
        if each.kind is griffe.ParameterKind.var_keyword:
            words.append(f"**{each.name}")
            continue
        if each.kind is griffe.ParameterKind.keyword_only and not starred:
            words.append("*")
            starred = True
        words.append(each.name if each.default is None else f"{each.name}={each.default}")
    return ", ".join(words)


def _default(value: griffe.Expr | str | None) -> str:
    if value is None:
        return "required"
    written = str(value)
    if written in ("None", "()", "field(default_factory=dict)"):
        return "none"
    return f"`{written}`"


def _offered(component: griffe.Class) -> Iterator[tuple[str, str]]:
    for name, member in component.members.items():
        if name.startswith("_") or isinstance(member, griffe.Alias):
            continue
        if isinstance(member, griffe.Function):
            yield f"{name}({_signature(member)})", text(member)
        elif isinstance(member, griffe.Attribute) and "property" in member.labels:
            yield name, text(member)
