"""Decay for matrices only, and the corners of the schedule."""

import pytest
import torch
from transformers import get_wsd_schedule

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.trainer.config import AdamW
from starmill.trainer.optim import learning_rate, optimizer

OPTIONS = AdamW(lr=1e-3, min_lr=1e-4, warmup_steps=10)


def test_vectors_do_not_decay() -> None:
    model = Decoder(ModelConfig(100, 2, 32, 4, 2, 64, "rope", 64))
    matrices, vectors = optimizer(model, OPTIONS).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert all(p.dim() == 2 for p in matrices["params"]) and all(p.dim() == 1 for p in vectors["params"])
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))


def test_a_step_is_torchs() -> None:
    weight = torch.nn.Linear(3, 3)
    weight.weight.grad, weight.bias.grad = torch.ones(3, 3), torch.ones(3)
    before = weight.weight.detach().clone()
    optimizer(weight, OPTIONS).step()
    expected = before * (1 - 1e-3 * 0.1) - 1e-3  # decoupled decay, and a first Adam step of the size of the rate
    assert torch.allclose(weight.weight, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("step", "rate"), [(1, 1e-4), (10, 1e-3), (11, 9.9972e-4), (55, 5.5e-4), (100, 1e-4), (120, 1e-4)], ids=str
)
def test_schedule(step: int, rate: float) -> None:
    assert learning_rate(step, 100, OPTIONS) == pytest.approx(rate, rel=1e-4)


def test_no_warmup() -> None:
    assert learning_rate(1, 2, AdamW(lr=1.0, min_lr=0.0, warmup_steps=0)) == pytest.approx(0.5)


@pytest.mark.parametrize("decay", ["cosine", "linear", "1-sqrt"])
@pytest.mark.parametrize("falls", [0, 30, 90])
def test_warm_up_stable_decay_is_transformers(decay: str, falls: int) -> None:
    options = AdamW(lr=1e-3, min_lr=1e-4, warmup_steps=10, decay=decay, decay_steps=falls)  # type: ignore[arg-type]
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = get_wsd_schedule(theirs, 10, falls, num_training_steps=100, decay_type=decay, min_lr_ratio=0.1)
    for step in range(1, 101):
        theirs.step()
        schedule.step()
        # Theirs climbs from min_lr, and is there behind the last step, also where nothing falls.
        if step >= 10 and (step < 100 or falls):
            assert learning_rate(step, 100, options) == pytest.approx(schedule.get_last_lr()[0], rel=1e-6), step
