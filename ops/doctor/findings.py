"""Leaves doctor's findings on each proxy's host, for the status page."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from documents import nginx_status
from ops.configuration import write_known_hosts
from ops.ssh import on_host
from ops.stack import Stack
from settings.tier import Tier

LIMIT = 5.0
"""Seconds that the host has; a host that does not answer was asked by doctor before, and is told of there."""


def leave(stack: Stack, tier: Tier, document: Mapping[str, Any]) -> None:
    """Take the document of `make doctor JSON=1` there, where the tier has a status page. Never raises, never prints.

    The page says when doctor was run, so that an old document is seen as one. A host where no `up` has brought the
    page gets nothing.
    """
    if tier.proxy and nginx_status.endpoint(tier):
        known_hosts = write_known_hosts(stack.name)
        for name in tier.proxy.hosts:
            with suppress(subprocess.TimeoutExpired):
                on_host(stack, tier.host(name), known_hosts, command(), text(document), limit=LIMIT)


def text(document: Mapping[str, Any]) -> str:
    """The file: what was found when and where, without the steps that led there."""
    hosts = [{"host": each["host"], "error": each.get("error")} for each in document["hosts"]]
    kept = {"stack": document["stack"], "at": document["at"], "hosts": hosts, "findings": document["findings"]}
    return json.dumps(kept) + "\n"


def command() -> str:
    """What the host does with it: the old file is there until the new one is whole."""
    page, folder, file = map(shlex.quote, (nginx_status.FOLDER, nginx_status.FINDINGS_FOLDER, nginx_status.FINDINGS))
    write = f"umask 022 && mkdir -p {folder} && cat > {file}.new && mv {file}.new {file}"
    return f"if test -d {page}; then {write}; fi"
