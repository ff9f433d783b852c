"""A Container's inputs as the Docker API's requests. Pure: plain inputs in, JSON out.

Rules: `resourceDockerContainerCreate` and `...Update` of `resource_docker_container_funcs.go` (kreuzwerker).
"""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

from toolchain.plugins.docker.durations import nanoseconds
from toolchain.plugins.docker.labels import label_map

MEBIBYTE: Final = 1024 * 1024


def create_request(given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in given.get("ports") or ():
        external = str(int(port["external"])) if port.get("external") else ""
        binding = {"HostIp": port["ip"], "HostPort": external}
        bindings.setdefault(f"{int(port['internal'])}/{port['protocol']}", []).append(binding)
    volumes = given.get("volumes") or ()
    body = {
        "Image": given["image"],
        "Hostname": given.get("hostname"),
        "Domainname": given.get("domainname"),
        "User": given.get("user"),
        "WorkingDir": given.get("workingDir"),
        "Env": given.get("envs"),
        "Cmd": given.get("command"),
        "Entrypoint": given.get("entrypoints"),
        "Labels": label_map(given.get("labels")),
        "Tty": given.get("tty"),
        "OpenStdin": given.get("stdinOpen"),
        "StopSignal": given.get("stopSignal"),
        "StopTimeout": _whole(given.get("stopTimeout")),
        "Healthcheck": _healthcheck(given.get("healthcheck")),
        "ExposedPorts": {port: {} for port in bindings},
        "Volumes": {volume["containerPath"]: {} for volume in volumes},
    }
    return {**_given(body), "HostConfig": _host_config(given, bindings, volumes)}


def _host_config(
    given: Mapping[str, Any], bindings: Mapping[str, Any], volumes: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    capabilities = given.get("capabilities") or {}
    config = {
        "AutoRemove": given.get("rm"),
        "Binds": [_bind(volume) for volume in volumes if volume.get("volumeName") or volume.get("hostPath")],
        "CapAdd": capabilities.get("adds"),
        "CapDrop": capabilities.get("drops"),
        "Dns": given.get("dns"),
        "DnsOptions": given.get("dnsOpts"),
        "DnsSearch": given.get("dnsSearches"),
        "ExtraHosts": [f"{entry['host']}:{entry['ip']}" for entry in given.get("hosts") or ()],
        "GroupAdd": given.get("groupAdds"),
        "LogConfig": _given({"Type": given.get("logDriver"), "Config": given.get("logOpts")}),
        "Mounts": [_mount(mount) for mount in given.get("mounts") or ()],
        "NetworkMode": given.get("networkMode"),
        "PortBindings": bindings,
        "Privileged": given.get("privileged"),
        "ReadonlyRootfs": given.get("readOnly"),
        "RestartPolicy": restart_policy(given),
        "SecurityOpt": given.get("securityOpts"),
        "ShmSize": _mebibytes(given.get("shmSize")),
        "Sysctls": given.get("sysctls"),
        "Tmpfs": given.get("tmpfs"),
        "Ulimits": [
            {"Name": limit["name"], "Soft": int(limit["soft"]), "Hard": int(limit["hard"])}
            for limit in given.get("ulimits") or ()
        ],
    }
    # `false` is not the absence of `init`: the daemon may have it on for all.
    init = {"Init": given["init"]} if given.get("init") is not None else {}
    return {**_given(config), **_given(resources(given)), **init}


def restart_policy(given: Mapping[str, Any]) -> dict[str, Any]:
    """The API's `RestartPolicy`."""
    return {"Name": given.get("restart") or "no", "MaximumRetryCount": _whole(given.get("maxRetryCount")) or 0}


def resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """The limits, by the API's names; the inputs have mebibytes."""
    return {
        "CpuPeriod": _whole(given.get("cpuPeriod")),
        "CpuQuota": _whole(given.get("cpuQuota")),
        "CpuShares": _whole(given.get("cpuShares")),
        "CpusetCpus": given.get("cpuSet"),
        "Memory": _mebibytes(given.get("memory")),
        "MemoryReservation": _mebibytes(given.get("memoryReservation")),
        "MemorySwap": _mebibytes(given.get("memorySwap")),
    }


def update_request(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `POST /containers/ID/update`: what changed; empty when nothing did.

    A limit that was taken away is not in it: the API has no word for "none". A new memory limit takes its swap
    limit along, as at creation; Docker refuses one above the swap limit that it chose for the old one.
    """
    before, after = resources(old), resources(new)
    body = {name: value for name, value in after.items() if value and value != before[name]}
    if "Memory" in body and not after["MemorySwap"]:
        body["MemorySwap"] = 2 * body["Memory"]
    if restart_policy(old) != restart_policy(new):
        body["RestartPolicy"] = restart_policy(new)
    return body


def taken_away(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The limits that an update can't take away."""
    names = ("cpuPeriod", "cpuQuota", "cpuSet", "cpuShares", "memory", "memoryReservation", "memorySwap")
    return [name for name in names if old.get(name) and not new.get(name)]


def upload_archive(uploads: Iterable[Mapping[str, Any]]) -> bytes:
    """A tar of the files to be uploaded, to be unpacked at `/`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for upload in uploads:
            encoded = upload.get("contentBase64")
            content = base64.b64decode(encoded) if encoded else str(upload.get("content", "")).encode()
            entry = tarfile.TarInfo(upload["file"])
            entry.size = len(content)
            entry.mode = upload_mode(upload)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def upload_mode(upload: Mapping[str, Any]) -> int:
    """`permissions` in octal, else 0744 if executable, else 0644."""
    if upload.get("permissions"):
        return int(str(upload["permissions"]), 8)
    return 0o744 if upload.get("executable") else 0o644


def _bind(volume: Mapping[str, Any]) -> str:
    source = volume.get("volumeName") or volume.get("hostPath")
    return f"{source}:{volume['containerPath']}:{'ro' if volume.get('readOnly') else 'rw'}"


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    bind, volume, tmpfs = (mount.get(name) or {} for name in ("bindOptions", "volumeOptions", "tmpfsOptions"))
    driver = _given({"Name": volume.get("driverName"), "Options": volume.get("driverOptions")})
    options = {
        "BindOptions": _given({"Propagation": bind.get("propagation")}),
        "VolumeOptions": _given(
            {"NoCopy": volume.get("noCopy"), "Labels": label_map(volume.get("labels")), "DriverConfig": driver}
        ),
        "TmpfsOptions": _given({"SizeBytes": _whole(tmpfs.get("sizeBytes")), "Mode": _whole(tmpfs.get("mode"))}),
    }
    kind = str(mount["type"])
    own = f"{kind.capitalize()}Options"
    return _given(
        {
            "Type": kind,
            "Target": mount["target"],
            "Source": mount.get("source"),
            "ReadOnly": mount.get("readOnly"),
            own: options[own],
        }
    )


def _healthcheck(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {
        "Test": check["tests"],
        **_given(
            {
                "Interval": nanoseconds(check.get("interval") or ""),
                "Timeout": nanoseconds(check.get("timeout") or ""),
                "StartPeriod": nanoseconds(check.get("startPeriod") or ""),
                "StartInterval": nanoseconds(check.get("startInterval") or ""),
                "Retries": _whole(check.get("retries")),
            }
        ),
    }


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """`body` without what says nothing."""
    return {name: value for name, value in body.items() if value}


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _mebibytes(value: float | None) -> int | None:
    if value is None or value < 0:
        return _whole(value)
    return int(value) * MEBIBYTE
