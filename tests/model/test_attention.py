"""Attention against the plainest implementation: loops over heads and positions."""

import math

import pytest
import torch

from starmill.model.attention import Attention, mask
from starmill.model.config import ModelConfig


def reference(layer: Attention, x: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    config = layer.config
    q, k, v = (p(x).view(x.shape[0], x.shape[1], -1, config.head_size) for p in (layer.query, layer.key, layer.value))
    out = torch.zeros(*x.shape[:2], config.heads, config.head_size)
    for b in range(x.shape[0]):
        for h in range(config.heads):
            shared = h // (config.heads // config.kv_heads)
            for t in range(x.shape[1]):
                scores = torch.stack([q[b, t, h] @ k[b, s, shared] / math.sqrt(config.head_size) for s in range(x.shape[1])])
                out[b, t, h] = scores.masked_fill(~allowed[b, t], -torch.inf).softmax(0) @ v[b, :, shared]
    return layer.output(out.flatten(2))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("window", [None, 3, 1])
def test_against_loops(kv_heads: int, window: int | None) -> None:
    torch.manual_seed(0)
    layer, x = Attention(ModelConfig(10, 1, 16, 4, kv_heads, 64, "rope", 32)), torch.randn(2, 9, 16)
    order = torch.arange(9).expand(2, 9)
    allowed = torch.tensor([[s <= t and (window is None or s > t - window) for s in range(9)] for t in range(9)]).expand(
        2, 9, 9
    )
    made = mask(order, order, window)
    assert torch.equal(made[:, 0], allowed)
    with torch.no_grad():
        assert (layer(x, None, made) - reference(layer, x, allowed)).abs().max() < 1e-5
        if window is None:
            assert (layer(x, None, None) - reference(layer, x, allowed)).abs().max() < 1e-5


def test_padding_is_never_seen_and_never_nan() -> None:
    order = torch.tensor([[-1, -1, 2, 3]])
    allowed = mask(order, order, None)[0, 0]
    assert not allowed[2:, :2].any() and allowed.any(1).all()
