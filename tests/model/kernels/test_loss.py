"""The loss in rows equals cross-entropy over all logits, gradients too, in every type and any number of rows."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from starmill.model.kernels import loss
from starmill.model.kernels.linear import Linear
from starmill.model.kernels.loss import next_token_loss, token_losses

V, E = 50, 24


def inputs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, E, generator=generator).mul(3).requires_grad_(), torch.randint(
        0, V, (count,), generator=generator
    )


def head() -> Linear:
    torch.manual_seed(4)
    return Linear(E, V, bias=False)


def plain(made: nn.Module, x: torch.Tensor, targets: torch.Tensor, z_loss: float) -> tuple[torch.Tensor, torch.Tensor]:
    logits = made(x).float()
    losses = F.cross_entropy(logits, targets, reduction="none")
    return losses.mean() + z_loss * logits.logsumexp(-1).square().mean(), losses


@pytest.mark.parametrize("z_loss", [0.0, 0.3])
@pytest.mark.parametrize("count", [1, 7, 33, 40])
def test_it_is_cross_entropy(count: int, z_loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loss.ROWS, "cpu", 20)  # none, one and two cuts, even and not
    made, (x, targets) = head(), inputs(count)
    expected, each = plain(made, x, targets, z_loss)
    total, losses = next_token_loss(made, x, targets, z_loss)
    assert torch.allclose(total, expected, atol=1e-5) and torch.allclose(losses, each, atol=1e-5)
    assert not losses.requires_grad
    for got, want in zip(
        torch.autograd.grad(total * 3, [x, made.weight]), torch.autograd.grad(expected * 3, [x, made.weight]), strict=True
    ):
        assert torch.allclose(got, want, atol=1e-5)


def test_unlikely_targets_keep_their_loss() -> None:
    made, x = head(), torch.zeros(1, E)
    with torch.no_grad():
        made.weight.zero_()
        made.weight[0, 0], x[0, 0] = 100.0, 10.0  # exp(-1000) is no float
    assert next_token_loss(made, x, torch.tensor([1]))[1].item() == pytest.approx(1000)


def test_autocast_computes_products_in_half_and_sums_in_full() -> None:
    made, (x, targets) = head(), inputs(40)
    with torch.autocast("cpu", torch.bfloat16):
        total, losses = next_token_loss(made, x, targets)
        expected, each = plain(made, x, targets, 0.0)
    assert total.dtype == losses.dtype == torch.float32
    assert torch.allclose(losses, each, atol=1e-5) and torch.allclose(total, expected)
    exact = torch.autograd.grad(plain(made, x, targets, 0.0)[0], [x, made.weight])
    for got, want in zip(torch.autograd.grad(total, [x, made.weight]), exact, strict=True):
        assert got.dtype == torch.float32 and (got - want).norm() < 0.02 * want.norm()


def test_weights_of_another_type_get_their_own_gradient() -> None:
    made, (x, targets) = head().bfloat16(), inputs(20)
    half = x.detach().bfloat16().requires_grad_()
    total, _ = next_token_loss(made, half, targets)
    total.backward()
    assert made.weight.grad is not None and made.weight.grad.dtype == half.grad.dtype == torch.bfloat16


def test_without_gradients_none_are_made() -> None:
    made, (x, targets) = head(), inputs(20)
    with torch.no_grad():
        total, losses = next_token_loss(made, x, targets)
    assert not total.requires_grad and total.item() == pytest.approx(losses.mean().item())


def test_a_head_in_pieces_is_asked_for_its_logits() -> None:
    made, (x, targets) = head(), inputs(20)

    class InPieces(torch.Tensor):
        """Stands where a DTensor may."""

    expected = next_token_loss(made, x, targets, 0.2)
    weight = made.weight.detach()
    del made.weight
    made.weight = weight.as_subclass(InPieces)
    asked = []
    made.register_forward_hook(lambda *_: asked.append(1))
    total, losses = next_token_loss(made, x, targets, 0.2)
    assert asked and torch.allclose(total, expected[0]) and torch.allclose(losses, expected[1])


@pytest.mark.parametrize("count", [0, 7, 40])
def test_losses_that_each_have_gradients(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loss.ROWS, "cpu", 20)
    made, (x, targets) = head(), inputs(count)
    weights = torch.arange(1.0, count + 1)
    each, expected = token_losses(made, x, targets), F.cross_entropy(made(x), targets, reduction="none")
    assert torch.allclose(each, expected, atol=1e-5)
    wanted = torch.autograd.grad((expected * weights).sum(), [x, made.weight])
    for got, want in zip(torch.autograd.grad((each * weights).sum(), [x, made.weight]), wanted, strict=True):
        assert torch.allclose(got, want, atol=1e-3)
