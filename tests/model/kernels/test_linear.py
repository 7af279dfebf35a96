"""Both libraries give the same products and gradients, and each gets what it is for."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from starmill.model.kernels.linear import BOTH, FEWEST_ROWS, Linear, is_onednn_better, product


def layer(bias: bool = True) -> Linear:
    torch.manual_seed(1)
    return Linear(48, 80, bias=bias)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 20, 48), (32, 48), (2, 48), (48,)])
def test_values_and_gradients_are_torchs(shape: tuple[int, ...], bias: bool) -> None:
    made, x = layer(bias), torch.randn(shape, generator=torch.Generator().manual_seed(2))
    weight = torch.randn(*shape[:-1], 80, generator=torch.Generator().manual_seed(3))

    def gradients(call: Callable[[torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
        leaf = x.clone().requires_grad_()
        out = call(leaf)
        return [out.detach(), *torch.autograd.grad((out * weight).sum(), [leaf, *made.parameters()])]

    theirs = gradients(lambda leaf: F.linear(leaf, made.weight, made.bias))
    for ours, expected in zip(gradients(made), theirs, strict=True):
        assert ours.shape == expected.shape and torch.allclose(ours, expected, atol=1e-4)


@pytest.mark.skipif(not BOTH, reason="this PyTorch multiplies on one library only")
def test_who_gets_what() -> None:
    weight, many = layer().weight, torch.zeros(FEWEST_ROWS, 48)
    assert is_onednn_better(many, weight)
    assert not is_onednn_better(many[:-1], weight), "few rows"
    assert not is_onednn_better(many.bfloat16(), weight.detach().bfloat16())
    assert not is_onednn_better(many.to("meta"), weight)

    class InPieces(torch.Tensor):
        """Stands where a DTensor may."""

    assert not is_onednn_better(many, weight.detach().as_subclass(InPieces))
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_onednn_better(many, weight)
        assert layer()(many).dtype == torch.bfloat16


@pytest.mark.skipif(not BOTH, reason="this PyTorch multiplies on one library only")
def test_transposed_views_are_read_as_they_lie() -> None:
    a, b = (torch.randn(rows, 64, generator=torch.Generator().manual_seed(rows)) for rows in (20, 30))
    assert torch.allclose(product(a.t().contiguous().t(), b), a @ b.t(), atol=1e-4)
    assert torch.allclose(product(a, b.t().contiguous().t()), a @ b.t(), atol=1e-4)
    assert torch.allclose(product(a[:, ::2], b[:, ::2]), a[:, ::2] @ b[:, ::2].t(), atol=1e-4)


@pytest.mark.slow
def test_it_compiles() -> None:
    made, x = layer(), torch.randn(4, 20, 48)
    found = []
    for call in (made, torch.compile(made, fullgraph=True)):
        leaf = x.clone().requires_grad_()
        out = call(leaf)
        found.append([out, *torch.autograd.grad(out.square().sum(), [leaf, made.weight, made.bias])])
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*found, strict=True))


@pytest.mark.skipif(not BOTH, reason="this PyTorch multiplies on one library only")
def test_no_matrix_falls_to_onednns_loops() -> None:
    # Keys and values as they come from one projection: rows with gaps. oneDNN itself says which code it ran; `ref` is 1,000 times slower.
    code = """
import torch
from starmill.model.kernels.grouped import attend_grouped
from starmill.model.kernels.linear import product
x = torch.randn(2, 512, 8 * 32 + 2 * 2 * 32, dtype=torch.bfloat16, requires_grad=True)
q, k, v = (t.unflatten(-1, (-1, 32)).transpose(1, 2) for t in x.split([256, 64, 64], -1))
attend_grouped(q, k, v, None).sum().backward()
both = torch.randn(512, 64)
product(both[:, :32], both[:, 32:])
"""
    verbose = {**os.environ, "ONEDNN_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=verbose, capture_output=True, text=True, check=True, timeout=100)
    lines = [line.split(",") for line in done.stdout.splitlines() if ",exec," in line]
    ran = [line[6] for line in lines if line[5] in ("inner_product", "matmul")]
    assert len(ran) > 10 and not [name for name in ran if "ref" in name]
