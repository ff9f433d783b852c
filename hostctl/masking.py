"""Configuration texts without the secrets in them, for reports and errors."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
"""Stands for a secret."""

_USERINFO = re.compile(r"(://)[^/\s\"'@]+@")
_VALUE = re.compile(
    r"""(?ix) ( (?:password|passwd|secret|token|auth|authorization) ["']? \s* [:=] \s* )
        ( \[ [^\]]* (?: \] | \Z ) | "(?:[^"\\]|\\.)*" | '[^']*' )"""
)
_HEADER = re.compile(r"""(?i)(\bauthorization\s+)("(?:[^"\\]|\\.)+"|'[^']+')""")
_KEY = re.compile(r"(?i)(?:password|passwd|secret|token|auth|authorization)$")


def masked(text: str) -> str:
    """The text with stars for credentials in URLs, for values of keys that name a secret, and for nginx's logins."""
    return _HEADER.sub(rf'\1"{MASK}"', _VALUE.sub(rf'\1"{MASK}"', _USERINFO.sub(rf"\1{MASK}@", text)))


def masked_value(key: str, value: Any) -> Any:
    """The value of a key, as `masked` does it for a text."""
    if isinstance(value, dict):
        return {name: masked_value(name, each) for name, each in value.items()}
    if value is not None and _KEY.search(key):
        return MASK
    if isinstance(value, list):
        return [masked_value(key, each) for each in value]
    return masked(value) if isinstance(value, str) else value
