"""AdamW with decay on matrices only, and the learning rate: linear warm-up, a plateau if there is one, then down to `min_lr`."""

import math

import torch
from torch import nn

from starmill.trainer.config import AdamW


def optimizer(model: nn.Module, options: AdamW) -> torch.optim.AdamW:
    """Return fused AdamW (one pass over the state) with two groups: biases, norms and other vectors do not decay."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.lr, betas=(options.beta1, options.beta2), eps=options.epsilon, fused=True)


def learning_rate(step: int, steps: int, options: AdamW) -> float:
    """Return the rate of step 1, 2, ..., `steps`; the last one is `min_lr`, unless the rate is constant."""
    if step <= options.warmup_steps:
        return options.lr * step / options.warmup_steps
    falls = steps - options.warmup_steps if options.decay_steps is None else options.decay_steps
    gone = min(1.0, max(0, step - (steps - falls)) / max(1, falls))
    shares = {"cosine": (1 + math.cos(math.pi * gone)) / 2, "linear": 1 - gone, "1-sqrt": 1 - math.sqrt(gone)}
    return options.min_lr + (options.lr - options.min_lr) * shares[options.decay]
