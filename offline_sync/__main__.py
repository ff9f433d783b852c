"""`python3 -I …/offline_sync COMMAND …`: see program.py."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from offline_sync.program import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
