"""From the stack's configuration, or another program's, to settings: the one place that reads Pulumi config."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env
from pulumi.runtime.sync_await import _sync_await

import settings
from components.host import Host, HostArgs
from components.http_registry import Archive
from components.nginx_auth_proxy import NginxAuthProxyArgs
from documents.ssh_access import SshAccess
from hostctl.errors import HostError
from hostctl.image_archive import ids_in, tagged
from hostctl.package import build
from hostctl.whole_file import write_whole
from settings import server_certificates, ssh_key
from settings.certificates import Certificate, authorities, notices
from settings.known_hosts import host_keys, render
from settings.offline_authorities import offline_authorities
from settings.registries import CacheRegistry, Image, Registry
from settings.registry_files import RegistryFiles, registry_files
from settings.runtimes import Runtime
from settings.server_certificates import ServerCertificate
from settings.stack_config import NAMESPACE, StackConfig, split
from settings.tier import Tier
from settings.upstream_stack import Resolved, resolved, stacks

WORK = Path(".work")
"""What the program makes for itself, below the project folder; paths in the state stay relative to it."""


@dataclass(frozen=True)
class Source:
    """Where settings come from. `project`: the folder below which the files are that they name. `work`: a folder in it
    for what the program makes for itself. `name`: of its known_hosts there. `text`: a secret's value, for a check
    before anything is touched, None where it is not there or not known yet; what goes to a host is its `output`."""

    config: StackConfig
    project: Path
    work: Path
    name: str
    text: Callable[[str], str | None]
    output: Callable[[str], pulumi.Output[str]]


@dataclass(frozen=True)
class Loaded:
    """Valid settings, and what goes with them: host keys, the hostctl zipapp, the registry image's archive."""

    tier: Tier
    keys: dict[str, str]
    hostctl: tuple[Path, str]
    archive: Archive | None
    known_hosts: Path
    authorities: list[Certificate]
    servers: dict[str, ServerCertificate]
    """The certificates of the proxy's endpoints, by the name of their key."""
    registry_files: dict[str, RegistryFiles]
    """The files that the registries name, by the registries' names."""
    offline_authorities: dict[str, str]
    """The certificates that offline_sync names, as PEM by the files' names."""
    upstream_logins: dict[str, pulumi.Output[str]]
    """The passwords of logins that other stacks' outputs say, by the names of their secrets."""
    ssh_key: str | None
    """The public half of the stack's own SSH key; the private one is for ops alone."""
    secret: Callable[[str], pulumi.Output[str]]
    """Any secret, by its name."""

    def host_args(self, host: settings.tier.Host) -> HostArgs:
        """The arguments of the component for one host."""
        program, digest = self.hostctl
        stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"
        access = SshAccess(self.ssh_key, stack, self.tier.firewall.confirm_seconds) if self.ssh_key else None
        labels = {"http-registry.stack": stack}
        return HostArgs(host, self.keys[host.name], program, digest, self.known_hosts, labels, access)

    def proxy_args(self, host: Host, tier: Tier) -> NginxAuthProxyArgs:
        """The arguments of the component for the proxy on a host. `tier`: as it looks from there."""
        return NginxAuthProxyArgs(
            host,
            tier,
            self.passwords(),
            self.tls_secrets(),
            self.servers,
            self.registry_files,
            self.upstream_passwords(),
            self.authorities,
        )

    def passwords(self) -> dict[str, pulumi.Output[str]]:
        """Each proxy user's password."""
        users = self.tier.proxy.users if self.tier.proxy else []
        return {user.name: self.secret(f"password-{user.name}") for user in users}

    def login_passwords(self, runtime: Runtime) -> dict[str, pulumi.Output[str]]:
        """The passwords of a runtime's logins, by the names of their secrets."""
        return {each.secret: self.secret(each.secret) for each in runtime.logins}

    def tls_secrets(self) -> dict[str, pulumi.Output[str]]:
        """Each private key of the proxy's endpoints, or the PIN of the token that holds it, by the key's name."""
        return {
            each.tls.key_name(each.registry): self.secret(each.tls.secret(each.registry))
            for each in (self.tier.proxy.endpoints if self.tier.proxy else ())
            if each.tls
        }

    def upstream_passwords(self) -> dict[str, pulumi.Output[str]]:
        """The passwords of the caches that log in at their upstreams, by the secrets' names."""
        caches = [each for each in self.tier.registries if isinstance(each, CacheRegistry)]
        return {name: secret for each in caches for name, secret in self.registry_secrets(each).items()}

    def offline_passwords(self) -> dict[str, pulumi.Output[str]]:
        """The passwords of the logins with which bundles are made and loaded, by the names of their secrets."""
        sync = self.tier.offline_sync
        return {each.secret: self.secret(each.secret) for each in (sync.logins if sync else ()) if each.secret}

    def registry_secrets(self, registry: Registry) -> dict[str, pulumi.Output[str]]:
        """The secrets that go with a registry, by their names."""
        told = self.upstream_logins
        return {name: told[name] if name in told else self.secret(name) for name in registry.secrets}


def load(project: Path) -> Loaded:
    """Read and check the stack's configuration. Raises pulumi.RunError that lists everything that is wrong."""
    config = split(get_config_env(), set(get_config_secret_keys_env()))
    output = pulumi.Config(NAMESPACE).require_secret
    try:
        return checked(Source(config, project, WORK, pulumi.get_stack(), _secret, output))
    except settings.SettingsError as wrong:
        raise pulumi.RunError(str(wrong)) from None


def checked(source: Source) -> Loaded:
    """Check what is there. Raises SettingsError that lists everything that is wrong."""
    config, project = source.config, source.project
    missing: list[str] = []
    known = None
    with _listed(missing):
        known = _text(project, "known_hosts", config.settings.get("known_hosts"))
    given = settings.Given(config.settings, pulumi.get_stack(), known, config.others)
    tier, errors = settings.check(given, config.secrets)
    errors += missing
    archive = None
    certificates: list[Certificate] = []
    servers: dict[str, ServerCertificate] = {}
    texts: dict[str, RegistryFiles] = {}
    offline: dict[str, str] = {}
    public_key = None
    with _listed(errors):
        public_key = ssh_key.public_key(source.text)
    if tier is not None:
        upstreams = Resolved(tier, {}, {})
        with _listed(errors):
            upstreams = resolved(tier, {each: _outputs(each) for each in stacks(tier)})
        tier = upstreams.tier

        def read(name: str) -> str:
            return upstreams.authorities.get(name) or (project / name).read_text()

        with _listed(errors):
            archive = _archive(project, tier.image)
        with _listed(errors):
            certificates = authorities(tier, read)
        with _listed(errors):
            servers = server_certificates.server_certificates(tier, read, source.text)
        with _listed(errors):
            texts = registry_files(tier, read)
        with _listed(errors):
            offline = offline_authorities(tier, read)
    if tier is None or errors:
        raise settings.SettingsError(errors)
    for notice in [*notices(certificates), *server_certificates.notices(servers.values())]:
        pulumi.warn(notice)
    (project / source.work).mkdir(exist_ok=True)
    program = source.work / "hostctl.pyz"
    keys = host_keys(tier, known or "")
    known_hosts = source.work / f"known_hosts.{source.name}"
    write_whole(project / known_hosts, render(tier, keys).encode())
    return Loaded(
        tier,
        keys,
        (program, build(project / program)),
        archive,
        known_hosts,
        certificates,
        servers,
        texts,
        offline,
        {name: pulumi.Output.secret(password) for name, password in upstreams.passwords.items()},
        public_key,
        source.output,
    )


@contextmanager
def _listed(errors: list[str]) -> Iterator[None]:
    """Add what is wrong with the settings to the list, and go on."""
    try:
        yield
    except settings.SettingsError as wrong:
        errors += wrong.errors


def _secret(key: str) -> str | None:
    """A secret's value, for a check before anything is touched; what goes to a host is an Output."""
    return get_config_env().get(f"{NAMESPACE}:{key}")


def _text(project: Path, key: str, name: object) -> str:
    if not isinstance(name, str):
        return ""
    try:
        return (project / name).read_text()
    except OSError as missing:
        raise _no_file(key, name, missing) from None


def _outputs(stack: str) -> dict[str, Any]:
    """All outputs of another stack, secrets in clear: what is rendered depends on them."""
    reference = pulumi.StackReference(stack)
    outputs: dict[str, Any] | None = _sync_await(reference.outputs.future())
    return outputs or {}


def _archive(project: Path, image: Image) -> Archive | None:
    name = image.archive
    if name is None:
        return None
    try:
        with (project / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        held = ids_in(project / name, name, tagged(image.reference))
    except OSError as missing:
        raise _no_file("image.archive", name, missing) from None
    except HostError as wrong:
        raise settings.SettingsError([f"image.archive = {name!r}: {wrong}"]) from None
    return Archive(Path(name), digest, " ".join(sorted(held)))


def _no_file(key: str, name: str, missing: OSError) -> settings.SettingsError:
    return settings.SettingsError([f"{key} = {name!r}: must be a file below the project folder ({missing.strerror})"])
