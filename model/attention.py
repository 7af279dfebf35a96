"""Causal attention with grouped keys: MHA, GQA and MQA are one code path; windows and documents are masks.

Shapes: B batch, T queries, S keys, H heads, K key heads, D head size, E hidden size.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from starmill.model.config import ModelConfig
from starmill.model.positions import rotate


@dataclass
class LayerCache:
    """Keys and values of the tokens so far, [B, K, S, D]; empty at first."""

    keys_BKSD: torch.Tensor | None = None
    values_BKSD: torch.Tensor | None = None

    def extend(self, k_BKTD: torch.Tensor, v_BKTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Append new keys and values, and return all of them."""
        if self.keys_BKSD is not None and self.values_BKSD is not None:
            k_BKTD = torch.cat([self.keys_BKSD, k_BKTD], dim=2)
            v_BKTD = torch.cat([self.values_BKSD, v_BKTD], dim=2)
        self.keys_BKSD, self.values_BKSD = k_BKTD, v_BKTD
        return k_BKTD, v_BKTD


class Attention(nn.Module):
    """Self-attention with biases on every projection."""

    def __init__(self, config: ModelConfig) -> None:
        """Make the projections; a key head serves heads / kv_heads query heads."""
        super().__init__()
        self.config = config
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.kv_heads * config.head_size)
        self.value = nn.Linear(config.hidden_size, config.kv_heads * config.head_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        x_BTE: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor] | None,
        mask_B1TS: torch.Tensor | None,
        cache: LayerCache | None = None,
    ) -> torch.Tensor:
        """Return [B, T, E]. `mask` true where a query may look; None means plain causal attention without a cache."""
        B, T, _ = x_BTE.shape
        q_BHTD = self.query(x_BTE).view(B, T, self.config.heads, -1).transpose(1, 2)
        k_BKTD = self.key(x_BTE).view(B, T, self.config.kv_heads, -1).transpose(1, 2)
        v_BKTD = self.value(x_BTE).view(B, T, self.config.kv_heads, -1).transpose(1, 2)
        if rotation is not None:
            q_BHTD, k_BKTD = rotate(q_BHTD, *rotation), rotate(k_BKTD, *rotation)
        if cache is not None:
            k_BKTD, v_BKTD = cache.extend(k_BKTD, v_BKTD)
        grouped = self.config.kv_heads != self.config.heads
        drop = self.config.dropout if self.training else 0.0
        out_BHTD = F.scaled_dot_product_attention(
            q_BHTD, k_BKTD, v_BKTD, mask_B1TS, dropout_p=drop, is_causal=mask_B1TS is None, enable_gqa=grouped
        )
        return self.output(out_BHTD.transpose(1, 2).reshape(B, T, -1))


def mask(
    queries_BT: torch.Tensor, keys_BS: torch.Tensor, window: int | None, same_BTS: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the boolean mask [B, 1, T, S] over order in the sequence: no key after the query, none beyond the window.

    `keys_BS` is negative for padding. `same_BTS` restricts further (one document). A window of W keeps the last W keys: k > q - W.
    """
    distance_BTS = queries_BT[:, :, None] - keys_BS[:, None, :]
    allowed_BTS = (distance_BTS >= 0) & (keys_BS >= 0)[:, None, :]
    if window is not None:
        allowed_BTS &= distance_BTS < window
    if same_BTS is not None:
        allowed_BTS &= same_BTS
    # A padding query sees nothing; let it see itself, or softmax gives NaN.
    return (allowed_BTS | ((distance_BTS == 0) & (queries_BT < 0)[:, :, None]))[:, None]
