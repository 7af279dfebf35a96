"""Which keys a query may see, rendered for two kernels: a dense mask for SDPA, a block mask for FlexAttention.

One rule for both: no key after the query, none beyond the window, none of another document, no padding.
Shapes: B batch, T queries, S keys.
"""

import functools
from collections.abc import Callable

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask


def dense(
    queries_BT: torch.Tensor, keys_BS: torch.Tensor, window: int | None = None, document_BT: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the boolean mask [B, 1, T, S] over order in the sequence; `keys_BS` is negative for padding.

    A window of W keeps the last W keys, the query's own included: k > q - W. `document_BT` needs T = S.
    """
    distance_BTS = queries_BT[:, :, None] - keys_BS[:, None, :]
    allowed_BTS = (distance_BTS >= 0) & (keys_BS >= 0)[:, None, :]
    if window is not None:
        allowed_BTS &= distance_BTS < window
    if document_BT is not None:
        allowed_BTS &= document_BT[:, :, None] == document_BT[:, None, :]
    # A padding query sees no key; let it see its own, or softmax gives NaN.
    return (allowed_BTS | ((distance_BTS == 0) & (queries_BT < 0)[:, :, None]))[:, None]


def blocks(shape: torch.Size, device: torch.device, window: int | None, document_BT: torch.Tensor | None) -> BlockMask:
    """Return the block mask of whole sequences of `shape` [B, T]: blocks that no query sees are never computed."""
    B, T = shape

    def allowed(b: torch.Tensor, _: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        seen = q >= k
        if window is not None:
            seen = seen & (q - k < window)
        if document_BT is not None:
            seen = seen & (document_BT[b, q] == document_BT[b, k])
        return seen

    make = _compiled() if device.type == "cuda" else create_block_mask
    return make(allowed, B if document_BT is not None else None, None, T, T, device=device)


@functools.cache
def _compiled() -> Callable[..., BlockMask]:
    # Uncompiled, create_block_mask holds the mask of every pair of positions at once.
    return torch.compile(create_block_mask)
