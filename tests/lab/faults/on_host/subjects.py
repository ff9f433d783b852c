"""What each unit works on: its folders, its program, how that is asked, and how it is made to refuse a wish.

The programs are asked without hostctl's own ways: it is what is being judged.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Subject:
    """`roots`: the folders whose whole content is judged. `service`: what must run all the time. `full`: the folder
    that runs out of room. `asked`: what the program shows, raising OSError or ValueError while it does not answer.
    `view`: a service that has its own view of the file system.
    """

    roots: tuple[str, ...]
    full: str
    asked: Callable[[Mapping[str, Any]], Any]
    service: str = ""
    view: str = ""


def output(*command: str) -> str:
    """What a program prints. Raises OSError where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stdout.strip()[-300:]}")
    return done.stdout


def main_pid(service: str) -> int:
    """The service's main process; 0 where none runs."""
    return int(output("systemctl", "show", "-p", "MainPID", "--value", f"{service}.service"))


class _Unix(http.client.HTTPConnection):
    """Its host is the socket's path."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.host)


def _get(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, bytes]:
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as broken:
        raise OSError(repr(broken)) from broken
    finally:
        connection.close()


def _docker(path: str) -> Any:
    status, body = _get(_Unix("/run/docker.sock"), path, Host="docker")
    if status != 200:
        raise OSError(f"docker, GET {path}: {status}")
    return json.loads(body)


def docker_info(_wishes: Mapping[str, Any]) -> Any:
    info = _docker("/info")
    shown = info["RegistryConfig"]
    insecure = sorted(name for name, each in shown["IndexConfigs"].items() if not each["Secure"])
    return {"mirrors": shown["Mirrors"] or [], "insecure": insecure, "debug": info["Debug"]}


def docker_images(wishes: Mapping[str, Any]) -> Any:
    """What the tags mean; without ours all images that there are, since none of ours may be left then."""
    images = {each["Id"]: sorted(each["RepoTags"] or []) for each in _docker("/images/json")}
    ours = any(wishes["a"]["image"] in tags for tags in images.values())
    return {image: tags for image, tags in images.items() if tags not in ([], ["<none>:<none>"]) or not ours}


def _younger_than(service: str, file: str) -> bool:
    """Whether the process has been started since the file was written."""
    if not main_pid(service):
        raise OSError(f"{service} does not run")
    shown = output("systemctl", "show", "-p", "ExecMainStartTimestampMonotonic", "--value", f"{service}.service")
    age = time.time() - Path(file).stat().st_mtime if Path(file).exists() else 1e9
    return int(shown) / 1e6 >= time.monotonic() - age - 0.02


def containerd(_wishes: Mapping[str, Any]) -> Any:
    """What the CRI says of its configuration where it tells that (1.6), else that its plugins work."""
    knows = {"knows its file": _younger_than("containerd", "/etc/containerd/config.toml")}
    if _tells():
        told = json.loads(output("crictl", "info"))["config"]
        return {**knows, "downloads": told["maxConcurrentDownloads"], "path": told["registry"]["configPath"]}
    plugins = [line.split() for line in output("ctr", "plugins", "ls").splitlines()]
    states = {f"{words[0]} {words[1]}": words[-1] for words in plugins if "cri" in " ".join(words[:2])}
    if not states or set(states.values()) != {"ok"}:
        raise OSError(f"containerd's plugins: {states or 'no CRI'}")
    return knows


@cache
def _tells() -> bool:
    return "maxConcurrentDownloads" in json.loads(output("crictl", "info"))["config"]


def buildkit(wishes: Mapping[str, Any]) -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect("/run/buildkit/buildkitd.sock")
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HTTP2_SETTINGS)
        if client.recv(9)[3:4] != HTTP2_SETTINGS[3:4]:
            raise OSError("buildkitd does not speak gRPC")
    return {"knows its file": _younger_than("buildkit", wishes["a"]["config"])}


def _http(port: int, path: str, name: str) -> Any:
    try:
        return _get(http.client.HTTPConnection("127.0.0.1", port, timeout=5), path, Host=name)
    except ConnectionRefusedError:
        return "closed"


def nginx(wishes: Mapping[str, Any]) -> Any:
    """What the marker answers where each of the wishes has an endpoint, and which caches there are."""
    from hostctl.nginx_conf import MARKER

    if not main_pid("nginx"):
        raise OSError("nginx does not run")
    places = {(each["port"], each["host"]) for wish in wishes.values() for each in wish.get("probes", [])}
    answers = {f"{port} {name}": str(_http(port, MARKER, name)) for port, name in sorted(places)}
    caches = {folder for wish in wishes.values() for folder in wish.get("cache_folders", [])}
    return {"answers": answers, "caches": sorted(filter(os.path.exists, caches))}


def relay(wishes: Mapping[str, Any]) -> Any:
    ports = sorted({wish["port"] for wish in wishes.values()})
    return {str(port): str(_http(port, "/.http-registry/relay", "relay")) for port in ports}


def origin(_wishes: Mapping[str, Any]) -> Any:
    """What the service answers, and whether its socket comes back with the next boot."""
    socket_unit = "http-registry-origin.socket"
    enabled = _shown(socket_unit, "UnitFileState")
    if not Path("/run/http-registry-origin.sock").exists():
        return {"enabled": enabled}
    status, body = _get(_Unix("/run/http-registry-origin.sock"), "/", Host="origin")
    return {"enabled": enabled, "status": status, "says": body.decode()}


def garbage_collection(_wishes: Mapping[str, Any]) -> Any:
    return _shown("http-registry-gc-hosted.timer", "ActiveState,UnitFileState,TimersCalendar")


def offline_sync(_wishes: Mapping[str, Any]) -> Any:
    return _shown("http-registry-offline-sync.timer", "ActiveState,UnitFileState,TimersCalendar")


def floating_address(wishes: Mapping[str, Any]) -> Any:
    """Whether keepalived runs, also after a boot, and the address is here."""
    unit = _shown(f"{FLOATING_ADDRESS}.service", "ActiveState,UnitFileState")
    return {"unit": unit, "here": bool(output("ip", "-o", "address", "show", "to", wishes["a"]["address"]))}


def _shown(unit: str, properties: str) -> str:
    return output("systemctl", "show", "-p", properties, unit)


def firewall(_wishes: Mapping[str, Any]) -> Any:
    active = subprocess.run(
        ("systemctl", "is-active", "http-registry-firewall.service"), stdout=subprocess.PIPE, text=True, check=False
    )
    return {"rules": output("iptables", "-w", "60", "-t", "mangle", "-S"), "unit": active.stdout.strip()}


def nothing(_wishes: Mapping[str, Any]) -> Any:
    return None


FLOATING_ADDRESS = "http-registry-floating-address"
HTTP2_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""RFC 9113: a client's first frame and a server's, here an empty one."""
ETC_SYSTEMD = "/etc/systemd/system"
PROGRAMS = "/usr/local/lib/http-registry"
SUBJECTS = {
    "docker-mirrors": Subject(("/etc/docker",), "/etc/docker", docker_info, "docker"),
    "containerd-mirrors": Subject(("/etc/containerd",), "/etc/containerd", containerd, "containerd"),
    "buildkit-mirrors": Subject(("/etc/buildkit",), "/etc/buildkit", buildkit, "buildkit"),
    "nginx-proxy": Subject(("/etc/nginx", "/etc/http-registry", ETC_SYSTEMD), "/etc/nginx", nginx, "nginx"),
    "origin": Subject(
        (PROGRAMS, "/etc/http-registry", ETC_SYSTEMD), "/etc/http-registry", origin, view="http-registry-origin"
    ),
    "garbage-collection": Subject(
        (PROGRAMS, "/etc/http-registry", ETC_SYSTEMD), "/etc/http-registry", garbage_collection
    ),
    "offline-sync": Subject((PROGRAMS, "/etc/http-registry", ETC_SYSTEMD), "/etc/http-registry", offline_sync),
    "floating-address": Subject(
        (PROGRAMS, "/etc/http-registry", ETC_SYSTEMD), "/etc/http-registry", floating_address, view=FLOATING_ADDRESS
    ),
    "docker-relay": Subject(
        ("/etc/http-registry", ETC_SYSTEMD), "/etc/http-registry", relay, view="http-registry-docker-relay"
    ),
    "docker-cli": Subject(("/root/.docker", "/home/http-registry-faults"), "/home/http-registry-faults", nothing),
    "docker-image": Subject((), "", docker_images, "docker"),
    "authorities": Subject(
        (
            "/etc/ssl", "/usr/local/share/ca-certificates", "/etc/ca-certificates.conf", "/etc/http-registry",
            "/etc/containerd",
        ),
        "/usr/local/share/ca-certificates",
        nothing,
        "containerd",
    ),
    "firewall": Subject(("/etc/http-registry", ETC_SYSTEMD), "/etc/http-registry", firewall),
}  # fmt: skip
