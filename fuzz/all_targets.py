"""All targets, and all properties: the unit tier's hypothesis tests, for longer than the tier has time."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

from hypothesis import is_hypothesis_test

from fuzz import targets
from fuzz.target import Target

UNIT = Path(__file__).parents[1] / "tests" / "unit"


def all_targets() -> dict[str, tuple[str, Target]]:
    """Module and target by name."""
    modules = [f"{targets.__name__}.{each.name}" for each in pkgutil.iter_modules(targets.__path__)]
    return {each.name: (module, each) for module in modules for each in importlib.import_module(module).TARGETS}


def all_properties() -> dict[str, tuple[str, Callable[[], None]]]:
    """Module and test by name; those that take nothing but what hypothesis gives."""
    found: dict[str, tuple[str, Callable[[], None]]] = {}
    for path in sorted(UNIT.glob("test_*.py")):
        if "@given" not in path.read_text():
            continue
        module = f"tests.unit.{path.stem}"
        for name, test in inspect.getmembers(importlib.import_module(module), is_hypothesis_test):
            if name.startswith("test_") and not inspect.signature(test).parameters:
                found[name.removeprefix("test_").replace("_", "-")] = (module, test)
    return found
