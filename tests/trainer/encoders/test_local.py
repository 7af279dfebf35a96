"""The first weights of a small tagger: heads look where they are said to, and tokens that look alike begin near each other."""

import tokenizers
import torch

from starmill.core import tokenizer as bpe
from starmill.model.encoder.encoder import Encoder
from starmill.trainer.encoders.local import look_alike, look_near
from starmill.trainer.encoders.recipe import load


def encoder() -> Encoder:
    options = load("starpii-tiny", [])
    assert options.model is not None
    model = Encoder(options.model.config(400))
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def test_heads_look_at_their_neighbours() -> None:
    model = encoder()
    look_near(model, torch.Generator().manual_seed(0))
    places_TE = model.norm(model.places.weight[:60])
    for layer, block in enumerate(model.blocks):
        attention = block.attention
        q, k = (one(places_TE).view(60, 4, -1) for one in (attention.query, attention.key))
        best = torch.einsum("ihd,jhd->hij", q, k).argmax(-1)
        for head, away in enumerate((-1, 1, -2 - layer, 2 + layer)):
            assert torch.equal(best[head, 10:50], torch.arange(10, 50) + away), (layer, head)


def test_tokens_that_look_alike_begin_near_each_other() -> None:
    texts = ["Jane Marion Weber said 12 things, then left: Joan, Mary, x = 3"] * 20
    tokenizer = tokenizers.Tokenizer.from_str(bpe.train(texts, 400).decode())
    model, again = encoder(), encoder()
    look_alike(model, tokenizer, 0)
    look_alike(again, tokenizer, 0)
    assert torch.equal(model.tokens.weight, again.tokens.weight)

    def near(one: str, other: str) -> float:
        left, right = (model.tokens.weight.detach()[tokenizer.token_to_id(token)] for token in (one, other))
        return float(torch.cosine_similarity(left, right, dim=0))

    assert near("3", "1") > 0.3 > abs(near("3", ","))
