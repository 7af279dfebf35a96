"""Freed memory stays: after some tensors of a size, another costs no page faults."""

import subprocess
import sys

import pytest

# A process of its own: the setting stays until its end.
COUNT = """
import resource
import torch
from starmill.trainer.allocator import keep_freed
told = keep_freed() if {keep} else None
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(100_000_000, dtype=torch.uint8)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(told, faults)
"""


def faults(keep: bool) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", COUNT.format(keep=keep)], capture_output=True, text=True, check=True)
    told, count = done.stdout.split()
    return told, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries have no mallopt")
def test_a_tensor_finds_the_memory_of_those_before() -> None:
    (_, usual), (told, kept) = faults(keep=False), faults(keep=True)
    assert told == "True" and usual > 100_000_000 / 65_536 and kept < usual / 20


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from starmill.trainer import allocator

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not allocator.keep_freed()
