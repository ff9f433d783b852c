"""bcrypt through the host's own libcrypt, the library that nginx asks as well (crypt(3), crypt_gensalt(3))."""

from __future__ import annotations

import ctypes
import hmac
import os
from typing import Optional

from hostctl.errors import HostError

PREFIX = "$2y$"
"""What `htpasswd -B` writes; libxcrypt, musl and the BSDs know it."""
MOST_BYTES = 72
"""bcrypt looks at no more of a password."""
LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", "libcrypt.so")


def make(password: str, cost: int) -> str:
    """A new hash with a new salt. Raises HostError where the host's libcrypt can't make one."""
    library = _library()
    if not hasattr(library, "crypt_gensalt"):
        raise HostError("libcrypt has no crypt_gensalt; install libxcrypt (Debian: libcrypt1, Fedora: libxcrypt)")
    library.crypt_gensalt.restype = ctypes.c_char_p
    library.crypt_gensalt.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int]
    random = os.urandom(16)
    salt = library.crypt_gensalt(PREFIX.encode(), cost, random, len(random))
    made = _crypt(password, salt.decode()) if salt else None
    if made is None or not verifies(password, made) or cost_of(made) != cost:
        raise HostError("libcrypt makes no bcrypt hashes; install libxcrypt (Debian: libcrypt1, Fedora: libxcrypt)")
    return made


def verifies(password: str, hashed: str) -> bool:
    """Whether the password is the hash's; an expected 50 ms at cost 10, twice that for each step."""
    found = _crypt(password, hashed)
    return found is not None and hmac.compare_digest(found, hashed)


def cost_of(hashed: str) -> Optional[int]:
    """The work factor of a bcrypt hash; None for any other text."""
    parts = hashed.split("$")
    if len(parts) != 4 or parts[1] not in ("2a", "2b", "2y") or not parts[2].isdigit() or len(parts[3]) != 53:
        return None
    return int(parts[2])


def _crypt(password: str, setting: str) -> Optional[str]:
    library = _library()
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    found = library.crypt(password.encode(), setting.encode())
    # A failure is NULL, or a text that starts with a star and so is no hash.
    return None if not found or found.startswith(b"*") else found.decode()


def _library() -> ctypes.CDLL:
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    program = ctypes.CDLL(None)
    if hasattr(program, "crypt"):
        return program
    raise HostError("libcrypt: not on this host; install it (Debian: apt-get install libcrypt1)")
