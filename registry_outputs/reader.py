"""The outputs of a registry's stack in another Pulumi program, typed, secrets kept secret.

registry = RegistryOutputs.of(pulumi.StackReference("organization/http-registry/prod"))
image = pulumi.Output.concat(registry.pull_prefix, "/team/app:1.4.2")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pulumi

from registry_outputs.contract import OUTPUTS_VERSION, ContractError, PullCredentials, checked


@dataclass(frozen=True)
class RegistryOutputs:
    """Each output under its own name; `contract.Outputs` says what each means and when it is None.

    One that is not what the contract says ends the program with an error, in a preview too, whether it is used or not.
    """

    endpoint: pulumi.Output[str | None]
    endpoints: pulumi.Output[dict[str, str]]
    mirrors: pulumi.Output[dict[str, str]]
    pull_prefix: pulumi.Output[str | None]
    ca_certificate: pulumi.Output[str | None]
    pull_credentials: pulumi.Output[PullCredentials | None]
    """Secret."""
    dockerconfigjson: pulumi.Output[str]
    """Secret."""
    metrics_endpoint: pulumi.Output[str | None]

    @classmethod
    def of(cls, stack: pulumi.StackReference) -> RegistryOutputs:
        """The outputs of that stack. Its secrets are decrypted for this program, so they must be readable with the
        passphrase or key that it runs with, and stay secret here."""
        return cls(**{each.name: _output(stack, each.name) for each in fields(cls)})

    def image(self, name: str) -> pulumi.Output[str]:
        """The reference of an image of the registry; `name` has its tag or digest, such as team/app:1.4.2. It ends the
        program with an error where the stack has no registry to push to."""

        def reference(prefix: str | None) -> str:
            if prefix is None:
                raise pulumi.RunError(f"image {name}: the registry's stack has caches only, and none that holds it")
            return f"{prefix}/{name}"

        return self.pull_prefix.apply(reference)


def _output(stack: pulumi.StackReference, name: str) -> pulumi.Output[Any]:
    def read(known: Mapping[str, Any]) -> Any:
        try:
            return checked(known["stack"], name, known["version"], known["value"])
        except ContractError as wrong:
            raise pulumi.RunError(str(wrong)) from None

    version, value = stack.get_output(OUTPUTS_VERSION), stack.get_output(name)
    return pulumi.Output.all(stack=stack.name, version=version, value=value).apply(read)
