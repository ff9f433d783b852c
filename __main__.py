"""The program: declares what the stack's file wants."""

from pathlib import Path

from components.configuration import load
from components.outputs import export
from components.renamed_hosts import keep_renamed_hosts
from components.short_life import live_briefly
from components.stack_traces import leave_out_stack_traces
from components.topology import declare

live_briefly()
leave_out_stack_traces()
loaded = load(Path.cwd())
keep_renamed_hosts(loaded.tier)
export(declare(loaded))
