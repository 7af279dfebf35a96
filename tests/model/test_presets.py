"""The published sizes have the published numbers of parameters."""

import pytest
import torch

from starmill.model.config import parameter_count
from starmill.model.decoder import Decoder
from starmill.model.presets import PRESETS

PUBLISHED = {
    "starcoderbase-1b": 1_137_207_296,
    "starcoderbase-3b": 3_043_311_104,
    "starcoderbase-7b": 7_327_263_232,
    "starcoderbase": 15_517_456_384,
    "starcoder2-3b": 3_030_371_328,
    "starcoder2-7b": 7_173_923_840,
    "starcoder2-15b": 15_957_889_024,
}


def test_tiny_presets_are_tiny_and_of_both_families() -> None:
    tiny = {name: config for name, config in PRESETS.items() if name.startswith("tiny-")}
    assert {config.positions for config in tiny.values()} == {"rope", "learned"}
    assert all(parameter_count(config) < 2e6 for config in tiny.values())


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters(name: str) -> None:
    assert parameter_count(PRESETS[name]) == PUBLISHED[name]
    with torch.device("meta"):
        assert sum(p.numel() for p in Decoder(PRESETS[name]).parameters()) == PUBLISHED[name]
