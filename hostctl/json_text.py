"""A JSON object as text: members, nested ones too, are set and deleted in place; every other byte stays where it is."""

from __future__ import annotations

import codecs
import json
import re
from json.decoder import JSONDecodeError, JSONDecoder
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from hostctl.errors import HostError

_SPACE = re.compile(r"[ \t\r\n]*")
DEFAULT_INDENT = "    "


class _Member(NamedTuple):
    """Where one member's key starts and its value starts and ends."""

    key: int
    value: int
    end: int


class JsonObject:
    """One object within a text, by the names that lead to it; it may change, but must stay an object."""

    def __init__(self, whole: JsonText, names: Tuple[str, ...]) -> None:
        self._whole = whole
        self._names = names

    @property
    def values(self) -> Dict[str, Any]:
        """The object."""
        found = self._whole.document
        for name in self._names:
            found = found[name]
        return found

    @property
    def keys(self) -> List[str]:
        """The names of the members, in order."""
        return list(self.values)

    def inside(self, key: str) -> JsonObject:
        """The object that is a member's value. Raises HostError where it is none."""
        if not isinstance(self.values[key], dict):
            raise self.error(key, "must be an object {…}")
        return JsonObject(self._whole, (*self._names, key))

    def error(self, key: str, rule: str) -> HostError:
        """A complaint about the value of one member."""
        line, column = self._whole.place(self._members[key].value)
        name = ".".join((*self._names, key))
        return HostError(f"{self._whole.path}, line {line}, column {column}: {name} {rule}; correct it and try again")

    def source(self, key: str) -> Optional[str]:
        """A member's value as it is written, or None."""
        member = self._members.get(key)
        return None if member is None else self._whole.text[member.value : member.end]

    def write(self, key: str, source: str) -> None:
        """Replace a member's value by JSON that is written already."""
        member = self._members[key]
        self._whole.splice(member.value, member.end, source)

    def set(self, key: str, value: Any) -> None:
        """Replace a member's value, or add the member at the end."""
        members = self._members
        if key in members:
            if self.values[key] != value:
                on_one_line = "\n" not in str(self.source(key))
                self.write(key, json.dumps(value) if on_one_line else self._shown(value))
        elif members:
            end = list(members.values())[-1].end
            self._whole.splice(end, end, f",{self._gap}{json.dumps(key)}: {self._shown(value)}")
        else:
            self._fill(key, value)

    def delete(self, key: str) -> None:
        """Take a member out, with the comma and the white space that came with it."""
        members = self._members
        if key not in members:
            return
        names = self.keys
        place = names.index(key)
        if len(names) == 1:
            self._whole.splice(*self._extent, "{}")
        elif place == 0:
            self._whole.splice(members[key].key, members[names[1]].key, "")
        else:
            self._whole.splice(members[names[place - 1]].end, members[key].end, "")

    @property
    def _extent(self) -> Tuple[int, int]:
        """From the opening brace to behind the closing one."""
        member = self._parent._members[self._names[-1]]
        return member.value, member.end

    @property
    def _parent(self) -> JsonObject:
        return JsonObject(self._whole, self._names[:-1]) if len(self._names) > 1 else self._whole

    @property
    def _members(self) -> Dict[str, _Member]:
        return self._whole.members(self._extent[0])

    def _fill(self, key: str, value: Any) -> None:
        """Add the first member."""
        self._parent.write(self._names[-1], self._parent._shown({key: value}))

    @property
    def _gap(self) -> str:
        """The white space before a member: a line break and an indent, or a blank where all is on one line."""
        start, _ = self._extent
        before = self._whole.text[start + 1 : next(iter(self._members.values())).key]
        return before[before.rindex("\n") - ("\r\n" in before) :] if "\n" in before else " "

    def _shown(self, value: Any) -> str:
        gap = self._gap if self._members else self._whole.line_end + DEFAULT_INDENT
        return json.dumps(value, indent=self._whole.indent).replace("\n", gap) if "\n" in gap else json.dumps(value)


class JsonText(JsonObject):
    """The object that a whole text is.

    Without a file, or in an empty one, it has no members. A byte order mark is dropped: dockerd before 23.0 and
    Docker's command line can't read it, nobody needs it.
    """

    def __init__(self, path: str, raw: Optional[bytes]) -> None:
        super().__init__(self, ())
        self.path = path
        self.text = ""
        mark = codecs.BOM_UTF8 if raw and raw.startswith(codecs.BOM_UTF8) else b""
        try:
            text = (raw or b"")[len(mark) :].decode()
        except UnicodeDecodeError as broken:
            raise HostError(f"{path}: is not UTF-8 (byte {broken.start}); write it again as UTF-8") from broken
        self.text = text if text.strip() else "{}\n"
        self.document: Dict[str, Any] = {}
        self._read()
        self.origin: Dict[str, Any] = {"created": raw is None, "mark": bool(mark)}
        """What `given_back` has to know of the file as it was."""
        if raw is not None and not self.document:
            self.origin["empty"] = text

    def encoded(self) -> bytes:
        """The text as bytes."""
        return self.text.encode()

    def given_back(self, origin: Mapping[str, Any]) -> Optional[bytes]:
        """The text for a file of that `origin`, once our members are out of it. None: the file was not there."""
        if not self.document and origin["created"]:
            return None
        # Records of an earlier hostctl hold no `mark` and no `empty`.
        mark = codecs.BOM_UTF8 if origin.get("mark") else b""
        return mark + (self.text if self.document else origin.get("empty", self.text)).encode()

    @property
    def line_end(self) -> str:
        """How lines end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def indent(self) -> str:
        """What a level of nesting adds to the indent."""
        gap = self._gap if self._members else ""
        return gap.strip("\r\n") or DEFAULT_INDENT

    def splice(self, start: int, end: int, new: str) -> None:
        """Replace a part of the text."""
        self.text = self.text[:start] + new + self.text[end:]
        self._read()

    def place(self, offset: int) -> Tuple[int, int]:
        """Line and column, from 1."""
        line_start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - line_start + 1

    def members(self, start: int) -> Dict[str, _Member]:
        """The members of the object whose brace is at `start`, in order."""
        decoder = JSONDecoder()
        members: Dict[str, _Member] = {}
        at = self._skip(start + 1)
        while self.text[at] != "}":
            if self.text[at] == ",":
                at = self._skip(at + 1)
            name, after_name = decoder.raw_decode(self.text, at)
            value = self._skip(self._skip(after_name) + 1)
            _, end = decoder.raw_decode(self.text, value)
            members[name] = _Member(at, value, end)
            at = self._skip(end)
        return members

    @property
    def _extent(self) -> Tuple[int, int]:
        return self.text.index("{"), self.text.rindex("}") + 1

    def _fill(self, key: str, value: Any) -> None:
        break_ = self.line_end
        addition = f"{json.dumps(key)}: {self._shown(value)}"
        self.splice(*self._extent, f"{{{break_}{DEFAULT_INDENT}{addition}{break_}}}")

    def _read(self) -> None:
        try:
            document = json.loads(self.text, object_pairs_hook=self._without_doubles, parse_constant=self._constant)
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
        if not isinstance(document, dict):
            raise HostError(f"{self.path}, line 1, column 1: must hold an object {{…}}; correct it and try again")
        self.document = document

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _without_doubles(self, pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise HostError(f"{self.path}: the key {key!r} is there twice; take one out and try again")
            found[key] = value
        return found

    def _constant(self, name: str) -> Any:
        raise HostError(f"{self.path}: {name} is not a JSON value; correct it and try again")
