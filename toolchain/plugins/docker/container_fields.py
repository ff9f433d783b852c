"""The supported inputs of a Container, and which of them change in place.

Names, defaults and rules: the official schema, `resource_docker_container.go` (kreuzwerker) under Pulumi's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from toolchain.plugins.docker.fields import BOOL, INT, LABELS, MAP, REQUIRED, STRING, STRING_SET, STRINGS, Field

_FALSE: Final = Field("bool", default=False)
_NATURAL: Final = Field("int", minimum=0)
_ZERO_SECONDS: Final = Field("string", default="0s")

_PORTS: Final = Field(
    "objects",
    fields={
        "internal": Field("int", required=True, minimum=0),
        "external": _NATURAL,
        "ip": Field("string", default="0.0.0.0"),  # noqa: S104 - Docker's default
        "protocol": Field("string", default="tcp", choices=("tcp", "udp", "sctp")),
    },
)
_UPLOADS: Final = Field(
    "objects",
    unordered=True,
    fields={
        "file": REQUIRED,
        "content": STRING,
        "contentBase64": STRING,
        "executable": _FALSE,
        "permissions": STRING,
    },
)
_VOLUMES: Final = Field(
    "objects",
    unordered=True,
    fields={"containerPath": REQUIRED, "hostPath": STRING, "volumeName": STRING, "readOnly": BOOL},
)
_MOUNTS: Final = Field(
    "objects",
    unordered=True,
    fields={
        "target": REQUIRED,
        "type": Field("string", required=True, choices=("bind", "volume", "tmpfs")),
        "source": STRING,
        "readOnly": BOOL,
        "bindOptions": Field("object", fields={"propagation": STRING}),
        "volumeOptions": Field(
            "object", fields={"noCopy": BOOL, "labels": LABELS, "driverName": STRING, "driverOptions": MAP}
        ),
        "tmpfsOptions": Field("object", fields={"sizeBytes": INT, "mode": INT}),
    },
)
_HEALTHCHECK: Final = Field(
    "object",
    fields={
        "tests": Field("strings", required=True),
        "interval": _ZERO_SECONDS,
        "timeout": _ZERO_SECONDS,
        "startPeriod": _ZERO_SECONDS,
        "startInterval": _ZERO_SECONDS,
        "retries": Field("int", default=0, minimum=0),
    },
)

FIELDS: Final[Mapping[str, Field]] = {
    "name": STRING,
    "image": REQUIRED,
    "attach": _FALSE,
    "capabilities": Field("object", fields={"adds": STRING_SET, "drops": STRING_SET}),
    "command": STRINGS,
    "containerReadRefreshTimeoutMilliseconds": Field("int", default=15000),
    "cpuPeriod": _NATURAL,
    "cpuQuota": _NATURAL,
    "cpuSet": STRING,
    "cpuShares": _NATURAL,
    "destroyGraceSeconds": INT,
    "dns": STRING_SET,
    "dnsOpts": STRING_SET,
    "dnsSearches": STRING_SET,
    "domainname": STRING,
    "entrypoints": STRINGS,
    "envs": STRING_SET,
    "groupAdds": STRING_SET,
    "healthcheck": _HEALTHCHECK,
    "hostname": STRING,
    "hosts": Field("objects", unordered=True, fields={"host": REQUIRED, "ip": REQUIRED}),
    "init": BOOL,
    "labels": LABELS,
    "logDriver": STRING,
    "logOpts": MAP,
    "logs": _FALSE,
    "maxRetryCount": INT,
    "memory": _NATURAL,
    "memoryReservation": Field("int", default=0, minimum=0),
    "memorySwap": Field("int", minimum=-1),
    "mounts": _MOUNTS,
    "mustRun": Field("bool", default=True),
    "networkMode": Field("string", default="bridge"),
    "networksAdvanced": Field(
        "objects",
        unordered=True,
        fields={"name": REQUIRED, "aliases": STRING_SET, "ipv4Address": STRING, "ipv6Address": STRING},
    ),
    "ports": _PORTS,
    "privileged": BOOL,
    "readOnly": _FALSE,
    "removeVolumes": Field("bool", default=True),
    "restart": Field("string", default="no", choices=("no", "on-failure", "always", "unless-stopped")),
    "rm": _FALSE,
    "securityOpts": STRING_SET,
    "shmSize": _NATURAL,
    "start": Field("bool", default=True),
    "stdinOpen": _FALSE,
    "stopSignal": STRING,
    "stopTimeout": INT,
    "sysctls": MAP,
    "tmpfs": MAP,
    "tty": _FALSE,
    "ulimits": Field(
        "objects",
        unordered=True,
        fields={
            "name": REQUIRED,
            "soft": Field("int", required=True),
            "hard": Field("int", required=True),
        },
    ),
    "uploads": _UPLOADS,
    "user": STRING,
    "volumes": _VOLUMES,
    "wait": _FALSE,
    "waitTimeout": Field("int", default=60),
    "workingDir": STRING,
}

UPDATED: Final = frozenset(
    {
        "cpuPeriod",
        "cpuQuota",
        "cpuSet",
        "cpuShares",
        "maxRetryCount",
        "memory",
        "memoryReservation",
        "memorySwap",
        "restart",
    }
)
"""What an update really changes in the running container."""

UNAPPLIED: Final = frozenset({"healthcheck", "init", "tmpfs"})
"""What an update takes into the state alone: the container keeps what it has until it is replaced."""

IN_PLACE: Final = (
    UPDATED
    | UNAPPLIED
    | {
        "attach",
        "containerReadRefreshTimeoutMilliseconds",
        "destroyGraceSeconds",
        "logs",
        "mustRun",
        "removeVolumes",
        "rm",
        "start",
        "wait",
        "waitTimeout",
    }
)
"""All else replaces."""

OUTPUTS: Final = frozenset(
    {
        "bridge",
        "command",
        "containerLogs",
        "entrypoints",
        "envs",
        "exitCode",
        "healthcheck",
        "hostname",
        "init",
        "ipcMode",
        "labels",
        "logDriver",
        "networkDatas",
        "platform",
        "runtime",
        "securityOpts",
        "shmSize",
        "stopSignal",
        "stopTimeout",
    }
)
"""What the daemon fills in."""
