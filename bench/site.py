"""The files of the bench on the registry host: the product's own as they are rendered, moved to its folder; the rivals.

Pure. The rivals stand in the same nginx, with the same workers. Files and the pull-through cache have what their own
documentation recommends; what a blog post's `proxy_cache` looks like is told by a search for "docker registry nginx
proxy_cache".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bench.places import (
    ADDRESS,
    CACHE,
    FOLDER,
    LOCKED,
    LOGS,
    NAME,
    PASSWORD,
    PLAIN,
    PLAIN_LOCKED,
    PULL_THROUGH_PORT,
    RUN,
    STATIC,
    STATIC_TLS,
    USER,
    WWW,
)
from documents import nginx_site, nginx_tls, origin
from documents.document import Document
from documents.nginx_text import Directive, block, directive, text
from hostctl import bcrypt_hash
from hostctl.nginx_conf import MAIN, OPEN_FILES, OURS, PASSWORD_FILES, PASSWORDS_CONF, PULLERS, SITE
from hostctl.nginx_conf import RUN as LIVE_RUN
from hostctl.units import origin as unit
from settings.server_certificates import ServerCertificate
from settings.tier import Tier
from settings.tls import Tls

ETC = f"{FOLDER}/etc"
UNITS = "/run/systemd/system"
NGINX, ORIGIN = f"{NAME}-nginx.service", f"{NAME}-origin"
MOVED = {
    SITE: f"{FOLDER}/conf.d/http-registry.conf",
    nginx_site.CACHES: CACHE,
    OURS: ETC,
    LIVE_RUN: RUN,
    "/var/log/nginx": LOGS,
    unit.PROGRAM: f"{FOLDER}/origin",
    unit.CONFIG: f"{FOLDER}/origin.json",
    "/etc/systemd/system": UNITS,
    unit.SERVICE: ORIGIN,
}
"""In this order: a path before what is part of it."""
TLS_KEY = "mirror-tls"
REACHED = "30s"


@dataclass(frozen=True)
class Optional:
    """A file for hosts that have an ability (`needs`)."""

    document: Document
    needs: str


def moved(document: Document) -> Document:
    """The file with the bench's places in place of the product's."""
    path, content = document.path, document.text
    for old, new in MOVED.items():
        path, content = path.replace(old, new), content.replace(old, new)
    return replace(document, path=path, text=content)


def product(
    tier: Tier, certificates: Mapping[str, ServerCertificate], key: str
) -> tuple[list[Document], list[Optional]]:
    """nginx's site, its password files, the origin service; and what only some hosts can use."""
    rendered = nginx_site.render(tier, certificates)
    service = origin.render(tier, {})
    assert service
    users = f"{USER}:{bcrypt_hash.make(PASSWORD, rendered.bcrypt_cost)}\n"
    made_on_hosts = [
        Document(PULLERS, users, 0o640),
        *(Document(each, "", 0o640) for each in PASSWORD_FILES if each != PULLERS),
        Document(PASSWORDS_CONF, "map $host $http_registry_passwords { default 1; }\n"),
        nginx_tls.secret(Tls(certificate=""), TLS_KEY, key),
    ]
    files = [*made_on_hosts, rendered.site, *rendered.more, *map(_for_workers, service.files)]
    return [moved(each) for each in files], [Optional(moved(each), needs) for each, needs in rendered.optional]


def _for_workers(document: Document) -> Document:
    """As hostctl does it: the socket is for nginx's workers."""
    return replace(document, text=document.text.replace("[Socket]\n", "[Socket]\nSocketUser=www-data\n"))


def nginx_unit() -> Document:
    """The bench's nginx: with a folder in /run as the live one has it."""
    lines = (
        "[Service]",
        f"RuntimeDirectory={NAME}",
        "RuntimeDirectoryMode=0710",
        "Group=www-data",
        f"LimitNOFILE={OPEN_FILES}",
        f"ExecStartPre=/usr/sbin/nginx -t -q -c {FOLDER}/nginx.conf",
        f"ExecStart=/usr/sbin/nginx -c {FOLDER}/nginx.conf -g 'daemon off;'",
        "KillMode=mixed",
        "TimeoutStopSec=5",
    )
    return Document(f"{UNITS}/{NGINX}", "".join(f"{line}\n" for line in lines))


def main_file() -> str:
    """A shell script that makes the bench's main file of the host's own."""
    changes = (
        f"s#^pid .*#pid {FOLDER}/nginx.pid;#",
        f"s#/var/log/nginx/#{LOGS}/#",
        f"s#/etc/nginx/conf.d/#{FOLDER}/conf.d/#",
        "/modules-enabled/d",
        "/sites-enabled/d",
    )
    return f"sed {' '.join(f'-e {each!r}' for each in changes)} {MAIN} > {FOLDER}/nginx.conf"


def rivals() -> Document:
    """The rivals that are nginx."""
    upstream = block(
        "upstream",
        "pull-through",
        body=[directive("server", f"{ADDRESS}:{PULL_THROUGH_PORT}"), directive("keepalive", 32)],
    )
    zones = [
        directive("proxy_cache_path", f"{CACHE}/{each}", "levels=1:2", f"keys_zone={each}:10m", *more)
        for each, more in {
            "locked": ("max_size=10g", "inactive=30d", "use_temp_path=off"),
            "plain": ("max_size=10g", "inactive=24h", "use_temp_path=off"),
            "plain-locked": ("max_size=10g", "inactive=24h", "use_temp_path=off"),
        }.items()
    ]
    tls = [*nginx_tls.server(Tls(certificate=""), TLS_KEY, staples=False)]
    servers = [
        _server(STATIC, [directive("root", WWW)]),
        # The files' TLS is as the product's: what is compared is what happens before it.
        _server(STATIC_TLS, [directive("root", WWW), *map(_moved, tls)], "ssl"),
        _server(LOCKED, [_passing(_locked())]),
        _server(PLAIN, [_passing(_plain("plain"))]),
        _server(PLAIN_LOCKED, [_passing([*_plain("plain-locked"), directive("proxy_cache_lock", "on")])]),
    ]
    return Document(f"{FOLDER}/conf.d/rivals.conf", text([upstream, *zones, *servers]))


def _server(port: int, body: Iterable[Directive], *listen: str) -> Directive:
    return block("server", body=[directive("listen", port, *listen), *body])


def _passing(cache: Iterable[Directive]) -> Directive:
    body = [directive("proxy_pass", "http://pull-through"), directive("proxy_set_header", "Host", "$http_host"), *cache]
    return block("location", "/v2/", body=body)


def _locked() -> list[Directive]:
    """The best that can be had before distribution's own cache: whole blobs, and a lock that waits."""
    return [
        directive("proxy_cache", "locked"),
        directive("proxy_cache_key", "$request_method $uri"),
        directive("proxy_cache_valid", 200, "365d"),
        directive("proxy_cache_lock", "on"),
        directive("proxy_cache_lock_timeout", "1h"),
        directive("proxy_cache_lock_age", "1h"),
        directive("proxy_http_version", "1.1"),
        directive("proxy_set_header", "Connection", ""),
        directive("proxy_read_timeout", "15m"),
        directive("proxy_max_temp_file_size", "1024m"),
    ]


def _plain(zone: str) -> list[Directive]:
    """As the blog posts have it."""
    return [
        directive("proxy_cache", zone),
        directive("proxy_cache_key", "$uri"),
        directive("proxy_cache_valid", 200, 206, "24h"),
        directive("proxy_read_timeout", "900"),
    ]


def _moved(each: Directive) -> Directive:
    args = tuple(arg.replace(OURS, ETC) for arg in each.args)
    return replace(each, args=args)
