"""`python3 -I …/origin`: the service, as systemd starts it. `--check FILE`: only whether a configuration is right."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from origin.program import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
