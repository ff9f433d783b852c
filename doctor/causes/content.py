"""The causes that the step `content` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import Cause

CAUSES: Tuple[Cause, ...] = ()
