"""Rotary position embeddings (RoFormer, section 3.2), NeoX pairing: element i turns with element i + head_size / 2.

Angles are computed in float32 whatever the model's type, as the released models do. Shapes: B batch, T tokens, D head size.
"""

import torch


def angles(positions_BT: torch.Tensor, head_size: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32 (cos, sin) of shape [B, 1, T, D] for integer positions."""
    exponents_D = torch.arange(0, head_size, 2, device=positions_BT.device, dtype=torch.float32) / head_size
    turns_BTD = positions_BT.float()[..., None] * theta**-exponents_D
    both_BTD = torch.cat([turns_BTD, turns_BTD], dim=-1)
    return both_BTD.cos()[:, None], both_BTD.sin()[:, None]


def rotate(x_BHTD: torch.Tensor, cos_B1TD: torch.Tensor, sin_B1TD: torch.Tensor) -> torch.Tensor:
    """Return queries or keys turned by their angles, in their own type."""
    left, right = x_BHTD.chunk(2, dim=-1)
    return (x_BHTD * cos_B1TD + torch.cat([-right, left], dim=-1) * sin_B1TD).to(x_BHTD.dtype)
