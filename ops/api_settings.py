"""The settings' part of docs/api.md: every key of a stack's file, with type, default and meaning."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import griffe
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ops.api_types import limits, shown
from settings.tier import Tier
from settings.values import Settings

VALUE = ("str", "int")
"""What a value's type is made of; other aliases are lists and unions."""


@dataclass(frozen=True)
class Section:
    """A table of keys. `path`: where in the file, such as `proxy.endpoints`."""

    path: str
    settings: type[Settings]

    @property
    def heading(self) -> str:
        """What it is called."""
        return self.path or "the stack's file"

    @property
    def link(self) -> str:
        """To its heading."""
        return f"[{self.heading}](#{anchor(self.heading)})"


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return "".join(each for each in heading.lower().replace(" ", "-") if each.isalnum() or each in "-_")


def sections() -> list[Section]:
    """All kinds of settings, each where a stack's file has it first."""
    found: dict[type[Settings], Section] = {}

    def walk(path: str, of: type[Settings]) -> None:
        if of in found:
            return
        found[of] = Section(path, of)
        for key, field in of.model_fields.items():
            kinds = list(_settings_in(field.annotation))
            for kind in kinds:
                inner = f"{path}.{key}" if path else key
                walk(inner if len(kinds) == 1 else f"{inner} ({_kind(kind)})", kind)

    walk("", Tier)
    return list(found.values())


def _settings_in(annotation: Any) -> Iterator[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for each in get_args(annotation):
        yield from _settings_in(each)


def _kind(settings: type[Settings]) -> str:
    """Which of several: what its `kind` is."""
    return str(get_args(settings.model_fields["kind"].annotation)[0])


class SettingsPage:
    """`package`: the sources of `settings`."""

    def __init__(self, package: griffe.Module) -> None:
        self._sections = sections()
        self._links = {each.settings.__name__: each.link for each in self._sections}
        self._package = package
        self.aliases: dict[str, str] = {}
        """Sources of lists and unions, by the names that settings have for them."""
        self._values: dict[str, griffe.Attribute] = {}
        for module in package.modules.values():
            for name, each in module.attributes.items():
                self._sort(name, each)
        self._used: set[str] = set()

    def _sort(self, name: str, attribute: griffe.Attribute) -> None:
        source = str(attribute.value)
        if name[0].isupper() and source.startswith(("Annotated[", "Literal[")):
            of = ast.parse(source, mode="eval").body
            first = of.slice.elts[0] if isinstance(of, ast.Subscript) and isinstance(of.slice, ast.Tuple) else of
            if isinstance(first, ast.Name) and first.id in VALUE:
                self._values[name] = attribute
            else:
                self.aliases[name] = source

    def lines(self) -> Iterator[str]:
        """The tables."""
        for section in self._sections:
            source = self._source(section.settings)
            yield f"\n### {section.heading}\n"
            yield f"{text(source)}\n"
            yield "| key | type | default | meaning |"
            yield "| --- | --- | --- | --- |"
            for key, field in section.settings.model_fields.items():
                member = source.all_members[key]
                member = member.final_target if isinstance(member, griffe.Alias) else member
                assert isinstance(member, griffe.Attribute)
                yield row(f"`{key}`", self._type(member, field), default(field), text(member))
        yield "\n### Values\n"
        yield "| type | what it is | rule |"
        yield "| --- | --- | --- |"
        for name in sorted(self._used):
            value = self._values[name]
            yield row(f'<a id="value-{name.lower()}"></a>{name}', text(value), rule(value))

    def linked(self, name: str) -> str | None:
        """A link to a kind of settings, or to a value's type."""
        if name in self._values:
            self._used.add(name)
            return f"[{name}](#value-{name.lower()})"
        return self._links.get(name)

    def _type(self, member: griffe.Attribute, field: FieldInfo) -> str:
        found = shown(str(member.annotation), self.linked, self.aliases)
        # A value's own limits stand with it.
        return found + limits(field.metadata) if found.startswith(("number", "list")) else found

    def _source(self, settings: type[Settings]) -> griffe.Class:
        found = self._package[settings.__module__.partition(".")[2]][settings.__name__]
        assert isinstance(found, griffe.Class)
        return found


def default(field: FieldInfo) -> str:
    """What counts where the key is absent."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return ""
    if isinstance(value, Settings):
        return "its defaults"
    if isinstance(value, tuple | Mapping):
        assert not value
        return "none"
    return f"`{json.dumps(value)}`"


def rule(value: griffe.Attribute) -> str:
    """What an error says that a value must be; empty where its docstring says it."""
    annotated = ast.parse(str(value.value), mode="eval").body
    calls = [each for each in ast.walk(annotated) if isinstance(each, ast.Call)]
    return next((str(ast.literal_eval(each.args[1])) for each in calls if ast.unparse(each.func) == "matching"), "")


def text(documented: griffe.Object) -> str:
    """A docstring as prose: one line a paragraph."""
    if documented.docstring is None:
        return ""
    paragraphs = documented.docstring.value.strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in each.splitlines()) for each in paragraphs)


def row(*cells: str) -> str:
    """A row of a table: no paragraphs, no stray bars."""
    return f"| {' | '.join(each.replace('|', chr(92) + '|').replace(chr(10) * 2, ' ') for each in cells)} |"
