"""The program: a tier, as the stack's configuration says it."""

from pathlib import Path

from components.configuration import load
from components.topology import declare

declare(load(Path.cwd()))
