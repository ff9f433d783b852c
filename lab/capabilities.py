"""The capabilities a host's container gets: all that this process may give and every Docker knows."""

from __future__ import annotations

from pathlib import Path

ORDER = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE"
    " NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT"
    " SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE"
    " AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
)
"""In the kernel's order. Docker 20.10 does not know the later ones: PERFMON, BPF, CHECKPOINT_RESTORE."""

NAMES = ORDER.split()


def from_mask(mask: int) -> list[str]:
    """The names of the capabilities in a bit mask."""
    return [name for bit, name in enumerate(NAMES) if mask >> bit & 1]


def bounding() -> list[str]:
    """This process's bounding set: a sandbox's root may lack some, and then `--privileged` fails."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return from_mask(int(line.split()[1], 16))
    return NAMES
