"""Configuration texts without the secrets in them, for reports and errors."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(://)[^/\s\"'@]+@")
_VALUE = re.compile(
    r"""(?ix) ( [\w.-]* (?:password|passwd|secret|token|auth|authorization) ["']? \s* [:=] \s* )
        ( \[ [^\]]* \] | "(?:[^"\\]|\\.)*" | '[^']*' )"""
)


def masked(text: str) -> str:
    """The text with credentials in URLs, and the values of keys that name a secret, replaced by stars."""
    return _VALUE.sub(r'\1"***"', _USERINFO.sub(r"\1***@", text))
