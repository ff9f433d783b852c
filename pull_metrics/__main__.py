"""`python3 -I …/pull_metrics CONFIG`: the service, as systemd starts it. `--check CONFIG`: only whether it is right."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pull_metrics.program import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
