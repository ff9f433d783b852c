"""A Pulumi program with the product's components: the runtimes of a fleet, and nothing else of its tier.

The registry of the tier is another program's.
"""

from pathlib import Path

from components import Host, RuntimeMirrorConfig
from components.configuration import load
from components.outputs import Documents, export, outputs_of
from components.runtime_mirror_config import RuntimeMirrorConfigArgs
from components.short_life import live_briefly
from components.stack_traces import leave_out_stack_traces


def declare() -> None:
    """Declare each runtime's host and its configuration, as the product's own program does."""
    live_briefly()
    leave_out_stack_traces()
    loaded = load(Path.cwd())
    tier = loaded.tier
    documents = Documents()
    hosts = []
    for each in tier.runtimes:
        host = Host(each.host, loaded.host_args(tier.host(each.host)))
        args = RuntimeMirrorConfigArgs(
            host, each, tier.mirrors(), tier.hosted(), loaded.login_passwords(each), loaded.authorities
        )
        documents.add(each.host, RuntimeMirrorConfig(f"{each.host}-runtimes", args).documents)
        hosts.append(host)
    documents.wait_for(hosts)
    export(outputs_of(loaded, documents))


declare()
