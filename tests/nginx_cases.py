"""The rendered sites that tests share, and what they need besides their settings."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from documents import nginx_site
from settings import parse
from settings.registry_files import RegistryFiles
from settings.server_certificates import ServerCertificate
from settings.standby import views

CASES = sorted((Path(__file__).parent / "cases" / "nginx_site").iterdir())


def site_of(settings: Any, chain: str = "a chain\n", authority: str = "an authority\n") -> nginx_site.NginxSite:
    """The site of a tier's settings; of two proxies the standby's. `chain`: each endpoint's certificate file;
    `authority`: each registry's."""
    tier = views(parse(settings))[-1]
    assert tier.proxy is not None
    found = ServerCertificate("chain.pem", chain, datetime(2030, 1, 1), True, "ab" * 32)
    keys = {each.tls.key_name(each.registry) for each in tier.proxy.endpoints if each.tls}
    files = {each.name: RegistryFiles(tls_authority=authority) for each in tier.registries}
    return nginx_site.render(tier, dict.fromkeys(keys, found), files)


def settings_of(case: Path) -> Any:
    """What a case is about."""
    return yaml.safe_load((case / "in.yaml").read_text())
