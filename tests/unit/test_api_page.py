"""docs/api.md: made of the code as it is, and nothing in it without a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ops.api import PAGE, page, sources
from ops.api_components import attributes
from ops.api_settings import anchor, sections, text
from ops.api_types import limits, shown
from settings.proxy import Proxy
from tests.checkout import REAL


@pytest.fixture(scope="module")
def made() -> str:
    return page()


def rows(page: str) -> Iterator[list[str]]:
    for line in page.splitlines():
        if line.startswith("| ") and "---" not in line:
            yield [each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_page_is_the_code(made: str) -> None:
    assert PAGE.read_text() == made, "python -m ops.api writes it anew"


def test_everything_has_a_meaning(made: str) -> None:
    """Keys, attributes and outputs by a docstring of their own; a value's type by one, or by its rule."""
    width = 0
    nothing = []
    for cells in rows(made):
        if cells[0] in ("key", "attribute", "name", "type", "argument", "method or property"):
            width, header = len(cells), cells
        assert len(cells) == width, cells
        if not any(cells[1:]) if header[0] == "type" else not cells[-1]:
            nothing.append(cells)
    assert nothing == []


def test_every_argument_of_a_component_has_a_meaning() -> None:
    """In the words of its class, or by a type of this project that has some of its own."""
    for module in sources("components").modules.values():
        for each in module.classes.values():
            if not each.is_alias and each.name.endswith("Args"):
                own = re.compile(r"\b(Host|Tier|Registry|RegistryBase|Runtime)\b")
                unknown = {a.name for a in attributes(each) if not own.search(str(a.annotation))}
                assert {name for name in unknown if not re.search(rf"`{name}[`.]", text(each))} == set(), each.name


def test_every_component_is_there(made: str) -> None:
    tokens = {
        token
        for file in (REAL / "components").glob("*.py")
        for token in re.findall(r'"(http-registry:index:\w+)"', file.read_text())
    }
    assert len(tokens) > 8
    assert [each for each in sorted(tokens) if f"`{each}`" not in made] == []


def test_links_lead_to_headings_and_values(made: str) -> None:
    headings = {anchor(each) for each in re.findall(r"^#+ (.*)$", made, re.MULTILINE)}
    places = headings | set(re.findall(r'<a id="([^"]+)">', made))
    assert {each for each in re.findall(r"\]\(#([^)]+)\)", made)} - places == set()
    assert len(headings) == len(re.findall(r"^#+ ", made, re.MULTILINE)), "two headings have one anchor"


def test_each_kind_of_settings_stands_once_where_a_file_has_it_first() -> None:
    paths = {each.settings.__name__: each.path for each in sections()}
    assert paths["Tier"] == ""
    assert paths["Endpoint"] == "proxy.endpoints"
    assert paths["HostedRegistry"] == "registries (hosted)"
    assert paths["Login"] == "runtimes.docker.logins"


TYPES = {
    "int | None": "number",
    "Annotated[tuple[Mirror, ...], AfterValidator(distinct('serves'))]": "list of <Mirror>",
    "Literal['1.2', '1.3']": "`1.2` or `1.3`",
    "dict[Name, tuple[Port, ...]]": "map of `Name` to list of `Port`",
    "Mapping[str, pulumi.Output[str]]": "map of text to Output of text",
    "Of": "<Mirror> or text",
}


@pytest.mark.parametrize(("source", "read"), TYPES.items())
def test_types_are_in_a_reader_s_words(source: str, read: str) -> None:
    assert shown(source, {"Mirror": "<Mirror>"}.get, {"Of": "Annotated[Mirror | str, 1]"}) == read


def test_limits_are_told() -> None:
    fields = Proxy.model_fields
    assert limits(fields["bcrypt_cost"].metadata) == ", 4 to 14"
    assert limits(fields["endpoints"].metadata) == ", one or more"
    assert limits(fields["users"].metadata) == ""
