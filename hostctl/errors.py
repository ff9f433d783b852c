"""The one exception that hostctl turns into a report."""

from __future__ import annotations


class HostError(Exception):
    """Something on this host is not as it must be. The text says what, where and the remedy; it holds no secret."""
