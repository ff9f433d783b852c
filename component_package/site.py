"""Site for other programs: a whole tier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from component_package import inputs
from component_package.component import Checked, Component, Raw
from components.renamed_hosts import aliases
from components.topology import declare
from registry_outputs.contract import OUTPUTS_VERSION


def _tier(_: str, raw: Raw) -> dict[str, Any]:
    return dict(raw)


def _declare(checked: Checked) -> Mapping[str, pulumi.Input[Any]]:
    told = declare(checked.loaded, checked.opts)
    return {name: value for name, value in told.items() if name != OUTPUTS_VERSION}


COMPONENT = Component(inputs.Site, inputs.SiteOutputs, _tier, _declare, transformations=aliases)
