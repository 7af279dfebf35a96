"""First weights from which a small encoder learns fast: heads that look at their neighbours, tokens that look alike where they are.

Positions begin as sinuses (Vaswani et al. 2017) in half of the dimensions; the heads of a layer begin as products of positions that are
largest a few tokens ahead or behind, as trained heads are (mimetic initialization: Trockman and Kolter 2023, section 3, which found
products near to the identity; ours are turned by the distance). A token begins as the sum of what its features draw (as fastText's words
do of their n-grams: Bojanowski et al. 2017), so that case, digits and punctuation are seen before they are learned. The layout stays
BERT's, and every weight is trained.
"""

import math

import tokenizers
import torch

from starmill.core import seeds
from starmill.model.attention import Attention
from starmill.model.encoder.encoder import Encoder

NEAREST, FARTHEST = 3.0, 200.0  # wave lengths in tokens
TOKENS, PLACES = 0.15, 0.2  # deviation of tokens, height of waves: small, that a step of the optimizer moves them
GAIN = 1.3  # of queries and keys
NOISE = 0.03  # deviation of what is added, so that heads learn to look at tokens, too


@torch.no_grad()
def look_near(model: Encoder, generator: torch.Generator) -> None:
    """Set positions, queries and keys of an encoder whose other weights are drawn. Heads that take no pairs of dimensions stay."""
    config = model.config
    half = config.hidden_size // 2
    pairs = half // 2
    rates = 2 * math.pi / torch.logspace(math.log10(NEAREST), math.log10(FARTHEST), pairs)
    angles = torch.arange(config.max_positions)[:, None] * rates
    model.places.weight.zero_()
    model.places.weight[:, half : half + pairs] = PLACES * angles.sin()
    model.places.weight[:, half + pairs : half + 2 * pairs] = PLACES * angles.cos()
    width = config.head_size // 2  # pairs of a head
    for layer, block in enumerate(model.blocks):
        attention = block.attention
        assert isinstance(attention, Attention)
        query = torch.randn(attention.query.weight.shape, generator=generator) * NOISE
        key = torch.randn(attention.key.weight.shape, generator=generator) * NOISE
        for head in range(config.kv_heads if config.kv_heads == config.heads else 0):
            away = (-1 if head % 2 == 0 else 1) * (1 + head // 2 * (layer + 1))
            chosen = torch.linspace(0, pairs - 1, min(width, pairs)).round().long()
            for at, pair in enumerate(chosen.tolist()):
                row, sine, cosine = head * config.head_size + 2 * at, half + pair, half + pairs + pair
                turn = away * float(rates[pair])
                # A key is (sin jw, cos jw), a query (sin (i + away)w, cos (i + away)w): their product is cos (i + away - j)w.
                key[row, sine] += GAIN
                key[row + 1, cosine] += GAIN
                query[row, sine] += GAIN * math.cos(turn)
                query[row, cosine] += GAIN * math.sin(turn)
                query[row + 1, cosine] += GAIN * math.cos(turn)
                query[row + 1, sine] -= GAIN * math.sin(turn)
        attention.query.weight.copy_(query)
        attention.key.weight.copy_(key)


@torch.no_grad()
def look_alike(model: Encoder, tokenizer: tokenizers.Tokenizer, seed: int) -> None:
    """Set each token's vector to the sum of what the features of its text draw, and some of its own."""
    size = model.config.hidden_size
    drawn: dict[str, torch.Tensor] = {}
    for number in range(tokenizer.get_vocab_size()):
        token = tokenizer.id_to_token(number) or ""
        total = torch.zeros(size)
        for feature in (named := features(token)):
            if feature not in drawn:
                draw = torch.Generator().manual_seed(seeds.uint64(seed, "feature", feature) >> 1)
                drawn[feature] = torch.randn(size, generator=draw)
            total += drawn[feature] / math.sqrt(len(named))
        model.tokens.weight[number] = total * TOKENS


def features(token: str) -> list[str]:
    """Return what a token of byte-level BPE looks like: its shape twice, its ends, its letters, itself.

    >>> features("\u0120Jane")
    ['shape Xx', 'shape Xx', 'first j', 'last e', 'is \u0120Jane']
    """
    shape = ""
    for character in token:
        kind = "X" if character.isupper() else "x" if character.islower() else "0" if character.isdigit() else character
        shape += "" if shape.endswith(kind) else kind
    letters = token.lstrip("\u0120")
    ends = [f"first {letters[0].lower()}", f"last {letters[-1].lower()}"] if letters else []
    return [f"shape {shape}", f"shape {shape}", *ends, f"is {token}"]
