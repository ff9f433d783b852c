"""The one exception that hostctl turns into a report, and how all others are told."""

from __future__ import annotations

from pathlib import Path


class HostError(Exception):
    """Something on this host is not as it must be. The text says what, where and the remedy; it holds no secret."""


def described(failure: BaseException) -> str:
    """What went wrong, for a person; of an unexpected exception the place only, since its text may hold a secret."""
    if isinstance(failure, HostError):
        return str(failure)
    if isinstance(failure, OSError):
        return f"{failure.filename or 'the host'}: {failure.strerror}"
    if not isinstance(failure, Exception):
        return f"interrupted ({type(failure).__name__})"
    return f"a fault in hostctl ({type(failure).__name__} at {place_of(failure)}); please report it"


def place_of(failure: BaseException) -> str:
    """File and line of the innermost frame of an exception."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
