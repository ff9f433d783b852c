"""Decides the text of TLS in nginx. What clients then meet is decided in tests/programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from documents import nginx_tls
from documents.nginx_text import directive, text
from hostctl import ktls
from settings.tls import Hsm, Tls

HSM = Hsm(module="/usr/lib/softhsm/libsofthsm2.so", token='a "b"; c', object="web/key")
DEBIAN = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.22 25 Aug 2026 (running with OpenSSL 3.0.19)\n"


def tls(**more: Any) -> Tls:
    return Tls(certificate="web.pem", **more)


def lines(of: Tls, staples: bool = False) -> list[str]:
    return text(nginx_tls.server(of, "web", staples)).splitlines()


def test_a_server_block() -> None:
    assert lines(tls()) == [
        "ssl_certificate /etc/nginx/http-registry/tls/web.crt;",
        "ssl_certificate_key /etc/nginx/http-registry/tls/web.key;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;",
        "ssl_prefer_server_ciphers off;",
        "ssl_session_cache shared:http-registry-tls:10m;",
        "ssl_session_timeout 1d;",
        "ssl_session_tickets off;",
        "output_buffers 2 512k;",
        "include /etc/nginx/http-registry/tls/ktls/*.conf;",
    ]


@pytest.mark.parametrize(
    ("more", "staples", "line"),
    [
        ({"minimum": "1.3"}, False, "ssl_protocols TLSv1.3;"),
        ({"hsts": "365d"}, False, "add_header Strict-Transport-Security max-age=31536000 always;"),
        ({}, True, "ssl_stapling on;"),
    ],
)
def test_what_a_setting_adds(more: dict[str, Any], staples: bool, line: str) -> None:
    assert line in lines(tls(**more), staples)
    assert line not in lines(tls())


def test_a_key_in_a_token_is_named_and_its_pin_stands_in_a_file_of_its_own() -> None:
    assert lines(tls(hsm=HSM))[1] == (
        'ssl_certificate_key "engine:pkcs11:pkcs11:token=a%20%22b%22%3B%20c;object=web%2Fkey;type=private;'
        'pin-source=file:/etc/nginx/http-registry/tls/web.pin";'
    )
    pin = nginx_tls.secret(tls(hsm=HSM), "web", "1234\n")
    assert (pin.path, pin.text, pin.mode) == ("/etc/nginx/http-registry/tls/web.pin", "1234", 0o600)


def test_a_private_key_is_root_s_alone() -> None:
    key = nginx_tls.secret(tls(), "web", "KEY")
    assert (key.path, key.mode) == ("/etc/nginx/http-registry/tls/web.key", 0o600)
    assert key.text.splitlines()[1:] == ["KEY"]
    assert nginx_tls.certificate("web", "PEM\n").mode == 0o644


def test_openssl_keeps_the_system_s_settings_and_loads_the_module() -> None:
    conf = nginx_tls.openssl_conf(HSM)
    assert conf.path == "/etc/nginx/http-registry/tls/openssl.cnf"
    assert ".include /etc/ssl/openssl.cnf\n" in conf.text
    assert "MODULE_PATH = /usr/lib/softhsm/libsofthsm2.so\ninit = 1\n" in conf.text
    assert nginx_tls.service_lines() == (f"Environment=OPENSSL_CONF={conf.path}",)


def test_the_redirect_says_who_may_ask_before_it_answers() -> None:
    server = nginx_tls.redirect("https://a:444", "a", 80, directive("listen", "[::]:80"))
    assert text([server]).splitlines()[1:] == [
        "server {",
        "    listen 80;",
        "    server_name a;",
        "    server_tokens off;",
        "    listen [::]:80;",
        "    location / {",
        "        return 308 https://a:444$request_uri;",
        "    }",
        "}",
    ]


@pytest.mark.parametrize(
    ("build", "protocols", "able"),
    [
        (DEBIAN, "espintcp mptcp tls\n", True),
        (DEBIAN, "mptcp\n", False),
        (DEBIAN, None, False),
        (DEBIAN.replace("1.22.1", "1.21.3"), "tls\n", False),
        (DEBIAN.replace("OpenSSL 3.0.22", "OpenSSL 1.1.1w"), "tls\n", False),
        ("nginx version: openresty\n", "tls\n", False),
    ],
)
def test_hosts_whose_kernel_encrypts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: str, protocols: str | None, able: bool
) -> None:
    monkeypatch.setattr(ktls, "PROTOCOLS", tmp_path / "protocols")
    if protocols is not None:
        (tmp_path / "protocols").write_text(protocols)
    assert ktls.able(build) is able
