"""`hostctl apply|remove|observe`: one JSON request on stdin, one JSON report on stdout, an error line on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, Dict, List, Tuple

from hostctl.errors import HostError, described
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.unit import Unit, Wish
from hostctl.units import unit_named

ACTIONS = ("apply", "remove", "observe")


def read_request(text: bytes) -> Tuple[Unit, Wish]:
    """The unit and the wish of a request. Raises HostError where the request is malformed."""
    try:
        request = json.loads(text)
        name, wish = request["unit"], request.get("wish") or {}
        if not isinstance(wish, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError) as broken:
        raise HostError('the request on stdin must be JSON: {"unit": …, "wish": {…}}') from broken
    return unit_named(str(name)), wish


def main(arguments: List[str]) -> int:
    """Carry out one request; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in ACTIONS:
        print(f"usage: hostctl {'|'.join(ACTIONS)} < request.json", file=sys.stderr)
        return 2
    # An SSH connection that drops must not stop a transaction half way; SIGTERM goes back in order.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o022)
    name = ""
    try:
        unit, wish = read_request(sys.stdin.buffer.read())
        name = unit.name
        transactions = Transactions(Host())
        if arguments[0] == "apply":
            report = transactions.apply(unit, wish)
        elif arguments[0] == "remove":
            report = transactions.remove(unit)
        else:
            report = transactions.observe(unit)
    except HostError as failure:
        _say_failure(name, str(failure), getattr(failure, "rolled_back", True))
        return 1
    except OSError as failure:
        _say_failure(name, f"{described(failure)}; nothing was changed", True)
        return 1
    except Exception as fault:
        _say_failure(name, described(fault), True)
        return 1
    _print(report)
    return 0


def _stop(number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _say_failure(unit: str, error: str, rolled_back: bool) -> None:
    state = "the host is as it was" if rolled_back else "the host is NOT as it was"
    _print({"unit": unit, "result": "failed", "error": error, "rolled_back": rolled_back})
    print(f"hostctl: {error} ({state})", file=sys.stderr)


def _print(report: Dict[str, Any]) -> None:
    print(json.dumps(report, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
