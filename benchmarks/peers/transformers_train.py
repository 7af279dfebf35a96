"""transformers' Trainer on the windows and the first weights of benchmarks/train.py; prints one JSON line. Runs in its own environment."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

place, steps, precision, compiled = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] == "True"
torch.set_num_threads(2)
windows = torch.from_numpy(np.load(place / "windows.npy"))
model = AutoModelForCausalLM.from_pretrained(place / "start", dtype=torch.float32, use_cache=False)
seconds: list[float] = []
cpu: list[float] = []
losses: list[float] = []


class Clock(TrainerCallback):
    """Notes when each step ended, and the losses."""

    def on_step_end(self, *_: object, **__: object) -> None:
        seconds.append(time.perf_counter())
        cpu.append(time.process_time())

    def on_log(self, *_: object, logs: dict[str, float] | None = None, **__: object) -> None:
        losses.extend([logs["loss"]] if logs and "loss" in logs else [])


class InOrder(Trainer):
    """Reads the windows as they come."""

    def _get_train_sampler(self, *_: object, **__: object) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


arguments = TrainingArguments(
    output_dir=str(place / "theirs"),
    max_steps=steps,
    per_device_train_batch_size=4,
    learning_rate=3e-4,
    warmup_steps=2,
    lr_scheduler_type="cosine",
    adam_beta2=0.95,
    weight_decay=0.1,
    max_grad_norm=1.0,
    optim="adamw_torch_fused",
    use_cpu=True,
    bf16=precision == "bfloat16",
    torch_compile=compiled,
    logging_steps=1,
    save_strategy="no",
    report_to=[],
    disable_tqdm=True,
)
# The model shifts the labels itself: a window of T + 1 tokens gives T predictions.
rows = [{"input_ids": row, "labels": row} for row in windows]
InOrder(model=model, args=arguments, train_dataset=rows, callbacks=[Clock()]).train()
print(json.dumps({"seconds": seconds, "cpu": cpu, "losses": losses}))
