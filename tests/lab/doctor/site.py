"""Whom doctor is asked about and where its commands are typed: the lab's stack, or one of a test's own checkout."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ops import doctor
from ops.stack import PROJECT, Stack
from tests.checkout import Checkout

Document = Mapping[str, Any]
"""What `make doctor JSON=1` prints."""


class Site(Protocol):
    """A stack that is up."""

    def examine(self, image: str, host: str) -> Document:
        """doctor's answer; without an image or a host of all."""

    def typed(self, line: str) -> subprocess.CompletedProcess[str]:
        """What becomes of a command line in the project's folder; output and errors are one."""


@dataclass(frozen=True)
class Lab:
    """The lab's own stack, asked without the start of a program for each question."""

    stack: Stack

    def examine(self, image: str, host: str) -> Document:
        return doctor.examine(self.stack, image=image, host=host)

    def typed(self, line: str) -> subprocess.CompletedProcess[str]:
        return _typed(line, PROJECT, self.stack.environment)


@dataclass(frozen=True)
class Own:
    """A stack of a checkout, asked as its user does."""

    checkout: Checkout
    stack: str

    def examine(self, image: str, host: str) -> Document:
        words = [
            "JSON=1",
            f"STACK={self.stack}",
            *([f"IMAGE={image}"] if image else []),
            *([f"HOST={host}"] if host else []),
        ]
        done = subprocess.run(
            ["make", "--no-print-directory", "doctor", *words],
            cwd=self.checkout.folder,
            env=dict(self.checkout.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        answer: Document = json.loads(done.stdout)
        assert (done.returncode == 0) == (not answer["findings"]), done.stderr
        return answer

    def typed(self, line: str) -> subprocess.CompletedProcess[str]:
        return _typed(line, self.checkout.folder, self.checkout.environment)


def _typed(line: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
