"""The pack: asked by the engine before each resource is made, it refuses what breaks a rule.

The engine hands the stack's configuration over once (ConfigureStack), secrets in clear and named as such. Only their
names are kept. pulumi-policy 1.21 itself keeps of that request the stack's tags alone, so its method is wrapped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi_policy.policy as sdk
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.resource_rules import RESOURCE_RULES, UNKNOWN, ResourceRule
from settings.stack_config import NAMESPACE, split
from settings.tier_rules import RULES, Given, TierRule

STACK = "pulumi:pulumi:Stack"
"""The first resource of every stack: what breaks a rule of its settings is refused before anything else is made."""


class Handed:
    """What the engine has handed over."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.given: Given | None = None

    def configure(self, request: Any) -> None:
        """Take the stack's name and configuration."""
        config = split(dict(request.config), set(request.config_secret_keys))
        name = config.settings.get("known_hosts")
        file = self.project / name if isinstance(name, str) else None
        text = "" if file is None else file.read_text() if file.is_file() else None
        self.given = Given(config.settings, request.stack, text, config.others)


def serve(project: Path) -> None:
    """Answer the engine until it ends this process. `project`: the folder that the settings name files in."""
    handed = Handed(project)
    original = sdk._PolicyAnalyzerServicer.ConfigureStack

    def configure_stack(servicer: Any, request: Any, context: Any) -> Any:
        handed.configure(request)
        return original(servicer, request, context)

    sdk._PolicyAnalyzerServicer.ConfigureStack = configure_stack
    policies = [*(_of_settings(rule, handed) for rule in RULES), *(_of_resources(rule) for rule in RESOURCE_RULES)]
    PolicyPack("http-registry", policies, enforcement_level=EnforcementLevel.MANDATORY)


def _of_settings(rule: TierRule, handed: Handed) -> Any:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type != STACK or _project(args.urn) != NAMESPACE:
            return
        if handed.given is None:
            report("This engine does not tell policy packs a stack's settings; take a newer pulumi.", None)
            return
        for path, rest in rule.broken(handed.given):
            report(f"{path}{rest}", None)

    return ResourceValidationPolicy(name=rule.name, description=rule.says, validate=validate)


def _of_resources(rule: ResourceRule) -> Any:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type in rule.types:
            for sentence in rule.errors(_known(args.props)):
                report(sentence, None)

    return ResourceValidationPolicy(name=rule.name, description=rule.says, validate=validate)


def _project(urn: str) -> str:
    """urn:pulumi:STACK::PROJECT::TYPE::NAME"""
    return urn.split("::")[1]


def _known(value: Any) -> Any:
    """The properties with UNKNOWN for what only an update will know; the SDK raises where such a value is looked at."""
    if isinstance(value, Mapping):
        return {key: _looked_up(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_looked_up(value, index) for index in range(len(value))]
    return value


def _looked_up(container: Any, key: Any) -> Any:
    try:
        return _known(container[key])
    except UnknownValueError:
        return UNKNOWN
