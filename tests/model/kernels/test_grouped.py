"""Attention by groups against PyTorch's, forwards and backwards: masks, blocks that come out even and not, any number of key heads."""

import pytest
import torch
from torch.nn import functional as F

from starmill.model import masks
from starmill.model.attention import attend
from starmill.model.block import Block
from starmill.model.config import ModelConfig
from starmill.model.kernels import grouped
from starmill.model.kernels.grouped import FEWEST_QUERIES, attend_grouped, is_grouped_better
from starmill.model.positions import angles

T = 45
DOCUMENTS = torch.tensor([[0] * 20 + [1] * 25, [3] * 45])


def tensors(kv_heads: int, heads: int = 4, size: int = T) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(kv_heads)
    return [torch.randn(2, n, size, 16, generator=generator).requires_grad_() for n in (heads, kv_heads, kv_heads)]


def mask(kind: str) -> torch.Tensor | None:
    order = torch.arange(T).expand(2, T)
    made = {
        "window": lambda: masks.dense(order[:1], order[:1], 7),
        "documents": lambda: masks.dense(order, order, None, DOCUMENTS),
    }
    return made[kind]() if kind in made else None


@pytest.mark.parametrize("kv_heads", [1, 2])
@pytest.mark.parametrize("kind", ["causal", "window", "documents"])
@pytest.mark.parametrize("rows", [64, 1024], ids=["blocks", "one block"])
def test_values_and_gradients_are_torchs(kind: str, kv_heads: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouped, "ROWS", rows)
    q, k, v = inputs = tensors(kv_heads)
    allowed = torch.ones(T, T, dtype=torch.bool).tril() if kind == "causal" else mask(kind)
    theirs = F.scaled_dot_product_attention(q, *(t.repeat_interleave(4 // kv_heads, 1) for t in (k, v)), allowed)
    ours, weight = attend_grouped(*inputs, mask(kind)), torch.randn(2, 4, T, 16, generator=torch.Generator().manual_seed(9))
    assert torch.allclose(ours, theirs, atol=1e-5)
    for got, want in zip(
        torch.autograd.grad((ours * weight).sum(), inputs), torch.autograd.grad((theirs * weight).sum(), inputs), strict=True
    ):
        assert got.shape == want.shape and torch.allclose(got, want, atol=1e-4)


def test_half_precision_comes_back_as_it_went_in() -> None:
    full = tensors(1)
    half = [t.detach().bfloat16().requires_grad_() for t in full]
    out = attend_grouped(*half, None)
    assert out.dtype == torch.bfloat16 and torch.allclose(out.float(), attend_grouped(*full, None), atol=0.05)
    assert {g.dtype for g in torch.autograd.grad(out.float().sum(), half)} == {torch.bfloat16}


def test_who_goes_there() -> None:
    q, k, v = tensors(1, size=FEWEST_QUERIES)
    assert is_grouped_better(q, k, 0.0)
    assert not is_grouped_better(q, k, 0.1), "no dropout"
    assert not is_grouped_better(q[:, :, 1:], k, 0.0), "few queries"
    assert not is_grouped_better(q[:, :1], k, 0.0), "nothing is shared"
    assert not is_grouped_better(q.double(), k, 0.0)
    assert torch.equal(attend(q, k, v), attend_grouped(q, k, v, None))


def test_it_is_an_operator_that_the_compiler_takes_whole() -> None:
    q, k, v = tensors(2)
    torch.library.opcheck(torch.ops.starmill.grouped_attention, (q, k, v, mask("documents")))


@pytest.mark.slow
def test_a_block_compiles_whole() -> None:
    config = ModelConfig(10, 1, 64, 4, 1, 128, "rope", FEWEST_QUERIES)
    torch.manual_seed(5)
    block, x = Block(config), torch.randn(1, FEWEST_QUERIES, 64)
    rotation = angles(torch.arange(FEWEST_QUERIES)[None], config.head_size, config.rope_theta)
    found = []
    for call in (block, torch.compile(block, fullgraph=True)):
        leaf = x.clone().requires_grad_()
        out = call(leaf, rotation, None, None)
        found.append([out, *torch.autograd.grad(out.square().mean(), [leaf, *block.parameters()])])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found, strict=True))
