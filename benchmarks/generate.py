"""Tokens/s of generation beside transformers' `generate`, alternately in one run; appends a dated table to results/.

    .venv/bin/python benchmarks/generate.py [--threads 1] [--rounds 3] [--write]

Both sides have the same random weights in float32, the same prompts, a cache, and decode greedily; the tokens must be equal. Tokens are
new ones of all rows. Seconds are CPU seconds, which other work on the machine hardly changes, and include reading the prompts.
"""

import argparse
import datetime
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import report
import torch
import transformers

from starmill.model.config import ModelConfig, parameter_count
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import save
from starmill.model.generation import generate

CONFIGS = {
    "MQA, learned positions": ModelConfig(49_152, 8, 768, 6, 1, 3072, "learned", 1024, init_std=0.1),
    "GQA, RoPE, window 128": ModelConfig(49_152, 8, 768, 6, 2, 3072, "rope", 1024, sliding_window=128, init_std=0.1),
}
PROMPT, NEW = 200, 64


def timed(function: Callable[[], list[list[int]]]) -> tuple[float, list[list[int]]]:
    """Return CPU seconds and the tokens."""
    started = time.process_time()
    made = function()
    return time.process_time() - started, made


def compare(config: ModelConfig, rows: int, rounds: int) -> tuple[float, float]:
    """Return the median CPU seconds of ours and of transformers'."""
    decoder = Decoder(config)
    decoder.init_weights(torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        save(decoder, folder)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompts = torch.randint(38, config.vocab_size, (rows, PROMPT), generator=torch.Generator().manual_seed(1))
    settings = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    sides: tuple[Callable[[], list[list[int]]], ...] = (
        lambda: generate(decoder, prompts.tolist(), NEW),
        lambda: theirs.generate(prompts, attention_mask=torch.ones_like(prompts), **settings)[:, PROMPT:].tolist(),
    )
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):  # the first warms up
        (ours, made), (other, expected) = (timed(side) for side in sides)
        if made != expected:
            sys.exit("the two sides wrote different tokens: nothing to compare")
        if number:
            seconds[0].append(ours)
            seconds[1].append(other)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    report.add_write(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    lines = [
        f"## {datetime.date.today()}, {platform.machine()}, threads: {options.threads} of {os.cpu_count()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}, load {os.getloadavg()[0]:.1f} before",
        "",
        f"Float32 on the CPU, prompts of {PROMPT} tokens, {NEW} new ones a row, median of {options.rounds}.",
        "",
        "| model | parameters | rows | tokens/CPU s | transformers | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for name, config in CONFIGS.items():
        for rows in (1, 8):
            ours, theirs = compare(config, rows, options.rounds)
            lines.append(
                f"| {name} | {parameter_count(config) / 1e6:.0f} M | {rows} | {rows * NEW / ours:.1f} "
                f"| {rows * NEW / theirs:.1f} | {theirs / ours:.2f} |"
            )
    report.tell("generate", lines, options.write)


if __name__ == "__main__":
    main()
