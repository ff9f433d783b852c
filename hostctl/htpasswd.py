"""htpasswd files. A line is written anew only if its password no longer fits, so the same wish is the same file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List

from hostctl import bcrypt_hash
from hostctl.bcrypt_hash import MOST_BYTES
from hostctl.errors import HostError
from hostctl.unit import HEADER, Wish

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class User:
    """A user of the wish."""

    name: str
    pushes: bool
    password: str


def users_of(wish: Wish) -> List[User]:
    """The users of a wish. Raises HostError, without the password, for one that can't be."""
    users: Dict[str, User] = {}
    for each in wish.get("users") or []:
        name, role, password = (each.get(key) for key in ("name", "role", "password"))
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in users:
            raise HostError(f"wish, users: {name!r} must be a name of letters, digits, dots and dashes, once")
        if role not in ("pull", "push"):
            raise HostError(f"wish, users: the role of {name} must be pull or push")
        if not isinstance(password, str) or "\0" in password or not 0 < len(password.encode()) <= MOST_BYTES:
            raise HostError(
                f"wish, users: the password of {name} must have 1 to {MOST_BYTES} bytes, since bcrypt ignores more; "
                "set a shorter one"
            )
        users[name] = User(name, role == "push", password)
    return list(users.values())


def hashes_in(text: bytes) -> Dict[str, str]:
    """The hashes of a file, by user."""
    lines = [line for line in text.decode(errors="replace").splitlines() if ":" in line and line[0] != "#"]
    return dict(line.split(":", 1) for line in reversed(lines))


def hashes_for(users: Iterable[User], known: Dict[str, str], cost: int) -> Dict[str, str]:
    """A hash for each user: the known one if it still fits."""

    def fits(user: User, hashed: str) -> bool:
        return bcrypt_hash.cost_of(hashed) == cost and bcrypt_hash.verifies(user.password, hashed)

    return {
        user.name: known[user.name] if fits(user, known.get(user.name, "")) else bcrypt_hash.make(user.password, cost)
        for user in users
    }


def replaced(known: Dict[str, str], hashes: Dict[str, str]) -> Dict[str, str]:
    """The known hashes that have given way to others; only bcrypt: none that somebody has put there by hand."""
    return {
        name: hashed
        for name, hashed in known.items()
        if hashes.get(name, hashed) != hashed and bcrypt_hash.cost_of(hashed) is not None
    }


def text(users: Iterable[User], hashes: Dict[str, str]) -> bytes:
    """A file of these users."""
    return (f"# {HEADER}\n" + "".join(f"{user.name}:{hashes[user.name]}\n" for user in users)).encode()
