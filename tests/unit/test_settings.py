"""Settings: every error at once, each with key path and rule; what is right is accepted. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ops.configuration import tier_of
from settings import SettingsError, parse
from settings.firewall import Rule
from settings.known_hosts import host_keys, render
from settings.tier import base_url

CASES = Path(__file__).parents[1] / "cases" / "settings"


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_wrong_setting_is_named_with_its_rule(case: Path) -> None:
    data = yaml.safe_load(case.read_text())
    with pytest.raises(SettingsError) as caught:
        parse(data["settings"], data.get("secrets"))
    assert caught.value.errors == data["errors"]


@pytest.mark.parametrize("tier", ["lab", "dev"])
def test_the_tiers_that_come_along_are_right(tier: str) -> None:
    assert tier_of(tier).hosts


def test_errors_never_show_a_password() -> None:
    wrong = {
        "registries": [{"kind": "cache", "name": "c", "host": "h", "serves": "d", "upstream": "http://u:geheim@h"}]
    }
    with pytest.raises(SettingsError) as caught:
        parse(wrong)
    assert "geheim" not in str(caught.value)


KEYS = st.sampled_from(["hosts", "name", "registries", "proxy", "endpoints", "port", "host", "kind", "users"])
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(SHAPES)
def test_any_shape_of_input_ends_in_a_settings_error(data: Any) -> None:
    with pytest.raises(SettingsError):
        parse(data if isinstance(data, dict) else {"hosts": data})


def test_ports_that_clients_reach_are_the_proxy_s_where_there_is_one() -> None:
    lab, dev = tier_of("lab"), tier_of("dev")
    assert lab.open_ports("registry") == [80, 5080, 5500]
    assert lab.open_ports("docker1") == []
    assert dev.open_ports("dev") == [5000, 5001]
    assert lab.mirrors() == {"docker.io": "http://192.168.1.11:5080"}
    assert dev.mirrors() == {"docker.io": "http://10.20.0.10:5001"}


def test_rules_are_for_hosts_that_the_tier_opens_ports_of() -> None:
    lab = tier_of("lab")
    more = Rule(ports=(5080, 9100), allow=("10.7.0.0/16",))
    tier = lab.model_copy(update={"firewall": lab.firewall.model_copy(update={"rules": (more,)})})
    assert lab.firewall_rules("registry") == [Rule(ports=(80, 5080, 5500), allow=("192.168.1.0/24",))]
    assert tier.firewall_rules("registry") == [*lab.firewall_rules("registry"), more]
    assert tier.firewall_rules("docker1") == []
    assert tier.firewall_networks({80, 5080}) == ["192.168.1.0/24", "10.7.0.0/16"]
    assert tier.firewall_networks({80}) == ["192.168.1.0/24"]


def test_a_host_without_a_known_key_is_an_error_that_names_it() -> None:
    tier = tier_of("lab")
    line = "[127.0.1.11]:2222 ssh-ed25519 AAAA comment\n"
    with pytest.raises(SettingsError) as caught:
        host_keys(tier, line)
    others = range(1, len(tier.hosts))
    assert [error.split(":")[0] for error in caught.value.errors] == [f"hosts.{each}.ssh.host_key" for each in others]


def test_host_keys_are_found_by_name_and_port_and_written_back() -> None:
    tier = tier_of("lab")
    text = "".join(f"[{host.ssh.host}]:2222 ssh-ed25519 KEY{host.name}\n" for host in tier.hosts)
    keys = host_keys(tier, "# comment\n" + text)
    assert keys["docker1"] == "ssh-ed25519 KEYdocker1"
    assert render(tier, keys) == text


def test_urls_leave_out_the_scheme_s_own_port() -> None:
    assert base_url("http", "a", 80) == "http://a"
    assert base_url("https", "fd00::1", 8443) == "https://[fd00::1]:8443"
