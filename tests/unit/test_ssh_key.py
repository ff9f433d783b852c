"""Decides which private keys can be a stack's, that agents sign with them behind one socket, and when a key may go.

ssh-keygen, ssh-agent and ssh-add are the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hostctl.authorized_keys import fingerprint
from ops import ssh_agent
from ops.joined_agents import joined
from ops.ssh_key import renew, without_key
from ops.stack import Stack, StackError
from settings import SettingsError
from settings.ssh_key import BEFORE, KEY, new_key, openssh, public_half, public_key


def generated(folder: Path, *options: str) -> tuple[str, str]:
    """A key that ssh-keygen makes, and its public half as it stands in the file beside."""
    file = folder / "key"
    for each in (file, file.with_suffix(".pub")):
        each.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-f", str(file), *options], check=True)
    return file.read_text(), " ".join(file.with_suffix(".pub").read_text().split()[:2])


def keys_of(agent: str) -> list[str]:
    done = subprocess.run(["ssh-add", "-L"], env={**os.environ, "SSH_AUTH_SOCK": agent}, capture_output=True, text=True)
    return [" ".join(line.split()[:2]) for line in done.stdout.splitlines() if line.startswith(("ssh-", "ecdsa-"))]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_a_key_of_each_type_and_form_gets_into_an_agent(tmp_path: Path, kind: str, form: str) -> None:
    text, public = generated(tmp_path, "-t", kind, "-m", form, "-N", "")
    assert public_half(KEY, text.rstrip()) == public
    with ssh_agent.holding(openssh(KEY, text)) as agent:
        assert keys_of(agent) == [public]


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_a_key_behind_a_passphrase_is_refused(tmp_path: Path, form: str) -> None:
    text, _ = generated(tmp_path, "-t", "rsa", "-m", form, "-N", "of a person")
    with pytest.raises(SettingsError, match=f"{KEY}: is protected by a passphrase") as refused:
        public_half(KEY, text)
    assert text.splitlines()[1] not in str(refused.value)


def test_all_that_is_wrong_is_listed_and_no_key_shown(tmp_path: Path) -> None:
    public = generated(tmp_path, "-t", "ed25519", "-N", "")[1]
    cases: list[tuple[dict[str, str], list[str]]] = [
        (
            {KEY: "s3cret", BEFORE: public},
            [f"{KEY}: must be a private SSH key", f"{BEFORE}: must be a private SSH key"],
        ),
        ({BEFORE: new_key()}, [f"{BEFORE}: without {KEY}"]),
    ]
    for secrets, errors in cases:
        with pytest.raises(SettingsError) as refused:
            public_key(secrets.get)
        assert [each.startswith(error) for each, error in zip(refused.value.errors, errors, strict=True)] == [
            True
        ] * len(errors)
        assert "s3cret" not in str(refused.value)
    assert public_key(dict[str, str]().get) is None


def test_agents_behind_one_socket_offer_the_first_one_s_keys_first_and_sign(tmp_path: Path) -> None:
    own, before, users = (new_key() for _ in range(3))
    publics = [public_half(KEY, each) for each in (own, before, users)]
    with ssh_agent.holding(own, before) as one, ssh_agent.holding(users, own) as other:
        with joined([one, other, str(tmp_path / "nobody")]) as socket:
            assert keys_of(socket) == publics
            for public in publics:
                (tmp_path / "key.pub").write_text(public)
                # It signs with the key in the agent, and verifies what it has signed.
                test = ["ssh-add", "-T", str(tmp_path / "key.pub")]
                subprocess.run(test, env={**os.environ, "SSH_AUTH_SOCK": socket}, check=True)
            refused = subprocess.run(
                ["ssh-add", "-q", "-"], input=new_key(), text=True, capture_output=True,
                env={**os.environ, "SSH_AUTH_SOCK": socket}, check=False,
            )  # fmt: skip
            assert refused.returncode != 0
        assert not Path(socket).exists()


class Quiet(Stack):
    """A stack whose pulumi is told of; `hosts`: which key each has confirmed."""

    def __init__(self, secrets: dict[str, str], hosts: dict[str, str | None]) -> None:
        super().__init__("own", {})
        vars(self).update(known=secrets, hosts=hosts)

    def pulumi(self, *arguments: str, quiet: bool = False, stdin: str | None = None) -> str:
        known: dict[str, str] = vars(self)["known"]
        match arguments:
            case ("config", "--json", "--show-secrets"):
                return json.dumps({f"http-registry:{key}": {"value": each} for key, each in known.items()})
            case ("config", "set", "--secret", key):
                assert stdin is not None
                known[key.removeprefix("http-registry:")] = stdin
                return ""
            case ("stack", "export"):
                return json.dumps({"deployment": deployment(vars(self)["hosts"])})
        raise AssertionError(arguments)


def deployment(hosts: dict[str, str | None]) -> dict[str, Any]:
    """A state with hosts, each of which has confirmed the key of that public half, or none."""
    resources: list[dict[str, Any]] = []
    for host, public in hosts.items():
        resources.append({"urn": f"urn:x::http-registry:index:Host::{host}", "type": "http-registry:index:Host"})
        if public is not None:
            report = {"unit": "ssh-access", "result": "confirmed", "key": fingerprint(public)}
            urn = f"urn:x::command:remote:Command::{host}-ssh-access-confirmed"
            resources.append({"urn": urn, "type": "command:remote:Command", "outputs": {"stdout": json.dumps(report)}})
    return {"resources": resources}


def test_a_key_is_not_replaced_while_a_host_still_needs_the_one_before() -> None:
    stack = Quiet({}, {})
    first = public_half(KEY, _made(stack))
    assert BEFORE not in vars(stack)["known"]
    vars(stack)["hosts"] = {"one": None, "two": first}
    second = public_half(KEY, _made(stack))  # nothing is lost: the first becomes the one before
    assert public_half(BEFORE, vars(stack)["known"][BEFORE]) == first
    vars(stack)["hosts"] = {"one": second, "two": first}
    assert without_key(deployment(vars(stack)["hosts"]), second) == ["two"]
    known = dict(vars(stack)["known"])
    with pytest.raises(StackError, match="two: not yet reached by the ssh-key"):
        renew(stack)
    assert vars(stack)["known"] == known
    vars(stack)["hosts"] = {"one": second, "two": second}
    _made(stack)
    assert public_half(BEFORE, vars(stack)["known"][BEFORE]) == second


def _made(stack: Stack) -> str:
    said = renew(stack)
    key: str = vars(stack)["known"][KEY]
    assert said[0] == f"{public_half(KEY, key)} http-registry http-registry/own"
    assert not [line for line in key.splitlines()[1:-1] if line in "".join(said)]
    return key
