"""A tiny Llama with a chat template, and instructions for it."""

import json
from pathlib import Path

import torch

from starmill.core.dataset import Workspace
from starmill.core.tokenizer import Tokenizer, huggingface_files, train
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import save
from starmill.model.template import Template
from starmill.trainer.sft import examples

TOKENIZER = train(["Add 3 to the number x, please.", "x += 3  # done", "user assistant\n"] * 9, vocab_size=320)
TEMPLATE = (
    "{%- for m in messages %}{{ '<file_sep>' + m.role + '\n' + m.content + '<|endoftext|>' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '<file_sep>assistant\n' }}{% endif %}"
)
CONFIG = ModelConfig(
    320, 2, 32, 4, 2, 64, "rope", 128, 1e4, norm="rms", gated=True, biases="none", activation="silu", init_std=0.2
)

END = {"eos_token": "<|endoftext|>"}


def rows(count: int) -> list[dict[str, str]]:
    """Return instructions of unequal lengths."""
    return [
        {"instruction": f"Add {i} to the number x." + " Please." * (i % 4), "response": f"x += {i}" + " " * (i % 3)}
        for i in range(count)
    ]


def write(place: Path, count: int = 24) -> None:
    """Write `place/instructions` and the model `place/base`."""
    (place / "instructions").mkdir(parents=True)
    (place / "instructions/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(count)))
    decoder = Decoder(CONFIG)
    decoder.init_weights(torch.Generator().manual_seed(0))
    save(decoder, place / "base", {**huggingface_files(TOKENIZER), "chat_template.jinja": TEMPLATE.encode()})


def read(place: Path, longest: int = 128) -> examples.Read:
    """Read the instructions of a place."""
    return examples.read(Workspace(str(place)), "instructions", Tokenizer(TOKENIZER), Template(TEMPLATE, END), longest)
