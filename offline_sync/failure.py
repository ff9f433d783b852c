"""What ends a command, told without a traceback."""

from __future__ import annotations


class Failure(Exception):
    """The text says what is wrong, and what to do."""
