"""An encoder and its tokenizer: texts in, the mean state of each text's first tokens out, whatever is asked beside it.

What a linear head over such states says is a score (transforms/measure/encoded.py). Any folder of an encoder will do: StarEncoder's, a
tagger's, or one that was trained here; its own heads are not used.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers
import torch

from starmill.model.encoder.encoder import Encoder
from starmill.model.encoder.rows import around, computed, device_of, opened
from starmill.model.exchange import huggingface

SIZE = 512  # tokens of a window, at most
CHARACTERS = 16  # of a text that are looked at for each token: more are hardly ever in one


@dataclass(frozen=True)
class Pooled:
    """An encoder whose states are averaged."""

    encoder: Encoder
    tokenizer: tokenizers.Tokenizer
    size: int
    device: torch.device

    @classmethod
    def load(cls, folder: str | os.PathLike[str], device: str = "auto") -> "Pooled":
        """Read a folder. Raises ExchangeError, naming it."""
        place, where = Path(folder), device_of(device)
        tokenizer = opened(place)[1]
        encoder = huggingface.load_encoder(place, torch.float32, where)
        return cls(encoder, tokenizer, min(SIZE, encoder.config.max_positions), where)

    def states(self, texts: Sequence[str], windows: int) -> list[list[float] | None]:
        """Return the mean over the tokens in the first `windows` windows of each text: [E]; None for a text without a token."""
        before, after = around(self.tokenizer)
        inside = self.size - len(before) - len(after)
        heads = [text[: windows * inside * CHARACTERS] for text in texts]
        asked: list[tuple[int, list[int]]] = []
        for text, one in enumerate(self.tokenizer.encode_batch(heads, add_special_tokens=False)):
            ids = one.ids[: windows * inside]
            asked += ((text, ids[at : at + inside]) for at in range(0, len(ids), inside))
        skipped = len(before)

        def summed(tokens_BT: torch.Tensor, padding_BT: torch.Tensor) -> torch.Tensor:
            counted_BT = ~padding_BT
            counted_BT[:, :skipped] = False
            ends_B1 = (~padding_BT).sum(1, keepdim=True) - len(after)
            counted_BT &= torch.arange(tokens_BT.shape[1], device=tokens_BT.device)[None] < ends_B1
            return (self.encoder(tokens_BT, padding_BT).double() * counted_BT[:, :, None]).sum(1)

        told = computed([[*before, *ids, *after] for _, ids in asked], self.size, self.device, summed)
        sums: list[torch.Tensor | None] = [None] * len(texts)
        counts = [0] * len(texts)
        for (text, ids), answer in zip(asked, told, strict=True):
            held = sums[text]
            sums[text] = answer if held is None else held + answer
            counts[text] += len(ids)
        return [None if of is None else (of / count).float().tolist() for of, count in zip(sums, counts, strict=True)]
