"""Rows of token ids through an encoder, so that a row's answer never depends on the rows beside it.

Rows are sorted by length into buckets, so that little is padding. On a CPU a row is computed alone, on one thread, and rows side by side:
its sums have one order, so neither the other rows, nor how many there are, nor the number of cores changes an answer (and eight rows at
a time were no faster). On a GPU a batch has a fixed number of rows.
"""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import tokenizers
import torch

from starmill.core.files import read_small
from starmill.model.exchange.layouts import ExchangeError

BUCKET = 64  # tokens: lengths are multiples of it
BATCH = 64  # rows of a batch on a GPU
MOST_TOKENIZER = 64 << 20  # bytes of a tokenizer.json
Compute = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of tokens and padding [B, T]; of its answer a row is [B]


def computed(rows: Sequence[list[int]], longest: int, device: torch.device, compute: Compute) -> list[torch.Tensor]:
    """Return the answer to each row, on the CPU: what `compute` gives of it, which may have padding's behind its own tokens'."""
    told: list[torch.Tensor] = [torch.empty(0)] * len(rows)
    order = sorted(range(len(rows)), key=lambda row: (_bucket(rows[row]), row))
    on_cpu = device.type == "cpu"
    batches: list[list[int]] = []
    for _, alike in groupby(order, key=lambda row: _bucket(rows[row])):
        numbers, count = [*alike], 1 if on_cpu else BATCH
        batches += (numbers[at : at + count] for at in range(0, len(numbers), count))

    @torch.inference_mode()
    def judge(batch: list[int]) -> None:
        count = 1 if on_cpu else BATCH
        tokens_BT = torch.zeros(count, min(_bucket(rows[batch[0]]), longest), dtype=torch.long)
        padding_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
        padding_BT[:, 0] = False  # rows that fill up a batch: a softmax needs a key
        for at, row in enumerate(batch):
            tokens_BT[at, : len(rows[row])] = torch.tensor(rows[row])
            padding_BT[at, : len(rows[row])] = False
        for row, answer in zip(batch, compute(tokens_BT.to(device), padding_BT.to(device)).cpu(), strict=False):
            told[row] = answer

    # Threads of a pool keep their own number of threads: one, so that a sum has one order.
    with ThreadPoolExecutor(_cores() if on_cpu else 1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(judge, batches):
            pass
    return told


def device_of(name: str) -> torch.device:
    """Return a device by its name; auto is a GPU where there is one."""
    return torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def opened(place: Path) -> tuple[dict[str, Any], tokenizers.Tokenizer]:
    """Return the configuration and the tokenizer of a folder. Raises ExchangeError, naming it."""
    try:
        config = json.loads(read_small(place / "config.json", 16 << 20))
        tokenizer = tokenizers.Tokenizer.from_str(read_small(place / "tokenizer.json", MOST_TOKENIZER).decode())
    except Exception as error:  # the library of tokenizers raises bare Exception
        raise ExchangeError(f"{place}: config.json and tokenizer.json are needed: {error!s:.200}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # what looks like a special token in a text is text
    return config, tokenizer


def around(tokenizer: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer puts before and behind a text."""
    one = tokenizer.encode("a", add_special_tokens=True)
    inside = [at for at, special in enumerate(one.special_tokens_mask) if not special]
    return (one.ids[: inside[0]], one.ids[inside[-1] + 1 :]) if inside else ([], [])


def _bucket(row: list[int]) -> int:
    return -(-len(row) // BUCKET) * BUCKET


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
