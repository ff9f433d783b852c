"""RuntimeMirrorConfig for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from component_package import inputs
from component_package.component import OF_HOST, Checked, Component, Raw, one_host
from components.runtime_mirror_config import RuntimeMirrorConfig, RuntimeMirrorConfigArgs
from settings.runtimes import Runtimes


def _tier(name: str, raw: Raw) -> dict[str, Any]:
    runtime = {key: raw[key] for key in Runtimes.model_fields if key in raw}
    return one_host(name, raw, runtimes=[{"host": name, **runtime}], authorities=raw.get("authorities"))


def _declare(checked: Checked) -> Mapping[str, pulumi.Input[Any]]:
    wanted, loaded = checked.inputs, checked.loaded
    runtime = loaded.tier.runtimes[0]
    args = RuntimeMirrorConfigArgs(
        checked.host(),
        runtime,
        wanted.mirrors,
        wanted.hosted,
        loaded.login_passwords(runtime),
        loaded.authorities,
        wanted.canaries,
    )
    return {"documents": dict(RuntimeMirrorConfig(f"{checked.name}-runtimes", args, checked.opts).documents)}


COMPONENT = Component(inputs.RuntimeMirrorConfig, inputs.Written, _tier, _declare, {**OF_HOST, "runtimes.0": ""})
