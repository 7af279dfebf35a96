"""Both renderings against the rule, written out for every pair; padding is never seen and never NaN."""

import pytest
import torch
from torch.nn.attention.flex_attention import create_mask

from starmill.model import masks


def expected(window: int | None, document: list[int]) -> torch.Tensor:
    n = len(document)
    rows = [[s <= t and (window is None or t - s < window) and document[s] == document[t] for s in range(n)] for t in range(n)]
    return torch.tensor(rows)


@pytest.mark.parametrize("window", [None, 1, 7, 300])
@pytest.mark.parametrize("documents", [False, True])
def test_both_renderings_are_the_rule(window: int | None, documents: bool) -> None:
    T = 300  # more than two blocks of 128, and not a multiple
    number = torch.tensor([[0] * 100 + [1] * 130 + [2] * 70, [0] * T]) if documents else None
    rule = torch.stack([expected(window, row) for row in (number.tolist() if number is not None else [[0] * T] * 2)])
    order = torch.arange(T).expand(2, T)
    assert torch.equal(masks.dense(order, order, window, number)[:, 0], rule)
    blocks = masks.blocks(order.shape, order.device, window, number)
    assert torch.equal(
        create_mask(blocks.mask_mod, 2 if documents else 1, 1, T, T, order.device)[:, 0], rule[: 2 if documents else 1]
    )


def test_blocks_that_nobody_sees_are_skipped() -> None:
    windowed = masks.blocks(torch.Size((1, 1024)), torch.device("cpu"), 128, None)
    assert windowed.sparsity() > 70, "of 64 blocks, 15 hold a pair in the window"


def test_padding_is_never_seen_and_never_nan() -> None:
    order = torch.tensor([[-1, -1, 2, 3]])
    allowed = masks.dense(order, order)[0, 0]
    assert not allowed[2:, :2].any() and allowed.any(1).all()
