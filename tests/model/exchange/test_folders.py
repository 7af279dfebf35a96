"""Hostile folders of models: each number, shape and type is refused before memory is taken for it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.families import ExchangeError, family
from starmill.model.exchange.folders import shape
from starmill.model.exchange.huggingface import load, save

GQA = ModelConfig(300, 3, 64, 8, 2, 256, "rope", 128, sliding_window=16)
MQA = ModelConfig(300, 3, 64, 8, 1, 256, "learned", 128)


@pytest.mark.parametrize("config", [GQA, MQA], ids=["starcoder2", "starcoder"])
def test_a_number_of_a_config_is_refused_before_a_model_of_that_size_is_made(config: ModelConfig, tmp_path: Path) -> None:
    save(Decoder(config), tmp_path)
    theirs, good = family(config), json.loads((tmp_path / "config.json").read_text())
    several = [theirs.norm_epsilon, theirs.dropouts[0], "vocab_size", "eos_token_id", "initializer_range"]
    for key in [*theirs.keys.values(), *several]:
        for bad in (-1, 2_000_000_000, 10**30, float("nan"), float("inf"), True, "3", {}):
            (tmp_path / "config.json").write_text(json.dumps(good | {key: bad}))
            with pytest.raises(ExchangeError, match=f"config.json: {key}: expected .* (from|above) .*, got "):
                shape(tmp_path)
    for text in (
        "[" * 1_000_000,
        "[]",
        "3",
        "\0",
        '{"model_type": [1]}',
        '{"model_type": "starcoder2"}',
        '{"model_type": 1' + "0" * 9999 + "}",
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ExchangeError, match=r"config\.json|model_type"):
            shape(tmp_path)


def test_weights_of_another_shape_or_type_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    save(Decoder(GQA), tmp_path)
    good = load_file(tmp_path / "model.safetensors")
    for tensor, message in (
        (torch.zeros(300, 65), r"shape \(300, 65\), expected \(300, 64\)"),
        (torch.zeros(300, 64).int(), "int32"),
    ):
        save_file(good | {"model.embed_tokens.weight": tensor}, tmp_path / "model.safetensors")
        with pytest.raises(ExchangeError, match=message):
            load(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(values | {"hidden_size": 131_072, "vocab_size": 1 << 20, "intermediate_size": 1 << 20})
    )
    with pytest.raises(ExchangeError, match=r"expected \(1048576, 131072\)"):  # 550 GB
        load(tmp_path, torch.float32)
