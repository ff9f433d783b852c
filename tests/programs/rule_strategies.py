"""Rule sets at random, of the matches and targets that `hostctl reach` knows, as texts for iptables-restore and nft.

Answers always pass, since the question is about the first packet.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.programs.reach_world import BRIDGE, CONTAINER, FRIEND, GATEWAY, HOST, STRANGER

PORTS = (80, 81, 5080, 5081, 5083, 5500)
PORT = st.sampled_from(PORTS)
ADDRESSES = st.sampled_from([FRIEND, STRANGER, HOST, GATEWAY, CONTAINER, "10.9.1.0/24", "10.9.0.0/16", "10.9.2.0/30"])
INTERFACES = st.sampled_from(["lan0", "lan1", "lan+", "docker0", "docker+", "lo", "wg0"])
STATES = st.lists(
    st.sampled_from(["NEW", "INVALID", "UNTRACKED", "DNAT", "ESTABLISHED"]), min_size=1, max_size=3, unique=True
)
TYPES = st.sampled_from(["LOCAL", "UNICAST", "BROADCAST"])
NOT = st.sampled_from(["", "", "! "])
MARK = st.sampled_from(["0x1", "0x2", "0x0/0x1", "0x2/0x3", "0x8/0xff"])
PLACES = st.sampled_from(
    [f"{CONTAINER}:80", f"{CONTAINER}:81", CONTAINER, f"{HOST}:5080", ":5081", ":80", f"{GATEWAY}:5500"]
)
HOOKS = {
    "raw": {"PREROUTING": "iI", "OUTPUT": "oO"},
    "mangle": {"PREROUTING": "i", "INPUT": "i", "FORWARD": "io", "OUTPUT": "o"},
    "nat": {"PREROUTING": "i", "OUTPUT": "o"},
    "filter": {"INPUT": "i", "FORWARD": "io", "OUTPUT": "o"},
}
"""The tables' chains, and whether a packet there has come in (i) or goes out (o)."""
SERVERS = ",".join(map(str, PORTS))


def _ranges(draw: st.DrawFn) -> str:
    low = draw(PORT)
    return draw(st.sampled_from([str(low), f"{low}:{low + 10}", f"{low - 1}:{low}", f":{low}"]))


def _matches(draw: st.DrawFn, table: str, hook: str) -> str:
    way = HOOKS[table].get(hook, "")
    options: list[str] = []
    if draw(st.booleans()):
        options.append(f"{draw(NOT)}-s {draw(ADDRESSES)}")
    if draw(st.integers(0, 3)) == 0:
        options.append(f"{draw(NOT)}-d {draw(ADDRESSES)}")
    if "i" in way and draw(st.booleans()):
        options.append(f"{draw(NOT)}-i {draw(INTERFACES)}")
    if "o" in way and draw(st.booleans()):
        options.append(f"{draw(NOT)}-o {draw(INTERFACES)}")
    options.append(draw(st.sampled_from(["-p tcp", "-p tcp", "-p tcp", "! -p udp"])))
    tcp = "-p tcp" in options
    extra = draw(st.integers(0, 9))
    if extra <= 2 and tcp:
        options.append(f"-m tcp {draw(NOT)}--dport {_ranges(draw)}")
    elif extra == 3 and tcp:
        ports = ",".join(map(str, draw(st.lists(PORT, min_size=1, max_size=3, unique=True))))
        options.append(f"-m multiport {draw(NOT)}--dports {ports}")
    elif extra == 4:
        options.append(f"-m conntrack {draw(NOT)}--ctstate {','.join(draw(STATES))}")
    elif extra == 5 and tcp:
        options.append(f"-m conntrack --ctdir ORIGINAL {draw(NOT)}--ctorigdstport {_ranges(draw)}")
    elif extra == 6:
        options.append(f"-m addrtype {draw(NOT)}--{draw(st.sampled_from(['src', 'dst']))}-type {draw(TYPES)}")
    elif extra == 7:
        options.append(f"-m {draw(st.sampled_from(['mark', 'connmark']))} {draw(NOT)}--mark {draw(MARK)}")
    elif extra == 8:
        options.append(f"-m iprange {draw(NOT)}--src-range 10.9.1.2-10.9.2.1")
    elif extra == 9 and tcp:
        options.append(
            draw(st.sampled_from(["--syn", "-m tcp ! --syn", "--tcp-flags SYN,ACK SYN", "--sport 1024:65535"]))
        )
    return " ".join(options)


def _targets(table: str) -> list[str]:
    if table == "nat":
        return ["ACCEPT", "RETURN", "DNAT", "DNAT", "DNAT", "REDIRECT"]
    more = {"mangle": ["MARK", "MARK", "CONNMARK"], "filter": ["REJECT", "REJECT tcp-reset", "ACCEPT"], "raw": []}
    return ["ACCEPT", "DROP", "DROP", "RETURN", "NONE", *more[table]]


def _target(draw: st.DrawFn, table: str, jumps: list[str], tcp: bool) -> str:
    name = draw(st.sampled_from([*_targets(table), *jumps, *jumps]))
    if name == "DNAT":
        return f"-j DNAT --to-destination {draw(PLACES)}" if tcp else f"-j DNAT --to-destination {CONTAINER}"
    if name == "REDIRECT":
        return f"-j REDIRECT --to-ports {draw(PORT)}" if tcp else "-j REDIRECT"
    if name == "MARK":
        how, value = draw(st.sampled_from(["set", "or", "xor", "and"])), draw(st.sampled_from(["1", "2", "0xa"]))
        return f"-j MARK --{how}-mark {value}"
    if name == "CONNMARK":
        return draw(
            st.sampled_from(["-j CONNMARK --save-mark", "-j CONNMARK --restore-mark", "-j CONNMARK --set-mark 2"])
        )
    if name == "REJECT tcp-reset":
        return "-j REJECT --reject-with tcp-reset" if tcp else "-j REJECT"
    if name == "NONE":
        return ""
    return f"{'-g' if name in jumps and draw(st.booleans()) else '-j'} {name}"


@st.composite
def iptables_rules(draw: st.DrawFn) -> str:
    """A rule set for iptables-restore."""
    lines: list[str] = []
    for table, hooks in HOOKS.items():
        if table == "raw" and draw(st.integers(0, 2)):
            continue
        own = ["ONE", "TWO", "THREE"]
        lines.append(f"*{table}")
        for hook in hooks:
            policy = "DROP" if table == "filter" and draw(st.integers(0, 3)) == 0 else "ACCEPT"
            lines.append(f":{hook} {policy} [0:0]")
        lines += [f":{each} - [0:0]" for each in own]
        for hook in hooks:
            if table == "raw":
                lines.append(f"-A {hook} -p tcp -m multiport --sports {SERVERS} -j ACCEPT")
            elif table != "nat":
                lines.append(f"-A {hook} -m conntrack --ctdir REPLY -j ACCEPT")
                lines.append(f"-A {hook} -m conntrack --ctstate RELATED -j ACCEPT")
        for chain in (*hooks, *own):
            later = own[own.index(chain) + 1 :] if chain in own else own
            for _ in range(draw(st.integers(0, 3))):
                matches = _matches(draw, table, chain)
                target = _target(draw, table, later, "! -p" not in matches)
                lines.append(f"-A {chain} {matches} {target}".strip())
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


NFT_MATCHES = st.sampled_from(
    [
        f"ip saddr {FRIEND}",
        f"ip saddr != {STRANGER}",
        "ip saddr 10.9.1.0/24",
        f"ip saddr {{ {FRIEND}, 10.9.2.0/30 }}",
        f"ip daddr != {{ {HOST}, {CONTAINER} }}",
        "ip saddr 10.9.1.2-10.9.2.1",
        "ip saddr @some",
        "ip saddr . tcp dport @pairs",
        f"ip saddr . tcp dport {{ {FRIEND} . 5080, {STRANGER} . 80-90 }}",
        "tcp dport 5080",
        "tcp dport != 5080-5083",
        "tcp dport { 80, 5000-5090 }",
        "tcp dport @doors",
        "tcp dport >= 5081",
        'iifname "lan0"',
        'iifname != "lan*"',
        'iifname { "lan1", "docker0" }',
        'iif "lan0"',
        'oifname "docker0"',
        "ct state new",
        "ct state { new, untracked }",
        "ct state established,related",
        "ct state != new",
        "ct status dnat",
        "ct direction original",
        "meta l4proto tcp ct original proto-dst 5500",
        f"ct original ip daddr {HOST}",
        "meta mark 1",
        "meta mark & 2 == 2",
        "meta mark != 0",
        "ct mark 2",
        "fib daddr type local",
        "fib saddr type != local",
        "fib saddr . iif oif missing",
        "meta nfproto ipv4",
        "meta nfproto ipv6",
        "meta l4proto { tcp, udp }",
        "tcp flags & (fin | syn | rst | ack) == syn",
        "tcp flags & (syn | ack) != syn",
        "tcp sport 1024-65535",
        "udp dport 5080",
        "meta pkttype host",
    ]
)
NFT_SETTINGS = st.sampled_from(
    [
        "counter",
        "meta mark set 1",
        "meta mark set meta mark | 2",
        "ct mark set meta mark",
        "meta mark set ct mark",
        "continue",
    ]
)
NFT_HOOKS = [
    ("filter", "prerouting", (-310, -150, -110, -99, 20)),
    ("filter", "input", (-150, 0, 10)),
    ("filter", "forward", (-150, 0, 10)),
    ("filter", "output", (-150, -110, -99, 0)),
    ("nat", "prerouting", (-110, -100, -90)),
    ("nat", "output", (-100,)),
]


def _nft_rule(draw: st.DrawFn, kind: str, hook: str, jumps: list[str]) -> str:
    parts = draw(st.lists(NFT_MATCHES, max_size=3))
    parts = [each for each in parts if "ct mark" not in each or hook]
    if draw(st.integers(0, 3)) == 0 and kind == "filter":
        parts.insert(draw(st.integers(0, len(parts))), draw(NFT_SETTINGS))
    jumping = [f"{how} {each}" for each in jumps for how in ("jump", "goto")]
    if kind == "nat":
        ends = [
            f"dnat ip to {CONTAINER}",
            f"tcp dport 5500 dnat ip to {CONTAINER}:80",
            "tcp dport 5500 redirect to :5080",
        ]
        ends += ["dnat ip to tcp dport map { 5500 : 10.9.1.1, 5080 : 172.29.0.2 }", "accept", "return"]
    else:
        ends = ["accept", "drop", "drop", "reject", "return", "", "reject with tcp reset", *jumping]
        ends = [each for each in ends if hook in ("input", "forward", "output") or not each.startswith("reject")]
        ends += ["tcp dport vmap { 80 : accept, 5080-5081 : drop }", "tcp dport vmap @ways"]
        ends += [f'iifname vmap {{ "lan0" : {jump}, "docker0" : accept }}' for jump in jumping[:2]]
    return " ".join([*parts, draw(st.sampled_from(ends))]).strip() or "counter"


@st.composite
def nft_rules(draw: st.DrawFn) -> str:
    """A rule set for nft -f."""
    family = draw(st.sampled_from(["ip", "inet"]))
    lines = [f"table {family} mine {{"]
    lines.append(f"set some {{ type ipv4_addr; flags interval; elements = {{ {FRIEND}, 10.9.2.2-10.9.2.9 }} ; }}")
    lines.append(f"set pairs {{ type ipv4_addr . inet_service; elements = {{ {FRIEND} . 5080, {STRANGER} . 80 }} ; }}")
    lines.append("set doors { type inet_service; flags interval; elements = { 80-85, 5081 } ; }")
    own = ["three", "two", "one"]
    lines.append("map ways { type inet_service : verdict; elements = { 80 : drop, 5081 : accept, 5083 : continue } ; }")
    for number, chain in enumerate(own):
        lines.append(f"chain {chain} {{")
        lines += [_nft_rule(draw, "filter", "", own[:number]) for _ in range(draw(st.integers(0, 3)))]
        lines.append("}")
    for number in range(draw(st.integers(1, 5))):
        kind, hook, priorities = draw(st.sampled_from(NFT_HOOKS))
        priority = draw(st.sampled_from(priorities))
        policy = "drop" if kind == "filter" and draw(st.integers(0, 3)) == 0 else "accept"
        lines.append(f"chain base{number} {{ type {kind} hook {hook} priority {priority} ; policy {policy} ;")
        if kind == "filter":
            lines.append(f"tcp sport {{ {SERVERS} }} accept")
            lines.append("meta l4proto { icmp, icmpv6 } accept")
        lines += [_nft_rule(draw, kind, hook, own if kind == "filter" else []) for _ in range(draw(st.integers(0, 4)))]
        lines.append("}")
    return "\n".join([*lines, "}"]) + "\n"


QUESTIONS = [
    (source, to, port)
    for source, to, ports in (
        (FRIEND, HOST, (80, 5080, 5081, 5500)),
        (FRIEND, CONTAINER, (80, 81)),
        (STRANGER, HOST, (5080, 5500)),
        (STRANGER, GATEWAY, (5080, 5081)),
        (STRANGER, CONTAINER, (80, 81)),
        (CONTAINER, BRIDGE, (5080, 5500)),
        (HOST, HOST, (5080, 5500)),
        ("127.0.0.1", "127.0.0.1", (5083,)),
        (BRIDGE, CONTAINER, (80,)),
    )
    for port in ports
]
