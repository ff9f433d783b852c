"""`python -m fuzz.property MODULE TEST FOLDER SECONDS`: one of the unit tier's hypothesis tests, again and again."""

from __future__ import annotations

import functools
import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

LONGEST = 4000
"""Characters that are kept of what hypothesis says of a finding."""


def main(module: str, name: str, folder: Path, seconds: float) -> None:
    """Run it, and keep what is seen in FOLDER/seen.json. A finding ends it, since hypothesis would find it again."""
    settings.register_profile("fuzz", deadline=None, suppress_health_check=list(HealthCheck))
    settings.load_profile("fuzz")
    test: Any = getattr(importlib.import_module(module), name)
    inner, count = test.hypothesis.inner_test, 0

    @functools.wraps(inner)
    def counted(*given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        return inner(*given, **named)

    test.hypothesis.inner_test = counted
    folder.mkdir(parents=True, exist_ok=True)
    findings: dict[str, str] = {}
    began = time.monotonic()
    while time.monotonic() - began < seconds and not findings:
        try:
            test()
        except Exception as found:
            said = f"{type(found).__name__}: {found}\n" + "\n".join(getattr(found, "__notes__", []))
            findings[type(found).__name__] = said[:LONGEST]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    took = round(time.monotonic() - began, 1)
    (folder / "seen.json").write_text(
        json.dumps({"inputs": count, "seconds": took, "slowest": None, "memory": memory, "findings": findings})
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
