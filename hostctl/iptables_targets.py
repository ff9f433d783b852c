"""What the targets of an iptables rule do to a packet: iptables-extensions(8). One not known here is not guessed."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Callable, Dict, Optional, Sequence

from hostctl.iptables_matches import NotKnown
from hostctl.packets import NEW, Packet, Step, Surroundings, Verdict
from hostctl.rule_steps import always, masked, no_matter, untracked, with_mark

NO_MATTER = {
    "LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "TCPMSS", "TCPOPTSTRIP", "CHECKSUM", "TTL", "HL", "DSCP", "TOS", "ECN",
    "CLASSIFY", "SECMARK", "CONNSECMARK", "SET", "TEE", "IDLETIMER", "RATEEST", "LED",
}  # fmt: skip
VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return"}
SOURCES_ONLY = {"SNAT", "MASQUERADE"}
"""They translate the source, and end the chain."""


def target(name: str, words: Sequence[str]) -> Step:
    """The step of `-j name words`. Raises NotKnown."""
    if name in VERDICTS:
        return always(Verdict(VERDICTS[name]))
    if name in NO_MATTER:
        return no_matter
    if name in SOURCES_ONLY:
        return always(Verdict("accept"))
    try:
        return TARGETS[name](words)
    except (KeyError, ValueError, IndexError):
        raise NotKnown(" ".join(("-j", name, *words))) from None


def _value(words: Sequence[str], option: str) -> Optional[str]:
    return words[words.index(option) + 1] if option in words else None


def _dnat(words: Sequence[str]) -> Step:
    text = _value(words, "--to-destination") or ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port[1:]
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    address = ipaddress.ip_address(host) if host else None
    return always(Verdict("dnat", address=address, port=int(port) if port else None))


def _redirect(words: Sequence[str]) -> Step:
    port = _value(words, "--to-ports")
    return always(Verdict("redirect", port=int(port) if port else None))


def _mark(words: Sequence[str]) -> Step:
    value, mask = masked(_value(words, "--set-xmark") or "")
    return with_mark(lambda mark: mark & ~mask ^ value)


def _connmark(words: Sequence[str]) -> Step:
    setting = _value(words, "--set-xmark")
    value, mask = masked(setting) if setting else (0, 0)
    of_packet, of_connection = (int(_value(words, each) or "0xffffffff", 0) for each in ("--nfmask", "--ctmask"))

    def step(packet: Packet, around: Surroundings) -> Packet:
        mark, known = packet.mark, packet.connection_mark
        if packet.conntrack != NEW:
            return packet
        if setting:
            return replace(packet, connection_mark=None if known is None else known & ~mask ^ value)
        if "--save-mark" in words:
            saved = None if mark is None or known is None else known & ~of_connection ^ mark & of_packet
            return replace(packet, connection_mark=saved)
        return replace(
            packet, mark=None if mark is None or known is None else mark & ~of_packet ^ known & of_connection
        )

    if not setting and not {"--save-mark", "--restore-mark"} & set(words):
        raise ValueError
    return step


def _ct(words: Sequence[str]) -> Step:
    return untracked if "--notrack" in words else no_matter


TARGETS: Dict[str, Callable[[Sequence[str]], Step]] = {
    "DNAT": _dnat,
    "REDIRECT": _redirect,
    "MARK": _mark,
    "CONNMARK": _connmark,
    "CT": _ct,
    "NOTRACK": lambda words: untracked,
}
