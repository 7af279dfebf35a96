"""Rotary position embeddings (RoFormer, section 3.2), NeoX pairing: element i turns with element i + head_size / 2.

Angles are computed in float32 whatever the model's type, as the released models do. Shapes: B batch, T tokens, D head size.
"""

from typing import Any

import torch


def angles(positions_BT: torch.Tensor, head_size: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32 (cos, sin) of shape [B, 1, T, D] for integer positions."""
    exponents_D = torch.arange(0, head_size, 2, device=positions_BT.device, dtype=torch.float32) / head_size
    turns_BTD = positions_BT.float()[..., None] * theta**-exponents_D
    both_BTD = torch.cat([turns_BTD, turns_BTD], dim=-1)
    return both_BTD.cos()[:, None], both_BTD.sin()[:, None]


def rotate(x_BHTD: torch.Tensor, cos_B1TD: torch.Tensor, sin_B1TD: torch.Tensor) -> torch.Tensor:
    """Return queries or keys turned by their angles, in their own type. Angles have no gradient."""
    half = x_BHTD.shape[-1] // 2
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
