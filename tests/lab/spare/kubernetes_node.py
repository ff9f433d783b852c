"""A node as a cluster would have it: a containerd of its own, with the files that examples/kubernetes wrote.

crictl's login for a pull ($CRICTL_AUTH) is what the kubelet makes of a pull secret. The host's own containerd
is not touched.
"""

from __future__ import annotations

import io
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.hosts import must
from tests.lab.spare.site import RUNTIME

FOLDER = "/root/node"
SOCKET = f"unix://{FOLDER}/run/containerd.sock"
CRICTL = f"crictl -r {SOCKET} -i {SOCKET}"
CONFIG = f"""
version = 2
root = "{FOLDER}/root"
state = "{FOLDER}/run"
[grpc]
address = "{FOLDER}/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{FOLDER}/etc/containerd/certs.d"
"""
START = f"""
mkdir -p {FOLDER} && base64 -d | tar -x -C {FOLDER}
systemd-run --quiet --unit=node containerd --config {FOLDER}/config.toml
timeout 20 sh -c 'until {CRICTL} images >/dev/null 2>&1; do sleep 0.1; done'
"""
STOP = f"systemctl stop node; umount {FOLDER}/run/* 2>/dev/null; rm -rf {FOLDER}"


@contextmanager
def node(files: Path) -> Iterator[None]:
    """Run it with the files that are meant for a node's `/`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(files, arcname=".")
        config = tarfile.TarInfo("config.toml")
        config.size = len(CONFIG)
        archive.addfile(config, io.BytesIO(CONFIG.encode()))
    try:
        must(RUNTIME, START, b64encode(packed.getvalue()).decode())
        yield
    finally:
        must(RUNTIME, STOP)
