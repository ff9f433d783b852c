"""A host whose Docker pulls through a mirror, and whose port 8080 only its own network reaches."""

import pulumi
import pulumi_http_registry as http_registry

config = pulumi.Config()
host = http_registry.MachineArgs(
    address=config.require("address"),
    ssh=http_registry.MachineSshArgs(
        host=config.require("sshHost"),
        port=config.get_int("sshPort") or 22,
        host_key=config.require("hostKey"),
    ),
)
http_registry.FirewallPolicy(
    "guard",
    host=host,
    rules=[http_registry.RuleArgs(ports=[8080], allow=["192.168.1.0/24"])],
)
mirrors = http_registry.RuntimeMirrorConfig(
    "mirrors",
    host=host,
    mirrors={"docker.io": config.require("mirror")},
    docker=http_registry.DockerArgs(max_concurrent_downloads=6),
)
pulumi.export("files", mirrors.documents)
