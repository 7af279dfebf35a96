"""The filter: its numbers against this machine's own headers, and that it is a program the kernel takes."""

import re
import struct
from pathlib import Path

import pytest

from starmill.core import seccomp

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_the_kernel_s(machine: str) -> None:
    place = next((Path(name) for name in HEADERS[machine] if Path(name).exists()), None)
    if place is None:
        pytest.skip(f"NOT RUN: no headers of Linux for {machine}")
    known = {name: int(number) for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", place.read_text(), re.M)}
    column = 1 if machine == "x86_64" else 2
    ours = {row[0]: row[column] for row in seccomp.REFUSED if row[column] not in (None, 1000)}
    assert {name: known.get(name) for name in ours if name in known} == {name: n for name, n in ours.items() if name in known}
    assert len([name for name in ours if name in known]) > len(ours) - 4
    assert known["clone"] == seccomp.CLONE[machine] and known.get("clone3", 435) == seccomp.CLONE3


@pytest.mark.parametrize("machine", HEADERS)
def test_every_jump_stays_inside(machine: str) -> None:
    lines = [struct.unpack("<HBBI", seccomp.program(machine)[at : at + 8]) for at in range(0, len(seccomp.program(machine)), 8)]
    assert all(at + 1 + max(yes, no) < len(lines) for at, (kind, yes, no, _) in enumerate(lines) if kind & 7 == 5)
    assert lines[-1] == (seccomp.RETURN, 0, 0, seccomp.ALLOW)
