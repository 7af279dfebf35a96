"""One case of benchmarks/gpu_train.py in a process of its own: one side, one size, one length; prints one JSON line.

Every side: bfloat16 products over float32 weights and moments, fused AdamW, clipping, the same random tokens per step, synchronized
before and after. starmill's step is the trainer's own (trainer/step.py); peers get a loop of the same operations.
"""

import contextlib
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from starmill.core import recipe
from starmill.model.config import ModelConfig, parameter_count
from starmill.model.exchange.families import config_values
from starmill.model.presets import PRESETS
from starmill.trainer import parallel
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.corpus import Batch
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Ranks
from starmill.trainer.plan import flops_per_token
from starmill.trainer.step import Run

WARM_UP = 3  # steps in which kernels are compiled and chosen, memory is taken
# Where a kernel's time goes, by its name: the first that matches.
KINDS = {
    "attention": r"flash|fmha|flex|attention",
    "matrix products": r"gemm|nvjet|cutlass|xmma|wgmma|mkldnn|linear|\bmm\b|_mm_|addmm|bmm|matmul",
    "optimizer and clipping": r"adam|multi_tensor|foreach|lpnorm|linalg_vector_norm",
    "loss": r"softmax|gather|scatter|nll|cross_entropy",
    "normalization": r"layer_?norm",
    "GELU": r"gelu",
    "embedding": r"embedding|index",
    "copies and casts": r"copy|memcpy|memset|fill|zero|cat|_to_",
    "everything else": r"",
}


class Unfit(Exception):
    """A peer that has no such model."""


@dataclass(frozen=True)
class Case:
    """What is measured; `micro_batch` windows at a time, `batch` of them a step."""

    side: str
    size: str
    length: int
    batch: int
    micro_batch: int
    steps: int
    device: str
    compiled: bool = False


def shape(size: str, length: int) -> ModelConfig:
    """Return the model: StarCoderBase's 1B (no dropout, positions as far as needed), StarCoder2's 3B, or one for a first try."""
    if size == "1b":
        return replace(PRESETS["starcoderbase-1b"], max_positions=max(8192, length), dropout=0.0)
    if size == "3b":
        return PRESETS["starcoder2-3b"]
    return ModelConfig(512, 2, 64, 4, 2, 256, "rope", max(length, 64), sliding_window=length // 2)


def ours(case: Case) -> Callable[[], float]:
    """Return one step of starmill's trainer, without a corpus: tokens are random."""
    config = shape(case.size, case.length)
    model = {k: v for k, v in vars(config).items() if k not in ("dropout", "bos_id", "eos_id")}  # a recipe has no ends
    values = {
        "workspace": "none",
        "output": "none",
        "steps": 10**6,
        "model": model,
        "data": {"sequence_length": case.length, "batch": case.batch, "micro_batch": case.micro_batch},
        "optimizer": {"lr": 1e-5, "min_lr": 1e-6, "warmup_steps": 1},
        "parallel": {"precision": "bfloat16", "compile": case.compiled},
        "spike": 1e6,
    }
    options, ranks = recipe.build(TrainRecipe, values), Ranks(torch.device(case.device))
    decoder = parallel.build(config, options.parallel, ranks, lambda d: d.init_weights(torch.Generator().manual_seed(0)))
    nothing: Any = None  # the corpus names the files of a batch that is refused
    run, number = Run(options, ranks, nothing, decoder, Optimizer(decoder, options.optimizer)), iter(range(1, 10**6))
    blank = np.zeros((case.micro_batch, case.length + 1), np.int64)
    batches = (Batch(tokens(case, config), blank, blank, (), ()) for _ in iter(int, 1))
    return lambda: run.step(batches, next(number), False).loss


def theirs(case: Case) -> Callable[[], float]:
    """Return one step of a peer's model."""
    config = shape(case.size, case.length)
    with torch.device(case.device):
        model, loss = {"transformers": _transformers, "litgpt": _litgpt}[case.side](config, case.length)
    model.train()
    called = torch.compile(model) if case.compiled else model
    adam = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    count = case.batch // case.micro_batch

    def step() -> float:
        total = torch.zeros((), device=case.device)
        for _ in range(count):
            window = torch.from_numpy(tokens(case, config)).to(case.device)
            with torch.autocast(case.device, torch.bfloat16):
                found = loss(called, window)
            found.div(count).backward()
            total += found.detach() / count
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        return total.item()

    return step


def _transformers(config: ModelConfig, length: int) -> tuple[torch.nn.Module, Callable[..., torch.Tensor]]:
    from transformers import AutoConfig, AutoModelForCausalLM

    values = {**config_values(config, "float32"), "use_cache": False}
    family = values.pop("model_type")
    kernel = "sdpa"
    if config.sliding_window is not None and config.sliding_window < length and torch.cuda.is_available():
        kernel = "flex_attention"  # SDPA would need the mask of every pair
    made = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(family, **values), attn_implementation=kernel, dtype=torch.float32
    )
    return made, lambda model, window: model(input_ids=window[:, :-1], labels=window[:, :-1]).loss


def _litgpt(config: ModelConfig, length: int) -> tuple[torch.nn.Module, Callable[..., torch.Tensor]]:
    from litgpt import GPT, Config
    from litgpt.utils import chunked_cross_entropy

    if config.sliding_window is not None and config.sliding_window < length:
        raise Unfit("no window in its GPT-NeoX blocks")
    made = GPT(
        Config(
            block_size=length,
            vocab_size=config.vocab_size,
            padded_vocab_size=config.vocab_size,
            n_layer=config.layers,
            n_embd=config.hidden_size,
            n_head=config.heads,
            n_query_groups=config.kv_heads,
            intermediate_size=config.mlp_size,
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=True,
            norm_class_name="LayerNorm",
            mlp_class_name="GptNeoxMLP",
            gelu_approximate="tanh",
        )
    )
    made.lm_head.weight = made.transformer.wte.weight
    return made, lambda model, window: chunked_cross_entropy(model(window[:, :-1]), window[:, 1:])


def tokens(case: Case, config: ModelConfig) -> np.ndarray:
    """Return random windows of a micro-batch."""
    return np.random.default_rng(0).integers(0, config.vocab_size, (case.micro_batch, case.length + 1))


def measure(case: Case) -> dict[str, Any]:
    """Run a case; return tokens per second, MFLOPs per token, peak memory, and for ours the parts of a step's time."""
    step = ours(case) if case.side == "starmill" else theirs(case)
    started = time.perf_counter()
    losses = [step() for _ in range(WARM_UP)]
    warm_up = time.perf_counter() - started
    seconds = [timed(step, case.device) for _ in range(case.steps)]
    config, per_step = shape(case.size, case.length), case.batch * case.length
    told: dict[str, Any] = {
        "parameters": parameter_count(config),
        "flops_per_token": flops_per_token(config, case.length),
        "tokens_per_second": per_step / min(seconds),
        "warm_up": warm_up,
        "loss": losses[0],
        "memory": memory(case.device),
    }
    if case.side == "starmill":
        told["step"], told["profile"] = profile(step, case.device)
    return told


def timed(step: Callable[[], float], device: str) -> float:
    """Return the seconds of a step, to the end of its last kernel."""
    wait(device)
    started = time.perf_counter()
    step()
    wait(device)
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Return when the device has nothing left to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def memory(device: str) -> float:
    """Return the peak in bytes: what the allocator took on a GPU, the process's own on a CPU."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def profile(step: Callable[[], float], device: str) -> tuple[float, dict[str, float]]:
    """Return the seconds of one step under the profiler, and of each kind of kernel in it."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as taken:
        whole = timed(step, device)
    found = dict.fromkeys(KINDS, 0.0)
    for event in taken.key_averages():
        kernel = event.device_type.name == "CUDA"
        if kernel == (device == "cuda"):
            spent = event.self_device_time_total if kernel else event.self_cpu_time_total
            kind = next(kind for kind, names in KINDS.items() if re.search(names, event.key, re.IGNORECASE))
            found[kind] += spent / 1e6
    return whole, found


def peak(device: str, size: int) -> float:
    """Return the FLOP/s of the fastest of twenty bfloat16 products of square matrices: what this device does, as it is cooled today."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / min(timed(lambda: float((a @ b)[0, 0]), device) for _ in range(20))


def main() -> None:
    """Run the case that is given as JSON, or measure the peak."""
    given = json.loads(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        try:
            told = {"peak": peak(**given["peak"])} if "peak" in given else measure(Case(**given))
        except torch.OutOfMemoryError:
            told = {"error": "out of memory"}
        except Unfit as error:
            told = {"error": str(error)}
        except ImportError as error:
            told = {"error": f"{error.name} is not installed"}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
