"""Public IP addresses in all notations; versions, identifiers, sections, drawings, private networks and DNS servers stay."""

import ipaddress
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tedious_texts import is_linear

from starmill.core.schema import PRIVATE_IPV4
from starmill.transforms.clean.redact.addresses import ANCHORS, IPV6, find, is_public, replacement


def found(text: str) -> list[str]:
    return [text[a:b] for a, b in find(text)]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("host = '93.184.216.34'", ["93.184.216.34"]),
        ("ping 52.1.2.3:8080", ["52.1.2.3"]),
        ("SERVER = 93.184.216.34", ["93.184.216.34"]),
        ("server 7.1.2.3", ["7.1.2.3"]),
        ("remote_addr='1.2.3.4'", ["1.2.3.4"]),
        ("curl http://7.1.2.3/x ssh root@7.1.2.4 dig @7.1.2.5 x", ["7.1.2.3", "7.1.2.4", "7.1.2.5"]),
        ("10.0.0.7, 23.4.5.6, 10.0.0.9", ["23.4.5.6"]),
        ("'3.5.0.0/19'", ["3.5.0.0"]),
        ("52.44.10.3-52.44.10.90", ["52.44.10.3", "52.44.10.90"]),
        (r'"\n93.184.216.34\n"', ["93.184.216.34"]),
        ("34.216.184.93.in-addr.arpa", ["34.216.184.93"]),
        ("allow 93.184.216.0/24;\ndeny 93.184.217.7;", ["93.184.216.0", "93.184.217.7"]),
        # what a scheme, or quotes around it and its length or port, decide
        ('"http://1.2.3.4/x" "uri:http://1.2.3.4"', ["1.2.3.4", "1.2.3.4"]),
        ('{pfx("1.2.0.0/16"), f("1.2.3.4:1234")}', ["1.2.0.0", "1.2.3.4"]),
        ('assert sock.ip == "3.3.3.3"', ["3.3.3.3"]),
        ('buildProtocol(("1.6.6.6", 666))', ["1.6.6.6"]),
        ("route 10.0.0.1/32 next-hop 15.15.15.1 community 7", ["15.15.15.1"]),
        # version 6
        ("at 2a00:1450:4001:81b::200e here", ["2a00:1450:4001:81b::200e"]),
        (
            "2a00:1450:4001:81b:0:0:0:200e 2a00:1450:4001:81b:1:2:3::",
            ["2a00:1450:4001:81b:0:0:0:200e", "2a00:1450:4001:81b:1:2:3::"],
        ),
        ("http://[2A00:1450::200E]:80/ 2a00:1450::1%eth0 2a00:1450::/32", ["2A00:1450::200E", "2a00:1450::1", "2a00:1450::"]),
        ("[2a00:1450::1, 2a00:1450::2]", ["2a00:1450::1", "2a00:1450::2"]),
        ("'2000::5,2000::6,2000::7'", ["2000::5", "2000::6", "2000::7"]),
        (
            "64:ff9b::5db8:d822 2a00::1:2::3 2a00:1:2:3:4:5:6:7:8 2a00:12345:: x2a00::1 2a00::1x " + "2a00" + ":0" * 30,
            ["64:ff9b::5db8:d822"],
        ),
    ],
)
def test_what_goes(text: str, addresses: list[str]) -> None:
    assert found(text) == addresses


@pytest.mark.parametrize("six", ["::ffff:93.184.216.34", "64:ff9b::93.184.216.34", "2a00:1450::93.184.216.34"])
def test_an_embedded_address_is_found_whole(six: str) -> None:
    assert six in found(f"x = '{six}'")


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1 192.168.1.1 127.0.0.1 169.254.1.1 224.0.0.1",
        "8.8.8.8 1.1.1.1 9.9.9.9 '2001:4860:4860::8888'",
        "version 93.184.216.34",
        "chapter a 7.1.2.3 of the text",
        "300.1.1.1 and 93.184.216.34.5",
        "7.1.2.3" + " " * 90,
        "x93.184.216.34 93.184.216.34x _93.184.216.34",
        '[assembly: AssemblyVersion("2.14.30.0")]\n[assembly: AssemblyFileVersion("2.14.30.7")]',
        'KEY_USAGE = ObjectIdentifier("2.5.29.15")',
        "id = univ.ObjectIdentifier('1.3.132.33')",
        "OID 1.3.101.110",
        "// 5.2.1.1. Assert: x",
        "see section 30.3.1.1 of",
        "RFC 5280 4.2.1.10",
        "m1.6-.3,3.77.6,7.85-2.95,11.37.85.83,3.33-1.93,3.8z",
        "update V8 to 9.4.146.19 from 4.5.103.35",
        "linux-2.6.35.5/include",
        "gcc-2.7.2.1-1",
        "netty@4.1.115.1",
        "pip install foo==2.0.101.2",
        "foo>=4.16.1.3",
        "server==1.2.3.4",
        "'Networking.Connectivity.Contract', '1.0.0.0'",
        "$Revision: 1.121.2.1 $",
        "1.0.0.127.in-addr.arpa",
        "dpkg (1.6.12.99)",
        "fd00::1 ::1 fe80::1 2001:db8::1 ::ffff:10.0.0.1 2002::/16 ::ffff:ffff:ffff:ffff",
        "std::vector a::b 12:34:56",
        "rows[2000::2] x = 2000::3",
        "2a00::1.5 :2a00::1 3dfx::f 2C:54:91:88:C9:E3",
        "093.184.216.034",
    ],
)
def test_what_stays(text: str) -> None:
    assert found(text) == []


def test_among_quoted_addresses_a_quoted_one_is_an_address() -> None:
    """A test of networks has numbers as small as a version's; what else it quotes with dots decides."""
    several = "names = {'a': '127.0.0.1', 'b': '10.0.0.1'}\n"
    line = 'check("via", Record_A("5.8.13.21"), b"1.2.3.5", 4.4.4.4)\n'
    assert found(several + line) == found(line + several) == ["5.8.13.21", "1.2.3.5"]
    assert found(line) == found("x = '127.0.0.1'\n" + line) == []
    for other in ("'2.14.3'", "'1.3.6.1.4.1'"):
        assert found(several + line + f"y = {other}\n") == []


@pytest.mark.parametrize("text", ["case '1.3.101.113':", "rows[3, 2000::2]", "rows[2000::2, ::3]", "as in 2000:: and"])
def test_identifiers_and_slices_stay(text: str) -> None:
    assert found(text) == []


PLACES = [
    "host: {}\n",
    "http://{}/",
    "ssh root@{}",
    '["10.0.0.1", "{}"]',
    "bind {}:53",
    'ip = "{}"',
    "{}/24",
    "addr={}",
    "nameserver {}",
    "[{}]",
]


def test_planted_addresses_are_found_by_their_place() -> None:
    rng = random.Random(7)
    missed = 0
    for turn in range(2000):
        address = str(ipaddress.ip_address(rng.getrandbits(32)))
        if is_public(address):
            missed += found("# text\n" + PLACES[turn % len(PLACES)].format(address)) != [address]
    assert missed <= 10


def test_public() -> None:
    """`ipaddress` is the oracle, but for addresses within addresses and the servers that all know."""
    rng = random.Random(8)
    for _ in range(2000):
        address = ipaddress.ip_address(rng.getrandbits(32))
        assert is_public(str(address)) == (address.is_global and not address.is_multicast)
        assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert not is_public("nothing")


def test_replacements() -> None:
    assert replacement("93.184.216.34", 0, "f") == replacement("93.184.216.34", 0, "f")
    assert {replacement(f"93.184.216.{i}", 0, "f") for i in range(99)} == set(PRIVATE_IPV4)
    assert replacement("2a00::1", 0, "f") in IPV6
    assert all(ipaddress.ip_address(a).is_private for a in (*PRIVATE_IPV4, *IPV6))


PARTS = [
    "93.184.216.34",
    "1.2.3.4",
    "2a00:1450::1",
    "::ffff:",
    ".",
    ":",
    "-",
    "/24",
    "@",
    "//",
    "1",
    "x",
    " ",
    "\n",
    '"',
    "host=",
    "[",
    "]",
    "\\",
    "é",
]


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_each_find_is_a_public_address(text: str) -> None:
    for start, end in find(text):
        assert is_public(text[start:end])
        assert any(re.search(anchor, text.encode()) for anchor in ANCHORS)


@pytest.mark.parametrize("unit", ["::ffff:1.2.3.4-", "93.184.216.34 ", "1.2.3.4,", "2a00::1 ", "2001:2001:", "1.2,3.4-"])
def test_time_is_linear(unit: str) -> None:
    assert is_linear(lambda size: found(unit * (size // len(unit))))
