"""Reads the configuration, carries a run out, says how it went.

JSON: `untagged`, `spare` (seconds), and `volume` (a volume's name) or `bucket` (the fields of Place) with `access` and
`secret`; perhaps `standby` (the fields of Standby). Other keys, such as a comment, do not count.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, List, Tuple

from garbage_collection.bucket import Bucket, Keys, Place
from garbage_collection.collection import Rules, TooLong, collect
from garbage_collection.contents import Unreadable
from garbage_collection.standby import Open, Standby
from garbage_collection.stores import Store, volume


def configured(text: str, look: bool) -> Tuple[Rules, Any]:
    """The rules and the store, None for it unless `look`. Raises ValueError, and OSError as `volume` does."""
    try:
        data = json.loads(text)
        standby = Standby(**data["standby"]) if "standby" in data else None
        rules = Rules(bool(data["untagged"]), float(data["spare"]), standby)
        if "bucket" in data:
            store: Store = Bucket(Place(**data["bucket"]), Keys(data["access"], data["secret"]))
        else:
            name = str(data["volume"])
            return rules, volume(name) if look else None
    except (KeyError, TypeError, AttributeError, RecursionError) as wrong:
        raise ValueError(f"{wrong}: is wrong or missing") from wrong
    return rules, store if look else None


def main(arguments: List[str]) -> int:
    """Returns the exit status."""
    checking = arguments[:1] == ["--check"]
    path = Path(arguments[-1])
    try:
        rules, store = configured(path.read_text(), not checking)
        if not checking:
            collect(store, rules, Path(os.environ["RUNTIME_DIRECTORY"]), lambda line: print(line, flush=True))
    except ValueError as wrong:
        print(f"{path}: {wrong}", file=sys.stderr)
        return 1
    except (OSError, TooLong, Unreadable, Open) as failure:
        print(f"stopped: {failure}; what is left goes next time", file=sys.stderr)
        return 1
    return 0
