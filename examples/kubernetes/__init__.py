"""What a cluster needs to pull from a registry: an imagePullSecret, and hosts.toml for its nodes' containerd."""
