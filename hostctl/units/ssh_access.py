"""`ssh-access`: the line with the stack's own public key among those that open root's account to SSH.

Others' lines stay as they are. A changed line is on trial until a connection that the new key has opened confirms it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import authorized_keys, sshd, wishes
from hostctl.admin_access import ssh_connection
from hostctl.authorized_keys import fingerprint, key_of
from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.store import Store
from hostctl.unit import NONE, Change, OwnFile, SharedFile, Unit, Wish

CONFIRM_SECONDS = 30
DEFAULT_FILE = f"~root/{sshd.DEFAULT_FILE}"
LINE = re.compile(r"(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) AAAA[A-Za-z0-9+/=]+ http-registry \S+")
ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
"""The signature algorithms of a key's type, where they are called otherwise (RFC 8332)."""


class _AuthorizedKeys(SharedFile):
    def __init__(self, path: str, line: str) -> None:
        self.path = path
        self.line = line

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        return authorized_keys.merge(base, self.line.encode()), {"line": self.line, "created": base is None}

    def foreign(self, base: FileState) -> FileState:
        """A line with our mark is ours also where its record is lost."""
        return base.with_content(authorized_keys.without(base.content, self.line.encode())[0])

    def state(self, there: Optional[FileState]) -> FileState:
        """Root's own; sshd refuses what others could write (StrictModes)."""
        return there or FileState(b"", 0o600)


class SshAccess(Unit):
    """Wish: `line`, as it is to stand in the file: type, key, and a comment `http-registry project/stack`.

    `confirm_seconds` (default 30): how long it is there without a confirmation.
    """

    name = "ssh-access"
    lets_us_in = True

    def confirm_seconds(self, wish: Wish) -> Optional[int]:
        """The line that it replaces may be the only one that lets the stack in."""
        return wishes.count(wish, "confirm_seconds") or CONFIRM_SECONDS

    def preflight(self, host: Host, wish: Wish) -> None:
        """The line is one, and sshd says that it takes such keys."""
        line = _line(wish)
        kind = line.split()[0]
        known = sshd.key_settings(host, ssh_connection())
        if known is None:
            self.notes.append("sshd does not tell its settings ('sshd -T'); taken for OpenSSH's own")
        elif not {*ALGORITHMS.get(kind, (kind,))} & {*known.algorithms}:
            raise HostError(
                f"sshd: would refuse the new SSH key, a {kind}: PubkeyAcceptedAlgorithms is "
                f"{','.join(known.algorithms)}; take another type of key ('make ssh-key' makes ssh-ed25519)"
            )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """None is ours alone."""
        return []

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """The first file in which sshd looks for root's keys."""
        known = sshd.key_settings(host, ssh_connection())
        return [_AuthorizedKeys(known.files[0] if known else DEFAULT_FILE, _line(wish))]

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our line out of the file, also one that somebody has changed: it bears our mark."""
        text, found = authorized_keys.without(current, ours["line"].encode())
        changed = [each for each in found if each != ours["line"].encode()]
        notes = [f"{path}: somebody has changed our line since; it is gone all the same"] if changed else []
        return (None if ours["created"] and not text else text), notes

    def rejoin(self, path: str, base: Optional[bytes], ours: Dict[str, Any]) -> bytes:
        """An earlier line of ours, in the file as others have it now."""
        return authorized_keys.merge(base, ours["line"].encode())

    def drift(self, path: str, current: bytes, ours: Dict[str, Any]) -> List[Difference]:
        """Whether our line stands there as we wrote it, and no other with our mark."""
        found = [each.decode(errors="replace") for each in authorized_keys.without(current, ours["line"].encode())[1]]
        return [] if found == [ours["line"]] else [Difference("line", ours["line"], "\n".join(found) or None)]

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """Nothing to ask: sshd has no test for this file, so the confirmation is it."""

    def activation(self, host: Host, change: Change) -> str:
        """NONE: sshd reads the file at each login."""
        return NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """NONE."""
        return Foresight(
            (NONE,),
            "the stack's line in root's authorized_keys is exchanged on trial: it goes back by itself unless a new SSH "
            "connection confirms it",
        )

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Nothing to do."""

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The file is as it was written."""
        for path, state in change.after.items():
            if host.read(path) != state:
                raise HostError(f"{path}: does not hold what was written there; somebody else writes it too")

    def doubt(self, host: Host, wish: Wish) -> str:
        """Where sshd's log says that another key has opened this connection, the new one is not proved."""
        used, new = sshd.opened_by(host, ssh_connection()), fingerprint(_line(wish))
        if not used:
            self.notes.append("sshd's log does not tell which key has opened this connection; taken for the new one")
        elif used != new:
            return f"this connection was opened by the key {used}, and not by the new one, {new}"
        return ""

    def unconfirmed(self, host: Host, client: str, since: float, until: float) -> str:
        """What sshd has said meanwhile."""
        said = "; ".join(sshd.refusals(host, since, until)) or "its log ('journalctl -t sshd') does not say why"
        return (
            f"The new SSH key does not open this host, sshd has refused it: {said}. Mend sshd's settings (restart "
            "it after a change of its files) or set another ssh-key"
        )

    def confirmed(self, wish: Wish) -> Dict[str, Any]:
        """`key`: the fingerprint of the key that opens the host from now on."""
        return {"key": fingerprint(_line(wish))}

    def report(self, host: Host, change: Change) -> Dict[str, Any]:
        """A note on our key in a line of somebody else: that one stays when the key is replaced."""
        notes = []
        for path, state in change.after.items():
            lines = state.content.decode(errors="replace").splitlines() if state else []
            mine = key_of(_line(change.wish)) if change.wish else ""
            if mine and sum(key_of(each) == mine for each in lines) > 1:
                notes.append(f"{path}: the same key is there in a line of somebody else as well, which stays")
        return {"notes": notes}

    def observe(self, host: Host) -> Dict[str, str]:
        """Our line, in each file that has it."""
        record = Store(host).record(self.name)
        found = {}
        for path, owned in (record.files if record else {}).items():
            state = host.read(path)
            lines = (
                authorized_keys.without(state.content, owned.ours["line"].encode())[1] if state and owned.ours else []
            )
            found[path] = "".join(f"{each.decode(errors='replace')}\n" for each in lines)
        return found


def _line(wish: Wish) -> str:
    line = wishes.text(wish, "line")
    if not LINE.fullmatch(line):
        raise HostError("wish, line: must be a public SSH key with the comment 'http-registry PROJECT/STACK'")
    return line
