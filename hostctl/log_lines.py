"""Lines of the runtimes' logs, as logrus writes them: `key=value` words with quotes, or JSON."""

from __future__ import annotations

import json
import re
from typing import Dict

_FIELD = re.compile(r'\b(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')


def fields(line: str) -> Dict[str, str]:
    """The fields of a line, such as level, msg and error; none where it is of another kind."""
    try:
        loaded = json.loads(line)
        return {key: str(value) for key, value in loaded.items()}
    except (ValueError, AttributeError, RecursionError):
        found = _FIELD.findall(line)
        return {name: re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for name, quoted, plain in found}
