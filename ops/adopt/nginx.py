"""Somebody's nginx before registries, in the words of the settings.

Pure, but for a folder of its own: crossplane reads files.
"""

from __future__ import annotations

import fnmatch
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import crossplane

from adopt.containers import on_host
from ops.adopt.findings import Machine, Notes, Run, Site

MAIN = "/etc/nginx/nginx.conf"
OURS = "/etc/nginx/conf.d/http-registry.conf"
_SECTION = re.compile(r"^# configuration file (/\S+):$", re.M)


@dataclass(frozen=True)
class Directive:
    """One directive, and where it stands."""

    name: str
    words: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] = ()

    def all(self, name: str) -> Iterator[Directive]:
        """Those of that name directly below."""
        return (each for each in self.block if each.name == name)

    def first(self, name: str) -> str:
        """The first word of the first one; empty where there is none."""
        return next((each.words[0] for each in self.all(name) if each.words), "")

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.file}:{self.line}"


def read_sites(machine: Machine, runs: Sequence[Run], notes: Notes) -> list[Site]:
    """Each server of a host's nginx, or of one in a container there, that leads to one of its registries."""
    return [site for each in machine.report["nginx"] for site in _Nginx(machine, each, notes).sites(runs)]


class _Nginx:
    """One nginx of a host."""

    def __init__(self, machine: Machine, about: Mapping[str, Any], notes: Notes) -> None:
        self._machine = machine
        self._container = about["container"]
        self._ports = {each["inside"]: each["port"] for each in about["ports"]}
        self._mounts = about["mounts"]
        self._notes = notes
        http = [each for each in directives(about["dump"]) if each.name == "http"]
        groups = [each for top in http for each in top.all("upstream")]
        self._upstreams = {each.words[0]: [one.words[0] for one in each.all("server")] for each in groups}
        self._servers = [each for top in http for each in top.all("server") if each.file != OURS]

    def sites(self, runs: Sequence[Run]) -> list[Site]:
        """The servers that lead to one of these registries."""
        sites: list[Site] = []
        for server in self._servers:
            for location in server.all("location"):
                run = _behind(location, self._upstreams, runs)
                if run and not any(each.source == self._where(server) for each in sites):
                    sites += self._sites(server, location, run)
        for server in self._servers:
            self._redirect(server, sites)
        return sites

    def _sites(self, server: Directive, location: Directive, run: Run) -> Iterator[Site]:
        where, machine = self._where(server), self._machine
        names = [each for each in _words(server, "server_name") if each not in ("_", "localhost", "")]
        file = _setting(server, location, "auth_basic_user_file")
        limited = [each for each in location.all("limit_except") if "GET" in each.words]
        anonymous = not file and bool(limited and limited[0].first("auth_basic_user_file"))
        file = limited[0].first("auth_basic_user_file") if anonymous else file
        file = self._file(file) if file and _setting(server, location, "auth_basic") != "off" else ""
        certificate = self._file(server.first("ssl_certificate"))
        for port, tls in sorted({_listen(each) for each in server.all("listen")} or {(80, False)}):
            if self._container and port not in self._ports:
                continue
            yield Site(
                machine.name,
                self._ports.get(port, port),
                names[0] if names else machine.address,
                run,
                where,
                certificate if tls else "",
                tuple(machine.report["users"].get(file, ())),
                file,
                anonymous,
            )
        self._goes(server)
        networks = [each.words[0] for block in (server, location) for each in block.all("allow") if each.words]
        if networks:
            self._notes.changes.append(
                f"{where}: allow {', '.join(networks)}: the firewall's list counts for nginx too"
            )
        others = [" ".join(each.words) for each in server.all("location") if each is not location and not _is_v2(each)]
        if others:
            self._notes.left.append(f"{where}: also serves {', '.join(others)}; keep that in another server")

    def _redirect(self, server: Directive, sites: Sequence[Site]) -> None:
        """A server that only sends to HTTPS."""
        returned = next((each.words for each in server.all("return")), ())
        if not any(each.startswith("https://") for each in returned):
            return
        names = set(_words(server, "server_name"))
        for site in sites:
            if site.certificate and (site.server_name in names or not names):
                port = next((_listen(each)[0] for each in server.all("listen")), 80)
                site.redirect_from = self._ports.get(port, port)
                self._goes(server)

    def _goes(self, server: Directive) -> None:
        """Tell what has to be taken out, so that ours can take its place."""
        if self._container:
            self._notes.changes.append(
                f"{self._machine.name}: container {self._container}: an nginx on the host itself takes its place; "
                f"install that, and before the first up: ssh root@{self._machine.address} docker rm --force "
                f"{self._container}"
            )
        else:
            self._notes.changes.append(
                f"{self._machine.name}: nginx: http-registry's site ({OURS}) takes the place of the server block at "
                f"{server.where}, which would answer beside it: take that block out before the first up"
            )

    def _where(self, server: Directive) -> str:
        return f"{self._machine.name}:{f'{self._container}:' if self._container else ''}{server.where}"

    def _file(self, name: str) -> str:
        """Where a file is on the host, as `adopt` there calls it."""
        path = name if name.startswith("/") else f"/etc/nginx/{name}"
        return on_host(path, self._mounts) or f"{self._container}:{path}" if self._container else path


def _behind(location: Directive, upstreams: dict[str, list[str]], runs: Sequence[Run]) -> Run | None:
    passed = location.first("proxy_pass")
    if not passed.startswith(("http://", "https://")):
        return None
    server = urlsplit(passed).netloc
    asked = upstreams.get(server, [server])
    return next((run for run in runs if run.inside & set(asked)), None)


def _setting(server: Directive, location: Directive, name: str) -> str:
    return location.first(name) or server.first(name)


def _words(server: Directive, name: str) -> list[str]:
    return [word for each in server.all(name) for word in each.words]


def _listen(directive: Directive) -> tuple[int, bool]:
    port = directive.words[0].rpartition(":")[2].rstrip("]") if directive.words else "80"
    return int(port) if port.isdigit() else 80, "ssl" in directive.words


def _is_v2(location: Directive) -> bool:
    return bool(location.words) and location.words[-1].strip("^~/").startswith(("v2", "v1", "_ping"))


def directives(dump: str) -> list[Directive]:
    """What `nginx -T` prints, includes resolved."""
    parts = _SECTION.split(dump)
    texts = {path: text.removeprefix("\n") for path, text in zip(parts[1::2], parts[2::2], strict=True)}
    return _included(MAIN, texts) if MAIN in texts else []


def _included(path: str, texts: dict[str, str]) -> list[Directive]:
    with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
        file = Path(folder, "conf")
        file.write_text(texts[path])
        parsed = crossplane.parse(str(file), single=True, check_ctx=False, check_args=False)
    return _directives(parsed["config"][0]["parsed"] if parsed["config"] else [], path, texts)


def _directives(parsed: Any, path: str, texts: dict[str, str]) -> list[Directive]:
    found = []
    for each in parsed:
        if each["directive"] == "include":
            pattern = each["args"][0] if each["args"][0].startswith("/") else f"/etc/nginx/{each['args'][0]}"
            for name in texts:
                found += _included(name, texts) if fnmatch.fnmatch(name, pattern) else []
            continue
        block = tuple(_directives(each.get("block") or [], path, texts))
        found.append(Directive(each["directive"], tuple(each["args"]), path, each["line"], block))
    return found
