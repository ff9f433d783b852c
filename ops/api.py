"""docs/api.md, made of the code's own docstrings: settings, components, outputs.

`python -m ops.api` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

import griffe

from ops.api_components import ComponentsPage, attributes
from ops.api_settings import SettingsPage, row, text
from ops.api_types import shown
from ops.stack import PROJECT
from registry_outputs.contract import SECRET

PAGE = PROJECT / "docs" / "api.md"
HEAD = """\
# API

Every setting of a stack's file, every component, every output. This page is made of the code's docstrings by
`python -m ops.api`.

## Settings

A stack's file is `stacks/Pulumi.<stack>.yaml`; its keys stand below `config:` as `http-registry:<key>`, and secrets as
`http-registry:<name>`, encrypted ([state and secrets](state-and-secrets.md)). An unknown key is an error. Whole files
with comments are those in `stacks/`; what each tier must keep is told in [tiers](tiers.md). A heading is a place in the
file: `proxy.endpoints` is what stands in the list `endpoints` of `http-registry:proxy`. Of `a or b` one is written.
"""
COMPONENTS = """
## Components

What `components/topology.py` declares a tier with. Each is a `pulumi.ComponentResource`; `after` is what has to be done
before.
"""
OUTPUTS = """
## Outputs

What other programs read, by `registry_outputs.reader.RegistryOutputs` or by hand ([outputs](outputs.md)).
"""


def page() -> str:
    """The whole page."""
    settings = SettingsPage(sources("settings"))
    components = list(ComponentsPage(sources("components"), settings).lines())
    return "\n".join([HEAD.rstrip("\n"), *settings.lines(), COMPONENTS.rstrip("\n"), *components, *_outputs()]) + "\n"


def sources(package: str) -> griffe.Module:
    """A package of this project, read and not imported."""
    found = griffe.load(package, search_paths=[PROJECT], allow_inspection=False)
    assert isinstance(found, griffe.Module)
    return found


def _outputs() -> Iterator[str]:
    contract = sources("registry_outputs").modules["contract"]
    yield OUTPUTS.rstrip("\n")
    for name in ("Outputs", "PullCredentials"):
        of = contract.classes[name]
        yield f"\n{'' if name == 'Outputs' else f'### {name}{chr(10) * 2}'}{text(of)}\n"
        yield "| name | type | secret | meaning |"
        yield "| --- | --- | --- | --- |"
        for each in attributes(of):
            secret = "yes" if each.name in SECRET or name == "PullCredentials" else ""
            kind = shown(str(each.annotation), lambda name: f"[{name}](#{name.lower()})")
            yield row(f"`{each.name}`", kind, secret, text(each))


if __name__ == "__main__":
    PAGE.write_text(page())
