"""`authorities`: certificate authorities that the host's runtimes, and its own store, are to trust.

Docker and containerd look into their folders at each pull, so nothing is reloaded for them. The system's store is made
anew by its own program, and whoever runs has read it at its start: dockerd and containerd need their folders for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from hostctl import certificates, certs_folders, files, wishes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.trust_store import PREFIX, STORES, TrustStore, store_of, store_on
from hostctl.unit import NONE, RELOAD, Change, Files, OwnFile, Unit, Wish

NAME = re.compile(r"[a-z][a-z0-9-]*")
IN_SYSTEM = "# In the system's store too.\n"
"""What people read before the certificates of an authority that the host's own store takes in."""


@dataclass(frozen=True)
class _Authority:
    name: str
    certificates: Tuple[bytes, ...]
    registries: Tuple[str, ...]
    system: bool

    @property
    def path(self) -> str:
        return certificates.path(self.name)


class Authorities(Unit):
    """Wish: `authorities` (each: `name`, `pem`, `registries`, the servers as image references and URLs name them, and
    `system`, whether the host's own store trusts it too), `docker` (true or false), `containerd` (its config_path, or
    null) and `hosts_toml`: the paths of our hosts.toml files below that.
    """

    name = "authorities"

    def preflight(self, host: Host, wish: Wish) -> None:
        """Each text holds certificates of authorities that have not ended; the store is one that we know."""
        wanted = _authorities(wish)
        for each in wanted:
            for index, certificate in enumerate(each.certificates):
                wrong = certificates.complaint(certificate)
                if wrong:
                    raise HostError(f"authority {each.name}: certificate {index + 1} {wrong}")
        if any(each.system for each in wanted):
            store_on(host)

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The certificates where hosts.toml names them, where the runtimes look, and where the store takes them from.

        Raises HostError where a folder of somebody's would hide ours.
        """
        docker, served = wishes.flag(wish, "docker"), wishes.texts(wish, "hosts_toml")
        containerd = wishes.text(wish, "containerd") if wish.get("containerd") else None
        paths: Dict[str, Tuple[bytes, ...]] = {}
        for each in _authorities(wish):
            paths[each.path] = each.certificates
            for_runtimes = [*self._for_docker(host, each)] if docker else []
            if containerd:
                for_runtimes += self._for_containerd(host, containerd, served, each)
            paths.update((path, each.certificates) for path in for_runtimes)
            if each.system:
                store = store_on(host)
                paths.update((store.path(each.name, at), (one,)) for at, one in enumerate(each.certificates))
        return [OwnFile(path, FileState(certificates.text(held))) for path, held in paths.items()]

    def activation(self, host: Host, change: Change) -> str:
        """RELOAD where the system's store has to be made anew."""
        store = store_of(change.after)
        if store and (_changed(store, change) or _missing(host, store, change)):
            return RELOAD
        return NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """As `activation` does, by what people read of each certificate."""
        ends = (end.get(path) for path in change.changed for end in (change.before, change.after))
        if any(each and each.content.startswith(IN_SYSTEM.encode()) for each in ends):
            return Foresight(
                (RELOAD,), "the system's store of authorities is made anew; what runs reads it at its next start"
            )
        return Foresight((NONE,), "nothing is restarted: Docker and containerd look for authorities at each pull")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Have the system's program make its store anew, whole where something in it changed or goes."""
        store = store_of(change.after)
        if level == NONE or store is None:
            return
        if not host.has(store.program[0]):
            self.notes.append(f"{store.bundle}: stays as it is, since {store.program[0]} is no longer on this host")
            return
        changed = _changed(store, change)
        store.update(host, fresh=not changed or any(change.before.get(path) is not None for path in changed))
        if _gone(store, change) & store.held(host):
            self.notes.append(f"{store.bundle}: still holds what was taken out; a file of somebody else has it too")

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The files are as they were written, and the system's bundle holds each certificate of ours."""
        for path in change.after:
            current = files.read(host.path(path))
            if (current and current.content) != change.text(path):
                raise HostError(f"{path}: is not as it was written; somebody else writes there")
        store = store_of(change.after)
        if store is None or not host.has(store.program[0]):
            return
        missing = _missing(host, store, change)
        if missing:
            raise HostError(
                f"{store.bundle}: does not hold what {', '.join(missing)} says; look at what "
                f"'{' '.join(store.program)}' says, or say `system: false` for the authority"
            )

    def first_boot(self, change: Change) -> FirstBoot:
        """The system's store is made anew where it has something of ours."""
        store = store_of(change.after)
        return FirstBoot(commands=(store.program,) if store else ())

    def observe(self, host: Host) -> Dict[str, str]:
        """Every file of ours that the usual folders hold; certificates are no secret."""
        places = [(certificates.FOLDER, "*.pem"), (certs_folders.DOCKER, f"*/{PREFIX}*{certs_folders.SUFFIX}")]
        places += [(store.folder, f"{PREFIX}*{store.suffix}") for store in STORES]
        found: Dict[str, str] = {}
        for folder, pattern in places:
            root = host.path(folder)
            for each in sorted(root.glob(pattern)):
                found[f"{folder}/{each.relative_to(root)}"] = each.read_text(errors="replace")
        return found

    def _for_docker(self, host: Host, authority: _Authority) -> Iterator[str]:
        root = certs_folders.DOCKER
        for registry in authority.registries:
            taken = certs_folders.taken(host, root, registry)
            if taken not in (None, registry, certs_folders.DEFAULT):
                raise HostError(
                    f"{root}/{taken}: dockerd looks there and then not into {root}/{registry}, which is ours; move it "
                    "away"
                )
            beside = self._leaves_to(host, "Docker 28 or newer", root, taken, authority)
            if not beside or taken == registry:  # an older Docker reads no hosts.toml
                yield certs_folders.path(root, registry, authority.name)

    def _for_containerd(self, host: Host, root: str, served: List[str], authority: _Authority) -> Iterator[str]:
        """Only where no hosts.toml of ours will be, which names the authority itself."""
        for registry in authority.registries:
            own = certs_folders.names(registry)[0]
            if any(certs_folders.rules(root, name) in served for name in (own, certs_folders.DEFAULT)):
                continue
            taken = certs_folders.taken(host, root, registry)
            if not self._leaves_to(host, "containerd", root, taken, authority):
                yield certs_folders.path(root, own if taken in (None, certs_folders.DEFAULT) else taken, authority.name)

    def _leaves_to(self, host: Host, runtime: str, root: str, taken: Optional[str], authority: _Authority) -> bool:
        """Whether a hosts.toml of somebody's says what is trusted, so that a file of ours would not count."""
        rules = certs_folders.foreign_rules(host, root, taken) if taken else None
        if taken is None or rules is None:
            return False
        if authority.path not in rules:
            remedy = "; or restart it, since it reads the system's store at its start" if authority.system else ""
            self.notes.append(
                f"{certs_folders.rules(root, taken)} is somebody's, and {runtime} trusts only what that names: add "
                f'ca = "{authority.path}" to it{remedy}'
            )
        return True


def _authorities(wish: Wish) -> List[_Authority]:
    wanted = []
    for each in wish.get("authorities") or []:
        name, registries = wishes.text(each, "name"), wishes.texts(each, "registries")
        wrong = [registry for registry in registries if "/" in registry or registry.startswith(".")]
        if wrong or not NAME.fullmatch(name):
            raise HostError(f"wish, authorities: {(wrong or [name])[0]!r} is no name")
        found = certificates.split(wishes.text(each, "pem"), f"authority {name}")
        wanted.append(_Authority(name, tuple(found), tuple(registries), wishes.flag(each, "system")))
    return wanted


def _changed(store: TrustStore, change: Change) -> List[str]:
    return [path for path in change.changed if store.keeps(path)]


def _missing(host: Host, store: TrustStore, change: Change) -> List[str]:
    """The files of the store whose certificates the bundle lacks."""
    held = store.held(host)
    return [path for path, wanted in _in_store(store, change.after).items() if not wanted <= held]


def _gone(store: TrustStore, change: Change) -> Set[bytes]:
    """The certificates that the store's files no longer hold."""
    before, after = (_in_store(store, end).values() for end in (change.before, change.after))
    return {each for held in before for each in held} - {each for held in after for each in held}


def _in_store(store: TrustStore, states: Files) -> Dict[str, Set[bytes]]:
    return {path: certificates.held(state.content) for path, state in states.items() if state and store.keeps(path)}
