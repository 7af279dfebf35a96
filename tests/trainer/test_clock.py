"""The parts of a step are those between marks, each name's together."""

import time

import torch

from starmill.trainer.clock import Clock


def test_parts_add_up() -> None:
    started = time.monotonic()
    clock = Clock(torch.device("cpu"))
    for name in ("data", "forward", "data"):
        time.sleep(0.01)
        clock.mark(name)
    taken = clock.seconds()
    assert taken.keys() == {"data", "forward"} and taken["data"] >= 0.0199
    assert sum(taken.values()) <= time.monotonic() - started + 0.001
