"""A row's answer is its own: by itself, among others, in any order."""

import random

import torch

from starmill.model.encoder.rows import computed, device_of


def test_rows_are_answered_in_their_places() -> None:
    draw = random.Random(0)
    rows = [[draw.randrange(1, 99) for _ in range(draw.randrange(1, 200))] for _ in range(40)]

    def sums(tokens_BT: torch.Tensor, padding_BT: torch.Tensor) -> torch.Tensor:
        assert tokens_BT.shape == padding_BT.shape and tokens_BT.shape[1] in (64, 128, 192, 200)
        return (tokens_BT * ~padding_BT).sum(1)

    told = computed(rows, 200, device_of("cpu"), sums)
    assert [int(one) for one in told] == [sum(row) for row in rows] and computed([], 200, device_of("cpu"), sums) == []
