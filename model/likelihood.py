"""How likely tokens are: of those that are written, and of a prompt's own, with the likeliest that could have stood there.

The model's own distribution, before temperature and truncation. Shapes: B rows, T tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from starmill.core.errors import UsageError
from starmill.model.cache import Cache
from starmill.model.decoder import Decoder
from starmill.model.prompts import refuse_prompts

PIECE = 256  # tokens of a prompt that are scored at once: the logits of each take 200 KB


class Score(NamedTuple):
    """A token, its log-probability (natural), and the likeliest tokens at its place with theirs, the likeliest first."""

    token: int
    logprob: float
    tops: list[tuple[int, float]]


def scores(logits_BV: torch.Tensor, tokens: Sequence[int], tops: int) -> list[Score]:
    """Return the score of a token per row, with `tops` of the likeliest.

    >>> [(score.token, round(score.logprob, 2), score.tops[0][0]) for score in scores(torch.tensor([[0.0, 1.0, 3.0]]), [1], 1)]
    [(1, -2.17, 2)]
    """
    if tops < 0:
        raise UsageError(f"tops={tops}: how many of the likeliest tokens, 0 or more")
    logs_BV = logits_BV.float().log_softmax(-1)
    at_B1 = torch.tensor(tokens, device=logs_BV.device)[:, None]
    chosen = logs_BV.gather(1, at_B1)[:, 0].tolist()
    values, ids = logs_BV.topk(min(tops, logs_BV.shape[-1]))
    likeliest = zip(ids.tolist(), values.tolist(), strict=True)
    return [Score(token, value, [*zip(*top, strict=True)]) for token, value, top in zip(tokens, chosen, likeliest, strict=True)]


@torch.inference_mode()
def of_prompt(decoder: Decoder, prompt: Sequence[int], tops: int = 0) -> list[Score]:
    """Return the scores of a prompt's tokens after its first, which nothing precedes. Raises UsageError for one that does not fit."""
    refuse_prompts([prompt], decoder.config.max_positions + 1)
    training, device = decoder.training, decoder.tokens.weight.device
    decoder.eval()
    try:
        cache, found = Cache(decoder.config, len(prompt)), []
        for start in range(0, len(prompt) - 1, PIECE):
            read, said = prompt[start : start + PIECE], prompt[start + 1 : start + PIECE + 1]
            positions_1T = torch.arange(start, start + len(read), device=device)[None]
            hidden_1TE = decoder.hidden(torch.tensor([list(read)], device=device), positions_1T, cache=cache)
            found += scores(decoder.head(hidden_1TE[0, : len(said)]), said, tops)
        return found
    finally:
        decoder.train(training)


def log_likelihood(decoder: Decoder, ids: Sequence[int]) -> float:
    """Return the sum of the log-probabilities of `ids` but the first, each from those before it.

    What is longer than the model's positions is read in pieces of these; a piece begins with the last token of the one before.
    """
    length, total = decoder.config.max_positions, 0.0
    device = next(decoder.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(ids) - 1, length):
            tokens_1T = torch.tensor([ids[start : start + length + 1]], device=device)
            _, losses_1T = decoder.loss(tokens_1T[:, :-1], tokens_1T[:, 1:])
            total -= float(losses_1T.double().sum())
    return total
