"""Hosts that the settings call by another name than before (`was`): their resources stay the same ones."""

from __future__ import annotations

import pulumi

from settings.resource_names import before_renaming
from settings.tier import Tier


def keep_renamed_hosts(tier: Tier) -> None:
    """Give each resource of a renamed host its old name as an alias. To be called before any resource is declared."""
    for each in aliases(tier):
        pulumi.runtime.register_stack_transformation(each)


def aliases(tier: Tier) -> list[pulumi.ResourceTransformation]:
    """What does it, for a component whose children the hosts are; nothing where no host is renamed."""
    renamed = {each.name: each.was for each in tier.hosts if each.was}

    def with_alias(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        for name, was in renamed.items():
            if (old := before_renaming(args.type_, args.name, name, was)) is not None:
                aliases = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=old)])
                return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, aliases))
        return None

    return [with_alias] if renamed else []
