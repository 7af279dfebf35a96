"""Hostile folders of models: each number, shape and type is refused before memory is taken for it."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.families import ExchangeError, config_values, family
from starmill.model.exchange.folders import places_of, shape
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
        (torch.zeros(300, 64).int(), "I32"),
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


EIGHT = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
# (the table of a file, the length that the file says of it, words of the refusal)
TABLES = [
    ({}, 1 << 63, "header of 9,223,372,036,854,775,808 bytes, above"),
    ({}, 2**64 - 1, "above 4,194,304"),
    ({}, 90_000_000, "header of 90,000,000 bytes"),  # of which the library would make 1.9 GB
    ({}, 1000, "header length"),
    ("[" * 100_000, None, "invalid JSON"),
    ('{"\xff": 1}', None, "UTF-8"),
    ({"a": EIGHT, "b": EIGHT}, None, "invalid offset for tensor"),
    ({"a": EIGHT | {"data_offsets": [0, 800]}}, None, "offset for tensor"),
    ({"a": EIGHT | {"data_offsets": [1 << 62, (1 << 62) + 8]}}, None, "offset for tensor"),
    ({"a": EIGHT | {"shape": [-2]}}, None, "invalid value: integer `-2`"),
    ({"a": EIGHT | {"shape": [2_000_000_000, 2_000_000_000]}}, None, "overflow"),
    ({"a": EIGHT | {"shape": [1 << 40, 1 << 40, 0]}}, None, "overflow"),
    ({"a": EIGHT | {"dtype": "F31"}}, None, "unknown variant"),
    ({"\x1b[31ma\n": EIGHT}, None, "tensors are missing"),
]


@pytest.mark.parametrize(("table", "length", "words"), TABLES, ids=[words for *_, words in TABLES])
def test_a_hostile_table_of_tensors_is_one_line(table: dict | str, length: int | None, words: str, tmp_path: Path) -> None:
    header = table.encode("latin-1") if isinstance(table, str) else json.dumps(table).encode()
    (tmp_path / "config.json").write_text(json.dumps(config_values(GQA)))
    (tmp_path / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header) if length is None else length) + header + bytes(8)
    )
    with pytest.raises(ExchangeError, match=words) as caught:
        places_of(tmp_path, shape(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value) and "again" in str(caught.value)


def test_names_of_tensors_that_are_not_the_models_are_told_as_text(tmp_path: Path) -> None:
    save(Decoder(GQA), tmp_path)
    good = load_file(tmp_path / "model.safetensors")
    for name, words in (
        ("model.\x1b[31m\n" + "x" * 9999, r"x1b\[31m"),
        ("embed_tokens.weight", "again, which model.safetensors has"),
    ):
        save_file(good | {name: torch.zeros(300, 64)}, tmp_path / "model.safetensors")
        with pytest.raises(ExchangeError, match=words) as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "named",
    ["../m.safetensors", "/etc/m.safetensors", "m.bin", "gone.safetensors", "pipe.safetensors", "a\0.safetensors", ".", ""],
)
def test_an_index_names_files_of_its_folder_only(named: str, tmp_path: Path) -> None:
    save(Decoder(GQA), place := tmp_path / "model")
    (place / "model.safetensors").rename(tmp_path / "m.safetensors")  # what `../` would find
    os.mkfifo(place / "pipe.safetensors")
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": named}}))
    with pytest.raises(ExchangeError, match=r"no safetensors file of this folder|is no file") as caught:
        load(place)
    assert "again" in str(caught.value) and str(place) in str(caught.value)
