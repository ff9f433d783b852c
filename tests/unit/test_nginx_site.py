"""Decides the text of the rendered nginx site. Cases are files.

That nginx takes it, and what it then does, is decided in tests/programs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from documents import nginx_site
from documents.nginx_text import block, directive, text
from tests.nginx_cases import CASES, settings_of, site_of


def rendered(case: Path) -> nginx_site.NginxSite:
    return site_of(settings_of(case))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_site(case: Path) -> None:
    site = rendered(case)
    assert site.site.text == (case / "http-registry.conf").read_text()
    wish = site.wish()
    assert {each["path"]: each["content"] for each in wish["files"]} == {
        each.path: each.text for each in (*site.documents, *site.more)
    }
    wish["files"] = [[each["path"], each.get("needs")] for each in wish["files"]]
    assert wish == json.loads((case / "wish.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_the_generation_changes_with_the_site_and_with_nothing_else(case: Path) -> None:
    settings = settings_of(case)
    assert rendered(case).generation == site_of(settings).generation
    settings["proxy"]["endpoints"][0]["port"] = 9999
    changed = site_of(settings)
    assert changed.generation != rendered(case).generation
    assert changed.generation in changed.site.text


def test_every_file_says_whose_it_is() -> None:
    for each in rendered(CASES[0]).documents:
        assert each.text.startswith("# Managed by http-registry")


def test_arguments_are_quoted_where_nginx_would_end_them() -> None:
    body = [directive("a", "plain$x"), directive("b", ""), directive("c", 'say "x"'), directive("d", "it's;")]
    body += [directive("e", "x{2}\\.y"), directive("f", "both ' and \""), directive("g", "line\nend")]
    body += [directive("~^a key$", "h")]
    assert text([block("http", body=body)]).splitlines() == [
        "",
        "http {",
        "    a plain$x;",
        '    b "";',
        "    c 'say \"x\"';",
        '    d "it\'s;";',
        '    e "x{2}\\.y";',
        '    f "both \' and \\"";',
        '    g "line\\nend";',
        '    "~^a key$" h;',
        "}",
    ]
