"""What is ours in a BuildKit daemon's buildkitd.toml. Source: docs.docker.com/build/buildkit/toml-configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hostctl import toml_text
from hostctl.buildkit_toml import Registry, settings
from settings.runtimes import BuildKit

NOTE = "# The real registry is asked when its mirrors fail: buildkitd has no setting against that."


@dataclass(frozen=True)
class BuildkitMirrors:
    """Keys by the server's name: where its mirrors are, and how it is spoken to."""

    registries: Mapping[str, Registry]
    settings: BuildKit

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit buildkit-mirrors."""
        return {
            "config": self.settings.config,
            "service": self.settings.service,
            "registries": {
                name: {key: list(value) if isinstance(value, tuple) else value for key, value in table.items() if value}
                for name, each in self.registries.items()
                for table in [each._asdict()]
            },
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people: the keys that are ours."""
        keys = toml_text.block(NOTE, settings(self.registries)).lstrip("\n")
        return {self.settings.config: keys} if keys else {}


def render(
    wanted: BuildKit, mirrors: Mapping[str, str], hosted: Sequence[str], cas: Mapping[str, str] = {}
) -> BuildkitMirrors:
    """`mirrors`: URL by the registry that it stands for. `hosted`: URLs of registries. `cas`: by a server's name, the
    path of the file on the host with the authority of its certificate."""
    tables = {name: Registry(mirrors=(urlsplit(url).netloc,)) for name, url in mirrors.items()}
    plain = {urlsplit(url).netloc for url in (*mirrors.values(), *hosted) if url.startswith("http://")}
    for name in plain:
        tables[name] = tables.get(name, Registry())._replace(http=True)
    for name, path in cas.items():
        if name not in plain:
            tables[name] = tables.get(name, Registry())._replace(ca=(path,))
    return BuildkitMirrors({name: tables[name] for name in sorted(tables)}, wanted)
