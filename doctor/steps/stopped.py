"""A runtime that does not run, or does not answer: by its own last words, because of its configuration or not."""

from __future__ import annotations

import re
import time
from typing import List

from doctor.steps.asked import End, ended
from hostctl.host import Host
from hostctl.log_lines import fields
from hostctl.masking import masked
from hostctl.systemd import Service, monotonic

LAST_WORDS = 60
"""Lines of the journal in which the reason of a failed start is looked for."""
REFUSED = (
    r"unable to configure the Docker daemon with file",
    r"failed to start daemon: (invalid mirror|.*insecure registry|validation of runtime)",
    r"merged configuration validation",
    r"containerd: failed to (load|unmarshal) TOML",
    r"containerd: .*invalid (disabled|required|plugin)",
)
"""How dockerd and containerd say, when they end, that their configuration is the reason."""


def stopped(host: Host, service: Service, files: str) -> End:
    """The end for a service that does not run; `files`: what it reads."""
    state = f"{service.name}.service is {service.active}"
    if service.active != "inactive":  # somebody's `systemctl stop` has no reason to be looked for
        lines = last_words(host, service.name)
        refused = next((line for line in reversed(lines) if any(re.search(each, line) for each in REFUSED)), "")
        if refused:
            reading = f"systemctl reset-failed {service.name}; systemctl restart {service.name}"
            return ended("runtime-config-broken", files, said(refused), file=files, reading=reading)
        state += f": {said(lines[-1])}" if lines else ""
    return ended("runtime-down", f"{service.name}.service", state, service=service.name)


def started_at(service: Service) -> float:
    """When its process was started, in seconds since 1970."""
    return time.time() - (monotonic() - service.started) / 1e6


def last_words(host: Host, service: str) -> List[str]:
    """The end of a service's journal, systemd's own lines left out."""
    found = host.run(
        "journalctl", f"_SYSTEMD_UNIT={service}.service", "-n", str(LAST_WORDS), "-o", "cat", "--no-pager", "-q"
    )
    return found.output.splitlines()


def said(line: str) -> str:
    """A line of a runtime's log in short: its message and its error, credentials masked."""
    known = fields(line)
    words = [known[key] for key in ("msg", "error", "err", "response", "error-response") if known.get(key)]
    return masked(": ".join(words) if "msg" in known else line.strip())
