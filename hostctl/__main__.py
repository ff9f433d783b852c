"""`hostctl apply|confirm|remove|observe|drift|remove-all|reach`: a JSON request on stdin, a JSON report on stdout.

`hostctl revert` takes no request: a timer calls it (hostctl.revert_timer). `drain` and `admit` have one of their own
(hostctl.replicas).

Sentences for a person go to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, Dict, List, NamedTuple, Optional

from hostctl.errors import HostError, described
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.unit import Wish
from hostctl.units import UNITS, unit_named

ACTIONS = ("apply", "confirm", "remove", "observe", "drift", "remove-all", "reach", "revert", "drain", "admit")
OF_REPLICAS = ("drain", "admit")


class Request(NamedTuple):
    """What is asked for: by whom (`project/stack/host`, or empty), about which unit (empty for all), and the wish."""

    owner: str
    unit: str
    wish: Wish


NOTHING = Request("", "", {})


def read_request(text: bytes) -> Request:
    """Read a request. Raises HostError where it is malformed."""
    try:
        request = json.loads(text)
        owner, unit, wish = request.get("owner", ""), request.get("unit", ""), request.get("wish") or {}
        if not (isinstance(owner, str) and isinstance(unit, str) and isinstance(wish, dict)):
            raise TypeError
    except (ValueError, AttributeError, TypeError, RecursionError) as broken:
        raise HostError('the request on stdin must be JSON: {"owner": …, "unit": …, "wish": {…}}') from broken
    return Request(owner, unit, wish)


def carry_out(action: str, request: Request) -> Dict[str, Any]:
    """Do what is asked; returns the report. Raises HostError where it can't be done."""
    transactions = Transactions(Host(), owner=request.owner)
    if action == "remove-all":
        return transactions.remove_all(map(unit_named, UNITS))
    if action == "drift":
        from hostctl.drift import drift  # for the other actions, a module less to load

        return drift(Host(), request.owner, [request.unit] if request.unit else UNITS, unit_named)
    if action == "revert":
        from hostctl.commit_confirmed import revert_all

        return revert_all(transactions, unit_named)
    unit = unit_named(request.unit)
    if action == "apply":
        return transactions.apply(unit, request.wish)
    if action == "confirm":
        from hostctl.commit_confirmed import confirm

        return confirm(transactions, unit, request.wish)
    return transactions.remove(unit) if action == "remove" else transactions.observe(unit)


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
        if arguments[0] == "reach":
            report = _reach(sys.stdin.buffer.read())
        elif arguments[0] in OF_REPLICAS:
            report = _replica(arguments[0], sys.stdin.buffer.read())
        else:
            request = NOTHING if arguments[0] == "revert" else read_request(sys.stdin.buffer.read())
            name = request.unit
            report = carry_out(arguments[0], request)
    except HostError as failure:
        # A container that is drained or let in is Docker's to change, not ours to take back.
        _say_failure(name, str(failure), getattr(failure, "rolled_back", None if arguments[0] in OF_REPLICAS else True))
        return 1
    except OSError as failure:
        _say_failure(name, f"{described(failure)}; nothing was changed", True)
        return 1
    except Exception as fault:
        _say_failure(name, described(fault), True)
        return 1
    for note in report.get("notes", []):
        print(note, file=sys.stderr)
    _print(report)
    return 0


def _reach(text: bytes) -> Dict[str, Any]:
    from hostctl.reach import reach, read_request  # for the other actions, modules less to load

    return reach(Host(), read_request(text))


def _replica(action: str, text: bytes) -> Dict[str, Any]:
    from hostctl import replicas  # for the other actions, modules less to load

    asked = replicas.read_request(text)
    return replicas.drain(Host(), asked) if action == "drain" else replicas.admit(Host(), asked)


def _stop(number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _say_failure(unit: str, error: str, rolled_back: Optional[bool]) -> None:
    """`rolled_back`: None where the error itself says how the host is."""
    state = {True: " (the host is as it was)", False: " (the host is NOT as it was)", None: ""}[rolled_back]
    _print({"unit": unit, "result": "failed", "error": error, "rolled_back": rolled_back})
    print(f"hostctl: {error}{state}", file=sys.stderr)


def _print(report: Dict[str, Any]) -> None:
    print(json.dumps(report, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
