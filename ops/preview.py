"""`make preview`: what `up` would change, without any host being reached."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ops.stack import PROJECT, Stack, StackError

if TYPE_CHECKING:
    from ops.preview_plan import Plan

WITHOUT_HOSTS = PROJECT / "ops" / "without_hosts"
"""A folder for the front of PATH: an `ssh` that reaches nobody."""
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@contextmanager
def commented(stack: str, comment: Path | None) -> Iterator[None]:
    """Write what is wrong into the comment as well, where that is told before pulumi could."""
    if comment:
        comment.unlink(missing_ok=True)
    try:
        yield
    except StackError as wrong:
        if comment and not comment.exists():
            from ops.preview_report import failure

            comment.write_text(failure(stack, str(wrong)))
        raise


def show_preview(
    stack: Stack,
    comment: Path | None = None,
    options: Sequence[str] = (),
    seen: Callable[[Plan], Plan] | None = None,
) -> Plan:
    """Print what `up` would do. `comment`: a file for the same in Markdown, also where the preview fails.

    `options` are pulumi's. `seen` adds to the plan what was seen on hosts.

    Raises StackError where it fails, behind what pulumi says about it.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="preview-") as folder, ThreadPoolExecutor(1) as meanwhile:
        checked = meanwhile.submit(_check, stack.name)
        log = Path(folder, "events")
        status, said, errors = stack.run(
            "preview",
            "--event-log",
            str(log),
            "--color",
            "never",
            *options,
            environment=preview_environment(stack.environment),
        )
        from ops.preview_plan import Plan, plan
        from ops.preview_report import failure, markdown, text

        found = plan(_events(log)) if status == 0 else Plan()
    found = seen(found) if seen else found
    if status != 0:
        if wrong := checked.exception():  # shorter than what pulumi says of the same
            raise wrong
        if comment:
            comment.write_text(failure(stack.name, said + errors))
        print(said + errors, end="", flush=True)
        raise StackError(f"the preview failed; its output above says why (exit status {status})")
    for line in text(found, stack.name):
        typer.secho(line, fg=COLOURS.get(line[:1]))
    typer.echo(f"in {time.monotonic() - began:.1f} s{'' if seen else '; no host was asked'}")
    if comment:
        comment.write_text(markdown(found, stack.name))
    return found


def _check(stack: str) -> None:
    """What takes as long as pulumi takes to start: import what reports, and check the settings."""
    import_module("ops.preview_report")
    from ops.configuration import tier_of

    tier_of(stack)


def preview_environment(environment: dict[str, str]) -> dict[str, str]:
    """What a preview adds: an `ssh` that reaches nobody, and the switch for pulumi's --event-log."""
    path = os.pathsep.join((str(WITHOUT_HOSTS), environment.get("PATH", "")))
    return {"PATH": path, "PULUMI_DEBUG_COMMANDS": "true"}


def _events(log: Path) -> Iterator[dict[str, Any]]:
    with log.open() as lines:
        for line in lines:
            yield json.loads(line)
