"""A JSON object as text: top-level members are set and deleted in place, every other byte stays where it is."""

from __future__ import annotations

import codecs
import json
import re
from json.decoder import JSONDecodeError, JSONDecoder
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from hostctl.errors import HostError

_SPACE = re.compile(r"[ \t\r\n]*")
DEFAULT_INDENT = "    "


class _Member(NamedTuple):
    """Where one member's key starts and its value starts and ends."""

    key: int
    value: int
    end: int


class JsonText:
    """One JSON object. A byte order mark is dropped: dockerd before 23.0 can't read it, later ones don't need it."""

    def __init__(self, path: str, raw: bytes) -> None:
        self.path = path
        self.text = ""
        self.had_mark = raw.startswith(codecs.BOM_UTF8)
        try:
            self.text = raw[len(codecs.BOM_UTF8) if self.had_mark else 0 :].decode()
        except UnicodeDecodeError as broken:
            raise HostError(f"{path}: is not UTF-8 (byte {broken.start}); write it again as UTF-8") from broken
        if not self.text.strip():
            self.text = "{}\n"
        self.values: Dict[str, Any] = {}
        self._members: Dict[str, _Member] = {}
        self._read()

    @property
    def keys(self) -> List[str]:
        """The names of the members, in order."""
        return list(self._members)

    def encoded(self) -> bytes:
        """The text as bytes."""
        return self.text.encode()

    def error(self, key: str, rule: str) -> HostError:
        """A complaint about the value of one member."""
        line, column = self._place(self._members[key].value)
        return HostError(f"{self.path}, line {line}, column {column}: {key} {rule}; correct it and try again")

    def source(self, key: str) -> Optional[str]:
        """A member's value as it is written, or None."""
        member = self._members.get(key)
        return None if member is None else self.text[member.value : member.end]

    def write(self, key: str, source: str) -> None:
        """Replace a member's value by JSON that is written already."""
        member = self._members[key]
        self._splice(member.value, member.end, source)

    def set(self, key: str, value: Any) -> None:
        """Replace a member's value, or add the member at the end."""
        member = self._members.get(key)
        if member is not None:
            if self.values[key] != value:
                on_one_line = "\n" not in self.text[member.value : member.end]
                self._splice(member.value, member.end, json.dumps(value) if on_one_line else self._shown(value))
            return
        addition = f"{json.dumps(key)}: {self._shown(value)}"
        if self._members:
            end = list(self._members.values())[-1].end
            self._splice(end, end, f",{self._gap}{addition}")
        else:
            start = self.text.index("{")
            break_ = self._line_end
            self._splice(start, self.text.rindex("}") + 1, f"{{{break_}{DEFAULT_INDENT}{addition}{break_}}}")

    def delete(self, key: str) -> None:
        """Take a member out, with the comma and the white space that came with it."""
        member = self._members.get(key)
        if member is None:
            return
        names = self.keys
        place = names.index(key)
        if len(names) == 1:
            self._splice(self.text.index("{"), self.text.rindex("}") + 1, "{}")
        elif place == 0:
            self._splice(member.key, self._members[names[1]].key, "")
        else:
            self._splice(self._members[names[place - 1]].end, member.end, "")

    def _read(self) -> None:
        try:
            self.values = json.loads(self.text, object_pairs_hook=self._without_doubles, parse_constant=self._constant)
        except JSONDecodeError as broken:
            raise HostError(
                f"{self.path}, line {broken.lineno}, column {broken.colno}: is not JSON ({broken.msg}); "
                "correct it and try again"
            ) from broken
        except RecursionError as deep:
            raise HostError(
                f"{self.path}: is nested too deeply to be a configuration; put a working file in its place"
            ) from deep
        except ValueError as long:
            raise HostError(
                f"{self.path}: holds a number with more digits than any option takes; correct it and try again"
            ) from long
        if not isinstance(self.values, dict):
            raise HostError(f"{self.path}, line 1, column 1: must hold an object {{…}}; correct it and try again")
        self._members = self._walk()

    def _walk(self) -> Dict[str, _Member]:
        decoder = JSONDecoder()
        members: Dict[str, _Member] = {}
        at = self._skip(self.text.index("{") + 1)
        while self.text[at] != "}":
            if self.text[at] == ",":
                at = self._skip(at + 1)
            name, after_name = decoder.raw_decode(self.text, at)
            value = self._skip(self._skip(after_name) + 1)
            _, end = decoder.raw_decode(self.text, value)
            members[name] = _Member(at, value, end)
            at = self._skip(end)
        return members

    def _splice(self, start: int, end: int, new: str) -> None:
        self.text = self.text[:start] + new + self.text[end:]
        self._read()

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    @property
    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def _gap(self) -> str:
        """The white space before a member: a line break and an indent, or a blank where all is on one line."""
        first = next(iter(self._members.values()))
        before = self.text[self.text.index("{") + 1 : first.key]
        return before[before.rindex("\n") - ("\r\n" in before) :] if "\n" in before else " "

    def _shown(self, value: Any) -> str:
        gap = self._gap if self._members else self._line_end + DEFAULT_INDENT
        if "\n" not in gap:
            return json.dumps(value)
        indent = gap.lstrip("\r\n")
        return json.dumps(value, indent=indent or DEFAULT_INDENT).replace("\n", gap)

    def _place(self, offset: int) -> Tuple[int, int]:
        line_start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - line_start + 1

    def _without_doubles(self, pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise HostError(f"{self.path}: the key {key!r} is there twice; take one out and try again")
            found[key] = value
        return found

    def _constant(self, name: str) -> Any:
        raise HostError(f"{self.path}: {name} is not a JSON value; correct it and try again")
