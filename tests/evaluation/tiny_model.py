"""A model of 2 layers with weights from a seed, far from uniform, so that its samples differ; and requests for it."""

from pathlib import Path

import torch

from starmill.core.tokenizer import Tokenizer, huggingface_files, train
from starmill.evaluation.run.generate import Decoding, Request
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import save

REQUESTS = [Request(f"t/{prompt}/{number}", prompt) for prompt in ("def f(x):", "import", "x = 1\ny") for number in range(3)]
DECODING = Decoding(12, 0.9, 0.95, ("\n\n",), 0)


def write(folder: Path) -> Path:
    """Write the model as a folder that transformers loads too."""
    data = train(["def f(x):\n    return x\nimport os\n"], 300)
    decoder = Decoder(ModelConfig(Tokenizer.load(data).vocab_size, 2, 32, 4, 2, 64, "rope", 64))
    decoder.init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoder.head.weight.mul_(5)
    save(decoder, folder, huggingface_files(data))
    return folder
