"""One block of a model: attention and an MLP, each with a norm and a residual sum.

A decoder norms before (GPT-2: Radford et al. 2019, section 2.3), an encoder behind the sum (BERT: Devlin et al. 2019). A gated MLP has
two projections up, one of which is activated (Shazeer 2020, section 2).
Shapes: B batch, T tokens, E hidden size.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from starmill.model.attention import Attention, Extend, Mask
from starmill.model.config import ModelConfig
from starmill.model.kernels.linear import Linear

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "silu": F.silu,
}


def norm(config: ModelConfig) -> nn.Module:
    """Return a norm of the model's kind over its hidden state."""
    kind = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return kind(config.hidden_size, eps=config.norm_epsilon)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); in an encoder norm(x + attention(x)), then norm(x + mlp(x)).

    >>> Block(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32))(torch.zeros(1, 3, 8), None, None, None).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, config: ModelConfig) -> None:
        """Make one block."""
        super().__init__()
        self.attention_norm = norm(config)
        self.attention = Attention(config)
        self.mlp_norm = norm(config)
        bias = config.biases == "all"
        self.gate = Linear(config.hidden_size, config.mlp_size, bias=bias) if config.gated else None
        self.up = Linear(config.hidden_size, config.mlp_size, bias=bias)
        self.down = Linear(config.mlp_size, config.hidden_size, bias=bias)
        self.dropout = nn.Dropout(config.dropout)
        self.activation = ACTIVATIONS[config.activation]
        self.is_encoder = config.is_encoder

    def forward(
        self,
        x_BTE: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor] | None,
        mask: Mask,
        extend: Extend | None,
    ) -> torch.Tensor:
        """Return [B, T, E]."""
        if self.is_encoder:
            x_BTE = self.attention_norm(x_BTE + self.dropout(self.attention(x_BTE, rotation, mask, extend)))
            return self.mlp_norm(x_BTE + self.dropout(self._mlp(x_BTE)))
        x_BTE = x_BTE + self.dropout(self.attention(self.attention_norm(x_BTE), rotation, mask, extend))
        return x_BTE + self.dropout(self._mlp(self.mlp_norm(x_BTE)))

    def _mlp(self, x_BTE: torch.Tensor) -> torch.Tensor:
        if self.gate is not None:
            return self.down(self.activation(self.gate(x_BTE)) * self.up(x_BTE))
        return self.down(self.activation(self.up(x_BTE)))
