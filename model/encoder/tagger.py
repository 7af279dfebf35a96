"""A token-classification model and its tokenizer: texts in, spans of names, passwords and the like out, whatever is asked beside them.

Windows of many texts are sorted by length into buckets, so that little is padding. On a CPU a window is computed alone, on one thread, and
windows side by side: its sums have one order, so neither the other texts, nor how many there are, nor the number of cores changes a span
(and eight windows at a time were no faster). On a GPU a batch has a fixed number of rows.
BERT's layout (StarPII's) is this project's own encoder; another layout is read by transformers, where that is installed.
"""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import tokenizers
import torch
from torch import nn

from starmill.core.errors import one_line
from starmill.core.files import read_small
from starmill.model.config import TaggerConfig
from starmill.model.encoder.spans import Found, spans
from starmill.model.encoder.windows import Window, windows
from starmill.model.exchange import bert, huggingface
from starmill.model.exchange.layouts import ExchangeError
from starmill.model.kernels.linear import Linear

SIZE, OVERLAP = 512, 128  # tokens of a window (StarPII's), and that two windows share
BUCKET = 64  # tokens: lengths are multiples of it
ROWS = 64  # windows of a batch on a GPU
MOST_TOKENIZER = 64 << 20  # bytes of a tokenizer.json
Logits = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of tokens and padding [B, T]


@dataclass(frozen=True)
class Tagger:
    """A model that labels tokens; `logits` takes ids and padding [B, T] and gives [B, T, labels], the `labels` by id."""

    logits: Logits
    labels: tuple[str, ...]
    tokenizer: tokenizers.Tokenizer
    size: int
    device: torch.device

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], device: str = "auto", precision: Literal["float32", "int8"] = "float32"
    ) -> "Tagger":
        """Read a folder. int8 (on a CPU, BERT's layout) takes half the time at StarPII's size. Raises ExchangeError, naming the folder."""
        place = Path(folder)
        kind = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            config = json.loads(read_small(place / "config.json", 16 << 20))
            tokenizer = tokenizers.Tokenizer.from_str(read_small(place / "tokenizer.json", MOST_TOKENIZER).decode())
        except Exception as error:  # the library of tokenizers raises bare Exception
            raise ExchangeError(f"{place}: config.json and tokenizer.json are needed: {error!s:.200}") from None
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # what looks like a special token in a text is text
        logits, labels, longest = _own(place, kind, precision) if config.get("model_type") == "bert" else _other(place, kind)
        return cls(logits, labels, tokenizer, min(SIZE, longest), torch.device(kind))

    def spans(self, texts: Sequence[str]) -> list[list[Found]]:
        """Return the spans of each text, in order."""
        encoded = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        before, after = around(self.tokenizer)
        inside = self.size - len(before) - len(after)
        asked: list[tuple[int, Window]] = []
        for text, one in enumerate(encoded):
            asked += ((text, window) for window in windows(len(one.ids), inside, min(OVERLAP, inside // 4)))
        rows = [[*before, *encoded[text].ids[window.start : window.end], *after] for text, window in asked]
        labels: list[list[str]] = [[] for _ in texts]
        scores: list[list[float]] = [[] for _ in texts]
        for (text, window), answer in zip(asked, self._labelled(rows), strict=True):
            skipped = len(before) - window.start  # where the text's first token would stand in the row
            for label, score in answer[skipped + window.first : skipped + window.last]:
                labels[text].append(self.labels[int(label)])
                scores[text].append(score)
        return [spans(*one) for one in zip(texts, labels, (one.offsets for one in encoded), scores, strict=True)]

    def _labelled(self, rows: list[list[int]]) -> list[list[tuple[float, float]]]:
        """Return each token's label and its probability, row by row."""
        told: list[list[tuple[float, float]]] = [[] for _ in rows]
        order = sorted(range(len(rows)), key=lambda row: (_bucket(rows[row]), row))
        on_cpu = self.device.type == "cpu"
        batches: list[list[int]] = []
        for _, alike in groupby(order, key=lambda row: _bucket(rows[row])):
            numbers, count = [*alike], 1 if on_cpu else ROWS
            batches += (numbers[at : at + count] for at in range(0, len(numbers), count))

        def judge(batch: list[int]) -> None:
            for row, answer in zip(batch, self._batch([rows[row] for row in batch], 1 if on_cpu else ROWS), strict=False):
                told[row] = answer[: len(rows[row])]

        # Threads of a pool keep their own number of threads: one, so that a sum has one order.
        with ThreadPoolExecutor(_cores() if on_cpu else 1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(judge, batches):
                pass
        return told

    @torch.inference_mode()
    def _batch(self, rows: list[list[int]], count: int) -> list[list[tuple[float, float]]]:
        tokens_BT = torch.zeros(count, min(_bucket(rows[0]), self.size), dtype=torch.long)
        padding_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
        padding_BT[:, 0] = False  # rows that fill up a batch: a softmax needs a key
        for at, row in enumerate(rows):
            tokens_BT[at, : len(row)] = torch.tensor(row)
            padding_BT[at, : len(row)] = False
        logits_BTL = self.logits(tokens_BT.to(self.device), padding_BT.to(self.device)).float().cpu()
        best = logits_BTL.softmax(-1).max(-1)
        return torch.stack([best.indices.float(), best.values], -1).tolist()


def around(tokenizer: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer puts before and behind a text."""
    one = tokenizer.encode("a", add_special_tokens=True)
    inside = [at for at, special in enumerate(one.special_tokens_mask) if not special]
    return (one.ids[: inside[0]], one.ids[inside[-1] + 1 :]) if inside else ([], [])


def _bucket(row: list[int]) -> int:
    return -(-len(row) // BUCKET) * BUCKET


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _own(place: Path, device: str, precision: str) -> tuple[Logits, tuple[str, ...], int]:
    encoder = huggingface.load_encoder(place, torch.float32, device)
    if not isinstance(encoder.config, TaggerConfig):
        raise ExchangeError(
            f"{place}: an encoder without a head of labels; fine-tune it first, or give {bert.TAGGING}'s folder"
        )
    labels, longest = encoder.config.labels, encoder.config.max_positions
    if precision == "int8" and device == "cpu":
        _plain(encoder)
        encoder = torch.ao.quantization.quantize_dynamic(encoder, {nn.Linear}, dtype=torch.qint8)
    return encoder.labels, labels, longest


def _plain(module: nn.Module) -> None:
    """Replace our linear layers by PyTorch's, which its quantization knows."""
    for name, child in module.named_children():
        if isinstance(child, Linear):
            plain = nn.Linear(child.in_features, child.out_features, child.bias is not None, device="meta")
            plain.weight, plain.bias = child.weight, child.bias
            setattr(module, name, plain)
        else:
            _plain(child)


def _other(place: Path, device: str) -> tuple[Logits, tuple[str, ...], int]:
    try:
        from transformers import AutoModelForTokenClassification
    except ImportError:
        raise ExchangeError(f"{place}: a layout that only transformers reads; pip install transformers") from None
    try:
        model = AutoModelForTokenClassification.from_pretrained(
            place, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ExchangeError(f"{place}: transformers does not read it: {one_line(error)}") from None
    model = model.float().to(device).eval()
    labels = tuple(model.config.id2label[number] for number in range(model.config.num_labels))

    def logits(tokens_BT: torch.Tensor, padding_BT: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(input_ids=tokens_BT, attention_mask=(~padding_BT).long()).logits
        return found

    return logits, labels, int(getattr(model.config, "max_position_embeddings", SIZE))
