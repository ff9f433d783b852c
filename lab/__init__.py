"""Real hosts on one machine: systemd, sshd, Docker, containerd, nginx and iptables, for tests that mean it."""

from lab.hosts import HOSTS, HUB_PORT, INSIDE, NETWORKS, OUTSIDE, SSH_PORT, Host, Network, Route, host
from lab.machines import lab_id

__all__ = [
    "HOSTS",
    "HUB_PORT",
    "INSIDE",
    "NETWORKS",
    "OUTSIDE",
    "SSH_PORT",
    "Host",
    "Network",
    "Route",
    "host",
    "lab_id",
]
