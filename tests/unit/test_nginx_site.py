"""Decides the text of the rendered nginx site, and that the real nginx takes it. Cases are files.

What the site does is decided in test_nginx_behaviour.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from documents import nginx_site
from documents.nginx_text import block, directive, text
from hostctl.nginx_conf import OURS
from settings import parse

CASES = sorted((Path(__file__).parents[1] / "cases" / "nginx_site").iterdir())
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def rendered(case: Path) -> nginx_site.NginxSite:
    return nginx_site.render(parse(yaml.safe_load((case / "in.yaml").read_text())))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_site(case: Path) -> None:
    site = rendered(case)
    assert site.site.text == (case / "http-registry.conf").read_text()
    wish = site.wish()
    assert {each["path"]: each["content"] for each in wish["files"]} == {
        each.path: each.text for each in site.documents
    }
    wish["files"] = [[each["path"], each.get("needs")] for each in wish["files"]]
    assert wish == json.loads((case / "wish.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_the_generation_changes_with_the_site_and_with_nothing_else(case: Path) -> None:
    settings = yaml.safe_load((case / "in.yaml").read_text())
    assert rendered(case).generation == nginx_site.render(parse(settings)).generation
    settings["proxy"]["endpoints"][0]["port"] = 9999
    changed = nginx_site.render(parse(settings))
    assert changed.generation != rendered(case).generation
    assert changed.generation in changed.site.text


def test_every_file_says_whose_it_is() -> None:
    for each in rendered(CASES[0]).documents:
        assert each.text.startswith("# Managed by http-registry")


@pytest.mark.lab
@pytest.mark.skipif(NGINX is None, reason="needs nginx")
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_nginx_takes_it(case: Path, tmp_path: Path) -> None:
    site = rendered(case)
    places = {OURS: f"{tmp_path}/ours", nginx_site.CACHES: f"{tmp_path}/cache", "/var/log/nginx": str(tmp_path)}
    (tmp_path / "cache").mkdir()
    for each in site.documents:
        path = tmp_path / each.path.replace(OURS, "ours").lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = each.text
        for old, new in places.items():
            text = text.replace(old, new)
        path.write_text(text)
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"events {{}} pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"http {{ access_log off; include {tmp_path}/etc/nginx/conf.d/*.conf; }}\n"
    )
    assert NGINX is not None
    done = subprocess.run([NGINX, "-t", "-c", str(main)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_arguments_are_quoted_where_nginx_would_end_them() -> None:
    body = [directive("a", "plain$x"), directive("b", ""), directive("c", 'say "x"'), directive("d", "it's;")]
    body += [directive("e", "x{2}\\.y"), directive("f", "both ' and \""), directive("g", "line\nend")]
    assert text([block("http", body=body)]).splitlines() == [
        "",
        "http {",
        "    a plain$x;",
        '    b "";',
        "    c 'say \"x\"';",
        '    d "it\'s;";',
        '    e "x{2}\\\\.y";',
        '    f "both \' and \\"";',
        '    g "line\\nend";',
        "}",
    ]
