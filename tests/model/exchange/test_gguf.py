"""GGUF: the same logits as transformers' own reader of the file, both ways, each architecture; a damaged file is refused by name."""

import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from starmill.core.tokenizer import huggingface_files, train
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange import gguf, gguf_write
from starmill.model.exchange.huggingface import load
from starmill.model.exchange.layouts import ExchangeError

TOKENIZER = train(["def area(width, height):", "    return width * 2024"] * 9, vocab_size=300)
LLAMA = ModelConfig(
    300, 2, 32, 4, 2, 64, "rope", 64, 1e4, norm="rms", gated=True, biases="none", activation="silu", init_std=0.2, eos_id=0
)
CONFIGS = {
    "llama": LLAMA,
    "llama-untied-padded": dataclasses.replace(LLAMA, tie_embeddings=False, vocab_size=320),
    "qwen2": dataclasses.replace(LLAMA, biases="qkv"),
    "qwen3": dataclasses.replace(LLAMA, qk_norm=True, head_dim=128),  # transformers takes its default, whatever the file says
    "starcoder2": ModelConfig(300, 2, 32, 4, 2, 64, "rope", 64, 1e4, init_std=0.2),  # theta, too
}


def made(config: ModelConfig) -> Decoder:
    decoder = Decoder(config)
    decoder.init_weights(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for p in decoder.parameters():
            p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return decoder.eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_logits_as_transformers(name: str, tmp_path: Path) -> None:
    decoder, tokens = made(CONFIGS[name]), torch.randint(0, 300, (2, 40), generator=torch.Generator().manual_seed(2))
    gguf_write.write(decoder, tmp_path / "model.gguf", huggingface_files(TOKENIZER))
    assert gguf.to_folder(tmp_path / "model.gguf", tmp_path / "back") == dataclasses.replace(CONFIGS[name], init_std=0.02)
    back = load(tmp_path / "back")
    for (own, ours), theirs in zip(decoder.named_parameters(), back.parameters(), strict=True):
        assert torch.equal(ours, theirs), own
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", attn_implementation="eager").eval()
    with torch.no_grad():
        assert (decoder(tokens) - theirs(tokens).logits).abs().max() < 1e-4


def test_what_is_no_model_of_ours_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "model.gguf"
    gguf_write.write(made(LLAMA), whole, {"tokenizer.json": TOKENIZER})
    data = whole.read_bytes()
    for name, damaged, message in (
        ("short", data[: len(data) // 2], "no readable GGUF"),
        ("start", data[:50], "no readable GGUF"),
        ("text", b"hello, this is text, no model", "no readable GGUF"),
        ("empty", b"", "no readable GGUF"),
        ("family", data.replace(b"llama", b"gemma"), "general.architecture=gemma"),
        ("layers", data.replace(b"blk.1.attn_q.weight", b"blk.7.attn_q.weight"), "blk.1.attn_q.weight' is missing"),
        ("cut", data.replace(b"starcoder", b"unheardof"), "tokenizer.ggml.pre=unheardof"),
    ):
        (tmp_path / f"{name}.gguf").write_bytes(damaged)
        with pytest.raises(ExchangeError, match=f"{name}.gguf: .*{message}"):
            gguf.to_folder(tmp_path / f"{name}.gguf", tmp_path / "back")
    assert not (tmp_path / "back").exists()
