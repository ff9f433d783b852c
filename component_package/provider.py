"""The package as the engine talks to it: its schema, and its components, each constructed in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pulumi
import pulumi.provider

from component_package import firewall_policy, http_registry, nginx_auth_proxy, runtime_mirror_config, site
from component_package.component import Checked, Component
from component_package.given import given
from component_package.names import camel
from component_package.schema import package_schema, token

COMPONENTS: Mapping[str, Component] = {
    token(each.COMPONENT.token_name): each.COMPONENT
    for each in (runtime_mirror_config, firewall_policy, http_registry, nginx_auth_proxy, site)
}
VERSION = "0.1.0"
PLUGIN = Path(__file__).with_name("pulumi-resource-http-registry")
"""What the engine starts, in a checkout."""


def schema_text() -> str:
    """What `pulumi package get-schema` prints."""
    return json.dumps(package_schema(VERSION, {each.inputs: each.outputs for each in COMPONENTS.values()}))


class Package(pulumi.provider.Provider):
    """Serves the components."""

    def __init__(self) -> None:
        super().__init__(VERSION)

    @property
    def schema(self) -> str:
        """Made only when it is asked for."""
        return schema_text()

    @schema.setter
    def schema(self, _: str | None) -> None:
        """Provider sets it to None."""

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: pulumi.Inputs,
        options: pulumi.ResourceOptions | None = None,
    ) -> pulumi.provider.ConstructResult:
        """Check the inputs and declare what they mean.

        In a preview some may not be known yet, such as the address of a machine that is not there: then nothing below
        the component is shown, and a warning says so.
        """
        component = COMPONENTS[resource_type]
        found = given(inputs)
        if found.unknown and pulumi.runtime.is_dry_run():
            made = _Outer(resource_type, name, options)
            pulumi.warn(f"{name}: nothing of it is shown until {', '.join(found.unknown)} is known", made)
            return pulumi.provider.ConstructResult(made.urn, {})
        wanted, loaded = component.check(name, found)
        below = pulumi.ResourceOptions(transformations=component.transformations(loaded.tier))
        made = _Outer(resource_type, name, pulumi.ResourceOptions.merge(options, below))
        opts = pulumi.ResourceOptions(parent=made)
        told = component.declare(Checked(name, wanted, loaded, opts))
        outputs = {camel(key): value for key, value in told.items() if value is not None}
        made.register_outputs(outputs)
        return pulumi.provider.ConstructResult(made.urn, outputs)


class _Outer(pulumi.ComponentResource):
    """What the program sees; the components of components/ are below it."""

    def __init__(self, kind: str, name: str, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(kind, name, None, opts)


def main() -> None:
    """Serve the engine that has started this."""
    pulumi.provider.main(Package(), sys.argv[1:])
