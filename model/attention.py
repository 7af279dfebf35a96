"""Attention with grouped keys: MHA, GQA and MQA are one module; windows and documents are masks (`model/masks.py`).

Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1) with shared keys (Shazeer 2019; Ainslie et al. 2023). Kernels:
FlexAttention for a block mask, `model/kernels/grouped.py` for shared keys on a CPU, PyTorch's fused ones for everything else.
Shapes: B batch, T queries, S keys, H heads, K key heads, G = H / K query heads per key head, D head size, E hidden size.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from starmill.model.config import ModelConfig
from starmill.model.kernels.grouped import attend_grouped, is_grouped_better
from starmill.model.kernels.linear import Linear
from starmill.model.positions import rotate

Mask = torch.Tensor | BlockMask | None
FEW_QUERIES = 32  # with so many, copies of keys take longer than all else
# Takes new keys and values [B, K, T, D]; returns all keys and values that the queries may see.
Extend = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Attention(nn.Module):
    """Self-attention; the configuration says which projections have biases, and whether each head's queries and keys are normed.

    >>> attention = Attention(ModelConfig(10, 1, 8, 2, 1, 16, "learned", 32))
    >>> attention(torch.zeros(1, 3, 8), rotation=None, mask=None).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, config: ModelConfig) -> None:
        """Make the projections; a key head serves heads / kv_heads query heads."""
        super().__init__()
        self.config = config
        hidden, size, bias = config.hidden_size, config.head_size, config.biases != "none"
        self.query = Linear(hidden, config.heads * size, bias=bias)
        self.key = Linear(hidden, config.kv_heads * size, bias=bias)
        self.value = Linear(hidden, config.kv_heads * size, bias=bias)
        self.query_norm, self.key_norm = (nn.RMSNorm(size, config.norm_epsilon) if config.qk_norm else None for _ in range(2))
        self.output = Linear(config.heads * size, hidden, bias=config.biases == "all")

    def forward(
        self,
        x_BTE: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor] | None,
        mask: Mask,
        extend: Extend | None = None,
    ) -> torch.Tensor:
        """Return [B, T, E]. `mask` is as for `attend`; `extend` puts the keys of earlier tokens before the new ones."""
        B, T, _ = x_BTE.shape
        if torch.is_autocast_enabled(x_BTE.device.type):
            x_BTE = x_BTE.to(torch.get_autocast_dtype(x_BTE.device.type))  # once, not for each of three products
        q_BHTD = self.query(x_BTE).view(B, T, self.config.heads, -1).transpose(1, 2)
        k_BKSD = self.key(x_BTE).view(B, T, self.config.kv_heads, -1).transpose(1, 2)
        v_BKSD = self.value(x_BTE).view(B, T, self.config.kv_heads, -1).transpose(1, 2)
        if self.query_norm is not None and self.key_norm is not None:
            q_BHTD, k_BKSD = self.query_norm(q_BHTD), self.key_norm(k_BKSD)
        if rotation is not None:
            q_BHTD, k_BKSD = rotate(q_BHTD, *rotation), rotate(k_BKSD, *rotation)
        if extend is not None:
            k_BKSD, v_BKSD = extend(k_BKSD, v_BKSD)
        dropout, causal = self.config.dropout if self.training else 0.0, not self.config.is_encoder
        out_BHTD = attend(q_BHTD, k_BKSD, v_BKSD, mask, dropout, causal)
        return self.output(out_BHTD.transpose(1, 2).reshape(B, T, -1))


def attend(
    q_BHTD: torch.Tensor,
    k_BKSD: torch.Tensor,
    v_BKSD: torch.Tensor,
    mask: Mask = None,
    dropout: float = 0.0,
    causal: bool = True,
) -> torch.Tensor:
    """Return [B, H, T, D]. A dense mask is true where a query sees a key; without a mask a query sees the keys up to its own.

    An encoder's query sees all keys: `causal` false.

    A single query without a mask sees all keys, which end at its own. Raises ValueError for a block mask with dropout.
    """
    (B, H, T, D), K = q_BHTD.shape, k_BKSD.shape[1]
    if isinstance(mask, BlockMask):
        if dropout:
            raise ValueError(f"dropout={dropout}: FlexAttention has none; use dropout 0 or the kernel sdpa")
        flex: Any = _compiled() if q_BHTD.is_cuda else flex_attention
        return flex(q_BHTD, k_BKSD, v_BKSD, block_mask=mask, enable_gqa=K != H)
    if T == 1 or (mask is not None and T <= FEW_QUERIES):
        # The query heads of a key head become its queries: no key is copied, where enable_gqa copies all of them.
        grouped_BKRD = q_BHTD.reshape(B, K, H // K * T, D)
        each = mask if mask is None or T == 1 else mask.repeat(1, 1, H // K, 1)
        return F.scaled_dot_product_attention(grouped_BKRD, k_BKSD, v_BKSD, each, dropout).reshape(B, H, T, D)
    if is_grouped_better(q_BHTD, k_BKSD, dropout):
        return attend_grouped(q_BHTD, k_BKSD, v_BKSD, mask)
    if mask is None:
        return F.scaled_dot_product_attention(q_BHTD, k_BKSD, v_BKSD, None, dropout, is_causal=causal, enable_gqa=K != H)
    # With a mask only kernels without enable_gqa are fused: repeated keys take H S D elements, unfused scores H T S.
    k_BHSD, v_BHSD = (t.repeat_interleave(H // K, dim=1) for t in (k_BKSD, v_BKSD))
    return F.scaled_dot_product_attention(q_BHTD, k_BHSD, v_BHSD, mask, dropout)


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention)
