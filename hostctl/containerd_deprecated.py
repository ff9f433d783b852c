"""The deprecated registry tables of config.toml, and the hosts.toml files that say the same. Pure.

Beside `config_path` containerd refuses `mirrors` (every version) and `configs.*.tls` (1.x; 2.x has lost that key), so
they become hosts.toml files. Logins (`configs.*.auth`, `auths`) it takes there as well, so they stay where they are: a
header in hosts.toml would log in by Basic alone, and most registries ask for a token.
Source: registryEndpoints and registryHosts in pkg/cri/server/image_pull.go (1.6.20; seen there and on 2.4.2).
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, List, Mapping, Tuple
from urllib.parse import urlsplit

from hostctl import hosts_toml
from hostctl.containerd_versions import PATH
from hostctl.errors import HostError
from hostctl.hosts_toml import PULL, Endpoint

KEYS = ("mirrors", "configs", "auths")
NAME = re.compile(r"\*|[A-Za-z0-9\[][A-Za-z0-9.:_\[\]-]*")
DOCKER_HUB = "https://registry-1.docker.io"


def movable(registry: Mapping[str, Any]) -> List[Tuple[str, ...]]:
    """The paths, below the registry table, of what becomes hosts.toml files."""
    paths: List[Tuple[str, ...]] = [("mirrors", name) for name in tables(registry, "mirrors")]
    for name, config in tables(registry, "configs").items():
        if "tls" in config:
            paths.append(("configs", name) if len(config) == 1 else ("configs", name, "tls"))
    return paths


def logins(registry: Mapping[str, Any]) -> List[str]:
    """For which registries there are logins."""
    configs = [name for name, config in tables(registry, "configs").items() if "auth" in config]
    return configs + list(tables(registry, "auths"))


def hosts_files(registry: Mapping[str, Any]) -> Dict[str, str]:
    """The hosts.toml texts by registry, with the endpoints in the order in which containerd has asked them so far.

    Raises HostError for what a hosts.toml can't say.
    """
    mirrors = {name: _endpoints(name, table) for name, table in tables(registry, "mirrors").items()}
    tls = {name: _tls(name, config["tls"]) for name, config in tables(registry, "configs").items() if "tls" in config}
    for name in (*mirrors, *tls):
        if not NAME.fullmatch(name) or not _is_host(name):
            raise HostError(f"{PATH}: registry: {name!r} is not the name of a registry; delete it and try again")
    return {name: _hosts_file(name, mirrors, tls) for name in dict.fromkeys([*mirrors, *tls])}


def _hosts_file(name: str, mirrors: Mapping[str, List[str]], tls: Mapping[str, Endpoint]) -> str:
    urls = mirrors.get(name, mirrors.get("*", []))
    if name == "*":
        return hosts_toml.text([_endpoint(url, tls, PULL) for url in dict.fromkeys(urls)])
    itself = _default(name)
    if all(_host(url) != name for url in urls):
        urls = [*urls, itself]
    *others, last = dict.fromkeys(urls)
    server = _endpoint(last, tls, () if _host(last) in (name, _host(itself)) else PULL)
    return hosts_toml.text(
        [_endpoint(url, tls, PULL) for url in others], None if server == Endpoint(itself) else server
    )


def _endpoint(url: str, tls: Mapping[str, Endpoint], capabilities: Tuple[str, ...]) -> Endpoint:
    """An endpoint as containerd has asked it: a path is the API's root, and TLS options are for https only."""
    options = tls.get(_host(url), Endpoint(url)) if url.startswith("https:") else Endpoint(url)
    return options._replace(url=url, capabilities=capabilities, override_path=bool(urlsplit(url).path))


def tables(registry: Mapping[str, Any], key: str) -> Mapping[str, Mapping[str, Any]]:
    """The tables below one of `KEYS`, by their names. Raises HostError where it holds anything else."""
    tables = registry.get(key) or {}
    if not isinstance(tables, Mapping) or not all(isinstance(each, Mapping) for each in tables.values()):
        raise HostError(f"{PATH}: registry.{key}: must be a table of tables; correct it and try again")
    return tables


def _endpoints(name: str, table: Mapping[str, Any]) -> List[str]:
    where = f"{PATH}: registry.mirrors.{name!r}"
    urls = table.get("endpoint", [])
    strange = sorted(set(table) - {"endpoint"})
    if strange:
        raise HostError(f"{where}: {strange[0]} can't be moved into a hosts.toml; delete it and try again")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise HostError(f"{where}: endpoint must be a list of URLs; correct it and try again")
    return [_url(url, where) for url in urls]


def _url(endpoint: str, where: str) -> str:
    """An endpoint's URL: with a scheme, without a login (containerd ignores one) and without the slash behind it."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("", "http", "https") or parts.query or parts.fragment:
        raise HostError(f"{where}: an endpoint must be http://host or https://host; correct it and try again")
    return f"{parts.scheme or _scheme(host)}://{host}{parts.path.rstrip('/')}"


def _tls(name: str, table: Any) -> Endpoint:
    where = f"{PATH}: registry.configs.{name!r}.tls"
    if not isinstance(table, Mapping):
        raise HostError(f"{where}: must be a table; correct it and try again")
    ca, certificate, key = (_file(table.get(each, ""), where) for each in ("ca_file", "cert_file", "key_file"))
    if bool(certificate) != bool(key):
        raise HostError(f"{where}: cert_file and key_file go together; correct it and try again")
    client = (certificate, key) if key else ()
    return Endpoint("", (), ca, client, table.get("insecure_skip_verify") is True)


def _file(path: Any, where: str) -> str:
    if not isinstance(path, str):
        raise HostError(f"{where}: a file must be a path in quotes; correct it and try again")
    return posixpath.join("/", path) if path else ""


def _is_host(name: str) -> bool:
    """Whether a URL can have it."""
    try:
        urlsplit(f"//{name}")
    except ValueError:
        return False
    return True


def _default(name: str) -> str:
    return DOCKER_HUB if name == "docker.io" else f"{_scheme(name)}://{name}"


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _scheme(host: str) -> str:
    """containerd takes http for this machine itself, else https."""
    from ipaddress import ip_address  # few hosts have such a table

    name = urlsplit(f"//{host}").hostname or ""
    try:
        local = ip_address(name).is_loopback
    except ValueError:
        local = name == "localhost"
    return "http" if local else "https"
