"""Decides what programs of others get from the component package: its schema, previews in YAML and Python, errors.

No host is reached. That it works on hosts: tests/lab/spare/test_other_programs_on_hosts.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from component_package.names import camel
from component_package.provider import PLUGIN, schema_text
from ops.sdk import write_sdk
from tests.checkout import REAL, Checkout, checkout
from tests.other_programs import KEY, STACK, example, yaml_program

pytestmark = pytest.mark.engine

CONFIG = {
    "address": "192.168.77.1",
    "hostKey": KEY,
    "sshHost": "192.168.77.1",
    "mirror": "http://192.168.77.2:5080",
}
HEAD = """
name: of-a-test
runtime: yaml
plugins:
  providers:
    - {name: http-registry, path: ../../component_package}
variables:
  password: {fn::secret: geheimes-Wort}
  here:
    address: 192.168.77.1
    ssh: {hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx}
"""


def steps(program: Checkout) -> list[str]:
    """The URNs that a preview would create, without the stack's own and the program's name."""
    text = program.run("pulumi", "preview", "--json", "--non-interactive", "--stack", STACK)
    told, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    assert {each["op"] for each in told["steps"]} == {"create"}
    urns = [each["urn"].split("::", 2)[2] for each in told["steps"]]
    return sorted(each for each in urns if not each.startswith(("pulumi:pulumi:Stack", "pulumi:providers:")))


def test_the_engine_takes_the_schema_as_it_is(tmp_path: Path) -> None:
    got = json.loads(checkout(tmp_path).run("pulumi", "package", "get-schema", str(PLUGIN)))
    ours = json.loads(schema_text())
    for part in ("name", "version", "types"):
        assert got[part] == ours[part]
    for token, resource in ours["resources"].items():
        for part in ("inputProperties", "requiredInputs", "properties", "isComponent"):
            assert got["resources"][token].get(part, []) == resource[part]


def test_a_yaml_program_and_one_in_python_plan_the_same(tmp_path: Path) -> None:
    planned = steps(example(tmp_path / "yaml", "one-host-yaml", CONFIG))
    assert any(each.endswith("command:remote:Command::guard-firewall") for each in planned)
    assert any(each.endswith("command:remote:Command::mirrors-docker-mirrors") for each in planned)
    python = example(tmp_path / "python", "one-host-python", CONFIG)
    assert steps(python) == planned

    # What a preview can't know yet is a warning there, and no error.
    file = python.folder / "__main__.py"
    made_here = 'local.Command("machine", create="echo 192.168.77.9").stdout'
    text = file.read_text().replace('config.require("address")', made_here)
    file.write_text(f"from pulumi_command import local\n{text}")
    shown = python.pulumi("preview", "--stack", STACK)
    assert "guard: nothing of it is shown until host.address is known" in shown
    assert "guard-firewall" not in shown


def test_a_site_plans_what_the_program_itself_plans_for_such_a_stack(tmp_path: Path) -> None:
    text = (REAL / "stacks" / "Pulumi.dev.yaml").read_text()
    settings = {key.partition(":")[2]: value for key, value in yaml.safe_load(text)["config"].items()}
    known = (REAL / settings.pop("known_hosts")).read_text().splitlines() if "known_hosts" in settings else []
    assert not known
    (tmp_path / "own").mkdir()
    own = checkout(tmp_path / "own")
    own.write(STACK, text)
    own.pulumi("stack", "init", STACK, "--no-select")
    site = {"type": "http-registry:Site", "properties": camelled(settings)}
    theirs = yaml_program(tmp_path / "theirs", HEAD + yaml.safe_dump({"resources": {"site": site}}), {})
    assert below_site(steps(theirs)) == steps(own)


def camelled(value: Any) -> Any:
    """Settings as a program writes them; none of these has a map with keys of a user's own."""
    if isinstance(value, list):
        return [camelled(each) for each in value]
    return {camel(key): camelled(each) for key, each in value.items()} if isinstance(value, dict) else value


def below_site(urns: list[str]) -> list[str]:
    """As if the site were the stack."""
    found = [each.removeprefix("http-registry:index:Site$") for each in urns]
    return sorted(each for each in found if not each.endswith("index:Site::site"))


def test_registry_proxy_and_runtime_are_composed_by_their_outputs_and_no_secret_is_shown(tmp_path: Path) -> None:
    program = yaml_program(
        tmp_path,
        HEAD
        + """
resources:
  store:
    type: http-registry:HttpRegistry
    properties:
      host: ${here}
      image: {reference: "registry:3.1.2"}
      registries: [{kind: hosted, name: ours}]
  proxy:
    type: http-registry:NginxAuthProxy
    properties:
      host: ${here}
      registries:
        - {kind: hosted, name: ours}
        - {kind: cache, name: hub, serves: docker.io, upstream: "https://registry-1.docker.io"}
      endpoints:
        - {registry: ours, port: 80, serverName: registry.test}
        - {registry: hub, port: 5080, serverName: registry.test}
      allow: [192.168.77.0/24]
      users: [{name: ci, role: push}]
      secrets: {password-ci: "${password}"}
    options: {dependsOn: ["${store}"]}
  mirrors:
    type: http-registry:RuntimeMirrorConfig
    properties:
      host:
        address: 192.168.77.3
        ssh: {hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx}
      mirrors: ${proxy.mirrors}
      canaries: ${proxy.canaries}
      hosted: ['${proxy.urls["ours"]}']
      docker: {}
      cli: [{user: root, logins: [{registry: registry.test, user: ci}]}]
      secrets: {password-ci: "${password}"}
outputs:
  urls: ${proxy.urls}
  files: ${mirrors.documents}
""",
        {},
    )
    text = program.pulumi("preview", "--diff", "--stack", STACK)
    assert 'ours: "http://registry.test"' in text
    assert '[0]: "http://registry.test:5080"' in text
    assert "mirrors-docker-cli" in text
    assert "geheimes" not in text


def test_all_that_is_wrong_is_told_by_the_paths_of_the_program_and_nothing_is_planned(tmp_path: Path) -> None:
    program = yaml_program(
        tmp_path,
        HEAD
        + """
resources:
  Proxy:
    type: http-registry:NginxAuthProxy
    properties:
      host: {address: 192.168.77.1, sshPort: 70000, ssh: {hostKey: none}}
      registries: [{kind: hosted, name: ours, replicaPorts: [5001]}]
      endpoints: [{registry: other, port: 80, serverName: registry.test, tls: {certificate: none.pem}}]
      allow: []
      users: [{name: ci, role: push}]
      bcryptCost: 40
""",
        {},
    )
    text = program.pulumi("preview", "--stack", STACK, status=1)
    told = re.search(r"has a problem: (.*?)\n\n", text, re.DOTALL)
    assert told
    lines = [line.strip() for line in told[1].splitlines()]
    for path in (
        "host.sshPort = 70000: must be less",
        "host.ssh.hostKey = 'none': must be a type and a key",
        "bcryptCost = 40: must be less",
        "allow = a list: must have at least one entry",
        "name = 'Proxy': must be",
        "endpoints.0.registry = 'other': must be a name from registries",
        "registries.0.replicaPorts: each replica would have images of its own",
        "secrets: password-ci is required",
    ):
        assert any(line.startswith(path) for line in lines), f"{path}\n{text}"
    assert len(lines) == len(set(lines))
    assert "Traceback" not in text


def test_a_setting_that_is_a_secret_is_refused(tmp_path: Path) -> None:
    program = yaml_program(
        tmp_path,
        HEAD
        + """
resources:
  gate:
    type: http-registry:FirewallPolicy
    properties:
      host: {address: "${password}", ssh: {hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx}}
      rules: [{ports: [80], allow: [10.0.0.0/8]}]
""",
        {},
    )
    text = program.pulumi("preview", "--stack", STACK, status=1)
    assert "host: holds a secret" in text
    assert "geheimes" not in text


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_an_sdk_documents_what_the_schema_does(tmp_path: Path, language: str) -> None:
    write_sdk(language, tmp_path)
    text = "".join(each.read_text() for each in tmp_path.rglob("*") if each.suffix in (".py", ".ts"))
    assert "Who is asked before the mirrors" in text
