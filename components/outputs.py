"""The stack's outputs: those that other stacks read (registry_outputs), and `documents`, which people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from components.configuration import Loaded
from components.host import Host
from documents import outputs
from hostctl.masking import MASK
from registry_outputs.contract import OUTPUTS_VERSION, SECRET, VERSION


class Documents:
    """Every host's rendered files, masked: `pulumi preview --diff` shows their changed lines."""

    def __init__(self) -> None:
        self._by_host: dict[str, dict[str, str]] = {}
        self._hosts: Iterable[Host] = ()

    def wait_for(self, hosts: Iterable[Host]) -> None:
        """Be known only once all on these hosts is done, so that an `up` that fails leaves the texts before it in the
        state: what is left to do is shown by the next preview."""
        self._hosts = hosts

    def add(self, host: str, documents: Mapping[str, str]) -> None:
        """Add files of a host, path to text."""
        self._by_host.setdefault(host, {}).update(documents)

    def as_output(self) -> pulumi.Input[dict[str, dict[str, str]]]:
        """Host to path to text."""
        # In a preview what is going to change is unknown, and the texts must be shown all the same.
        if pulumi.runtime.is_dry_run():
            return self._by_host
        return pulumi.Output.all(*(each for host in self._hosts for each in host.done)).apply(lambda _: self._by_host)


def outputs_of(loaded: Loaded, documents: Documents) -> dict[str, pulumi.Input[Any]]:
    """What the contract says, and `documents`, which is no part of it."""
    passwords = loaded.passwords()

    def rendered(known: Mapping[str, str]) -> Mapping[str, Any]:
        return outputs.render(loaded.tier, loaded.authorities, known)

    secrets: pulumi.Output[Any] = pulumi.Output.secret(pulumi.Output.all(**passwords).apply(rendered))
    told = rendered(dict.fromkeys(passwords, MASK)).items()
    named = {name: secrets[name] if name in SECRET and value is not None else value for name, value in told}
    return {OUTPUTS_VERSION: VERSION, **named, "documents": documents.as_output()}


def export(told: Mapping[str, pulumi.Input[Any]]) -> None:
    """Make them the stack's outputs."""
    for name, value in told.items():
        pulumi.export(name, value)
