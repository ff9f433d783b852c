"""What the host's sshd says: its settings for root's logins, which key has opened a connection, why it refuses keys.

OpenSSH's `sshd -T -C` gives the settings as the files have them now, `Match` blocks included. Its log lines, at its
own LogLevel INFO: auth.c and auth2-pubkey.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional

from hostctl import homes
from hostctl.admin_access import client_address
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.waiting import wait_until

DEFAULT_FILE = ".ssh/authorized_keys"
REFUSALS = re.compile(
    r"not in PubkeyAcceptedAlgorithms|Authentication refused|refusing \S+ key|Invalid key length|bad permissions"
)
LOG_PATIENCE = 1.0
"""Seconds that a line of sshd's may take into the journal."""


@dataclass(frozen=True)
class KeySettings:
    """Where sshd looks for root's keys, as hostctl names files, first the first; and the algorithms that it takes
    (empty: not known)."""

    files: List[str]
    algorithms: List[str]


def key_settings(host: Host, connection: str) -> Optional[KeySettings]:
    """The settings for a login of root from where `connection` ($SSH_CONNECTION) comes; None where sshd won't tell.

    Raises HostError where sshd takes no keys at all.
    """
    if not host.has("sshd"):
        return None
    client = client_address(connection) or "127.0.0.1"
    where = f"user=root,host={client},addr={client}"
    if len(connection.split()) == 4:
        where += ",laddr={2},lport={3}".format(*connection.split())
    done = host.run("sshd", "-T", "-C", where)
    if not done.ok:
        return None
    said = dict(line.partition(" ")[::2] for line in done.output.splitlines())
    if said.get("pubkeyauthentication") == "no":
        raise HostError("sshd: PubkeyAuthentication is no, so no SSH key would open this host; allow it for root")
    files = said.get("authorizedkeysfile", DEFAULT_FILE).split()
    if files == ["none"]:
        raise HostError(
            "sshd: AuthorizedKeysFile is none, so there is no file for the SSH key; name one "
            f"({DEFAULT_FILE}), or take ssh-key out of the stack"
        )
    return KeySettings([_named(each) for each in files], said.get("pubkeyacceptedalgorithms", "").split(","))


def _named(pattern: str) -> str:
    """A file as hostctl names it: `~root/…` in root's home."""
    root = homes.account("root")
    tokens = {"%%": "%", "%h": root.home, "%u": root.name, "%U": str(root.uid)}
    path = re.sub("%[%huU]", lambda found: tokens[found[0]], pattern)
    path = path if path.startswith("/") else f"{root.home}/{path}"
    inside = path.startswith(f"{root.home}/")
    return f"~{root.name}/{path[len(root.home) + 1 :]}" if inside else path


def opened_by(host: Host, connection: str) -> str:
    """The fingerprint of the key that has opened a connection; empty where sshd's log does not tell."""
    words = connection.split()
    if len(words) != 4 or not host.has("journalctl"):
        return ""
    accepted = re.compile(rf"Accepted publickey for \S+ from {re.escape(words[0])} port {words[1]} .*(SHA256:\S+)")
    found: List[str] = []

    def look() -> Optional[str]:
        found[:] = accepted.findall("\n".join(_log(host, "-15min")))
        return None if found else "not there yet"

    try:
        wait_until(look, LOG_PATIENCE)
    except HostError:
        return ""
    return found[-1]


def refusals(host: Host, since: float, until: float) -> List[str]:
    """Why sshd has refused keys between two moments (seconds since 1970), in its own words, each once."""
    if not host.has("journalctl"):
        return []
    lines = [line for line in _log(host, f"@{since:.0f}", f"--until=@{until:.0f}") if REFUSALS.search(line)]
    return list(dict.fromkeys(re.sub(r" \[preauth\]$", "", line) for line in lines))


def _log(host: Host, since: str, *more: str) -> List[str]:
    tags = ("-t", "sshd", "-t", "sshd-session")
    return host.run("journalctl", "-q", "-o", "cat", f"--since={since}", *more, *tags).output.splitlines()
