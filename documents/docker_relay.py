"""The relay for a Docker whose mirror asks for a login: a small nginx on 127.0.0.1 that adds it.

dockerd sends no credentials to a mirror (moby#30880) and takes none in its URL. The relay's configuration holds the
login, so it is root's alone; nginx's main process reads it, its workers run as the user of the host's own nginx.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from documents.document import HEADER_LINE, Document
from documents.nginx_text import Directive, block, directive, text
from hostctl.hosts_toml import Endpoint
from hostctl.units.docker_relay import CONFIG, MARKER, SERVICE, UNIT_FILE

SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class DockerRelay:
    """`files`: the configuration and the systemd unit. `generation`: what the marker answers once they are live."""

    port: int
    files: tuple[Document, ...]
    generation: str

    @property
    def url(self) -> str:
        """What dockerd takes for its mirror."""
        return f"http://127.0.0.1:{self.port}"

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit docker-relay."""
        return {
            "files": [each.as_wish() for each in self.files],
            "port": self.port,
            "generation": self.generation,
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; rendered with masks for passwords."""
        return {each.path: f"# Only on a Docker that does not read hosts.toml.\n{each.text}" for each in self.files}


def render(mirror: Endpoint, port: int) -> DockerRelay:
    """The relay to a mirror with its login."""
    # Not of the login: whoever may ask 127.0.0.1 could try passwords on its hash.
    generation = hashlib.sha256(_config(mirror._replace(authorization=""), port, "").encode()).hexdigest()[:32]
    config = Document(CONFIG, HEADER_LINE + _config(mirror, port, generation), 0o600)
    return DockerRelay(port, (config, Document(UNIT_FILE, HEADER_LINE + UNIT)), generation)


def _config(mirror: Endpoint, port: int, generation: str) -> str:
    return text(
        [
            directive("daemon", "off"),
            directive("pid", f"/run/{SERVICE}.pid"),
            directive("error_log", "stderr", "warn"),
            block("events", body=[]),
            block(
                "http",
                body=[
                    directive("access_log", "off"),
                    directive("server_tokens", "off"),
                    block(
                        "upstream",
                        "mirror",
                        body=[directive("server", _with_port(mirror.url)), directive("keepalive", 8)],
                    ),
                    block("server", body=_server(mirror, port, generation)),
                ],
            ),
        ]
    )


def _server(mirror: Endpoint, port: int, generation: str) -> Iterable[Directive]:
    url = urlsplit(mirror.url)
    yield directive("listen", f"127.0.0.1:{port}")
    # Docker before 28 may let neighbours in to 127.0.0.1 (moby#45610); theirs is another address.
    yield directive("allow", "127.0.0.0/8")
    yield directive("deny", "all")
    yield block("location", "=", MARKER, body=[directive("return", 200, generation)])
    yield block("location", "/", body=[directive("return", 404)])
    yield block(
        "location",
        "/v2/",
        body=[
            block("limit_except", "GET", body=[directive("deny", "all")]),
            directive("proxy_pass", f"{url.scheme}://mirror"),
            *(_tls(mirror) if url.scheme == "https" else []),
            directive("proxy_http_version", "1.1"),
            directive("proxy_set_header", "Connection", ""),
            directive("proxy_set_header", "Host", url.netloc),
            directive("proxy_set_header", "Authorization", mirror.authorization),
            directive("proxy_connect_timeout", "5s"),
            directive("proxy_read_timeout", "15m"),
            directive("proxy_buffer_size", "32k"),
            directive("proxy_buffers", 16, "128k"),
            directive("proxy_max_temp_file_size", 0),
        ],
    )


def _tls(mirror: Endpoint) -> Iterable[Directive]:
    yield directive("proxy_ssl_verify", "on")
    yield directive("proxy_ssl_verify_depth", 4)
    yield directive("proxy_ssl_server_name", "on")
    yield directive("proxy_ssl_name", urlsplit(mirror.url).hostname or "")
    yield directive("proxy_ssl_trusted_certificate", mirror.ca or SYSTEM_CAS)


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"


UNIT = f"""\
[Unit]
Description=Adds the login to Docker's requests to its mirror (http-registry)
Wants=network-online.target
After=network-online.target nss-lookup.target
Before=docker.service

[Service]
ExecStart=/usr/sbin/nginx -c {CONFIG}
ExecReload=/bin/kill -HUP $MAINPID
# The mirror's name may not resolve yet when the host boots, and nginx gives up then.
Restart=always
RestartSec=2
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""
