"""The decoder: documents are apart, weights follow the seed, and a tiny model learns a sequence by heart."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from starmill.model.cache import Cache
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder

TINY = ModelConfig(100, 2, 32, 4, 2, 128, "rope", 64, sliding_window=8)
MIXED = {
    "norm": "rms",
    "gated": True,
    "biases": "qkv",
    "activation": "silu",
    "layer_types": ("full_attention", "sliding_attention"),
}


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


@pytest.mark.parametrize("tied", [True, False])
def test_an_empty_decoder_filled_in_is_the_decoder(tied: bool) -> None:
    config = dataclasses.replace(TINY, tie_embeddings=tied)
    given, tokens = decoder(config), torch.randint(0, 100, (1, 30))
    empty = Decoder.empty(config, "cpu", torch.float64)
    assert (empty.head.weight is empty.tokens.weight) == tied
    assert {p.dtype for p in empty.parameters()} == {torch.float64} and not any(p.is_meta for p in empty.parameters())
    empty.load_state_dict(given.state_dict())
    assert torch.equal(empty(tokens), given.double()(tokens))
    assert all(p.is_meta for p in Decoder.empty(config).parameters())


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
        model(one, document_BT=one, cache=Cache(TINY, 8))


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_positions_that_were_never_trained_are_refused(positions: str) -> None:
    model = decoder(dataclasses.replace(TINY, positions=positions)).eval()
    with pytest.raises(ValueError, match="65 tokens is longer than max_positions=64"):
        model(torch.zeros(1, 65, dtype=torch.long))
    reset = torch.cat([torch.arange(40), torch.arange(40)])[None]
    assert model(torch.zeros(1, 80, dtype=torch.long), reset, reset // 40).shape == (1, 80, 100), "each document fits"
    cache = Cache(model.config, 100)
    model(torch.zeros(1, 64, dtype=torch.long), cache=cache)
    with pytest.raises(ValueError, match="65 tokens"):
        model(torch.zeros(1, 1, dtype=torch.long), cache=cache)


@pytest.mark.parametrize("change", [{"sliding_window": None}, {}, MIXED], ids=["all", "window", "mixed"])
def test_both_kernels_give_the_same(change: dict) -> None:
    config = dataclasses.replace(TINY, hidden_size=64, **change)
    sdpa, flex = Decoder(config, kernel="sdpa"), Decoder(config, kernel="flex")
    sdpa.init_weights(torch.Generator().manual_seed(0))
    flex.load_state_dict(sdpa.state_dict())
    tokens, document = torch.randint(0, 100, (2, 50)), torch.tensor([[0] * 20 + [1] * 30, [0] * 50])
    with torch.no_grad():
        for documents in (None, document):
            assert (sdpa(tokens, None, documents) - flex(tokens, None, documents)).abs().max() < 1e-5


@pytest.mark.parametrize("sizes", [[30], [1] * 30, [7, 1, 1, 9, 12], [12, 18]])
@pytest.mark.parametrize("change", [{"sliding_window": None}, {}, MIXED], ids=["all", "window", "mixed"])
def test_pieces_through_the_cache_are_one_pass(change: dict, sizes: list[int]) -> None:
    model = decoder(dataclasses.replace(TINY, **change)).eval()
    tokens = torch.randint(0, 100, (2, 30), generator=torch.Generator().manual_seed(1))
    padding = torch.tensor([[False] * 30, [True] * 5 + [False] * 25])
    with torch.no_grad():
        for pad in (None, padding):
            cache, whole = Cache(model.config, 30), model(tokens, padding_BT=pad)
            cuts = zip(tokens.split(sizes, 1), (None,) * len(sizes) if pad is None else pad.split(sizes, 1), strict=True)
            pieces = torch.cat([model(t, cache=cache, padding_BT=p) for t, p in cuts], dim=1)
            assert (pieces - whole).abs()[~padding].max() < 1e-5
