"""Rotary position embeddings (RoFormer, section 3.2), NeoX pairing: element i turns with element i + head_size / 2.

Angles are computed in float32 whatever the model's type, as the released models do. Shapes: B batch, T tokens, D head size, C = D / 2.
"""

import math
from typing import Any

import torch

from starmill.model.config import RopeScaling


def angles(
    positions_BT: torch.Tensor, head_size: int, theta: float, scaling: RopeScaling | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32 (cos, sin) of shape [B, 1, T, D] for integer positions, times yarn's attention factor."""
    exponents_C = torch.arange(0, head_size, 2, device=positions_BT.device, dtype=torch.float32) / head_size
    turns_C, factor = theta**-exponents_C, 1.0
    if scaling is not None:
        turns_C = _scaled(turns_C, head_size, theta, scaling)
        if scaling.kind == "yarn":
            factor = scaling.attention_factor or 0.1 * math.log(scaling.factor) + 1
    turns_BTC = positions_BT.float()[..., None] * turns_C
    both_BTD = torch.cat([turns_BTC, turns_BTC], dim=-1)
    cos, sin = both_BTD.cos()[:, None], both_BTD.sin()[:, None]
    return (cos, sin) if factor == 1 else (cos * factor, sin * factor)


def _scaled(turns_C: torch.Tensor, head_size: int, theta: float, scaling: RopeScaling) -> torch.Tensor:
    """Return the frequencies (radians a token), those of long waves divided by the factor."""
    lowered_C, length = turns_C / scaling.factor, scaling.original_max_positions
    if scaling.kind == "linear":
        return lowered_C
    if scaling.kind == "llama3":
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        kept_C = ((length * turns_C / (2 * math.pi) - low) / (high - low)).clamp(0, 1)
    else:  # YaRN, section 3.2: by the element's number, between those that turn beta_fast and beta_slow times in the length

        def element(turned: float) -> float:
            return head_size * math.log(length / (turned * 2 * math.pi)) / (2 * math.log(theta))

        first = max(0, math.floor(element(scaling.beta_fast)))
        last = min(head_size - 1, math.ceil(element(scaling.beta_slow)))
        numbers_C = torch.arange(len(turns_C), device=turns_C.device, dtype=torch.float32)
        kept_C = 1 - ((numbers_C - first) / (last - first or 0.001)).clamp(0, 1)
    return lowered_C * (1 - kept_C) + turns_C * kept_C


def rotate(x_BHTD: torch.Tensor, cos_B1TD: torch.Tensor, sin_B1TD: torch.Tensor) -> torch.Tensor:
    """Return queries or keys turned by their angles, in their own type. Angles have no gradient."""
    half = x_BHTD.shape[-1] // 2
    if not torch.is_grad_enabled():  # in fewer passes; sin has no sign, and the left half's is negative
        quick_BHTD = x_BHTD.float() * cos_B1TD
        swapped_BHTD = x_BHTD.float().roll(half, -1)
        quick_BHTD[..., :half].addcmul_(swapped_BHTD[..., :half], sin_B1TD[..., :half], value=-1)
        quick_BHTD[..., half:].addcmul_(swapped_BHTD[..., half:], sin_B1TD[..., half:])
        return quick_BHTD.to(x_BHTD.dtype)
    turned: torch.Tensor = _Rotate.apply(x_BHTD, cos_B1TD[..., :half], sin_B1TD[..., :half])
    return turned


class _Rotate(torch.autograd.Function):
    # The gradient of a rotation is the rotation back: only the angles are kept.
    @staticmethod
    def forward(ctx: Any, x_BHTD: torch.Tensor, cos_B1TC: torch.Tensor, sin_B1TC: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos_B1TC, sin_B1TC)
        left, right = x_BHTD.float().chunk(2, dim=-1)
        turned = (torch.addcmul(left * cos_B1TC, right, sin_B1TC, value=-1), torch.addcmul(right * cos_B1TC, left, sin_B1TC))
        return torch.cat(turned, dim=-1).to(x_BHTD.dtype)

    @staticmethod
    def backward(ctx: Any, gradient_BHTD: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos_B1TC, sin_B1TC = ctx.saved_tensors
        left, right = gradient_BHTD.float().chunk(2, dim=-1)
        turned = (torch.addcmul(left * cos_B1TC, right, sin_B1TC), torch.addcmul(right * cos_B1TC, left, sin_B1TC, value=-1))
        return torch.cat(turned, dim=-1).to(gradient_BHTD.dtype), None, None
