"""`python3 -I …/garbage_collection FILE`: one run, as systemd starts it. `--check FILE`: only whether FILE is right."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from garbage_collection.program import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
