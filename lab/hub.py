"""The stand-in for Docker Hub on the host `hub`: a registry:3 that holds the test images and asks for tokens.

Two containers share its storage: `hub`, which nginx publishes together with the token server on one port, and
`hub-push`, without tokens, through which the lab pushes. Both listen on the hub's own 127.0.0.1 only.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lab import images
from lab.archive import Image
from lab.cache import digest
from lab.docker import Docker
from lab.hosts import HUB_PORT, host
from lab.paths import SOURCES
from lab.process import LabError
from lab.progress import step
from lab.services import HUB_LOG, MEMBER, PUBLIC, PUBLISHER, PUSH_PORT, SERVICE, TOKEN_URL

HUB = host("hub")
FOLDER = "/etc/lab-hub"
RECIPE = f"{FOLDER}/recipe"
ISSUER = "lab"
TOKEN_PORT, REGISTRY_PORT = 5002, 5003
"""Behind nginx."""
JWKS = f"{FOLDER}/jwks.json"
PRIVATE = "private/app:1"
"""The small test image again, for MEMBER only."""

ASK = "curl -fsS --retry 30 --retry-connrefused --retry-delay 1"
CURL = f"{ASK} -o /dev/null"
PUSH = "skopeo --insecure-policy copy --quiet --dest-tls-verify=false docker-archive:/root/image.tar"
ACCEPT = "Accept: application/vnd.docker.distribution.manifest.v2+json"
TOKENS = {
    "address": "127.0.0.1",
    "port": TOKEN_PORT,
    "issuer": ISSUER,
    "service": SERVICE,
    "key": f"{FOLDER}/token.key",
    "jwks": JWKS,
    "lifetime": 300,
    "anonymous": {glob: ["pull"] for glob in PUBLIC},
    "users": {
        MEMBER.user: {"password": MEMBER.password, "access": {"private/*": ["pull"]}},
        PUBLISHER.user: {"password": PUBLISHER.password, "access": {"*": ["pull", "push"]}},
    },
}
UNIT = f"""\
[Unit]
Description=The lab's token server

[Service]
ExecStart=/usr/bin/python3 {FOLDER}/token_server.py {FOLDER}/token_server.json
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
SITE = f"""\
server {{
    listen {HUB_PORT};
    access_log {HUB_LOG} combined;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_set_header Host $http_host;

    location = /token {{
        proxy_pass http://127.0.0.1:{TOKEN_PORT};
    }}
    location / {{
        proxy_pass http://127.0.0.1:{REGISTRY_PORT};
    }}
}}
"""


def _run(name: str, environment: Mapping[str, str]) -> str:
    run = "docker run --detach --network host --restart always --volume hub:/var/lib/registry"
    variables = " ".join(f"--env REGISTRY_{key}={value}" for key, value in environment.items())
    return f"{run} --volume {FOLDER}:{FOLDER}:ro --name {name} {variables} registry:3"


START = "\n".join(
    (
        "set -e",
        "systemctl daemon-reload",
        "systemctl --quiet enable token-server",
        "systemctl restart token-server",
        f"timeout 30 sh -c 'until [ -e {JWKS} ]; do sleep 0.1; done'",
        "docker rm --force hub hub-push >/dev/null 2>&1 || true",
        _run("hub-push", {"HTTP_ADDR": f"127.0.0.1:{PUSH_PORT}"}),
        _run(
            "hub",
            {
                "HTTP_ADDR": f"127.0.0.1:{REGISTRY_PORT}",
                "AUTH": "token",
                "AUTH_TOKEN_REALM": TOKEN_URL,
                "AUTH_TOKEN_SERVICE": SERVICE,
                "AUTH_TOKEN_ISSUER": ISSUER,
                "AUTH_TOKEN_JWKS": JWKS,
            },
        ),
        "systemctl --quiet enable nginx",
        "systemctl reload-or-restart nginx",
        f"{CURL} http://127.0.0.1:{PUSH_PORT}/v2/",
    )
)


def files() -> dict[str, str]:
    """The hub's own files: {path: content}; the recipe changes with all of them and with how the containers are run."""
    found = {
        f"{FOLDER}/token_server.py": (SOURCES / "token_server.py").read_text(),
        f"{FOLDER}/token_server.json": json.dumps(TOKENS, indent=2),
        "/etc/systemd/system/token-server.service": UNIT,
        "/etc/nginx/conf.d/hub.conf": SITE,
    }
    return {**found, RECIPE: digest([*found.values(), START])}


def check() -> str:
    """A script that fails where the hub is not as it should be; it waits for one that is just starting."""
    recipe = f"grep -qx {files()[RECIPE]} {RECIPE}"
    held = [tag.split(":") for tag in (images.APP.tag, images.BIG.tag, PRIVATE)]
    own = [f"http://127.0.0.1:{PUSH_PORT}/v2/{repository}/manifests/{version}" for repository, version in held]
    asks = [f"{CURL} -H {shlex.quote(ACCEPT)} {url}" for url in own]
    # The public port refuses without a token, and takes one of the token server.
    public = f"http://127.0.0.1:{HUB_PORT}"
    token = f"token=$({ASK} --retry-all-errors '{public}/token?service={SERVICE}' | jq -re .token)"
    taken = f'{CURL} --retry-all-errors -H "Authorization: Bearer $token" {public}/v2/'
    refused = f'[ "$(curl -s -o /dev/null -w "%{{http_code}}" {public}/v2/)" = 401 ]'
    return "\n".join(("set -e", recipe, *asks, token, taken, refused))


def ready(docker: Docker) -> bool:
    """Whether the hub serves the test images as this version of the lab has it."""
    container = docker.ok("exec", HUB.container, "docker", "inspect", "hub")
    return container and docker.ok("exec", HUB.container, "sh", "-c", check())


def fill(docker: Docker, registry: Path, tests: Callable[[], Iterable[tuple[Image, Path]]]) -> None:
    """Start the token server and the registry, and push the test images, from inside the hub."""

    def on_hub(*command: str) -> str:
        return docker("exec", HUB.container, *command)

    def push(tag: str) -> None:
        on_hub(*PUSH.split(), f"docker://127.0.0.1:{PUSH_PORT}/{tag}")

    with step("filling the hub"):
        docker("cp", str(registry), f"{HUB.container}:/root/registry.tar")
        on_hub("docker", "load", "--quiet", "--input", "/root/registry.tar")
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files().items():
                file = Path(folder) / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{content}\n")
            docker("cp", f"{folder}/.", f"{HUB.container}:/")
        on_hub("sh", "-c", START)
        for image, archive in tests():
            docker("cp", str(archive), f"{HUB.container}:/root/image.tar")
            push(image.tag)
            if image is images.APP:
                push(PRIVATE)
        on_hub("rm", "-f", "/root/image.tar", "/root/registry.tar")
    if not ready(docker):
        raise LabError(
            f"the hub does not serve the test images. Look at: lab/host hub docker logs hub, journalctl -u token-server"
            f" and {HUB_LOG} there; a hub made by an older lab lacks what it needs: lab/down && lab/up"
        )
