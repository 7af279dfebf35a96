"""Public IP addresses only; versions, private networks and DNS servers stay; replacements are private and stable."""

import ipaddress

import pytest

from starmill.core.schema import PRIVATE_IPV4
from starmill.transforms.clean.redact.addresses import IPV6, find, replacement


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("host = '93.184.216.34'", ["93.184.216.34"]),
        ("ping 52.1.2.3:8080", ["52.1.2.3"]),
        ("10.0.0.1 192.168.1.1 127.0.0.1 169.254.1.1 224.0.0.1", []),
        ("8.8.8.8 1.1.1.1 9.9.9.9", []),
        ("version 93.184.216.34", []),
        ("SERVER = 93.184.216.34", ["93.184.216.34"]),
        ("chapter a 7.1.2.3 of the text", []),
        ("server 7.1.2.3", ["7.1.2.3"]),
        ("300.1.1.1 and 93.184.216.34.5", []),
        ("at 2a00:1450:4001:81b::200e here", ["2a00:1450:4001:81b::200e"]),
        (
            "2a00:1450:4001:81b:0:0:0:200e 2a00:1450:4001:81b:1:2:3::",
            ["2a00:1450:4001:81b:0:0:0:200e", "2a00:1450:4001:81b:1:2:3::"],
        ),
        (
            "2a00:: 2a00::1:2::3 2a00:1:2:3:4:5:6:7:8 2a00:12345:: 2a00::1.5 :2a00::1 x2a00::1 2a00::1x " + "2a00" + ":0" * 30,
            ["2a00::"],
        ),
        ("fd00::1 ::1 fe80::1", []),
        ("std::vector a::b 12:34:56", []),
        ("7.1.2.3" + " " * 90, []),
    ],
)
def test_find(text: str, found: list[str]) -> None:
    assert [text[a:b] for a, b in find(text)] == found


def test_replacements() -> None:
    assert replacement("93.184.216.34", 0, "f") == replacement("93.184.216.34", 0, "f")
    assert {replacement(f"93.184.216.{i}", 0, "f") for i in range(99)} == set(PRIVATE_IPV4)
    assert replacement("2a00::1", 0, "f") in IPV6
    assert all(ipaddress.ip_address(a).is_private for a in (*PRIVATE_IPV4, *IPV6))
