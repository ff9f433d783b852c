"""Real hosts on one machine, with systemd, sshd, Docker, containerd, nginx and iptables."""

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
