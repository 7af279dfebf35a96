"""Row orders of c_attn against transformers' own way of taking it apart; every parameter is in exactly one tensor."""

import dataclasses

import pytest
import torch

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.families import family
from starmill.model.exchange.layouts import file_tensors, fuse, split

MQA = ModelConfig(10, 2, 12, 3, 1, 24, "learned", 8)


@pytest.mark.parametrize("kv_heads", [1, 3])
def test_rows_of_c_attn(kv_heads: int) -> None:
    config = dataclasses.replace(MQA, kv_heads=kv_heads)
    # Each row names its part, head and element.
    named = [
        [[100 * part + 10 * head + i for i in range(4)] for head in range(3 if part == 0 else kv_heads)] for part in range(3)
    ]
    parts = [torch.tensor(rows).flatten() for rows in named]
    if kv_heads == 1:
        expected = [*range(0, 4), *range(10, 14), *range(20, 24), *range(100, 104), *range(200, 204)]
    else:
        expected = [100 * part + 10 * head + i for head in range(3) for part in range(3) for i in range(4)]
    fused = fuse(parts, config)
    assert fused.tolist() == expected
    assert all(torch.equal(a, b) for a, b in zip(split(fused, config), parts, strict=True))


@pytest.mark.parametrize("positions", ["rope", "learned"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_in_one_tensor(positions: str, tied: bool) -> None:
    config = dataclasses.replace(MQA, positions=positions, tie_embeddings=tied)
    found = file_tensors(config, family(config).layout)
    shapes = {n: p.shape for n, p in Decoder(config).named_parameters()}
    assert sorted(p for stored in found for p in stored.parameters) == sorted(shapes)
    assert sum(torch.Size(stored.shape(shapes)).numel() for stored in found) == sum(s.numel() for s in shapes.values())
    assert len({stored.name for stored in found}) == len(found)
