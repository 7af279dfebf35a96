"""The next-token loss without holding all logits: head, cross-entropy and gradients together, some rows at a time.

Logits are the largest tensor of a training step (16,384 tokens of StarCoder2's vocabulary: 3 GB in float32), and every pass over them costs
memory traffic. A row's loss and gradient need only the row's logits, so both are computed together, some rows at a time
(Hsu et al. 2024, Liger Kernel, section 3.2), and no logits are left when the backward pass begins.
Shapes: N tokens, C of them at a time, E hidden size, V vocabulary.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from starmill.model.kernels.linear import multiply

ROWS = {"cpu": 512, "cuda": 4096}  # at a time: their logits stay in a processor's cache, or fill a GPU


def next_token_loss(
    head: nn.Linear, x_NE: torch.Tensor, targets_N: torch.Tensor, z_loss: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean cross-entropy, with z-loss, and the cross-entropy of each token, both float32; only the first has gradients.

    `z_loss` times the mean square of the logits' log-sum-exp is PaLM's (section 5). A sharded head computes
    all its logits.
    """
    if type(head.weight) is nn.Parameter:
        learning = torch.is_grad_enabled() and (x_NE.requires_grad or head.weight.requires_grad)
        total, losses_N = _HeadLoss.apply(x_NE, head.weight, targets_N, z_loss, learning)
        return total, losses_N
    logits_NV = head(x_NE).float()
    losses_N = F.cross_entropy(logits_NV, targets_N, reduction="none")
    total = losses_N.mean() + (z_loss * logits_NV.logsumexp(-1).square().mean() if z_loss else 0.0)
    return total, losses_N.detach()


def token_losses(head: nn.Linear, x_NE: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each token, float32, each with gradients: for losses that are no mean of tokens'.

    The backward pass computes the logits again, some rows at a time: how much each token counts is not known before.
    """

    def some(x_CE: torch.Tensor, targets_C: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(head(x_CE).float(), targets_C, reduction="none")

    parts = zip(x_NE.split(rows := ROWS.get(x_NE.device.type, 4096)), targets_N.split(rows), strict=True)
    return torch.cat([checkpoint(some, *part, use_reentrant=False) for part in parts])


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_NE: torch.Tensor, weight_VE: torch.Tensor, targets_N: torch.Tensor, z_loss: float, learning: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device, N = x_NE.device.type, len(x_NE)
        ctx.count, ctx.dtypes = N, (x_NE.dtype, weight_VE.dtype)
        half = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x_NE.dtype
        losses_N = torch.empty(N, device=x_NE.device)
        total = losses_N.new_zeros(())
        dx_NE = torch.empty_like(x_NE, dtype=half) if learning else None
        dweight_EV: torch.Tensor | None = None
        with torch.autocast(device, enabled=False):
            x_NE, cast_VE = x_NE.to(half), weight_VE.to(half)
            for first in range(0, N, ROWS.get(device, 4096)):
                rows = slice(first, first + ROWS.get(device, 4096))
                x_CE, targets_C1 = x_NE[rows], targets_N[rows, None]
                logits_CV = multiply(x_CE, cast_VE).float()
                chosen_C1, largest_C1 = logits_CV.gather(1, targets_C1), logits_CV.amax(-1, keepdim=True)
                # In place: softmax reads each row before it writes the row, and 50 to 100 MB less go through the caches.
                p_CV = torch.softmax(logits_CV, -1, out=logits_CV if device == "cpu" else None)
                # The largest probability is at least 1 / V, so its logarithm is exact; the target's probability may be 0.
                lse_C1 = largest_C1 - p_CV.amax(-1, keepdim=True).log()
                losses_N[rows] = (lse_C1 - chosen_C1)[:, 0]
                if z_loss:
                    total += z_loss * lse_C1.square().sum()
                if dx_NE is None:
                    continue
                # d loss / d logits is p - 1 at the target; z-loss adds 2 z lse p.
                if z_loss:
                    p_CV *= 1 + 2 * z_loss * lse_C1
                p_CV.scatter_add_(1, targets_C1, p_CV.new_full((1, 1), -1.0).expand_as(targets_C1))
                dlogits_CV = p_CV.to(half)
                dx_NE[rows] = multiply(dlogits_CV, cast_VE.t())
                if not ctx.needs_input_grad[1]:  # a frozen head, beside an adapter
                    continue
                part_EV = multiply(x_CE.t(), dlogits_CV.t())
                dweight_EV = part_EV.float() if dweight_EV is None else dweight_EV.add_(part_EV)
        if learning:
            ctx.save_for_backward(dx_NE, dweight_EV)
        ctx.mark_non_differentiable(losses_N)
        return (total + losses_N.sum()) / N, losses_N

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        dx_NE, dweight_EV = ctx.saved_tensors
        scale = upstream / ctx.count
        dx_NE = dx_NE.mul(scale).to(ctx.dtypes[0])
        if dweight_EV is None:
            return dx_NE, None, None, None, None
        dweight_EV = dweight_EV.mul(scale).to(ctx.dtypes[1])
        # Transposed once, here; otherwise once for the sum with a tied embedding's gradient and once for the parameter's.
        return dx_NE, dweight_EV.t().contiguous(), None, None, None
