"""Metrics of a run: one JSON line per step, lines or a bar for people, and what trackers take.

Only metrics.jsonl is meant for programs. Rank 0 writes them all; memory and wait for data are rank 0's.
"""

import json
import math
import resource
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from starmill.core import files
from starmill.core.terminal import say
from starmill.model.config import ModelConfig
from starmill.trainer.config import TrainRecipe
from starmill.trainer.parallel import Ranks
from starmill.trainer.plan import flops_per_token
from starmill.trainer.step import HeldOut, Taken
from starmill.trainer.trackers import Trackers

RECENT = 20  # steps over which tokens/s is averaged
STARCODERBASE_TOKENS = 1e12  # StarCoder (arXiv 2305.06161), abstract


class Metrics:
    """Writes output/metrics.jsonl from `step` on, and shows every `log_every`th step. Ranks other than the first write nothing."""

    def __init__(self, output: Path, step: int, options: TrainRecipe, config: ModelConfig, ranks: Ranks) -> None:
        """Name the folder; no file is touched."""
        self._output, self._first, self._options, self._ranks = output, step, options, ranks
        self._flops_per_token = flops_per_token(config, options.data.sequence_length)
        self._open = ExitStack()
        self._bar: Progress | None = None
        self._trackers: Trackers | None = None
        self._times: deque[tuple[float, int]] = deque(maxlen=RECENT + 1)
        self._held_out: dict[int, float] = {}  # loss by step
        self._evaluated: set[int] = set()  # steps with the loss of any held-out set

    def __enter__(self) -> "Metrics":
        """Drop the lines of steps after the checkpoint, which are repeated, and start the clock."""
        self._times.append((time.monotonic(), self._options.tokens(self._first)))
        if self._ranks.rank != 0:
            return self
        self._output.mkdir(parents=True, exist_ok=True)
        path = self._output / "metrics.jsonl"
        lines = path.read_text(errors="replace").splitlines() if self._first and path.exists() else []
        kept = [line for line in lines if _step(line) <= self._first]
        values = [json.loads(line) for line in kept]
        self._held_out = {v["step"]: v["held_out_loss"] for v in values if "held_out_loss" in v}
        self._evaluated = {v["step"] for v in values if {"held_out_loss", "held_out_sets", "fim_exact_match"} & v.keys()}
        files.write(path, "".join(f"{line}\n" for line in kept).encode())
        self._file = self._open.enter_context(open(path, "a", buffering=1))
        self._trackers = Trackers(self._options.track, self._output, self._first, self._options.learned())
        self._open.callback(self._trackers.close)
        if sys.stderr.isatty():
            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            self._bar = self._open.enter_context(Progress(TextColumn("train"), *columns, console=Console(stderr=True)))
            self._task = self._bar.add_task("", total=self._options.steps, completed=self._first)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the bar and close the files."""
        self._open.close()

    def step(self, step: int, lr: float, epoch: float, taken: Taken) -> None:
        """Record one optimizer step, after which the data are at `epoch`, a whole number and the share of the next one."""
        steps, tokens = self._options.steps, self._options.tokens(step)
        self._times.append((time.monotonic(), tokens))
        if self._ranks.rank != 0:
            return
        (first, before), (last, _) = self._times[0], self._times[-1]
        rate = (tokens - before) / max(last - first, 1e-9)
        said = f"loss {taken.loss:.4f}  lr {lr:.2e}  {rate:,.0f} tokens/s"
        values = {
            "loss": taken.loss,
            "lr": lr,
            "gradient_norm": taken.norm,
            "tokens": tokens,
            "tokens_per_second": round(rate, 1),
        }
        hardware = self._options.hardware
        if hardware is not None:
            values["mfu"] = rate * self._flops_per_token / (hardware.peak_tflops * 1e12 * self._ranks.world)
            said += f"  {values['mfu']:.1%} MFU"
        values |= {"memory_gb": round(self._memory(), 3), "epoch": round(epoch, 4)}
        if "reward_accuracy" in taken.more:
            said += f"  {taken.more['reward_accuracy']:.0%} of pairs right"
        self._write(step, **values, time=round(time.time(), 1), seconds=taken.seconds, **taken.more)
        for part, seconds in taken.more.get("slow_ranks", {}).items():
            self.say(f"step {step}/{steps}  slow: {part} took {seconds:.2f} s, others less than half of it")
        if self._bar:
            self._bar.update(self._task, completed=step, description=said)
        elif step % self._options.log_every == 0 or step in (1, steps):
            eta = (self._options.tokens(steps) - tokens) / rate
            self.say(f"step {step}/{steps}  {said}  eta {int(eta // 60)}:{int(eta % 60):02d}")

    def skipped(self, step: int, why: str) -> None:
        """Record a step whose batch was left out."""
        self._times.append((time.monotonic(), self._options.tokens(step)))
        if self._ranks.rank == 0:
            self._file.write(json.dumps({"step": step, "skipped": why}) + "\n")
            self.say(
                f"step {step}/{self._options.steps}  skipped: {why}; `starmill trace {self._output} --step {step}` names its files"
            )

    def has_held_out(self, step: int) -> bool:
        """Say, on the first rank, whether an interrupted run had recorded the held-out loss after this step."""
        return step in self._evaluated

    def held_out(
        self,
        step: int,
        found: HeldOut | None,
        sets: Mapping[str, HeldOut | None] | None = None,
        exact: float | None = None,
    ) -> None:
        """Record the held-out loss, None if nothing is held out, those of sets by name, and the share of lines that are filled in exactly.

        Restart the clock of tokens/s.
        """
        self._times.clear()
        self._times.append((time.monotonic(), self._options.tokens(step)))
        own = {name: one.loss for name, one in (sets or {}).items() if one is not None}
        if self._ranks.rank == 0 and (found is not None or own or exact is not None):
            self._evaluated.add(step)
        if exact is not None and self._ranks.rank == 0:
            self._write(step, fim_exact_match=exact)
            self.say(f"after {step} steps: {exact:.1%} of lines filled in exactly")
        if own and self._ranks.rank == 0:
            self._write(step, held_out_sets=own)
            self.say(f"after {step} steps: " + "  ".join(f"{name} {loss:.4f}" for name, loss in own.items()))
        if found is not None and self._ranks.rank == 0:
            self._held_out[step] = found.loss
            self._write(step, held_out_loss=found.loss, held_out_loss_by_language=found.by_language)
            languages = "  ".join(f"{name} {loss:.3f}" for name, loss in found.by_language.items())
            self.say(f"held-out loss {found.loss:.4f} after {step} steps: {languages}")

    def tasks(self, step: int, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Record what the checkpoint of a step scored, by task and metric; the line stands among those of later steps."""
        self._write(step, tasks=scores)
        told = "  ".join(f"{task} {metric} {value:.1%}" for task, found in scores.items() for metric, value in found.items())
        self.say(f"after {step} steps: {told}")

    def conclude(self, steps: int) -> None:
        """Print held-out loss and perplexity before and after training, and the tokens beside StarCoderBase's."""
        if 0 in self._held_out and steps in self._held_out:
            before, after = self._held_out[0], self._held_out[steps]
            told = "a masked token" if self._options.model.is_encoder else "the next token"
            perplexity = (
                f": a perplexity of {math.exp(before):,.0f} before and {math.exp(after):,.0f} now, as if the model chose {told} among "
                "that many"
            )
            self.say(
                f"held-out loss {before:.2f} before training, {after:.2f} after" + ("" if self._options.dpo else perplexity)
            )
        tokens = self._options.tokens(steps)
        more = STARCODERBASE_TOKENS / tokens
        self.say(
            f"the model saw {tokens:,} tokens; StarCoderBase saw a trillion"
            + (f", {more:,.0f} times as many" if more >= 2 else "")
        )

    def say(self, line: str) -> None:
        """Print one line for people."""
        if self._ranks.rank == 0:
            say(line, to=sys.stderr)

    def _memory(self) -> float:
        if self._ranks.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._ranks.device) / 1e9
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9

    def _write(self, step: int, **values: Any) -> None:
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        if self._trackers is not None:
            self._trackers.log(step, values)


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):  # a line that a kill or a power cut left
        return sys.maxsize
