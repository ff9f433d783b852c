"""The causes that the step `host` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import Cause

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "disk-full",
        "no space left on device",
        "The file system of {folder}, where {runtime} keeps its images on this host, has no room for one more.",
        "Remove images that nobody uses: the command does, and keeps those of running containers. Else a larger disk.",
        (("{host}", "{prune}"),),
        (r"no space left on device",),
    ),
    Cause(
        "clock-skew",
        "x509: certificate has expired or is not yet valid, by this host's clock",
        "This host's clock is wrong: certificates and tokens that are right count as too old or as of tomorrow.",
        "Have it set by NTP: systemd-timesyncd or chrony must run and reach a time server (`timedatectl`).",
        (("{host}", "timedatectl set-ntp true"),),
        (r"is not yet valid.* is before ", r"token (is not valid yet|used before issued)"),
    ),
)
