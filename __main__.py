"""The program: declares what the stack's file wants."""

from pathlib import Path

from components.configuration import load
from components.outputs import export
from components.renamed_hosts import keep_renamed_hosts
from components.topology import declare

loaded = load(Path.cwd())
keep_renamed_hosts(loaded.tier)
export(declare(loaded))
