"""Where the engine starts the pack, in this folder; the rules are the project's, in the folder above."""

import sys
from pathlib import Path

PROJECT = Path(__file__).absolute().parent.parent
sys.path.insert(0, str(PROJECT))

from policy.pack import serve  # noqa: E402

serve(PROJECT)
