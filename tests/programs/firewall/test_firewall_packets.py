"""Decides what a policy does to packets, with each backend: a host, its neighbours and its containers.

Real hosts, with Docker's own rules and a reboot, are decided in tests/lab.
"""

from __future__ import annotations

import pytest

from tests.programs.guarded_host import (
    CONTAINER,
    CONTAINER6,
    FREE,
    FRIEND,
    FRIENDS,
    FRIENDS6,
    GUEST,
    HOST,
    HOST6,
    LOOPBACK,
    OUTSIDE,
    PLAIN,
    PUBLISHED,
    REGISTRY,
    STRANGERS,
    STRANGERS6,
    STRANGERS_GATEWAY,
    STRANGERS_GATEWAY6,
    Managed,
    World,
    rule,
)
from tests.programs.namespaces import said


@pytest.fixture
def guarded(world: World, host: Managed) -> World:
    host.apply(rule(PLAIN, PUBLISHED))
    return world


def test_without_the_rules_everybody_gets_everywhere(world: World) -> None:
    places = [(STRANGERS_GATEWAY, PLAIN), (STRANGERS_GATEWAY, PUBLISHED), (STRANGERS_GATEWAY6, PLAIN), (GUEST, 80)]
    places += [(CONTAINER, 80), (CONTAINER6, 80), (REGISTRY, 5000)]
    assert world.stranger.reached(*places) == sorted(places)
    assert world.guest.reaches(CONTAINER, 80)
    assert world.container.reaches(HOST, PLAIN)
    for neighbour in (world.friend, world.stranger):
        assert neighbour.reaches("127.0.0.1", LOOPBACK)


def test_friends_reach_the_guarded_ports(guarded: World) -> None:
    assert guarded.friend.reaches(HOST, PLAIN)
    assert guarded.friend.reaches(HOST, PUBLISHED)
    assert guarded.friend.reaches(HOST6, PLAIN)


def test_strangers_reach_no_guarded_port_on_whichever_address(guarded: World) -> None:
    places = [(address, PLAIN) for address in (HOST, STRANGERS_GATEWAY, HOST6, STRANGERS_GATEWAY6, "172.29.0.1")]
    assert guarded.stranger.reached(*places, (HOST, PUBLISHED), (STRANGERS_GATEWAY, PUBLISHED)) == []


def test_what_is_published_on_loopback_is_for_the_host_alone(guarded: World) -> None:
    for neighbour in (guarded.friend, guarded.stranger):
        assert not neighbour.reaches("127.0.0.1", LOOPBACK)
    assert guarded.host.reaches("127.0.0.1", LOOPBACK)


def test_other_ports_and_protocols_are_nobodys_business(guarded: World) -> None:
    assert guarded.stranger.reaches(STRANGERS_GATEWAY, FREE)
    assert guarded.stranger.reaches(STRANGERS_GATEWAY6, FREE)
    assert guarded.stranger.asks(STRANGERS_GATEWAY, PLAIN)


def test_the_host_reaches_itself_by_each_of_its_addresses(guarded: World) -> None:
    for address in ("127.0.0.1", "::1", HOST, STRANGERS_GATEWAY, HOST6):
        assert guarded.host.reaches(address, PLAIN), address
    assert guarded.host.reaches(CONTAINER, 80)
    assert guarded.host.reaches(REGISTRY, 5000)


def test_a_containers_own_address_is_no_way_around(guarded: World) -> None:
    places = [(CONTAINER, 80), (CONTAINER6, 80), (REGISTRY, 5000)]
    assert guarded.stranger.reached(*places) == []
    assert guarded.friend.reached(*places) == places[:2]


def test_containers_open_connections_to_the_outside(guarded: World) -> None:
    assert guarded.registry.reaches("10.9.2.2", OUTSIDE)
    assert guarded.container.reaches("10.9.2.2", OUTSIDE)


def test_an_answer_to_the_hosts_own_connection_comes_in_at_a_guarded_port(guarded: World) -> None:
    script = (
        "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"s.settimeout(1); s.bind(('', {PUBLISHED})); s.connect(('10.9.2.2', {OUTSIDE}))"
    )
    assert guarded.host.run("python3", "-c", script).ok


def test_each_rule_has_an_allowlist_of_its_own(world: World, host: Managed) -> None:
    host.apply(rule(PLAIN, PUBLISHED), rule(FREE, allow=[STRANGERS, STRANGERS6]), rule(PUBLISHED, allow=[STRANGERS]))
    places = [(HOST, PLAIN), (HOST, PUBLISHED), (HOST, FREE), (HOST6, PLAIN), (HOST6, FREE)]
    assert world.friend.reached(*places) == [(HOST, PLAIN), (HOST, PUBLISHED), (HOST6, PLAIN)]
    assert world.stranger.reached(*places) == [(HOST, PUBLISHED), (HOST, FREE), (HOST6, FREE)]


def test_only_whom_every_rule_allows_reaches_a_containers_own_address(world: World, host: Managed) -> None:
    places = [(CONTAINER, 80), (REGISTRY, 5000), (CONTAINER6, 80)]
    host.apply(rule(PLAIN, allow=["10.9.0.0/16"]), rule(FREE, allow=[FRIENDS, FRIENDS6]))
    assert (world.friend.reached(*places), world.stranger.reached(*places)) == (places[:1], [])
    host.apply(rule(PLAIN, allow=["10.9.0.0/16", FRIENDS6]), rule(FREE, allow=["0.0.0.0/0", "::/0"]))
    assert (world.friend.reached(*places), world.stranger.reached(*places)) == ([places[0], places[2]], places[:1])


def test_a_rule_with_an_interface_judges_only_what_comes_in_there(world: World, host: Managed) -> None:
    host.apply(rule(PLAIN, PUBLISHED, allow=["10.8.0.0/16"], interface="lan0"), rule(FREE))
    places = [(HOST, PLAIN), (STRANGERS_GATEWAY, PUBLISHED), (HOST6, PLAIN), (HOST, FREE)]
    assert world.friend.reached(*places) == places[3:]
    assert world.stranger.reached(*places) == sorted(places[:3])
    more = [rule(PLAIN, allow=[STRANGERS], interface="lan1"), rule(FREE, allow=[STRANGERS], interface="lan0")]
    host.apply(rule(PLAIN, FREE), *more)
    places = [(STRANGERS_GATEWAY, PLAIN), (STRANGERS_GATEWAY, FREE), (STRANGERS_GATEWAY6, PLAIN)]
    assert world.friend.reaches(HOST, PLAIN)
    assert world.stranger.reached(*places) == places[:1]


@pytest.mark.parametrize("allowed", [False, True])
def test_containers_ask_guarded_ports_where_they_may(world: World, host: Managed, allowed: bool) -> None:
    host.apply(rule(PLAIN, PUBLISHED), containers=allowed)
    assert world.container.reaches(HOST, PLAIN) == allowed
    assert world.container.reaches("fd09:29::1", PLAIN) == allowed
    assert world.registry.reaches(HOST, PLAIN) == allowed
    assert not world.guest.reaches(HOST, PLAIN)
    assert not world.stranger.reaches(STRANGERS_GATEWAY, PLAIN)


@pytest.mark.parametrize("port", [PLAIN, PUBLISHED])
def test_a_change_ends_connections_of_peers_that_left_the_list_and_no_others(
    world: World, host: Managed, port: int
) -> None:
    host.apply(rule(port, allow=[FRIENDS, STRANGERS]))
    with world.friend.connected(HOST, port) as friend, world.stranger.connected(STRANGERS_GATEWAY, port) as stranger:
        assert (said(friend), said(stranger)) == ("goes on", "goes on")
        host.apply(rule(port, allow=[f"{FRIEND}/32"]), rule(FREE))
        assert (said(friend), said(stranger)) == ("goes on", "ended")


def test_a_bridge_that_is_not_dockers_is_left_alone_and_gets_no_trust(world: World, host: Managed) -> None:
    notes = host.apply(rule(PLAIN, PUBLISHED))["notes"]
    assert [note.split(":")[0] for note in notes if "br-" in note] == ["br-lan"]
    assert world.stranger.reaches(GUEST, 80)
    assert world.container.reaches(GUEST, 80)
    assert world.guest.reaches("10.9.2.2", OUTSIDE)
    assert not world.guest.reaches(CONTAINER, 80)
    assert not world.stranger.reaches(CONTAINER, 80)
    assert world.friend.reaches(CONTAINER, 80)
    host.path("/sys/class/net/br-lan").rmdir()
    assert (host.apply(rule(PLAIN, PUBLISHED))["result"], world.stranger.reaches(GUEST, 80)) == ("changed", False)
