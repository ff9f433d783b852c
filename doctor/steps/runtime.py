"""Where a runtime, as it is configured and runs now, asks for an image."""

from __future__ import annotations

from typing import List, Tuple

from doctor.finding import OK, Seen
from doctor.pull import Endpoint, Pull
from hostctl.host import Host


def endpoints(host: Host, pull: Pull) -> Tuple[Seen, List[Endpoint]]:
    """The step, and the endpoints in the order in which the runtime asks them.

    SKIPPED, and no endpoints: the runtime can't mirror this registry, and that is known and told by the report of `up`.
    """
    del host
    return Seen("runtime", OK, "as the settings say"), [Endpoint(url, "the settings") for url in pull.wanted.urls]
