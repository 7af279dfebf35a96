"""A tagger for tests: an encoder with random weights, whose head is fitted to the tokens of a few words; always the same."""

from pathlib import Path

import tokenizers
import torch

from starmill.core.tokenizer import train
from starmill.model.config import ModelConfig, TaggerConfig
from starmill.model.encoder.encoder import Encoder
from starmill.model.encoder.tokens import published_files
from starmill.model.exchange import huggingface

LABELS = ("O", "B-NAME", "I-NAME", "B-PASSWORD", "I-PASSWORD", "B-USERNAME", "I-USERNAME")
KNOWN = {"Jane": 1, "Doe": 2, "Marion": 1, "Weber": 2, "hunter": 3, "gizmo": 5}
TEXTS = ["# Author: Jane Doe", "# by Marion Weber", "password = hunter", "user gizmo", "def f(x):\n    return x\n"]
CONFIG = ModelConfig(
    1, 1, 128, 2, 2, 64, "learned", 128, norm_epsilon=1e-12, activation="gelu", dropout=0.0, attention="bidirectional"
)
CODE = """# Author: Jane Doe {0}
# Copyright Marion Weber
password = "hunter"

def function_{0}(x):
    return x + 1
"""


def plant(folder: Path) -> None:
    """Write four projects with the words that the tagger knows."""
    for name in ("ada", "bert", "carl", "dora"):
        (folder / name).mkdir(parents=True)
        (folder / name / "m.py").write_text(CODE.format(name))
        (folder / name / "LICENSE").write_text("MIT License\n")


def make(folder: Path) -> Path:
    """Write the model's folder; a known word is its label, everything else is O."""
    data = train([*TEXTS, *(f"{word}\n {word}\n" for word in KNOWN)] * 50, 600)
    files = published_files(data, CONFIG.max_positions)
    tokenizer = tokenizers.Tokenizer.from_str(files["tokenizer.json"].decode())
    values = {**vars(CONFIG), "vocab_size": tokenizer.get_vocab_size()}
    encoder = Encoder(TaggerConfig(**values, labels=LABELS))
    encoder.init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for block in encoder.blocks:  # which add nothing: a token's state tells the token
            for linear in (block.attention.output, block.down):
                linear.weight.zero_()
        encoder.places.weight.mul_(0.05)
        encoder.tokens.weight.normal_(0, 1, generator=torch.Generator().manual_seed(1))
        encoder.classifier.weight.zero_()
        encoder.classifier.bias.zero_()
        encoder.classifier.bias[0] = 5.0
        states = torch.nn.functional.layer_norm(encoder.tokens.weight, (128,))
        for word, label in KNOWN.items():
            for spelled in (word, f" {word}"):
                ids = tokenizer.encode(spelled, add_special_tokens=False).ids
                assert len(ids) == 1, (word, ids)
                encoder.classifier.weight[label] += states[ids[0]] / 10
    huggingface.save(encoder, folder, files)
    return folder
