"""The causes that the step `reference` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import Cause

CAUSES: Tuple[Cause, ...] = ()
