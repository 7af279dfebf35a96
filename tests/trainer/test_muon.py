"""Muon's iterations keep a matrix's singular vectors and bring its singular values near 1; its steps are torch's."""

import pytest
import torch
from torch.optim._muon import _zeropower_via_newtonschulz as torchs

from starmill.trainer.muon import MuonOptimizer, orthogonal
from starmill.trainer.rates import Muon


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (24, 8), (1, 5)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    made = orthogonal(matrix, 5)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = (u.T @ made @ v.T).diagonal()
    assert made.shape == shape and values.min() > 0.6 and values.max() < 1.25
    assert torch.allclose(u.T @ made @ v.T, torch.diag(values), atol=1e-4), "the same singular vectors"
    half = torchs(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    assert torch.allclose(orthogonal(matrix.bfloat16(), 5), half, atol=2e-2)


def test_no_gradient_moves_nothing_and_none_is_a_number() -> None:
    matrix = torch.nn.Parameter(torch.ones(4, 2))
    optimizer = MuonOptimizer([{"params": [matrix], "weight_decay": 0.0}], Muon(), 1e-2)
    optimizer.step()
    matrix.grad = torch.zeros(4, 2)
    optimizer.step()
    assert torch.equal(matrix, torch.ones(4, 2))
