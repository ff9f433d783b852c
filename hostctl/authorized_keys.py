"""A line of ours in a file of public SSH keys, known by its comment; the format is that of sshd(8), AUTHORIZED_KEYS."""

from __future__ import annotations

import base64
import hashlib
from typing import List, Optional, Tuple

MARK = b"http-registry "
"""How the comment of our line begins; the stack follows."""


def merge(base: Optional[bytes], line: bytes) -> bytes:
    """`base` with our line behind it."""
    text = without(base or b"", line)[0]
    return text + (b"" if not text or text.endswith(b"\n") else b"\n") + line + b"\n"


def without(text: bytes, line: bytes) -> Tuple[bytes, List[bytes]]:
    """The text without every line that bears our mark, and those lines."""
    lines = text.splitlines(keepends=True)
    ours = [each for each in lines if _mark(each) == _mark(line)]
    return b"".join(each for each in lines if each not in ours), [each.strip() for each in ours]


def key_of(line: str) -> str:
    """`type base64`, without options before and the comment behind; empty where the line has no key."""
    words = line.split()
    for kind, blob in zip(words, words[1:]):
        if blob.startswith("AAAA") and not line.lstrip().startswith("#"):
            return f"{kind} {blob}"
    return ""


def fingerprint(line: str) -> str:
    """The key's name in sshd's log: `SHA256:` and the digest in base64 without padding."""
    digest = hashlib.sha256(base64.b64decode(key_of(line).split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _mark(line: bytes) -> bytes:
    """The mark at the end of a line, empty for a line of others."""
    before, mark, stack = line.strip().rpartition(b" " + MARK)
    return b"" if before.startswith(b"#") else mark + stack
