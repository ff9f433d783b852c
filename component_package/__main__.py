"""Entry of the package in a checkout: what it needs lies beside its folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from component_package.provider import main

main()
