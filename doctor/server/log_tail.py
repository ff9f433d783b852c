"""The last lines of logs, as evidence."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Iterable, List, Optional

from hostctl.host import Host
from hostctl.masking import masked
from hostctl.nginx_conf import error_log

MINUTES = 60
BYTES = 256 << 10
_STAMP = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")


def nginx_errors(host: Host, minutes: float = MINUTES) -> List[str]:
    """nginx's error log, oldest first; what can't be dated goes with the line before it."""
    since, recent, lines = time.time() - 60 * minutes, False, []
    for line in _tail(host.path(error_log(host))):
        stamp = _STAMP.match(line)
        if stamp:
            recent = time.mktime(time.strptime(stamp[0], "%Y/%m/%d %H:%M:%S")) >= since
        if recent:
            lines.append(line)
    return lines


def journal(host: Host, unit: str, minutes: float = MINUTES) -> List[str]:
    """What a unit has logged, and systemd about it, oldest first."""
    if not host.has("journalctl"):
        return []
    done = host.run(
        "journalctl", "-q", "--no-pager", "-o", "cat", "-n", "500", f"--since=-{minutes:g}min", "-u", unit, timeout=4
    )
    return done.output.splitlines() if done.ok else []


def newest(lines: Iterable[str], pattern: str) -> Optional[str]:
    """The last line that holds the pattern, without secrets, short."""
    found = [line for line in lines if re.search(pattern, line)]
    return masked(found[-1].strip())[:400] if found else None


def _tail(path: Path) -> List[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - BYTES, 0))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
