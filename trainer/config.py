"""The shape of a training recipe; the values are in recipes/train/*.yaml. Tokens, unless a name says otherwise."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from starmill.core import recipe
from starmill.core.errors import UsageError
from starmill.core.names import AtLeast0, AtLeast1, Place, Positive, Seed
from starmill.model.config import Length, ModelConfig, Vocabulary
from starmill.model.encoder.tokens import TOKENS
from starmill.model.exchange import folders
from starmill.model.presets import PRESETS
from starmill.trainer import ramp
from starmill.trainer.benchmarks import Tasks
from starmill.trainer.rates import ADDED as ADDED_RATES
from starmill.trainer.rates import AdamW as AdamW
from starmill.trainer.reading import Data as Data
from starmill.trainer.reading import Fim as Fim
from starmill.trainer.reading import FimRates as FimRates
from starmill.trainer.reading import Mixture as Mixture
from starmill.trainer.sft.options import Dpo, Lora, Sft, refuse_misfits

Cores = Annotated[int, Meta(ge=1, le=4096)]  # or ranks

SHORTEST_PAIR = 8  # tokens, special ones included

# A run may continue with other values of these. Sums then round differently, and where a model has dropout, whose seed holds the data
# rank and the micro-batch, other elements are dropped; nothing else changes.
UNLEARNED = (
    "workspace output cache branch hardware device threads log_every norms_every profile memory_snapshot track "
    "checkpoint_every keep_checkpoints milestone_every asynchronous_checkpoints spike on_spike skip evaluate_every tasks "
    "data.held_out_sets data.held_out_infills data.micro_batch data.prefetch parallel.tensor parallel.replicas parallel.sequence "
    "parallel.reduce_once parallel.recompute parallel.compile parallel.timeout_s"
).split(" ")
ADDED = ("attention", "norm", "gated", "biases", "head_dim", "qk_norm", "rope_scaling", "layer_types")  # later fields


@dataclass(frozen=True)
class Model(ModelConfig):
    """The section `model`: a preset's name, a preset with changes (`{preset: starcoder2-3b, max_positions: 4096}`), or all fields.

    >>> Model(layers=1, hidden_size=8, heads=2, kv_heads=1, mlp_size=16, positions="rope", max_positions=64).config(300).vocab_size
    300
    """

    vocab_size: Vocabulary | None = field(  # type: ignore[assignment]
        default=None, kw_only=True
    )  # tokens; null: the tokenizer's

    def config(self, tokenizer_vocabulary: int) -> ModelConfig:
        """Return the model's configuration. Raises UsageError where values do not fit each other, or the tokenizer."""
        least = tokenizer_vocabulary + len(TOKENS) * self.is_encoder
        size = self.vocab_size or least
        if size < least:
            raise UsageError(f"model.vocab_size={size} is smaller than the tokenizer's {least}; leave it null")
        try:
            return ModelConfig(**{**vars(self), "vocab_size": size})
        except ValueError as error:
            raise UsageError(f"model: {error}") from None


@dataclass(frozen=True)
class Parallel:
    """How ranks share the work and trade speed for memory; torchrun sets the number of ranks.

    `precision` is the type of matrix products and gathered weights; stored weights, optimizer and losses stay float32.

    >>> Parallel().precision_on("cuda"), Parallel().precision_on("cpu")
    ('bfloat16', 'float32')
    """

    tensor: Cores = 1  # ranks that share each matrix; groups of them share out the batch and the weights (FSDP)
    replicas: Cores = (
        1  # groups of ranks that hold all weights among them (HSDP): only gradients leave a group, one of a node each
    )
    sequence: bool = False  # tensor ranks also share out norms, dropout and residuals, by positions
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU
    reductions: Literal["float32", "bfloat16"] = "float32"  # type of gradients that ranks sum
    reduce_once: bool = True  # sum gradients once per step, whole on each rank until then; false: per micro-batch
    recompute: bool = False  # compute a block's activations again in its backward pass, instead of keeping them
    compile: bool = False  # use torch.compile
    timeout_s: Annotated[int, Meta(ge=1, le=604_800)] = (
        1800  # a rank waits so long for the others, and after half of it says for whom
    )

    def __post_init__(self) -> None:
        """Refuse sequences shared out among one rank, and compiled tensor ranks."""
        if self.sequence and self.tensor == 1:
            raise ValueError("parallel.sequence=true shares out what the tensor ranks hold; set parallel.tensor above 1")
        if self.compile and self.tensor > 1:  # seen with torch 2.15: a step's losses agree, its gradients do not (2 % off)
            raise ValueError(
                f"parallel.compile=true with parallel.tensor={self.tensor}: gradients would be wrong; compile without"
            )

    def precision_on(self, device: str) -> str:
        """Return the name of the type that a device of this kind computes in."""
        return self.precision if self.precision != "auto" else "bfloat16" if device == "cuda" else "float32"


@dataclass(frozen=True)
class Hardware:
    """The devices, for MFU and the plan: peak speed, expected utilization, memory and power.

    >>> Hardware(peak_tflops=312, devices=512).mfu
    0.4
    """

    peak_tflops: Positive  # of one device at the run's precision
    devices: Length = 1  # of the whole run
    memory_gb: Positive = 80.0  # of one device
    mfu: Annotated[float, Meta(gt=0, le=1)] = 0.4  # model FLOPs utilization: expected share of peak_tflops
    watts: Positive = 400.0  # of one device at work
    pue: Annotated[float, Meta(ge=1, le=100)] = 1.0  # power usage effectiveness: watts of the building per watt of its devices
    kg_co2_per_kwh: Annotated[float, Meta(ge=0, le=100)] = 0.0  # of the electricity


@dataclass(frozen=True)
class TrainRecipe:
    """`workspace` holds the shards, `output` gets checkpoints, metrics.jsonl and model/.

    `cache` is the folder of each node for shards that lie in a bucket (default: starmill/shards in the user's cache folder).

    `weights` is a model folder that the run starts from (the phase before): weights only, as the papers did. rope_theta,
    sliding_window, layer_types, dropout and, with RoPE, max_positions may differ from that model's.
    """

    workspace: Place  # folder or URL with the shards
    output: Place  # folder or URL of checkpoints, metrics and the model
    model: Model
    data: Data
    optimizer: AdamW
    steps: AtLeast1  # of the optimizer
    cache: Place | None = None  # folder of a node for shards of a bucket; null: the user's cache
    weights: Place | None = None  # folder of a model to start from; null: random weights
    parallel: Parallel = field(default_factory=Parallel)
    hardware: Hardware | None = None  # for MFU and the plan
    sft: Sft | None = None  # conversations instead of shards
    dpo: Dpo | None = None  # pairs of responses instead of shards
    lora: Lora | None = None  # adapters beside the weights of `weights`, which stay
    branch: Place | None = None  # a checkpoint of another output to start from, with its optimizer and place in the data
    spike: Positive = 3.0  # a loss this many nats above the median of the last 50 stops the run, as one that is not finite does
    on_spike: Literal["stop", "skip"] = "stop"  # skip: leave that batch out and go on, up to 10 times in 50 steps
    skip: tuple[tuple[AtLeast1, AtLeast1], ...] = ()  # [first, last] steps whose batches are read and not learned from
    checkpoint_every: AtLeast1 = 1000  # steps
    keep_checkpoints: Length = 2  # number of newest checkpoints to keep
    milestone_every: AtLeast0 = 0  # steps from one checkpoint that stays for good to the next; 0: none does
    asynchronous_checkpoints: bool = False  # written by a thread during training; needs a copy of the state in main memory
    log_every: AtLeast1 = 10  # steps from one line for people, and one tally of losses, to the next
    norms_every: AtLeast0 = (
        0  # steps from one norm of weights and of their change to the next; needs a copy of the weights; 0: none
    )
    profile: tuple[AtLeast1, AtLeast1] | None = None  # [first, last] steps of which torch.profiler writes a trace
    track: tuple[
        Literal["wandb", "mlflow", "trackio"], ...
    ] = ()  # where metrics go, too; each one's environment says where that is
    memory_snapshot: tuple[AtLeast1, AtLeast1] | None = None  # [first, last] steps of which a GPU's allocations are written
    evaluate_every: AtLeast0 = 0  # steps from one held-out loss to the next; 0: before the first step and after the last
    tasks: Tasks | None = None  # benchmark tasks that checkpoints are scored on, beside the training
    seed: Seed = 0  # of weights, order, FIM and dropout
    threads: Cores = 2  # on a CPU: sums depend on the number of threads; a fixed number gives all machines equal losses
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto, cpu or cuda

    def __post_init__(self) -> None:
        """Refuse a warm-up longer than the run, and sequences longer than the model's positions."""
        if self.optimizer.warmup_steps >= self.steps:
            raise ValueError(
                f"optimizer.warmup_steps={self.optimizer.warmup_steps} must be below steps={self.steps}, or the learning rate only "
                f"climbs; set optimizer.warmup_steps={self.steps // 10}"
            )
        falls = self.optimizer.decay_steps or 0
        if falls > self.steps - self.optimizer.warmup_steps:
            raise ValueError(
                f"optimizer.decay_steps={falls} and optimizer.warmup_steps={self.optimizer.warmup_steps} are above steps={self.steps}"
            )
        traced = {name: span for name in ("profile", "memory_snapshot") if (span := getattr(self, name))}
        for name, spans in (("skip", self.skip), *((name, (span,)) for name, span in traced.items())):
            for first, last in spans:
                if last < first:
                    raise ValueError(f"{name}=[{first}, {last}]: give the first step and the last one")
        if self.tasks is not None and self.tasks.every % self.checkpoint_every:
            raise ValueError(
                f"tasks.every={self.tasks.every} is no multiple of checkpoint_every={self.checkpoint_every}; make it one"
            )
        if self.milestone_every % self.checkpoint_every:
            raise ValueError(
                f"milestone_every={self.milestone_every} is no multiple of checkpoint_every={self.checkpoint_every}; make it one"
            )
        if self.branch is not None and self.weights is not None:
            raise ValueError(
                f"branch={self.branch} starts from a checkpoint and its optimizer, `weights` from a model; give one of them"
            )
        if self.data.sequence_length > self.model.max_positions:
            raise ValueError(
                f"data.sequence_length={self.data.sequence_length} is above model.max_positions={self.model.max_positions}"
            )
        refuse_misfits(self)
        if self.model.is_encoder:
            plain = {
                "data.fim.rate": self.data.fim.rate,
                "data.fim.kinds": self.data.fim.kinds,
                "parallel.tensor": self.parallel.tensor - 1,
            }
            plain |= {"data.held_out_infills": self.data.held_out_infills, "tasks": self.tasks}
            plain |= {"data.mask_documents": self.data.mask_documents, "optimizer.z_loss": self.optimizer.z_loss}
            plain |= {"optimizer.base_width": self.optimizer.base_width}
            if set_ := [name for name, value in plain.items() if value]:
                raise ValueError(f"{set_[0]}: an encoder's training has none; leave it out, or set data.fim.rate=0")
            if self.data.sequence_length < SHORTEST_PAIR:
                raise ValueError(
                    f"data.sequence_length={self.data.sequence_length}: a pair needs {SHORTEST_PAIR} tokens at least"
                )
        if self.parallel.sequence and self.data.sequence_length % self.parallel.tensor:
            raise ValueError(
                f"parallel.sequence: parallel.tensor={self.parallel.tensor} does not divide data.sequence_length="
                f"{self.data.sequence_length}"
            )

    def is_evaluated(self, step: int) -> bool:
        """Say whether the held-out loss is taken after this step."""
        return step in (0, self.steps) or (self.evaluate_every > 0 and step % self.evaluate_every == 0)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one optimizer step, after the ramp."""
        return self.data.sequence_length * self.data.batch

    def tokens(self, steps: int) -> int:
        """Return the tokens of the first `steps` steps."""
        return ramp.tokens(self.data.stages(), steps, self.data.sequence_length)

    def accumulation(self, data_ranks: int, step: int | None = None) -> int:
        """Return how many micro-batches each of `data_ranks` takes in a step; null: after the ramp.

        Raises UsageError if the batch of some step does not divide evenly.
        """
        for stage in self.data.stages():
            if stage.batch % (data_ranks * self.data.micro_batch):
                named = "data.batch" if stage.batch == self.data.batch else "data.ramp: a batch"
                raise UsageError(
                    f"{named}={stage.batch} is no multiple of data.micro_batch={self.data.micro_batch} times {data_ranks} data "
                    "ranks; change one of them"
                )
        batch = self.data.batch if step is None else ramp.stage(self.data.stages(), step).batch
        return batch // (data_ranks * self.data.micro_batch)

    def falling(self, step: int) -> str:
        """Return a digest of what the learning rate up to this step depends on beside `learned`; "" before it falls."""
        falls = self.optimizer.decay_steps
        if falls is None or step <= self.steps - falls:
            return ""
        return recipe.digest(self.steps, self.optimizer.decay, falls, self.optimizer.min_lr)

    def is_skipped(self, step: int) -> bool:
        """Say whether `skip` names this step."""
        return any(first <= step <= last for first, last in self.skip)

    def identity(self) -> str:
        """Return the digest of `learned`."""
        return recipe.digest(self.learned())

    def learned(self) -> dict[str, Any]:
        """Return the fields that change the trained weights, without folders and the layout over ranks."""
        values: dict[str, Any] = json.loads(recipe.canonical(self))
        for name in ADDED:  # runs began before there were these
            if values["model"][name] == getattr(Model, name):
                del values["model"][name]
        for name in ("ramp", "phases"):
            if not values["data"][name]:
                del values["data"][name]
        for name, default in ADDED_RATES.items():
            if values["optimizer"][name] == default:
                del values["optimizer"][name]
        for name in ("sft", "dpo", "lora"):  # runs began before there were these
            if values[name] is None:
                del values[name]
        for key in UNLEARNED:
            section, _, name = key.rpartition(".")
            del (values[section] if section else values)[name]
        if self.data.fim.rate or self.data.fim.kinds:
            values["data"]["fim"]["drawn"] = "units"  # runs of before drew repositories: their order is another
        rate = values["optimizer"]
        if rate["decay_steps"] is not None:  # the rest is `falling`
            del values["steps"], rate["decay"], rate["min_lr"]
            rate["decay_steps"] = True
        elif rate["decay"] == "cosine":  # runs began before there was another one
            del rate["decay"], rate["decay_steps"]
        return values


def load(path: str, overrides: list[str], workspace: str | None = None, output: str | None = None) -> TrainRecipe:
    """Read a training recipe: `overrides` are the command's --set; `workspace` and `output` replace the recipe's.

    `model` is a mapping of ModelConfig's fields, the name of one of model/presets.py, or such a name with fields that replace the
    preset's: `{preset: starcoder2-3b, rope_theta: 1.0e+6}`; without it the model is that of `weights`. A folder
    that a training wrote stands for the recipe that it keeps, and for its output. Raises RecipeError.
    """
    return recipe.build(TrainRecipe, values(path, overrides, workspace, output), where=path)


def values(path: str, overrides: list[str], workspace: str | None = None, output: str | None = None) -> dict[str, Any]:
    """Return the values that `load` builds a recipe from, with its preset written out."""
    kept = Path(path) / "recipe.yaml"
    if kept.is_file():
        path, output = str(kept), output or path
    places = {name: place for name, place in (("workspace", workspace), ("output", output)) if place}
    found = recipe.read(path)
    if isinstance(found.get("model"), str):  # a section, so that --set can replace fields of it
        found["model"] = {"preset": found["model"]}
    found = recipe.override(found, overrides) | places
    if found.get("model") is None and isinstance(found.get("weights"), str):
        found["model"] = vars(folders.shape(found["weights"]))
    return {**found, "model": with_preset(found["model"], path)} if "model" in found else found


def with_preset(section: Any, where: str = "recipe") -> Any:
    """Return a section `model` with its preset's fields written out; one that names no preset is returned as it is.

    >>> with_preset({"preset": "starcoder2-3b", "max_positions": 4096})["max_positions"]
    4096

    Raises RecipeError for an unknown preset.
    """
    changes = {"preset": section} if isinstance(section, str) else section
    if not isinstance(changes, dict) or "preset" not in changes:
        return section
    name = changes["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        raise recipe.RecipeError(f"{where}: model.preset={name!s:.200}: no such preset; give one of {', '.join(PRESETS)}")
    return {**vars(PRESETS[name]), **{key: value for key, value in changes.items() if key != "preset"}}
