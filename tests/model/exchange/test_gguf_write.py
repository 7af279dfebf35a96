"""GGUF written: types that llama.cpp wants, the command both ways, and shapes that no GGUF has (the logits: test_gguf.py)."""

import dataclasses
from pathlib import Path

import gguf as library
import pytest
import torch

from starmill.cli.__main__ import main
from starmill.core.tokenizer import train
from starmill.model.config import ModelConfig, RopeScaling
from starmill.model.decoder import Decoder
from starmill.model.exchange import gguf, gguf_write
from starmill.model.exchange.huggingface import load, save
from starmill.model.exchange.layouts import ExchangeError

TOKENIZER = train(["def area(width, height):", "    return width * 2024"] * 9, vocab_size=300)
LLAMA = ModelConfig(300, 2, 32, 4, 2, 64, "rope", 64, 1e4, norm="rms", gated=True, biases="none", activation="silu")


def made(config: ModelConfig) -> Decoder:
    decoder = Decoder(config)
    decoder.init_weights(torch.Generator().manual_seed(1))
    return decoder.eval()


def test_quantized_weights_are_read_at_their_values(tmp_path: Path) -> None:
    decoder = made(LLAMA)
    gguf_write.write(decoder.half(), tmp_path / "model.gguf", {"tokenizer.json": TOKENIZER})
    types = {t.name: t.tensor_type.name for t in library.GGUFReader(tmp_path / "model.gguf").tensors}
    assert types["blk.0.attn_q.weight"] == "F16" and types["output_norm.weight"] == "F32"
    gguf.to_folder(tmp_path / "model.gguf", tmp_path / "back")
    assert torch.equal(load(tmp_path / "back").tokens.weight, decoder.tokens.weight.float())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(made(LLAMA), tmp_path / "model", {"tokenizer.json": TOKENIZER})
    assert main(["convert", str(tmp_path / "model"), str(tmp_path / "m.gguf")]) == 0
    assert main(["convert", str(tmp_path / "m.gguf"), str(tmp_path / "back")]) == 0
    assert "2 layers, 300 tokens" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "model"), str(tmp_path / "back")]) == 2
    assert main(["convert", str(tmp_path / "none.gguf"), str(tmp_path / "x")]) == 1
    assert "none.gguf: No such file" in capsys.readouterr().err


def test_shapes_and_tokenizers_that_no_file_has(tmp_path: Path) -> None:
    mixed = {"sliding_window": 8, "layer_types": ("full_attention", "sliding_attention"), "biases": "qkv"}
    for change in (mixed, {"rope_scaling": RopeScaling("linear", 2.0)}, {"activation": "gelu"}):
        with pytest.raises(ExchangeError, match="no GGUF is so"):
            gguf_write.write(made(dataclasses.replace(LLAMA, **change)), tmp_path / "x.gguf", {"tokenizer.json": TOKENIZER})
    other = TOKENIZER.replace(b'individual_digits": true', b'individual_digits": false')
    assert other != TOKENIZER
    with pytest.raises(ExchangeError, match=r"llama.cpp has no name for its pre_tokenizer"):
        gguf_write.write(made(LLAMA), tmp_path / "x.gguf", {"tokenizer.json": other})
    with pytest.raises(ExchangeError, match=r"no tokenizer.json"):
        gguf_write.tokenizer_files(tmp_path)
    assert not (tmp_path / "x.gguf").exists()
