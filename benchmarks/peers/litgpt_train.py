"""LitGPT's pretraining on the windows of benchmarks/train.py; prints one JSON line. Runs in its own environment.

Same shape and sizes; its initialization is its own, and it compiles the model by itself. A step's time is that between two batches.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from litgpt import Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.pretrain import setup
from torch.utils.data import DataLoader

place, steps, precision = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(2)
windows = torch.from_numpy(np.load(place / "windows.npy"))
shape = json.loads((place / "start/config.json").read_text())
seconds: list[float] = []
cpu: list[float] = []


def noted(rows: list[torch.Tensor]) -> torch.Tensor:
    """Stack a batch, and note when it was asked for."""
    seconds.append(time.perf_counter())
    cpu.append(time.process_time())
    return torch.stack(rows)


class Windows(DataModule):
    """The windows as they come."""

    def connect(self, tokenizer: object = None, batch_size: int = 1, max_seq_length: int | None = None) -> None:
        self.size = batch_size

    def train_dataloader(self) -> DataLoader[torch.Tensor]:
        return DataLoader(windows, batch_size=self.size, collate_fn=noted)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[torch.Tensor]:
        return DataLoader(windows[: self.size], batch_size=self.size)  # type: ignore[arg-type]


config = Config(
    block_size=windows.shape[1] - 1,
    vocab_size=shape["vocab_size"],
    padded_vocab_size=shape["vocab_size"],
    n_layer=shape["num_hidden_layers"],
    n_embd=shape["hidden_size"],
    n_head=shape["num_attention_heads"],
    n_query_groups=shape["num_key_value_heads"],
    intermediate_size=shape["intermediate_size"],
    rotary_percentage=1.0,
    parallel_residual=False,
    bias=True,
    norm_class_name="LayerNorm",
    mlp_class_name="GptNeoxMLP",
    gelu_approximate="tanh",
)
tokens = 4 * (windows.shape[1] - 1)
ended: BaseException | None = None
with contextlib.redirect_stdout(sys.stderr):
    try:
        setup(
            model_name="starmill-benchmark",
            model_config=config,
            out_dir=place / "litgpt",
            precision={"float32": "32-true", "bfloat16": "bf16-mixed"}[precision],
            data=Windows(),
            train=TrainArgs(
                save_interval=None,
                log_interval=1,
                global_batch_size=4,
                micro_batch_size=4,
                max_tokens=tokens * steps,
                max_norm=1.0,
                lr_warmup_steps=2,
                min_lr=3e-5,
                tie_embeddings=True,
            ),
            eval=EvalArgs(interval=10**6, max_iters=1, initial_validation=False, final_validation=False),
            optimizer={
                "class_path": "torch.optim.AdamW",
                "init_args": {"lr": 3e-4, "weight_decay": 0.1, "betas": [0.9, 0.95], "fused": True},
            },
            devices=1,
            logger_name="csv",
            seed=0,
        )
    except (Exception, SystemExit) as error:  # it ends by reading its own command line again, which is another one here
        ended = error
if len(seconds) < steps:
    sys.exit(f"stopped after {len(seconds)} of {steps} steps: {ended}")
print(json.dumps({"seconds": seconds, "cpu": cpu, "losses": []}))
