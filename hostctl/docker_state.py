"""What a running dockerd says about its configuration: GET /info, the `reload` event, and its journal.

The engine shows mirrors, insecure registries and debug in GET /info; max-concurrent-downloads it tells only in the
`reload` event that follows a SIGHUP, and that it refused a reload only in its journal.
"""

from __future__ import annotations

import json
import time
from typing import Any, List, Mapping, Optional, Set

from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS, same_item
from hostctl.docker_engine import LOOPBACK
from hostctl.host import Host
from hostctl.log_lines import fields
from hostctl.masking import masked
from hostctl.systemd import journal

_IGNORES_DOWNLOADS = "not yet implemented with the containerd store"


def info_complaint(info: Mapping[str, Any], text: Mapping[str, Any]) -> Optional[str]:
    """What /info shows other than the text says; a key that the text lacks may be a flag and is not looked at."""
    if MIRRORS in text:
        mirrors = _mirrors(info)
        if mirrors != list(dict.fromkeys(same_item(each) for each in text[MIRRORS])):
            return f"dockerd uses the mirrors {masked(str(mirrors))} in place of {masked(str(text[MIRRORS]))}"
    if INSECURE in text:
        insecure = _insecure(info)
        wanted = {_insecure_name(each) for each in text[INSECURE]} - set(LOOPBACK)
        if insecure != wanted:
            return f"dockerd takes {sorted(insecure)} for insecure registries in place of {sorted(wanted)}"
    if DEBUG in text and info["Debug"] != text[DEBUG]:
        return f"dockerd's debug is {json.dumps(info['Debug'])} in place of {json.dumps(text[DEBUG])}"
    return None


def lack(info: Mapping[str, Any], ours: Mapping[str, Any]) -> Optional[str]:
    """Which of our items and values /info does not show; what others have in the same lists does not matter."""
    mirrors = [each for each in ours.get(MIRRORS, []) if same_item(each) not in _mirrors(info)]
    if mirrors:
        return f"dockerd does not use the mirrors {masked(str(mirrors))}"
    wanted = {_insecure_name(each) for each in ours.get(INSECURE, [])} - set(LOOPBACK)
    if not wanted <= _insecure(info):
        return f"dockerd does not take {sorted(wanted - _insecure(info))} for insecure registries"
    return info_complaint(info, {DEBUG: ours[DEBUG]} if DEBUG in ours else {})


def _mirrors(info: Mapping[str, Any]) -> List[str]:
    return list(dict.fromkeys(same_item(each) for each in info["RegistryConfig"]["Mirrors"] or []))


def _insecure(info: Mapping[str, Any]) -> Set[str]:
    shown = info["RegistryConfig"]
    insecure = {name for name, index in (shown["IndexConfigs"] or {}).items() if not index["Secure"]}
    return insecure | (set(shown["InsecureRegistryCIDRs"] or []) - set(LOOPBACK))


def reload_complaint(host: Host, text: Mapping[str, Any], since: float) -> Optional[str]:
    """Whether the engine's event stream tells of the reload, and with our number."""
    from hostctl import docker_api

    events = docker_api.call(
        host,
        "GET",
        "/events",
        {
            "since": f"{since:.6f}",
            "until": f"{time.time():.6f}",
            "filters": json.dumps({"type": ["daemon"], "event": ["reload"]}),
        },
    )
    lines = [json.loads(line) for line in events.body.splitlines() if line.strip()] if events.status == 200 else []
    if not lines:
        return "dockerd has not taken over daemon.json after SIGHUP; look at 'journalctl -u docker'"
    told = lines[-1]["Actor"]["Attributes"].get(DOWNLOADS)
    if DOWNLOADS in text and told is not None and told != str(text[DOWNLOADS]):
        return f"dockerd uses {DOWNLOADS} {told} in place of {text[DOWNLOADS]}"
    return None


def refusal(host: Host, service: str, since: float) -> str:
    """What dockerd said about a reload that it refused since then; empty while it has said nothing."""
    if time.time() - since < 0.3:
        return ""
    return " | ".join(filter(None, map(refused, journal(host, service, since))))


def refused(line: str) -> str:
    """The reason in a line of dockerd's log that tells of a refused reload, in either format; else empty.

    Up to Engine 24 the message says it all; later ones give the reason as `error`.
    """
    said = fields(line)
    if said.get("level") not in ("error", "fatal") or "onfigur" not in f"{said.get('msg')} {said.get('error')}":
        return ""
    return said.get("error") or said["msg"]


def ignores_downloads(host: Host, service: str, since: float) -> bool:
    """Whether dockerd has said that its containerd image store does not heed max-concurrent-downloads."""
    return any(_IGNORES_DOWNLOADS in line for line in journal(host, service, since))


def _insecure_name(item: str) -> str:
    """dockerd strips a scheme, and shows a network by its first address."""
    from ipaddress import ip_network

    name = item.split("://", 1)[-1].rstrip("/")
    try:
        return str(ip_network(name, strict=False)) if "/" in name else name
    except ValueError:
        return name
