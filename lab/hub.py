"""The stand-in for Docker Hub on the host `hub`: a plain registry:3 that holds the test images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from lab import images
from lab.archive import Image
from lab.docker import Docker
from lab.hosts import HUB_PORT, host
from lab.process import LabError
from lab.progress import step

HUB = host("hub")
URL = f"http://127.0.0.1:{HUB_PORT}"
CURL = "curl -fsS -o /dev/null --retry 30 --retry-connrefused --retry-delay 1"
RUN = "docker run --detach --name hub --network host --restart always --volume hub:/var/lib/registry registry:3"
PUSH = "skopeo --insecure-policy copy --quiet --dest-tls-verify=false docker-archive:/root/image.tar"
ACCEPT = "Accept: application/vnd.docker.distribution.manifest.v2+json"
READY = "\n".join(
    f"{CURL} -H '{ACCEPT}' {URL}/v2/{repository}/manifests/{version} || exit 1"
    for repository, version in (image.tag.split(":") for image in (images.APP, images.BIG))
)


def ready(docker: Docker) -> bool:
    """Whether the hub serves the test images; waits for one that is just starting."""
    container = docker.ok("exec", HUB.container, "docker", "inspect", "hub")
    return container and docker.ok("exec", HUB.container, "sh", "-c", READY)


def fill(docker: Docker, registry: Path, tests: Callable[[], Iterable[tuple[Image, Path]]]) -> None:
    """Start the registry and push the test images to it, from inside the hub."""

    def on_hub(*command: str) -> str:
        return docker("exec", HUB.container, *command)

    with step("filling the hub"):
        docker("cp", str(registry), f"{HUB.container}:/root/registry.tar")
        on_hub("docker", "load", "--quiet", "--input", "/root/registry.tar")
        docker("exec", HUB.container, "sh", "-c", "docker rm --force hub 2>/dev/null || true")
        on_hub(*RUN.split())
        on_hub(*CURL.split(), f"{URL}/v2/")
        for image, archive in tests():
            docker("cp", str(archive), f"{HUB.container}:/root/image.tar")
            on_hub(*PUSH.split(), f"docker://127.0.0.1:{HUB_PORT}/{image.tag}")
        on_hub("rm", "-f", "/root/image.tar", "/root/registry.tar")
    if not ready(docker):
        raise LabError("the hub does not serve the test images. Look at: lab/host hub docker logs hub")
