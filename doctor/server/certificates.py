"""The certificates that nginx shows, as far as they end soon. Of those that have ended, clients tell."""

from __future__ import annotations

import calendar
import time
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from doctor.finding import Finding
from doctor.server.served import Served
from hostctl import certificates
from hostctl.host import Host

DAYS = 30
"""From when on a certificate is near its end: as `make certificates` has it, and the settings' notices."""


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Each file once."""
    now = time.time()
    shown: Dict[str, List[Mapping[str, Any]]] = {}
    for each in served["endpoints"]:
        if each["certificate"]:
            shown.setdefault(each["certificate"], []).append(each)
    for path, endpoints in shown.items():
        file = host.read(path)
        ends = min((end_of(der) for der in certificates.held(file.content)), default=0.0) if file else 0.0
        if now < ends < now + DAYS * 86400:
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ends))
            values = {
                "name": endpoints[0]["name"],
                "port": ", ".join(dict.fromkeys(str(each["port"]) for each in endpoints)),
                "ends": when,
                "days": str(int((ends - now) // 86400)),
            }
            yield Finding("certificate-near-end", path, f"notAfter={when}", values)


def end_of(der: bytes) -> float:
    """When a certificate ends, in seconds since 1970 (RFC 5280, 4.1: TBSCertificate.validity.notAfter)."""
    _, place, _ = _element(der, 0)
    _, place, _ = _element(der, place)
    version, start, end = _element(der, place)
    if version == 0xA0:
        place = end
    for _ in ("serialNumber", "signature", "issuer"):
        _, _, place = _element(der, place)
    _, place, _ = _element(der, place)
    _, _, place = _element(der, place)
    kind, start, end = _element(der, place)
    text = der[start:end].decode("ascii")
    if kind == 0x17:  # UTCTime; RFC 5280 has its century
        text = ("19" if text[0] >= "5" else "20") + text
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))


def _element(der: bytes, place: int) -> Tuple[int, int, int]:
    """The tag of the element that starts there, and where its content starts and ends (X.690)."""
    tag, length, place = der[place], der[place + 1], place + 2
    if length & 0x80:
        more = length & 0x7F
        length, place = int.from_bytes(der[place : place + more], "big"), place + more
    return tag, place, place + length
