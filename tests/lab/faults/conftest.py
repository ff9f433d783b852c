"""The faults of all hosts, tried once."""

from __future__ import annotations

import pytest

from ops.configuration import tier_of
from ops.stack import Stack
from tests.lab.faults.fault_plan import requests
from tests.lab.faults.on_hosts import Outcome, take_all_through


@pytest.fixture(scope="session")
def outcomes(stack: Stack) -> list[Outcome]:
    """Every fault of every host."""
    tier = tier_of("lab")
    assert tier.proxy
    passwords = {
        user.name: stack.pulumi("config", "get", f"password-{user.name}", quiet=True).strip()
        for user in tier.proxy.users
    }
    return take_all_through(requests(tier, passwords))
