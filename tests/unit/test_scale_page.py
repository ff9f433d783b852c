"""Decides the arithmetic of docs/scale.md, and that the page holds what the last measurement gives."""

from __future__ import annotations

import pytest

from bench import scale_page
from bench.__main__ import SCALE_PAGE
from bench.capacity import FLOOR, Cost, Proxy
from bench.scale import CLIENTS, KINDS, SCHEMES, Seen

FREE = Cost(0, 0, 1e-30)
DEAR = Cost(request=1e-3, connection=2e-3, byte=1e-9)
"""A core answers 1,000 requests a second, or sends 1 GB."""


def test_a_nic_carries_what_ethernet_leaves_of_it() -> None:
    proxy = Proxy(1, 2, FREE)
    assert (round(proxy.bytes / 1e6, 1), proxy.bound) == (117.5, "NIC")
    assert proxy.seconds(100, 1e9) == pytest.approx(100e9 / 117.5e6)


def test_cores_are_the_bound_where_the_nic_is_faster() -> None:
    proxy = Proxy(25, 2, DEAR)
    assert (round(proxy.bytes), proxy.bound, round(proxy.requests)) == (2e9, "cores", 2000)
    # Eight requests on kept connections, four with one of their own, a GB.
    assert proxy.seconds(100, 1e9) == pytest.approx(100 * (8e-3 + 4 * 2e-3 + 1) / 2)


def test_no_network_is_faster_than_a_client_that_unpacks() -> None:
    proxy = Proxy(25, 16, DEAR)
    assert proxy.seconds(1, 1e9) == pytest.approx(1e9 / FLOOR)
    assert proxy.clients(FLOOR * 301, 300) == 0
    assert proxy.needed(10, FLOOR * 301, 300) is None


def test_so_many_proxies_that_each_is_in_time_with_its_share() -> None:
    proxy = Proxy(10, 4, DEAR)
    carried = proxy.clients(5e9, 300)
    assert proxy.seconds(carried, 5e9) <= 300 < proxy.seconds(carried + 1, 5e9)
    assert (proxy.needed(carried, 5e9, 300), proxy.needed(carried + 1, 5e9, 300)) == (1, 2)


def test_the_page_keeps_its_text_and_gets_new_tables() -> None:
    seen = [
        Seen(what, scheme, clients, rate=1e9, cost=1e-9) for what in KINDS for scheme in SCHEMES for clients in CLIENTS
    ]
    before = SCALE_PAGE.read_text()
    after = scale_page.written(before, {"cores": "2"}, seen)
    for end in (0, -1):
        marks = (scale_page.BEGIN, scale_page.END)
        assert before.split(marks[end])[end] == after.split(marks[end])[end]
    assert "1.00 GB/s" in after
    assert scale_page.written(after, {"cores": "2"}, seen) == after
