"""The decoder: documents are apart, weights follow the seed, and a tiny model learns a sequence by heart."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder

TINY = ModelConfig(100, 2, 32, 4, 2, 128, "rope", 64, sliding_window=8)


def decoder(config: ModelConfig = TINY, seed: int = 0) -> Decoder:
    made = Decoder(config)
    made.init_weights(torch.Generator().manual_seed(seed))
    return made


@pytest.mark.parametrize("config", [TINY, dataclasses.replace(TINY, positions="learned", sliding_window=None, kv_heads=1)])
def test_a_document_mask_is_separate_passes(config: ModelConfig) -> None:
    model, tokens = decoder(config).eval(), torch.randint(0, 100, (1, 30))
    positions = torch.cat([torch.arange(12), torch.arange(18)])[None]
    document = torch.tensor([[0] * 12 + [1] * 18])
    with torch.no_grad():
        together = model(tokens, positions, document)
        assert (together[:, :12] - model(tokens[:, :12])).abs().max() < 1e-5
        assert (together[:, 12:] - model(tokens[:, 12:])).abs().max() < 1e-5
        assert (model(tokens)[:, 12:] - together[:, 12:]).abs().max() > 1e-3, "without the mask they do mix"


def test_weights_follow_the_seed() -> None:
    torch.manual_seed(5)
    first = decoder(seed=1).state_dict()
    torch.manual_seed(6)
    assert all(torch.equal(first[n], t) for n, t in decoder(seed=1).state_dict().items())
    assert not torch.equal(first["tokens.weight"], decoder(seed=2).state_dict()["tokens.weight"])
    assert first["blocks.0.down.weight"].std() < 0.6 * first["blocks.0.up.weight"].std()


def test_it_learns_a_sequence_by_heart() -> None:
    model, tokens = decoder(), torch.randint(0, 100, (1, 40), generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_hidden_is_what_the_head_reads() -> None:
    model, tokens = decoder().eval(), torch.arange(20)[None]
    assert torch.equal(model.head(model.hidden(tokens)), model(tokens))


def test_documents_with_a_cache_are_refused_not_mixed() -> None:
    model, one = decoder(), torch.zeros(1, 1, dtype=torch.long)
    with pytest.raises(ValueError, match="no document numbers"):
        model(one, document_BT=one, cache=model.empty_cache())


def test_too_long_for_learned_positions() -> None:
    config = dataclasses.replace(TINY, positions="learned", sliding_window=None)
    with pytest.raises(ValueError, match="max_positions=64"):
        decoder(config)(torch.zeros(1, 65, dtype=torch.long))
