"""A workspace with shards of a few dozen tiny repositories, made without any pipeline: what a trainer needs, and no more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from starmill.core.dataset import Sidecar, Workspace, output
from starmill.core.shards import ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, huggingface_files, train

RECIPE: dict[str, Any] = {
    "steps": 12,
    "checkpoint_every": 4,
    "log_every": 4,
    "threads": 1,
    "model": {
        "layers": 2,
        "hidden_size": 32,
        "heads": 4,
        "kv_heads": 2,
        "mlp_size": 64,
        "positions": "rope",
        "max_positions": 64,
        "sliding_window": 16,
    },
    "data": {"sequence_length": 32, "batch": 4, "micro_batch": 4, "unit_tokens": 64, "held_out": 0.1, "held_out_windows": 4},
    "optimizer": {"lr": 3e-3, "min_lr": 3e-4, "warmup_steps": 2},
}


CODES = tuple(f"def function_{i}(argument):\n    return argument + {i}\n" for i in range(30))


def build(place: Path, codes: Sequence[str] = CODES, languages: Sequence[str] = ("Python",)) -> Path:
    """Write tokenizer/ and shards/ below `place`: repository i is one file, codes[i], in languages[i] or the last of them."""
    data = train(codes, 360)
    tokenizer, workspace = Tokenizer.load(data), Workspace(str(place))
    for name, content in huggingface_files(data).items():
        workspace.publish(f"tokenizer/{name}", content)
    writer = ShardWriter(tokenizer.eod)
    for i, code in enumerate(codes):
        ids = tokenizer.encode(code)
        language = languages[min(i, len(languages) - 1)]
        span = TokenSpan("f.py", f"{i:040x}", language, 1, len(ids))
        whole = np.concatenate([np.array([tokenizer.special("<file_sep>")], np.uint16), ids])
        writer.add(whole, "code", f"repo{i}", language, [span])
    files = {f"shards/part-00000.{suffix}": content for suffix, content in writer.finish().items()}
    workspace.commit(Sidecar("tokenize", "shards", 0, "k", tuple(output(n, c) for n, c in files.items())), list(files.values()))
    workspace.finish("shards", "k", 1, "v")
    return place
