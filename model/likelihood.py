"""How likely a decoder finds tokens: the sum of their logarithms, in nats."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starmill.model.decoder import Decoder


def log_likelihood(decoder: "Decoder", ids: Sequence[int]) -> float:
    """Return the sum of the log-probabilities of `ids` but the first, each from those before it.

    What is longer than the model's positions is read in pieces of these; a piece begins with the last token of the one before.
    """
    import torch

    length, total = decoder.config.max_positions, 0.0
    device = next(decoder.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(ids) - 1, length):
            tokens_1T = torch.tensor([ids[start : start + length + 1]], device=device)
            _, losses_1T = decoder.loss(tokens_1T[:, :-1], tokens_1T[:, 1:])
            total -= float(losses_1T.double().sum())
    return total
