"""No stack traces in the state: the SDK sends one with each resource, and no option of its own keeps it from that.

They are a third of the state, which pulumi writes anew around each step, and name folders of the machine that ran `up`.
Seen in pulumi 3.272.0, runtime/resource.py: `_get_stack_trace`. An SDK that has it no more does as it likes.
"""

from __future__ import annotations

from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2


def leave_out_stack_traces() -> None:
    """For every resource that is declared from now on."""
    if hasattr(resource, "_get_stack_trace"):
        resource._get_stack_trace = source_pb2.StackTrace
