"""AdamW with decay on matrices only, and the learning rate: linear warm-up, then cosine down to `min_lr`."""

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
    """Return the rate of step 1, 2, ..., `steps`; the last one is `min_lr`."""
    if step <= options.warmup_steps:
        return options.lr * step / options.warmup_steps
    progress = min(1.0, (step - options.warmup_steps) / max(1, steps - options.warmup_steps))
    return options.min_lr + (options.lr - options.min_lr) * (1 + math.cos(math.pi * progress)) / 2
