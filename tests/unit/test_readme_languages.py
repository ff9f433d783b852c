"""Decides that README.zh-CN.md says what README.md says, as far as a program can see.

The same headings, blocks of commands, rows of tables and paragraphs, in one order, and in each the same code, links,
pictures and figures; only words differ.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tests.checkout import REAL

ENGLISH, CHINESE = (REAL / name for name in ("README.md", "README.zh-CN.md"))
COMMENT = re.compile(r"\s+# .*$|^\s*# .*$", re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)]+)\)")
FIGURE = re.compile(r"\d+(?:\.\d+)?(?: (?:s|min|ms)\b)?")
HAN = re.compile(r"[\u4e00-\u9fff]")
SWITCH = "README"
"""Each page leads to the other one."""


@dataclass(frozen=True)
class Piece:
    """A heading, a block of code, a row of a table, a paragraph. `text`: as it stands there."""

    kind: str
    text: str

    @property
    def same(self) -> object:
        """What is the same in every language."""
        if self.kind == "code":
            return COMMENT.sub("", self.text)
        words = CODE.sub("", self.text)
        links = [each for each in LINK.findall(words) if not each.startswith(SWITCH)]
        figures = FIGURE.findall(LINK.sub("]", words))
        return Counter(CODE.findall(self.text)), Counter(links), Counter(figures)


def pieces(page: str) -> list[Piece]:
    """The page in order."""
    found: list[Piece] = []
    for block in re.split(r"\n\n+(?! {4})", page.strip()):
        lines = block.splitlines()
        if block.startswith("```") or all(line.startswith("    ") or not line for line in lines):
            found.append(Piece("code", block))
        elif block.startswith("#"):
            found.append(Piece(lines[0].partition(" ")[0], block))
        elif block.startswith("|"):
            found += [Piece(f"row of {line.count(' | ')}", line) for line in lines]
        else:
            found.append(Piece("paragraph", block))
    return found


def test_both_pages_have_the_same_pieces() -> None:
    english, chinese = (pieces(each.read_text()) for each in (ENGLISH, CHINESE))
    assert len(english) > 50
    for one, other in zip(english, chinese, strict=False):
        assert one.kind == other.kind, f"{one.text}\n{other.text}"
        assert one.same == other.same, f"{one.text}\n{other.text}"
    assert len(english) == len(chinese)


def test_nothing_is_left_untranslated() -> None:
    english = {each.text for each in pieces(ENGLISH.read_text())}
    title, *others = [each for each in pieces(CHINESE.read_text()) if each.kind != "code"]
    words = [each.text for each in others if re.search("[A-Za-z]", FIGURE.sub("", CODE.sub("", each.text)))]
    assert title.text in english
    assert [each for each in words if not HAN.search(each)] == []
    assert english & set(words) == set()
