"""Attention on a CPU for heads that share keys: the queries of a group's heads, some places at a time, are the rows of one product.

PyTorch's own kernel goes head by head in products of 32 by 512, on the slower library where there are two (model/linear.py), and takes
a third of a training step. Here a place's keys are read once for its whole group, and keys that lie after all of a block's queries are
not read at all. Forwards and backwards as in FlashAttention (Dao et al. 2022, section 3.1): scores are made again, never kept.
Shapes: B batch, T queries, S keys, H heads, K key heads, D head size; R rows, the G = H / K heads of a group by N of the places.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from starmill.model.linear import multiply

ROWS = 1024  # of a product, about: enough for its speed, few enough that their scores stay in the cache
FEWEST_QUERIES = 512  # below, PyTorch is as fast


def is_grouped_better(q_BHTD: torch.Tensor, k_BKSD: torch.Tensor, dropout: float) -> bool:
    """Say whether these go to `attend_grouped`: float32 or bfloat16 on a CPU, more than one head a group, more than a few queries."""
    shared, many = q_BHTD.shape[1] > k_BKSD.shape[1], q_BHTD.shape[2] >= FEWEST_QUERIES
    known = q_BHTD.device.type == "cpu" and q_BHTD.dtype in (torch.float32, torch.bfloat16)
    return shared and many and known and not dropout


def attend_grouped(
    q_BHTD: torch.Tensor, k_BKSD: torch.Tensor, v_BKSD: torch.Tensor, mask_B1TS: torch.Tensor | None
) -> torch.Tensor:
    """Return attention [B, H, T, D], computed in float32. Without a mask a query sees the keys up to its own, and T = S."""
    return _forward(q_BHTD, k_BKSD, v_BKSD, mask_B1TS).transpose(1, 2)


@torch.library.custom_op("starmill::grouped_attention", mutates_args=())
def _forward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    B, H, T, D = q.shape
    out_BTHD, k_BKSD, v_BKDS = q.new_empty(B, T, H, D), _by_head(k), _by_head(v).transpose(2, 3)
    for block in _blocks(q, k, mask):
        p_RS = _probabilities(_rows(q, block), k_BKSD, block)
        out_RD = multiply(p_RS, v_BKDS[block.b, block.j, :, block.keys])
        out_BTHD[block.b, block.places, block.heads] = out_RD.unflatten(0, (block.G, -1)).transpose(0, 1).to(q.dtype)
    return out_BTHD


@torch.library.custom_op("starmill::grouped_attention_backward", mutates_args=())
def _backward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, out: torch.Tensor, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    k_BKSD, v_BKSD, scale = _by_head(k), _by_head(v), 1 / math.sqrt(q.shape[-1])
    do_BHTD = gradient.float().transpose(1, 2)
    delta_BHT1 = (do_BHTD * out.float().transpose(1, 2)).sum(-1, keepdim=True)
    dq_BHTD, dk_BKDS, dv_BKDS = torch.empty_like(q), *(torch.zeros_like(t.transpose(2, 3)) for t in (k_BKSD, v_BKSD))
    for block in _blocks(q, k, mask):
        shared = block.b, block.j
        q_RD, do_RD, delta_R1 = (_rows(t, block) for t in (q, do_BHTD, delta_BHT1))
        p_RS = _probabilities(q_RD, k_BKSD, block)
        dv_BKDS[*shared, :, block.keys] += multiply(do_RD.t(), p_RS.t())
        ds_RS = multiply(do_RD, v_BKSD[*shared, block.keys]).sub_(delta_R1).mul_(p_RS)
        dq_RD = multiply(ds_RS, k_BKSD[*shared, block.keys].t()).mul_(scale)
        dq_BHTD[block.b, block.heads, block.places] = dq_RD.unflatten(0, (block.G, -1)).to(q.dtype)
        dk_BKDS[*shared, :, block.keys] += multiply(q_RD.t(), ds_RS.t()).mul_(scale)
    dk_BKSD, dv_BKSD = (t.transpose(2, 3).to(k.dtype).contiguous() for t in (dk_BKDS, dv_BKDS))
    return dq_BHTD, dk_BKSD, dv_BKSD


@dataclass(frozen=True)
class _Block:
    """Row b of the batch, key head j and its G heads, some places, their keys; of the last of these they do not see `hidden`."""

    b: int
    j: int
    G: int
    places: slice
    keys: slice
    hidden: torch.Tensor

    @property
    def heads(self) -> slice:
        return slice(self.j * self.G, (self.j + 1) * self.G)


def _blocks(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None) -> Iterator[_Block]:
    (B, H, T, _), K, S = q.shape, k.shape[1], k.shape[2]
    size = max(16, 2 ** int(math.log2(max(1, ROWS * K // H))))
    future_NN = torch.ones(size, size, dtype=torch.bool).triu_(1)
    for b in range(B):
        hidden_TS = None if mask is None else ~mask[b % len(mask), 0]
        for first in range(0, T, size):
            last = min(first + size, T)
            keys = slice(0, last if mask is None else S)
            hidden = future_NN[: last - first, : last - first] if hidden_TS is None else hidden_TS[first:last]
            for j in range(K):
                yield _Block(b, j, H // K, slice(first, last), keys, hidden)


def _by_head(x_BKSD: torch.Tensor) -> torch.Tensor:
    return x_BKSD.float().contiguous()  # as they come from the projection, a head's places lie apart


def _rows(x_BHTD: torch.Tensor, block: _Block) -> torch.Tensor:
    return x_BHTD[block.b, block.heads, block.places].float().reshape(-1, x_BHTD.shape[-1])


def _probabilities(q_RD: torch.Tensor, k_BKSD: torch.Tensor, block: _Block) -> torch.Tensor:
    scores_RS = multiply(q_RD / math.sqrt(q_RD.shape[1]), k_BKSD[block.b, block.j, block.keys])
    scores_RS.unflatten(0, (block.G, -1))[..., -block.hidden.shape[1] :].masked_fill_(block.hidden, -torch.inf)
    return scores_RS.softmax(-1)


@_forward.register_fake
def _(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    B, H, T, D = q.shape
    return q.new_empty(B, T, H, D)


@_backward.register_fake
def _(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.empty_like(q), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs, output)


def _derive(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    return *_backward(*ctx.saved_tensors, gradient), None


_forward.register_autograd(_derive, setup_context=_keep)
