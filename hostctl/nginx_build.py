"""What an nginx can do, by what `nginx -V` prints of it."""

from __future__ import annotations

import re
from typing import Tuple

THREADS_KEEP_CONNECTIONS = (1, 25, 4)


def version(build: str) -> Tuple[int, ...]:
    """Such as (1, 22, 1); (0,) where it does not say."""
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", build)
    return tuple(map(int, found.groups())) if found else (0,)


def reads_in_threads(build: str) -> bool:
    """Whether it may read files in threads of its own (`aio threads`).

    Before 1.25.4 a worker that ends at a reload does not wait for them, and closes connections unanswered.
    """
    return "--with-threads" in build and version(build) >= THREADS_KEEP_CONNECTIONS
