"""Folders of models, whole and hostile, made without PyTorch."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from starmill.core.tokenizer import Tokenizer, train
from starmill.model.config import ModelConfig, parameter_shapes
from starmill.model.exchange.families import config_values
from starmill.model.exchange.layouts import STARCODER2, file_tensors


def whole(folder: Path, vocab_size: int | None = None) -> Path:
    """Make a StarCoder2 of zeros with room for 8 tokens and as many ids as its tokenizer has, or `vocab_size`."""
    tokenizer = train(["x = 1\n"], 300)
    config = ModelConfig(vocab_size or Tokenizer.load(tokenizer).vocab_size, 1, 8, 1, 1, 8, "rope", 8)
    shapes = parameter_shapes(config)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_values(config)))
    (folder / "tokenizer.json").write_bytes(tokenizer)
    weights = {t.name: np.zeros(t.shape(shapes), np.float32) for t in file_tensors(config, STARCODER2)}
    save_file(weights, folder / "model.safetensors")
    return folder


def hostile(place: Path) -> None:
    """Make models whose weights are a pickle, lie outside, and begin with the largest number; and one with too few ids."""
    for name in ("pickled", "outside", "huge"):
        (whole(place / name) / "model.safetensors").unlink()
    (place / "pickled/pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch made'\ntR.")
    (place / "outside/model.safetensors.index.json").write_text('{"weight_map": {"model.norm.weight": "../m.safetensors"}}')
    (place / "huge/model.safetensors").write_bytes((1 << 63).to_bytes(8, "little"))
    whole(place / "larger", vocab_size=9)
