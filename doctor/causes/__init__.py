"""The catalogue: everything that doctor can name, area by area, in the order in which a pull meets them.

docs/troubleshooting.md is made of it.
"""

from __future__ import annotations

from typing import Dict, Tuple

from doctor.causes import access, connection, content, host, name, reference, runtime, server, tls
from doctor.finding import Cause, catalogue

AREAS: Dict[str, Tuple[Cause, ...]] = {
    "reference": reference.CAUSES,
    "runtime": runtime.CAUSES,
    "name": name.CAUSES,
    "connection": connection.CAUSES,
    "tls": tls.CAUSES,
    "access": access.CAUSES,
    "content": content.CAUSES,
    "host": host.CAUSES,
    "server": server.CAUSES,
}
STATUS = {area: 10 + number for number, area in enumerate(AREAS)}
"""doctor's exit status by the area of the first finding; 0: nothing found, 1 and 2: it could not ask."""
CATALOGUE = catalogue([cause for causes in AREAS.values() for cause in causes])
AREA_OF = {cause.name: area for area, causes in AREAS.items() for cause in causes}
