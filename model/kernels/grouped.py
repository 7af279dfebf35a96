"""Attention on a CPU for heads that share keys: the queries of a group's heads at some positions are the rows of one product.

PyTorch's own kernel goes head by head in products of 32 by 512 and takes a third of a training step. Here keys are read once for a
whole group, all rows of a batch go into one batched product, and keys that lie after all of a block's queries are not read at
all. Forward and backward are FlashAttention's (Dao et al. 2022, section 3.1): scores are computed again, never kept.
Shapes: B batch, T queries, S keys, H heads, K key heads, D head size, G = H / K query heads per key head; of a block of N positions:
Z = B * K groups, R = G * N rows, S its keys.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch

ROWS = 256  # of a product, about: enough for speed, few enough that their scores stay in the cache
FEWEST_QUERIES = 512  # with fewer, PyTorch is as fast


def is_grouped_better(q_BHTD: torch.Tensor, k_BKSD: torch.Tensor, dropout: float) -> bool:
    """Say whether `attend_grouped` is faster: float32 or bfloat16 on a CPU, several heads per group, many queries, no dropout."""
    shared, many = q_BHTD.shape[1] > k_BKSD.shape[1], q_BHTD.shape[2] >= FEWEST_QUERIES
    known = q_BHTD.device.type == "cpu" and q_BHTD.dtype in (torch.float32, torch.bfloat16)
    return shared and many and known and not dropout


def attend_grouped(
    q_BHTD: torch.Tensor, k_BKSD: torch.Tensor, v_BKSD: torch.Tensor, mask_B1TS: torch.Tensor | None
) -> torch.Tensor:
    """Return attention [B, H, T, D]. Without a mask a query sees the keys up to its own, and T = S.

    Products have the inputs' type, sums and softmax float32, as in PyTorch's kernel.
    """
    return _forward(q_BHTD, k_BKSD, v_BKSD, mask_B1TS).transpose(1, 2)


@torch.library.custom_op("starmill::grouped_attention", mutates_args=())
def _forward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    B, H, T, D = q.shape
    out_BTHD = q.new_empty(B, T, H, D)
    k_ZSD, v_ZSD = k.flatten(0, 1), v.flatten(0, 1)
    out_BKGTD = _by_group(out_BTHD.transpose(1, 2), k)
    for places, keys, hidden in _blocks(q, k, mask):
        q_ZRD = _rows(_by_group(q, k)[:, :, :, places])
        p_ZRS = _probabilities(q_ZRD, k_ZSD[:, keys], hidden).to(q.dtype)
        out_BKGTD[:, :, :, places] = torch.bmm(p_ZRS, v_ZSD[:, keys]).view_as(out_BKGTD[:, :, :, places])
    return out_BTHD


@torch.library.custom_op("starmill::grouped_attention_backward", mutates_args=())
def _backward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, out: torch.Tensor, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    dq_BHTD, scale = torch.empty_like(q), 1 / math.sqrt(q.shape[-1])
    k_ZSD, v_ZSD = k.flatten(0, 1), v.flatten(0, 1)
    dk_ZSD, dv_ZSD = (torch.zeros(t.shape, device=t.device) for t in (k_ZSD, v_ZSD))  # sums of many: float32
    dq_BKGTD, *grouped = (_by_group(t, k) for t in (dq_BHTD, q, out.transpose(1, 2), gradient.transpose(1, 2)))
    for places, keys, hidden in _blocks(q, k, mask):
        q_ZRD, out_ZRD, do_ZRD = (_rows(t[:, :, :, places]) for t in grouped)
        p_ZRS = _probabilities(q_ZRD, k_ZSD[:, keys], hidden)
        dv_ZSD[:, keys] += torch.bmm(p_ZRS.to(q.dtype).transpose(1, 2), do_ZRD)
        delta_ZR1 = (do_ZRD.float() * out_ZRD.float()).sum(-1, keepdim=True)
        ds_ZRS = torch.bmm(do_ZRD, v_ZSD[:, keys].transpose(1, 2)).float().sub_(delta_ZR1).mul_(p_ZRS).mul_(scale).to(q.dtype)
        dq_BKGTD[:, :, :, places] = torch.bmm(ds_ZRS, k_ZSD[:, keys]).view_as(dq_BKGTD[:, :, :, places])
        dk_ZSD[:, keys] += torch.bmm(ds_ZRS.transpose(1, 2), q_ZRD)
    return dq_BHTD, dk_ZSD.to(k.dtype).view(k.shape), dv_ZSD.to(v.dtype).view(v.shape)


def _blocks(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Yield positions, their keys, and a mask of the last keys that they do not see, [1 or B, 1, 1, N, some keys]."""
    (_, H, T, _), K, S = q.shape, k.shape[1], k.shape[2]
    size = max(16, 2 ** int(math.log2(max(1, ROWS * K // H))))
    future_NN = torch.ones(size, size, dtype=torch.bool).triu_(1)[None, None, None]
    for first in range(0, T, size):
        last = min(first + size, T)
        if mask is None:
            yield slice(first, last), slice(0, last), future_NN[..., : last - first, : last - first]
        else:
            yield slice(first, last), slice(0, S), ~mask[:, :, None, first:last]


def _by_group(x_BHTD: torch.Tensor, k_BKSD: torch.Tensor) -> torch.Tensor:
    return x_BHTD.unflatten(1, (k_BKSD.shape[1], -1))


def _rows(x_BKGND: torch.Tensor) -> torch.Tensor:
    return x_BKGND.flatten(2, 3).flatten(0, 1)


def _probabilities(q_ZRD: torch.Tensor, k_ZSD: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    scores_ZRS = torch.bmm(q_ZRD / math.sqrt(q_ZRD.shape[-1]), k_ZSD.transpose(1, 2)).float()
    (N, last), B = hidden.shape[-2:], len(hidden)
    by_place = scores_ZRS[..., -last:].unflatten(1, (-1, N)).unflatten(0, (B, -1))
    by_place.masked_fill_(hidden, -torch.inf)
    return scores_ZRS.softmax(-1)


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
