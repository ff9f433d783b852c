"""Decides that the real nginx takes each rendered site, without a warning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import crossplane
import pytest

from documents import nginx_site
from documents.nginx_text import Directive, text
from hostctl.nginx_conf import OURS, RUN
from hostctl.units.origin import SOCKET as ORIGIN_SOCKET
from tests.certificates import authority, server
from tests.nginx_cases import CASES, settings_of, site_of
from tests.programs.nginx import nginx

SKIPPED = {
    "default_server_flag": "another site of the host may have it, and two are an error",
    "proxy_pass_normalized": "what stands behind the host is $request_uri, and only plain paths come so far",
    "ssl_stapling_without_resolver": "nginx then asks the addresses that it found at its start",
    "hsts_header": "judges the inner servers too, which are sockets",
    "missing_resolver": "the variable names an upstream block of ours",
    "weak_ssl_tls": "judges the inner servers, which are sockets; handshakes are tried in test_nginx_tls",
}
"""Checks of gixy that are left out, and why."""


def written(case: Path, tmp_path: Path) -> Path:
    """The main file of an nginx with the site of a case."""
    own = authority()
    signed = server("registry.test", own, "192.168.1.11", ocsp="http://127.0.0.1:1/")
    site = site_of(settings_of(case), signed.pem + own.pem, own.pem)
    places = {OURS: f"{tmp_path}/ours", nginx_site.CACHES: f"{tmp_path}/cache", "/var/log/nginx": str(tmp_path)}
    places |= {RUN: f"{tmp_path}/run", ORIGIN_SOCKET: f"{tmp_path}/origin.sock"}
    for folder in ("cache", "run", "ours"):
        (tmp_path / folder).mkdir()
    keys = {each.tls.key_name(each.registry): signed.private for each in site.endpoints if each.tls}
    files = {each.path: each.text for each in (*site.documents, *site.more)}
    files |= {each["path"]: each["content"] for each in site.secrets(keys)}
    files[f"{OURS}/passwords.conf"] = "map $host $http_registry_passwords { default 1; }\n"
    for name, content in files.items():
        path = tmp_path / name.replace(OURS, "ours").lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        for old, new in places.items():
            content = content.replace(old, new)
        path.write_text(content)
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"events {{}} pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"include {tmp_path}/etc/nginx/conf.d/*.conf; }}\n"
    )
    return main


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_nginx_takes_it(case: Path, tmp_path: Path) -> None:
    main = written(case, tmp_path)
    done = subprocess.run([nginx(), "-t", "-c", str(main)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_another_parser_reads_what_we_meant(case: Path) -> None:
    read = crossplane.parse(str(case / "http-registry.conf"), single=True, combine=False, check_ctx=False)
    assert read["status"] == "ok"
    again = text(each for line in read["config"][0]["parsed"] if (each := _directive(line)) is not None)
    written_by_us = (case / "http-registry.conf").read_text().split("\n", 1)[1]
    assert again == written_by_us


def _directive(line: dict[str, Any]) -> Directive | None:
    if line["directive"].startswith("#"):
        return None
    body = line.get("block")
    arguments = tuple(line["args"])
    if line["directive"] == "if":
        # crossplane takes the parentheses off
        arguments = (f"({arguments[0]}", *arguments[1:])
        arguments = (*arguments[:-1], f"{arguments[-1]})")
    return Directive(
        line["directive"],
        arguments,
        None if body is None else tuple(each for item in body if (each := _directive(item)) is not None),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_gixy_finds_nothing(case: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).parent / "gixy",
            "-f",
            "json",
            "--skips",
            ",".join(SKIPPED),
            str(written(case, tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout) == [], done.stdout + done.stderr
