"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): the momentum of a matrix, made orthogonal by Newton-Schulz iterations.

They need whole matrices, where ranks hold pieces: in each round every rank gathers one matrix, all at the same time iterate on their
own, and send the result round, so that more ranks take less time. Momenta stay in pieces.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

from starmill.trainer.parallel import local, piece
from starmill.trainer.rates import Muon

A, B, C = 3.4445, -4.7750, 2.0315  # Jordan's quintic: the steepest at 0 that ends between 0.7 and 1.2
EPSILON = 1e-7
MOMENTUM = "momentum_buffer"


def orthogonal(update: torch.Tensor, iterations: int) -> torch.Tensor:
    """Return a matrix [rows, columns] of the same singular vectors, with singular values near 1, in the type of `update`."""
    is_tall = update.shape[0] > update.shape[1]
    x = update.T if is_tall else update
    x = x / x.norm().clamp(min=EPSILON)
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.T.contiguous() if is_tall else x


class MuonOptimizer(torch.optim.Optimizer):
    """Steps on the matrices of each group, at the group's `lr` and `weight_decay`."""

    def __init__(self, groups: Iterable[dict[str, Any]], options: Muon, lr: float) -> None:
        """Take the groups; a momentum is made when its matrix first has a gradient."""
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self._options = options
        self._type = getattr(torch, options.precision)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; every rank calls this, with gradients laid out as the matrices are."""
        for group in self.param_groups:
            matrices = [p for p in group["params"] if p.grad is not None]
            are_shared = dist.is_initialized() and dist.get_world_size() > 1
            rank, ranks = (dist.get_rank(), dist.get_world_size()) if are_shared else (0, 1)
            for first in range(0, len(matrices), ranks):
                self._round(matrices[first : first + ranks], rank, group["lr"], group["weight_decay"])

    def _round(self, matrices: list[nn.Parameter], rank: int, lr: float, decay: float) -> None:
        mine = None
        for owner, matrix in enumerate(matrices):
            update = self._update(matrix).to(self._type)
            update = update.full_tensor() if isinstance(update, DTensor) else update  # a collective: all ranks take part
            if owner == rank:
                mine = orthogonal(update, self._options.iterations)
        for owner, matrix in enumerate(matrices):
            whole = (
                mine
                if owner == rank and mine is not None
                else torch.empty(matrix.shape, dtype=self._type, device=local(matrix).device)
            )
            if isinstance(matrix, DTensor):
                dist.broadcast(whole, owner)
            local(matrix).mul_(1 - lr * decay).add_(local(piece(whole, matrix)), alpha=-lr * self._scale(matrix.shape))

    def _update(self, matrix: nn.Parameter) -> torch.Tensor:
        gradient, state = matrix.grad, self.state[matrix]
        assert gradient is not None
        if MOMENTUM not in state:
            state[MOMENTUM] = torch.zeros_like(matrix.detach())
        state[MOMENTUM].lerp_(gradient, 1 - self._options.momentum)
        return gradient.lerp(state[MOMENTUM], self._options.momentum) if self._options.nesterov else state[MOMENTUM]

    def _scale(self, shape: torch.Size) -> float:
        rows, columns = shape
        return 0.2 * math.sqrt(max(rows, columns)) if self._options.scale == "rms" else math.sqrt(max(1, rows / columns))
