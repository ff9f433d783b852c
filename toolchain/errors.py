"""The one error that the toolchain raises for a person to read."""

from __future__ import annotations


class EngineError(Exception):
    """No engine can be had: what failed, and what to do about it."""
