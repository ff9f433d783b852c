"""Decides what a user is told to do about a host that `ssh` does not get to, by what OpenSSH says then."""

from __future__ import annotations

import pytest

from ops.diagnosis import remedy

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for 10.0.0.7 has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (CHANGED, "'make reinstalled STACK=prod HOST=a'"),
        ("No ED25519 host key is known for a.\r\nHost key verification failed.\n", "put its new key there"),
        ("root@10.0.0.7: Permission denied (publickey).\n", "'ssh-add -l'"),
        ("ssh: connect to host 10.0.0.7 port 22: No route to host\n", "No route to host); start it."),
        ("", "'make forget STACK=prod HOST=a'"),
    ],
)
def test_each_reason_has_its_remedy(said: str, told: str) -> None:
    text = remedy("prod", "a", said)
    assert told in text
    assert text.startswith("a: ")
    assert "\n" not in text
