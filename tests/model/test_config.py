"""Shapes that no decoder has are refused; counting agrees with the modules themselves."""

import dataclasses

import pytest

from starmill.model.config import ModelConfig, parameter_count, parameter_shapes
from starmill.model.decoder import Decoder

TINY = ModelConfig(100, 2, 32, 4, 2, 128, "rope", 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "heads=5"),
        ({"kv_heads": 3}, "kv_heads=3"),
        ({"heads": 32}, "even"),
        ({"sliding_window": 8, "layer_types": ("full_attention",)}, "for each of layers=2 full_attention or"),
        ({"sliding_window": 8, "layer_types": ("full_attention", "full_attention")}, "some of both"),
        ({"layer_types": ("full_attention", "sliding_attention")}, "and a sliding_window"),
        ({"sliding_window": 8, "layer_types": ("full_attention", "sliding_attention")}, "only Qwen's models have them"),
    ],
)
def test_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **({"kv_heads": 1} | change))


@pytest.mark.parametrize("positions", ["rope", "learned"])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_counting(positions: str, kv_heads: int, tied: bool) -> None:
    config = dataclasses.replace(TINY, positions=positions, kv_heads=kv_heads, tie_embeddings=tied)
    made = {name: tuple(p.shape) for name, p in Decoder.empty(config).named_parameters()}
    assert parameter_shapes(config) == made and [*parameter_shapes(config)] == [*made]
    assert parameter_count(config) == sum(p.numel() for p in Decoder.empty(config).parameters())
