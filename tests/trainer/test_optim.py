"""Each rule of learning beside plain PyTorch, thirty steps long, on one process; and the corners of the schedule."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import get_wsd_schedule

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.trainer.optim import Optimizer, learning_rate, scale_initial
from starmill.trainer.rates import AdamW, Muon

OPTIONS = AdamW(lr=1e-3, min_lr=1e-4, warmup_steps=10)
TINY = ModelConfig(100, 2, 32, 4, 2, 64, "rope", 64, tie_embeddings=False)
BETAS: dict[str, Any] = {"betas": (0.9, 0.95), "eps": 1e-8}
Rule = Callable[[torch.optim.Optimizer], None]


def made(config: ModelConfig = TINY) -> Decoder:
    model = Decoder(config)
    model.init_weights(torch.Generator().manual_seed(1))
    return model


def hidden(model: Decoder) -> list[torch.nn.Parameter]:
    return [p for p in model.blocks.parameters() if p.dim() == 2]


def others(model: Decoder) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    outside = [model.tokens.weight, *([] if model.config.tie_embeddings else [model.head.weight])]
    return outside, [p for p in model.parameters() if p.dim() == 1]


def loss(model: Decoder, step: int, logits: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> torch.Tensor:
    tokens = torch.randint(0, 100, (4, 33), generator=torch.Generator().manual_seed(step))
    return torch.nn.functional.cross_entropy(logits(model(tokens[:, :-1])).flatten(0, 1), tokens[:, 1:].flatten())


def ours(model: Decoder, options: AdamW) -> list[float]:
    optimizer, losses = Optimizer(model, options), []
    for step in range(1, 31):
        optimizer.set_rate(step, 30)
        found = loss(model, step)
        found.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(found.item())
    return losses


def theirs(
    model: Decoder, *optimizers: torch.optim.Optimizer, after: Callable[[], None] = lambda: None, divided: float = 1.0
) -> list[float]:
    losses, rates = [], [[group["lr"] for group in o.param_groups] for o in optimizers]
    for step in range(1, 31):
        for optimizer, own in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, own, strict=True):
                group["lr"] = rate * learning_rate(step, 30, OPTIONS) / OPTIONS.lr
        found = loss(model, step, lambda logits: logits / divided)
        found.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        after()
        losses.append(found.item())
    return losses


def assert_equal(model: Decoder, other: Decoder, tolerance: float = 0.0) -> None:
    for (name, mine), its in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, its, rtol=0, atol=tolerance), name


@pytest.mark.parametrize(("embeddings", "vectors"), [(None, 0.0), (0.0, 0.0), (0.02, 0.3)])
def test_each_kind_of_weight_has_its_decay(embeddings: float | None, vectors: float) -> None:
    model, other = made(), made()
    outside, lines = others(other)
    groups = [
        {"params": hidden(other), "weight_decay": 0.1},
        {"params": outside, "weight_decay": 0.1 if embeddings is None else embeddings},
        {"params": lines, "weight_decay": vectors},
    ]
    adam = torch.optim.AdamW(groups, lr=OPTIONS.lr, **BETAS)
    mine = ours(model, replace(OPTIONS, embedding_weight_decay=embeddings, vector_weight_decay=vectors))
    assert mine == pytest.approx(theirs(other, adam), abs=1e-5)
    assert_equal(model, other, 1e-5)


@pytest.mark.parametrize("scale", ["rms", "shape"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_torchs(scale: str, nesterov: bool) -> None:
    model, other = made(), made()
    adjust = {"rms": "match_rms_adamw", "shape": "original"}[scale]
    muon = torch.optim.Muon(hidden(other), lr=2e-3, weight_decay=0.1, nesterov=nesterov, adjust_lr_fn=adjust)
    outside, lines = others(other)
    groups = [{"params": outside, "weight_decay": 0.1}, {"params": lines, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=OPTIONS.lr, fused=True, **BETAS)
    mine = ours(model, replace(OPTIONS, muon=Muon(lr=2e-3, nesterov=nesterov, scale=scale)))  # type: ignore[arg-type]
    assert mine == pytest.approx(theirs(other, muon, adam), abs=1e-4)
    assert_equal(model, other, 1e-3)
    assert mine[-1] < mine[0]


def test_the_average_of_the_weights_is_torchs() -> None:
    model, other = made(), made()
    outside, lines = others(other)
    groups = [{"params": hidden(other) + outside, "weight_decay": 0.1}, {"params": lines, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=OPTIONS.lr, fused=True, **BETAS)
    average = AveragedModel(other, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs(other, adam, after=lambda: average.update_parameters(other))
    optimizer = Optimizer(model, replace(OPTIONS, average=0.9))
    for step in range(1, 31):
        optimizer.set_rate(step, 30)
        loss(model, step).backward()
        optimizer.step()
        optimizer.zero_grad()
    held = optimizer.tensors(30)
    for name, expected in average.module.named_parameters():
        assert torch.allclose(held[f"average.{name}"], expected, atol=1e-6), name
        assert name.endswith("bias") or not torch.equal(held[f"average.{name}"], dict(model.named_parameters())[name])


@pytest.mark.parametrize("tied", [True, False])
def test_rates_by_width_are_those_of_table_8(tied: bool) -> None:
    # The table's own words: hidden matrices of variance 1 / fan-in and rate 1 / fan-in, logits divided by the width.
    config = replace(TINY, hidden_size=64, heads=8, mlp_size=128, tie_embeddings=tied)
    model, other = made(config), made(config)
    options = replace(OPTIONS, base_width=16)
    scale_initial(model, options)
    with torch.no_grad():
        for matrix in hidden(other):
            matrix.div_(2.0)
    outside, lines = others(other)
    groups = [
        {"params": hidden(other), "weight_decay": 0.4, "lr": OPTIONS.lr / 4},
        {"params": outside, "weight_decay": 0.1},
        {"params": lines, "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=OPTIONS.lr, **BETAS)
    # Ours divides by the final norm's gain, which Adam would move in another measure of epsilon.
    assert ours(model, replace(options, epsilon=1e-12)) == pytest.approx(theirs(other, adam, divided=4.0), abs=1e-3)


def moved(width: int, base: int | None) -> float:
    """Return how far five steps move a model's logits: the root of their mean square."""
    config = ModelConfig(100, 2, width, width // 16, width // 16, 4 * width, "rope", 64, tie_embeddings=False)
    model = made(config)
    options = AdamW(lr=1e-2, min_lr=1e-2, warmup_steps=0, base_width=base)
    scale_initial(model, options)
    optimizer, tokens = Optimizer(model, options), torch.arange(64).reshape(2, 32)
    with torch.no_grad():
        before = model(tokens)
    for step in range(1, 6):
        optimizer.set_rate(step, 30)
        loss(model, step).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        return (model(tokens) - before).square().mean().sqrt().item()


def test_steps_move_logits_of_any_width_alike() -> None:
    # The coordinate check of arXiv 2203.03466, appendix D.1.
    plain, scaled = ([moved(width, base) for width in (32, 64, 128, 256)] for base in (None, 32))
    assert plain[-1] > 2.5 * plain[0], plain
    assert max(scaled) < 1.3 * min(scaled), scaled


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
