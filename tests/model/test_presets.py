"""The published sizes have the published numbers of parameters, by our count, by our modules and by transformers' own."""

import dataclasses

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from starmill.model.config import parameter_count, parameter_shapes
from starmill.model.decoder import Decoder
from starmill.model.exchange.families import config_values
from starmill.model.presets import PRESETS

PUBLISHED = {
    "santacoder": 1_124_886_528,
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
    config = PRESETS[name]
    values = config_values(config)
    with torch.device("meta"):
        theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values))
        counted = [sum(p.numel() for p in model.parameters()) for model in (Decoder.empty(config), theirs)]
    assert [parameter_count(config), *counted] == [PUBLISHED[name]] * 3


@pytest.mark.parametrize("name", ["starcoder2-3b", "starcoder2-7b", "starcoder2-15b"])
def test_the_long_context_continues_from_the_weights_of_the_short(name: str) -> None:
    assert parameter_shapes(PRESETS[f"{name}-4k"]) == parameter_shapes(PRESETS[name])
    changed = {
        f.name
        for f in dataclasses.fields(PRESETS[name])
        if getattr(PRESETS[name], f.name) != getattr(PRESETS[f"{name}-4k"], f.name)
    }
    assert changed == {"max_positions", "rope_theta", "sliding_window"}
    assert PRESETS[name].rope_theta > PRESETS[f"{name}-4k"].rope_theta, "farther positions, slower rotations"
