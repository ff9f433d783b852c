"""Host: a machine that this stack changes, by SSH and the hostctl that it installs there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

import settings
from documents.ssh_access import SshAccess
from hostctl import PYTHON
from hostctl.commit_confirmed import APPLIED_AGAIN
from hostctl.store import mark
from settings.tier import bracketed

FOLDER = "/var/lib/http-registry"
OWNERS = f"{FOLDER}/owners"
"""Who shares it, a file for each (hostctl.store)."""

PYTHON_PROBE = (
    "import sys, fcntl, zlib; "
    'sys.exit(sys.version_info < (3, 9) or not all(map(sys.meta_path[-1].find_spec, ("json", "zipfile"))))'
)
"""Looks for modules that python3-minimal lacks, and loads none: that would take three times as long."""
NEEDS_PYTHON = (
    "this host needs Python 3.9 or newer with its whole standard library: install the package python3 "
    "(python3-minimal is not enough) and run 'pulumi up' again; nothing was changed"
)


DIALS, DIAL_TIMEOUT = 4, 10
"""How often a host is dialled in vain before that is an error, and the seconds that each time takes at most."""
OWN_DIALS = 11
"""More than the provider's own number: then our offline plugin shares the connection with no other resource."""
REFUSED_DIALS, REFUSED_WAIT, PENALTY = 10, 5, 60
"""A dial that is refused takes no time: so many, of growing waits, until the wait between two is `REFUSED_WAIT`
seconds; and the seconds for which sshd may drop who was refused (PerSourcePenalties)."""


@dataclass(frozen=True)
class HostArgs:
    """Which machine, and what is installed there.

    `host_key`: its public key, `type base64`. `hostctl`: the zipapp on the controller. `digest`: its SHA-256, which
    names the file on the host, so that a changed hostctl is another file. `known_hosts`: a file with the host's key,
    for the ssh program that carries Docker's connection. `labels`: put on every Docker object. `access`: the line that
    lets the stack's own SSH key in; None where it has none. `shared`: whether other components, each with a Host of its
    own, change the same machine: hostctl's folder there goes with the last of them.
    """

    host: settings.tier.Host
    host_key: str
    hostctl: Path
    digest: str
    known_hosts: Path
    labels: Mapping[str, str]
    access: SshAccess | None = None
    shared: bool = False


class Host(pulumi.ComponentResource):
    """A machine with hostctl on it. `run_unit` makes one thing so on it, `docker` reaches its Docker daemon.

    The stack's own SSH key comes first there, so that nothing else dials while a new one is on trial.
    """

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("http-registry:index:Host", name, None, opts)
        self.name = args.host.name
        self.labels = args.labels
        self._args = args
        self._docker: docker.Provider | None = None
        self.done: list[pulumi.Output[Any]] = []
        """What is known once what was declared for this host is done."""
        self.connection = self._connection(DIALS)
        self._owner = f"{pulumi.get_project()}/{pulumi.get_stack()}/{self.name}"
        self._program = f"{FOLDER}/hostctl-{args.digest[:16]}.pyz"
        left = (
            f"if [ -d {FOLDER}/units ] || [ -d {FOLDER}/journal ] || [ -d {FOLDER}/confirmation ];"
            f" then {PYTHON} {self._program} remove-all; else rm -rf {FOLDER}; fi"
        )
        self._probe = remote.Command(
            f"{name}-python",
            connection=self.connection,
            create=f"{PYTHON} -c '{PYTHON_PROBE}' 2>/dev/null || {{ echo \"{NEEDS_PYTHON}\" >&2; exit 1; }}"
            + (f" && mkdir -p -m 700 {FOLDER} {OWNERS} && touch {self._mark}" if args.shared else ""),
            # The last thing that happens to the host, since every unit depends on this resource. It takes back also
            # what an interrupted 'up' has left, which no state knows.
            delete=self._moved_out() if args.shared else left,
            stdin=json.dumps({"owner": self._owner}),
            logging=remote.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._access: list[pulumi.Resource] = []
        self._hostctl = self.copy(f"{name}-hostctl", args.hostctl, self._program)
        self.documents = args.access.documents if args.access else {}
        if args.access:
            wish, seconds = args.access.wish(), args.access.confirm_seconds
            applied = self.run_unit("ssh-access", wish, self)
            dials = REFUSED_DIALS + (seconds + PENALTY) // REFUSED_WAIT
            self._access.append(self.confirm_unit("ssh-access", wish, applied, seconds, self, dials=dials))
        self.register_outputs({"address": args.host.address, **self.shows_units({"ssh-access": self.documents})})

    def copy(self, name: str, source: Path, target: str, parent: pulumi.Resource | None = None) -> remote.CopyToRemote:
        """Copy a file of the controller to the host; only its hash is kept in the state."""
        return remote.CopyToRemote(
            name,
            connection=self.connection,
            source=pulumi.FileAsset(str(source)),
            remote_path=target,
            # Another machine has none of it; the plugin itself does not copy again when only the connection changes.
            triggers=[self.connection.host, self.connection.port, self.connection.host_key],
            opts=pulumi.ResourceOptions(parent=parent or self, depends_on=[self._probe, *self._access]),
        )

    def run_unit(
        self,
        unit: str,
        wish: pulumi.Input[Mapping[str, Any]],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
        *,
        step: str = "",
    ) -> remote.Command:
        """Have hostctl make `wish` so, now and whenever it changes; taken back when the resource is deleted.

        `step`: names a further step of what another resource has begun, which takes it back. The wish travels in stdin
        as a secret; the command's stdout is hostctl's report, free of secrets.
        """
        return self._command(
            f"{self.name}-{unit}{step}",
            create=f"{PYTHON} {self._program} apply",
            delete=None if step else self._removal,
            stdin=self._request(unit, wish),
            opts=self._with_hostctl(parent, depends_on),
        )

    def ask(
        self,
        name: str,
        action: str,
        request: pulumi.Input[Mapping[str, Any]],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> remote.Command:
        """Have hostctl do something once, and again whenever `request` changes; nothing of it is taken back.

        By the newest hostctl there, so that an upgrade of it is no other request.
        """
        text = pulumi.Output.from_input(request).apply(lambda known: json.dumps(known, sort_keys=True))
        return self._command(
            name,
            create=f"{PYTHON} $(ls -t {FOLDER}/hostctl-*.pyz | head -n 1) {action}",
            stdin=pulumi.Output.secret(text),
            opts=self._with_hostctl(parent, depends_on),
        )

    def _command(
        self,
        name: str,
        *,
        create: str,
        stdin: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
        delete: str | None = None,
        connection: remote.ConnectionArgs | None = None,
    ) -> remote.Command:
        """A call of hostctl."""
        made = remote.Command(
            name,
            connection=connection or self.connection,
            create=create,
            delete=delete,
            stdin=stdin,
            logging=remote.Logging.STDERR,  # hostctl's notes, never a secret
            add_previous_output_in_env=False,
            opts=opts,
        )
        self.done.append(made.stdout)
        return made

    @property
    def _removal(self) -> str:
        """A unit's delete. Where the host has nothing of ours left, as after a delete that no state has noted, it is
        done."""
        return f"if [ -e {FOLDER}/units ] || [ -e {self._program} ]; then {PYTHON} {self._program} remove; fi"

    @property
    def _mark(self) -> str:
        return f"{OWNERS}/{mark(self._owner)}"

    def _moved_out(self) -> str:
        """The last delete of one who shares the host: hostctl takes the mark away under its lock, so that of two who
        leave at once neither takes the program from the other."""
        bare = f"rm -f {self._mark}; rmdir {OWNERS} {FOLDER} 2>/dev/null || true"
        return f"if [ -e {self._program} ]; then {PYTHON} {self._program} remove-all; else {bare}; fi"

    def _with_hostctl(self, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=parent, depends_on=[self._hostctl, *self._access, *depends_on])

    def shows(self, by_resource: Mapping[str, Iterable[str]], **more: int) -> dict[str, Any]:
        """Outputs of a component, for a preview: the names of its resources, each with the `documents` that it writes,
        by their paths; `more`: what else it needs to know of them."""
        return {"host": self.name, "files": {name: sorted(paths) for name, paths in by_resource.items()}, **more}

    def shows_units(self, by_unit: Mapping[str, Iterable[str]], **more: int) -> dict[str, Any]:
        """The same for resources of `run_unit`, by their units."""
        return self.shows({f"{self.name}-{unit}": paths for unit, paths in by_unit.items()}, **more)

    def confirm_unit(
        self,
        unit: str,
        wish: pulumi.Input[Mapping[str, Any]],
        applied: remote.Command,
        seconds: int,
        parent: pulumi.Resource,
        *,
        dials: int | None = None,
    ) -> remote.Command:
        """Confirm over a connection of its own what `applied`, the resource of `run_unit`, has put on trial.

        Done again whenever the wish changes or `applied` has begun another trial. Dials for longer than a trial lasts
        (`seconds`): who was shut out is let in again after it, and then hears why. Nothing to do at a delete. `dials`:
        how often, where one in vain takes no time.
        """
        trial = applied.stdout.apply(lambda report: str(json.loads(report).get("trial", "")))
        return self._command(
            f"{self.name}-{unit}-confirmed",
            connection=self._connection(max(OWN_DIALS, dials or DIALS + seconds // DIAL_TIMEOUT)),
            create=f"{PYTHON} {self._program} confirm",
            stdin=self._request(unit, wish, trial=trial),
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=[applied],
                hooks=pulumi.ResourceHookBinding(
                    on_error=[pulumi.ErrorHook(f"{self.name}-{unit}-applied-again", _was_applied_again)]
                ),
            ),
        )

    def _connection(self, dials: int) -> remote.ConnectionArgs:
        ssh = self._args.host.ssh
        return remote.ConnectionArgs(
            host=ssh.host or self._args.host.address,
            port=ssh.port,
            user="root",
            host_key=self._args.host_key,
            dial_error_limit=dials,
            per_dial_timeout=DIAL_TIMEOUT,
        )

    def _request(self, unit: str, wish: pulumi.Input[Mapping[str, Any]], **more: pulumi.Input[str]) -> Any:
        """A request to hostctl, as a secret."""

        def text(known: Mapping[str, Any]) -> str:
            return json.dumps({"owner": self._owner, "unit": unit, **known}, sort_keys=True)

        return pulumi.Output.secret(pulumi.Output.all(wish=wish, **more).apply(text))

    @property
    def docker(self) -> docker.Provider:
        """The provider for the host's Docker daemon, reached by the `ssh` program and the agent's keys."""
        if self._docker is None:
            ssh = self._args.host.ssh
            self._docker = docker.Provider(
                f"{self.name}-docker",
                host=f"ssh://root@{bracketed(ssh.host or self._args.host.address)}:{ssh.port}",
                ssh_opts=[
                    "-o",
                    "BatchMode=yes",
                    "-o",
                    "ConnectTimeout=10",
                    "-o",
                    "StrictHostKeyChecking=yes",
                    "-o",
                    f"UserKnownHostsFile={self._args.known_hosts}",
                ],
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self._probe, *self._access]),
            )
        return self._docker


def _was_applied_again(failed: pulumi.ErrorHookArgs) -> bool:
    """Whether to try once more: another connection is all that is missing."""
    return len(failed.errors) == 1 and APPLIED_AGAIN in failed.errors[0]
