"""How to pull from this tier, for each runtime: what to type, and how a host is set up that the stack does not.

What is written in which file is what the stack itself writes: documents/{docker,containerd,buildkit}_mirrors.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from documents import buildkit_mirrors, hosts_toml
from documents.access import Access
from documents.docker_mirrors import CERTS, DOCKER_HUB, PATH, WITH_HOSTS_TOML
from hostctl.containerd_versions import CRI, IMAGES
from hostctl.containerd_versions import PATH as CONFIG_TOML
from hostctl.hosts_toml import folder
from settings.certificates import Certificate
from settings.registries import HostedRegistry
from settings.runtimes import BuildKit, Containerd
from settings.tier import Tier, endpoint_url

IMAGE = "team/app:1"
"""Stands for an image of the reader's own."""
HUB_IMAGE = "alpine:3"
LOGIN_NAME = "registry-login"
"""What Kubernetes is told to call the login."""
CONFIG_PATH: str = Containerd.model_fields["config_path"].default


@dataclass(frozen=True)
class Step:
    """A sentence, and what is typed; or, with a `path`, what stands in that file."""

    says: str
    text: str
    path: str = ""


@dataclass(frozen=True)
class Instructions:
    """`key`: for links. `setup`: on a host that the stack does not set up; there `pull` works behind these."""

    key: str
    runtime: str
    pull: tuple[Step, ...]
    setup: tuple[Step, ...] = ()


@dataclass(frozen=True)
class _Places:
    """What clients use: `server` is the first hosted registry as references name it, empty where there is none."""

    server: str
    asks: bool
    plain: bool
    hosted: tuple[str, ...]
    mirrors: dict[str, str]
    """Those that let everybody in, by the registry that they stand for."""
    asking: dict[str, str]
    """Those that ask for a login."""
    authorities: dict[str, str]
    """By server, the PEM of who has signed its certificate, where the tier says so."""

    @property
    def image(self) -> str:
        return f"{self.server}/{IMAGE}"


def instructions(tier: Tier, authorities: Iterable[Certificate] = ()) -> tuple[Instructions, ...]:
    """All runtimes'. `authorities`: those of the tier."""
    places = _places(tier, authorities)
    found = (_docker(places), _containerd(places), _kubernetes(places), _buildkit(places), _skopeo(places))
    return tuple(each for each in found if each.pull)


def _places(tier: Tier, authorities: Iterable[Certificate]) -> _Places:
    hosted = [each for each in tier.registries if isinstance(each, HostedRegistry)]
    first = tier.url(hosted[0]) if hosted else ""
    endpoints = tier.proxy.endpoints if tier.proxy else ()
    of_first = next((each for each in endpoints if hosted and each.registry == hosted[0].name), None)
    mirrors = tier.mirrors()
    asking = {endpoint_url(each) for each in endpoints if tier.asks_readers(each)}
    return _Places(
        server=urlsplit(first).netloc,
        asks=bool(hosted) and not of_first.anonymous_pull if of_first else bool(hosted and hosted[0].token),
        plain=first.startswith("http://"),
        hosted=tuple(tier.hosted()),
        mirrors={name: url for name, url in mirrors.items() if url not in asking},
        asking={name: url for name, url in mirrors.items() if url in asking},
        authorities={server: each.pem for each in authorities for server in each.authority.registries},
    )


def _ours(places: _Places, login: str, pull: str) -> Iterable[Step]:
    """An image of the registry itself, with the login before it where it asks for one."""
    if places.server and places.asks:
        yield Step("Log in once, as the user that you are here:", login)
    if places.server:
        yield Step("An image of this registry:", pull)


def _docker(places: _Places) -> Instructions:
    pull = [*_ours(places, f"docker login {places.server}", f"docker pull {places.image}")]
    if DOCKER_HUB in {**places.mirrors, **places.asking}:
        pull.append(Step("An image of Docker Hub, by way of the cache:", f"docker pull {HUB_IMAGE}"))
    plain = [urlsplit(url).netloc for url in places.hosted if url.startswith("http://")]
    hub = places.mirrors.get(DOCKER_HUB)
    keys = {"registry-mirrors": [hub] if hub else [], "insecure-registries": plain}
    setup = [*_trust(places, f"{CERTS}/{{}}/ca.crt")]
    if any(keys.values()):
        text = json.dumps({key: value for key, value in keys.items() if value}, indent=2)
        setup.append(Step("These keys belong into", text, PATH))
    for name, url in places.mirrors.items():
        if name != DOCKER_HUB:
            text = _toml(hosts_toml.mirror(url, fallback=False))
            setup.append(Step(f"{name} too, with {WITH_HOSTS_TOML}:", text, f"{CERTS}/{name}/hosts.toml"))
    if any(keys.values()):
        setup.append(Step("Docker takes them over without a restart:", "systemctl reload docker"))
    return Instructions("docker", "Docker", tuple(pull), tuple(setup))


def _containerd(places: _Places) -> Instructions:
    server = [*_ours(places, f"nerdctl login {places.server}", f"nerdctl pull {places.image}")]
    hub = [
        Step(f"An image of {name}, by way of the cache:", f"crictl pull {name}/{_example(name)}")
        for name in (*places.mirrors, *places.asking)
    ]
    access = Access(cas={server: f"{CONFIG_PATH}/{folder(server)}/ca.crt" for server in places.authorities})
    texts = {name: hosts_toml.mirror(url, fallback=False, access=access) for name, url in places.mirrors.items()}
    texts |= {urlsplit(url).netloc: hosts_toml.hosted(url, access=access) for url in places.hosted}
    files = [
        Step("containerd reads this at each pull:", _toml(text), f"{CONFIG_PATH}/{folder(name)}/hosts.toml")
        for name, text in texts.items()
    ]
    path = Step(
        f"Where containerd 2 looks for them (in 1.6 and 1.7 the table is plugins.'{CRI}'.registry); a change here "
        "needs a restart, which running containers survive.",
        f"[plugins.'{IMAGES}'.registry]\n  config_path = '{CONFIG_PATH}'",
        CONFIG_TOML,
    )
    setup = (*_trust(places, f"{CONFIG_PATH}/{{}}/ca.crt", folder), *files, path) if files else ()
    return Instructions("containerd", "containerd", (*server, *hub), setup)


def _kubernetes(places: _Places) -> Instructions:
    if not places.server:
        return Instructions("kubernetes", "Kubernetes", ())
    login = f"docker login {places.server}"
    keep = (
        f"kubectl create secret generic {LOGIN_NAME} --type=kubernetes.io/dockerconfigjson \\\n"
        "  --from-file=.dockerconfigjson=$HOME/.docker/config.json"
    )
    asking = (Step("Log in once:", login), Step("Give the login to the namespace:", keep)) if places.asks else ()
    secrets = f"  imagePullSecrets:\n    - name: {LOGIN_NAME}\n" if places.asks else ""
    pod = f"spec:\n{secrets}  containers:\n    - name: app\n      image: {places.image}"
    return Instructions("kubernetes", "Kubernetes", (*asking, Step("In the pod:", pod)))


def _buildkit(places: _Places) -> Instructions:
    base = f"FROM {places.image}" if places.server else f"FROM {HUB_IMAGE}"
    login = [Step("Log in once; a build sends it along:", f"docker login {places.server}")] if places.asks else []
    cas = {server: f"/etc/buildkit/{server.replace(':', '_')}.crt" for server in places.authorities}
    shown = buildkit_mirrors.render(BuildKit(), {**places.mirrors, **places.asking}, places.hosted, cas).shown()
    files = [Step("A daemon of your own reads this at its start:", text.strip(), at) for at, text in shown.items()]
    setup = [*_trust(places, "/etc/buildkit/{}.crt", lambda server: server.replace(":", "_")), *files] if files else []
    return Instructions("buildkit", "BuildKit", (*login, Step("In the Dockerfile:", base)), tuple(setup))


def _skopeo(places: _Places) -> Instructions:
    off = "--tls-verify=false " if places.plain else ""
    source = "--src-tls-verify=false " if places.plain else ""
    copy = f"skopeo copy {source}docker://{places.image} docker-archive:app.tar"
    steps = _ours(places, f"skopeo login {off}{places.server}", copy)
    return Instructions("skopeo", "skopeo", tuple(steps), tuple(_trust(places, "/etc/containers/certs.d/{}/ca.crt")))


def _trust(places: _Places, path: str, name: Callable[[str], str] = str) -> Iterable[Step]:
    """The authorities, each in the file of its server."""
    for server, pem in places.authorities.items():
        yield Step(f"Who has signed the certificate of {server}:", pem.strip(), path.format(name(server)))


def _example(registry: str) -> str:
    return f"library/{HUB_IMAGE}" if registry == DOCKER_HUB else IMAGE


def _toml(text: str) -> str:
    """A file of ours without its first line, which says whose it is."""
    return text.split("\n", 1)[1].strip()


def names(tier: Tier) -> Sequence[str]:
    """The tier's registries, as a reader of the page knows them."""
    return [*(urlsplit(url).netloc for url in tier.hosted()), *(f"mirror of {name}" for name in tier.mirrors())]
