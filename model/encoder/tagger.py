"""A token-classification model and its tokenizer: texts in, spans of names, passwords and the like out, whatever is asked beside them.

A text is cut into windows, each of which is a row (rows.py): what is asked beside it changes no span.
BERT's layout (StarPII's) is this project's own encoder; another layout is read by transformers, where that is installed.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tokenizers
import torch
from torch import nn

from starmill.core.errors import one_line
from starmill.model.config import TaggerConfig
from starmill.model.encoder.rows import around, computed, device_of, opened
from starmill.model.encoder.spans import Found, spans
from starmill.model.encoder.windows import Window, windows
from starmill.model.exchange import bert, huggingface
from starmill.model.exchange.layouts import ExchangeError
from starmill.model.kernels.linear import Linear

SIZE, OVERLAP = 512, 128  # tokens of a window (StarPII's), and that two windows share
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
        place, where = Path(folder), device_of(device)
        config, tokenizer = opened(place)
        own = config.get("model_type") == "bert"
        logits, labels, longest = _own(place, where.type, precision) if own else _other(place, where.type)
        return cls(logits, labels, tokenizer, min(SIZE, longest), where)

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
        told = computed(rows, self.size, self.device, self._best)
        return [answer[: len(row)].tolist() for row, answer in zip(rows, told, strict=True)]

    def _best(self, tokens_BT: torch.Tensor, padding_BT: torch.Tensor) -> torch.Tensor:
        best = self.logits(tokens_BT, padding_BT).float().cpu().softmax(-1).max(-1)
        return torch.stack([best.indices.float(), best.values], -1)


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
