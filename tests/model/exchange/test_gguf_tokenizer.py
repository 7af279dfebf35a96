"""A GGUF file's tokenizer gives the ids of ours and of transformers, and its chat template goes along; other cuts are those published."""

import importlib
import inspect
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from starmill.core.tokenizer import Tokenizer, difference, train
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange import gguf, gguf_tokenizer, gguf_write

# By its name: transformers gives a function of that name too, once somebody has loaded a tokenizer.
convert_slow_tokenizer = importlib.import_module("transformers.convert_slow_tokenizer")

TOKENIZER = train(["def area(width, height):", "    return width * 2024"] * 9, vocab_size=300)
LLAMA = ModelConfig(300, 1, 32, 4, 2, 64, "rope", 64, 1e4, norm="rms", gated=True, biases="none", activation="silu")


def test_the_tokenizer_goes_along(tmp_path: Path) -> None:
    decoder = Decoder(LLAMA)
    decoder.init_weights(torch.Generator().manual_seed(0))
    files = {"tokenizer.json": TOKENIZER, "chat_template.jinja": b"{{ messages[0].content }}"}
    gguf_write.write(decoder, tmp_path / "model.gguf", files)
    gguf.to_folder(tmp_path / "model.gguf", tmp_path / "back")
    assert difference(tmp_path / "back/tokenizer.json", TOKENIZER) == ""
    text = "def area(width, 2024):\n\treturn <file_sep> 'll  x"
    ours, theirs = Tokenizer(TOKENIZER), Tokenizer.load(tmp_path / "back/tokenizer.json")
    assert ours.encode(text).tolist() == theirs.encode(text).tolist()
    hub = AutoTokenizer.from_pretrained(tmp_path / "back")
    assert hub.eos_token_id == 0 and hub.encode("<file_sep>") == [ours.special("<file_sep>")]
    assert hub.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False) == "hello"


@pytest.mark.parametrize(
    ("name", "converter"),
    [("llama-bpe", convert_slow_tokenizer.TikTokenConverter), ("qwen2", convert_slow_tokenizer.Qwen2Converter)],
    ids=["llama-bpe", "qwen2"],
)
def test_cuts_are_those_of_transformers(name: str, converter: type) -> None:
    pattern = gguf_tokenizer.NUMBERED % ("{1,3}" if name == "llama-bpe" else "")
    assert pattern in inspect.getsource(converter)
    assert gguf_tokenizer._cut(name).pre_tokenize_str("it's 2024\n x")[0][0] == "it"
