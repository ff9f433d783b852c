"""What an inspected container says, as a Container's properties. Pure.

Which properties are read back is the official provider's choice (`resourceDockerContainerRead`): not `envs` and
`labels`, which an image adds to, nor `volumes`, `uploads` and `networksAdvanced`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.plugins.docker.container_request import MEBIBYTE
from toolchain.plugins.docker.durations import duration, nanoseconds
from toolchain.plugins.docker.labels import label_list
from toolchain.plugins.shared.values import Props, Value


def observed(found: Mapping[str, Any]) -> Props:
    """The inputs that are read back."""
    config, host = found["Config"], found["HostConfig"]
    restart = host.get("RestartPolicy") or {}
    logs = host.get("LogConfig") or {}
    props: Props = {
        "name": found["Name"].lstrip("/"),
        "image": found["Image"],
        "hostname": config.get("Hostname", ""),
        "domainname": config.get("Domainname", ""),
        "command": list(config.get("Cmd") or ()),
        "entrypoints": list(config.get("Entrypoint") or ()),
        "user": config.get("User", ""),
        "workingDir": config.get("WorkingDir", ""),
        "stopSignal": config.get("StopSignal", ""),
        "stopTimeout": config.get("StopTimeout"),
        "tty": config.get("Tty", False),
        "stdinOpen": config.get("OpenStdin", False),
        "healthcheck": _healthcheck(config.get("Healthcheck")),
        "capabilities": {"adds": list(host.get("CapAdd") or ()), "drops": list(host.get("CapDrop") or ())},
        "dns": list(host.get("Dns") or ()),
        "dnsOpts": list(host.get("DnsOptions") or ()),
        "dnsSearches": list(host.get("DnsSearch") or ()),
        "groupAdds": list(host.get("GroupAdd") or ()),
        "hosts": [_host(entry) for entry in host.get("ExtraHosts") or ()],
        "init": bool(host.get("Init")),
        "logDriver": logs.get("Type", ""),
        "logOpts": dict(logs.get("Config") or {}),
        "restart": restart.get("Name") or "no",
        "maxRetryCount": restart.get("MaximumRetryCount", 0),
        "memory": host.get("Memory", 0) // MEBIBYTE,
        "memoryReservation": host.get("MemoryReservation", 0) // MEBIBYTE,
        "memorySwap": _swap(host.get("MemorySwap", 0)),
        "shmSize": host.get("ShmSize", 0) // MEBIBYTE,
        "cpuPeriod": host.get("CpuPeriod", 0),
        "cpuQuota": host.get("CpuQuota", 0),
        "cpuSet": host.get("CpusetCpus", ""),
        "cpuShares": host.get("CpuShares", 0),
        "mounts": [_mount(mount) for mount in host.get("Mounts") or ()],
        "networkMode": host.get("NetworkMode", ""),
        "ports": _ports(host.get("PortBindings") or {}),
        "privileged": host.get("Privileged", False),
        "readOnly": host.get("ReadonlyRootfs", False),
        "rm": host.get("AutoRemove", False),
        "securityOpts": list(host.get("SecurityOpt") or ()),
        "sysctls": dict(host.get("Sysctls") or {}),
        "tmpfs": dict(host.get("Tmpfs") or {}),
        "ulimits": [
            {"name": limit["Name"], "soft": limit["Soft"], "hard": limit["Hard"]} for limit in host.get("Ulimits") or ()
        ],
    }
    return props


def outputs(found: Mapping[str, Any]) -> Props:
    """What the daemon fills in."""
    seen, host = observed(found), found["HostConfig"]
    settings = found.get("NetworkSettings") or {}
    names = ("command", "entrypoints", "hostname", "init", "logDriver", "securityOpts", "shmSize", "stopSignal")
    result: Props = {
        "bridge": settings.get("Bridge", ""),
        "envs": [],
        "healthcheck": seen["healthcheck"] or None,
        "ipcMode": host.get("IpcMode", ""),
        "labels": [],
        "networkDatas": [
            {
                "networkName": name,
                "ipAddress": data.get("IPAddress", ""),
                "ipPrefixLength": data.get("IPPrefixLen", 0),
                "gateway": data.get("Gateway", ""),
                "globalIpv6Address": data.get("GlobalIPv6Address", ""),
                "globalIpv6PrefixLength": data.get("GlobalIPv6PrefixLen", 0),
                "ipv6Gateway": data.get("IPv6Gateway", ""),
                "macAddress": data.get("MacAddress", ""),
            }
            for name, data in sorted((settings.get("Networks") or {}).items())
        ],
        "platform": found.get("Platform", ""),
        "runtime": host.get("Runtime", ""),
        "stopTimeout": seen["stopTimeout"] or 0,
        **{name: seen[name] for name in names},
    }
    if not running(found):
        result["exitCode"] = found["State"].get("ExitCode", 0)
    return result


def running(found: Mapping[str, Any]) -> bool:
    """Whether it runs; between two restarts it does, for Docker."""
    return bool(found["State"].get("Running"))


def published_ports(ports: Value, found: Mapping[str, Any]) -> Value:
    """The given ports with the external ones that Docker chose."""
    if not isinstance(ports, list):
        return ports
    chosen = (found.get("NetworkSettings") or {}).get("Ports") or {}
    return [_published(port, chosen) for port in ports]


def _published(port: Value, chosen: Mapping[str, Any]) -> Value:
    internal = port.get("internal") if isinstance(port, dict) else None
    if not isinstance(port, dict) or port.get("external") or not isinstance(internal, int | float):
        return port
    for binding in chosen.get(f"{int(internal)}/{port.get('protocol')}") or ():
        if binding["HostIp"] == port.get("ip"):
            return {**port, "external": int(binding["HostPort"])}
    return port


def matches(name: str, given: Value, seen: Value) -> bool | None:
    """Whether the daemon's form of a value is the given one, for the properties that have two; else None."""
    if name == "image":
        return None
    if name == "healthcheck" and isinstance(given, dict) and isinstance(seen, dict):
        return _comparable_check(given) == _comparable_check(seen)
    if name == "capabilities" and isinstance(given, dict) and isinstance(seen, dict):
        return all(_caps(given.get(part)) == _caps(seen.get(part)) for part in ("adds", "drops"))
    if name == "securityOpts" and isinstance(given, list) and isinstance(seen, list):
        return {str(option) for option in given} == {str(option) for option in seen} - {"label=disable"}
    if name == "memorySwap":
        # -1 is what a kernel without swap accounting makes of any limit.
        return seen in (given, -1)
    if name == "workingDir" and isinstance(given, str) and isinstance(seen, str):
        return (given.rstrip("/") or "/") == seen
    if name == "ports" and isinstance(given, list) and isinstance(seen, list):
        return sorted(map(_port_key, given)) == sorted(map(_port_key, seen))
    return None


def _port_key(port: Value) -> str:
    values = port if isinstance(port, dict) else {}
    internal, external = (int(str(values.get(name) or 0).partition(".")[0]) for name in ("internal", "external"))
    return f"{internal} {external} {values.get('ip')} {values.get('protocol')}"


def _comparable_check(check: Mapping[str, Value]) -> dict[str, Value]:
    times = {
        name: nanoseconds(str(check.get(name) or ""))
        for name in ("interval", "timeout", "startPeriod", "startInterval")
    }
    return {"tests": check.get("tests"), "retries": check.get("retries") or 0, **times}


def _caps(value: Value) -> set[str]:
    names = value if isinstance(value, list) else []
    return {str(name).upper().removeprefix("CAP_") for name in names}


def _healthcheck(check: Mapping[str, Any] | None) -> Props:
    if not check:
        return {}
    return {
        "tests": list(check.get("Test") or ()),
        "interval": duration(check.get("Interval", 0)),
        "timeout": duration(check.get("Timeout", 0)),
        "startPeriod": duration(check.get("StartPeriod", 0)),
        "startInterval": duration(check.get("StartInterval", 0)),
        "retries": check.get("Retries", 0),
    }


def _host(entry: str) -> Value:
    host, _, ip = entry.partition(":")
    return {"host": host, "ip": ip}


def _swap(value: int) -> int:
    return value // MEBIBYTE if value > 0 else value


def _ports(bindings: Mapping[str, Any]) -> list[Value]:
    ports: list[Value] = []
    for key, bound in sorted(bindings.items()):
        internal, _, protocol = key.partition("/")
        for binding in bound or ():
            external = int(binding.get("HostPort") or 0)
            port: Props = {"internal": int(internal), "ip": binding.get("HostIp", ""), "protocol": protocol}
            ports.append({**port, "external": external} if external else port)
    return ports


def _mount(mount: Mapping[str, Any]) -> Value:
    bind, volume, tmpfs = (mount.get(name) or {} for name in ("BindOptions", "VolumeOptions", "TmpfsOptions"))
    driver = volume.get("DriverConfig") or {}
    return {
        "type": mount["Type"],
        "target": mount["Target"],
        "source": mount.get("Source", ""),
        "readOnly": mount.get("ReadOnly", False),
        "bindOptions": {"propagation": bind.get("Propagation", "")},
        "volumeOptions": {
            "noCopy": volume.get("NoCopy", False),
            "labels": label_list(volume.get("Labels")),
            "driverName": driver.get("Name", ""),
            "driverOptions": dict(driver.get("Options") or {}),
        },
        "tmpfsOptions": {"sizeBytes": tmpfs.get("SizeBytes", 0), "mode": tmpfs.get("Mode", 0)},
    }
