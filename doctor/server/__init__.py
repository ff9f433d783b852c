"""What is asked of the host that serves: proxy, registries, origin, firewall."""

from __future__ import annotations

from typing import Any, List, Mapping

from doctor.finding import Seen
from hostctl.host import Host


def look(host: Host, served: Mapping[str, Any]) -> List[Seen]:
    """What each part of the server says; `served`: what `ops.doctor_server.served` has asked for."""
    del host, served
    return []
