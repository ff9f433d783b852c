"""Where `make doctor` leaves what it has found for the status page: a file on the proxy's host."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from documents import nginx_status
from ops.configuration import write_known_hosts
from ops.ssh import on_host
from ops.stack import Stack
from settings.tier import Tier

LIMIT = 10.0
"""Seconds that the host has."""


def leave(stack: Stack, tier: Tier, document: Mapping[str, Any]) -> str:
    """Put doctor's document there. Returns what a person should know; empty where it is there, or no page is wanted.

    A host without the page, since no `up` has brought it yet, gets nothing.
    """
    if tier.proxy is None or nginx_status.endpoint(tier) is None:
        return ""
    host = tier.host(tier.proxy.host)
    try:
        done = on_host(stack, host, write_known_hosts(stack.name), command(), text(document), limit=LIMIT)
    except subprocess.TimeoutExpired:
        return f"{host.name}: no answer within {LIMIT:g} s; the status page shows the findings of before"
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return f"{host.name}: the status page shows the findings of before: {reason[-1]}"
    return ""


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
