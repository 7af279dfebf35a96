"""Every kernel against one plain implementation: loops over rows, heads and positions."""

import math

import pytest
import torch

from starmill.model import masks
from starmill.model.attention import Attention, Mask, attend
from starmill.model.config import ModelConfig

T = 9
DOCUMENTS = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2], [4, 4, 4, 4, 4, 4, 4, 4, 5]])


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            shared = h // (q.shape[1] // k.shape[1])
            for t in range(q.shape[2]):
                scores = k[b, shared] @ q[b, h, t] / math.sqrt(q.shape[3])
                out[b, h, t] = scores.masked_fill(~allowed[b, t], -torch.inf).softmax(0) @ v[b, shared]
    return out


def rule(window: int | None, documents: bool) -> torch.Tensor:
    def seen(b: int, t: int, s: int) -> bool:
        near = window is None or s > t - window
        return s <= t and near and (not documents or bool(DOCUMENTS[b, s] == DOCUMENTS[b, t]))

    return torch.tensor([[[seen(b, t, s) for s in range(T)] for t in range(T)] for b in range(2)])


def tensors(kv_heads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(kv_heads)
    q, k, v = (torch.randn(2, heads, T, 16, generator=generator, requires_grad=True) for heads in (4, kv_heads, kv_heads))
    return q, k, v


def mask(kernel: str, window: int | None, documents: bool) -> Mask:
    order, numbers = torch.arange(T).expand(2, T), DOCUMENTS if documents else None
    if kernel == "flex":
        return masks.blocks(order.shape, order.device, window, numbers)
    return None if kernel == "causal" else masks.dense(order, order, window, numbers)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize(
    ("kernel", "window", "documents"),
    [
        ("causal", None, False),
        *[(k, w, d) for k in ("dense", "flex") for w, d in ((None, False), (3, False), (1, False), (None, True), (3, True))],
    ],
)
def test_against_loops(kernel: str, window: int | None, documents: bool, kv_heads: int) -> None:
    q, k, v = (t.detach() for t in tensors(kv_heads))  # FlexAttention has no gradients on a CPU
    expected = reference(q, k, v, rule(window, documents))
    assert (attend(q, k, v, mask(kernel, window, documents)) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("kernel", ["causal", "dense"])
def test_gradients_against_loops(kernel: str, kv_heads: int) -> None:
    window = None if kernel == "causal" else 3
    inputs = tensors(kv_heads)
    weights = torch.randn(2, 4, T, 16, generator=torch.Generator().manual_seed(9))
    ours = torch.autograd.grad((attend(*inputs, mask(kernel, window, False)) * weights).sum(), inputs)
    theirs = torch.autograd.grad((reference(*inputs, rule(window, False)) * weights).sum(), inputs)
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_one_query_sees_all_keys_but_masked_ones(kv_heads: int) -> None:
    q, k, v = tensors(kv_heads)
    allowed = torch.tensor([[True] * T, [False] * 4 + [True] * 5])[:, None]
    with torch.no_grad():
        assert (attend(q[:, :, :1], k, v) - reference(q[:, :, :1], k, v, allowed | True)).abs().max() < 1e-5
        masked = attend(q[:, :, :1], k, v, allowed[:, None])
        assert (masked - reference(q[:, :, :1], k, v, allowed)).abs().max() < 1e-5


def test_flex_attention_has_no_dropout() -> None:
    with pytest.raises(ValueError, match=r"dropout=0\.1"):
        attend(*tensors(2), mask("flex", 3, False), dropout=0.1)


def test_the_module_projects_around_attend() -> None:
    layer, x = Attention(ModelConfig(10, 1, 64, 4, 2, 64, "rope", 32)), torch.randn(2, T, 64)
    with torch.no_grad():
        q, k, v = (p(x).unflatten(2, (-1, 16)).transpose(1, 2) for p in (layer.query, layer.key, layer.value))
        expected = layer.output(reference(q, k, v, rule(None, False)).transpose(1, 2).flatten(2))
        assert (layer(x, None, None) - expected).abs().max() < 1e-5
