"""RoPE against complex multiplication, and its one property: scores depend on distance only."""

import torch

from starmill.model.positions import angles, rotate


def test_it_is_a_rotation_of_pairs() -> None:
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    positions = torch.randint(0, 5000, (2, 7), generator=torch.Generator().manual_seed(1))
    turned = rotate(x, *angles(positions, 8, 1e5))
    pairs = torch.complex(x[..., :4].double(), x[..., 4:].double())
    speed = 1e5 ** -(torch.arange(4).double() / 4)
    expected = pairs * torch.exp(1j * positions[:, None, :, None] * speed)
    assert (turned[..., :4] - expected.real).abs().max() < 1e-3
    assert (turned[..., 4:] - expected.imag).abs().max() < 1e-3


def test_scores_depend_on_distance_only() -> None:
    q, k = torch.randn(2, 1, 1, 1, 64, generator=torch.Generator().manual_seed(0))

    def score(i: int, j: int) -> float:
        here, there = angles(torch.tensor([[i]]), 64, 1e4), angles(torch.tensor([[j]]), 64, 1e4)
        return float((rotate(q, *here) * rotate(k, *there)).sum())

    assert abs(score(10, 3) - score(1010, 1003)) < 1e-3
    assert abs(score(10, 3) - score(10, 4)) > 1e-3
