"""`starmill plan`: the cost of a training recipe before it runs: parameters, FLOPs, memory of each layout, GPU-hours and energy.

FLOPs of the model, recomputation not counted: 6 per parameter and token (Kaplan et al. 2020, section 2.1), and for attention 12 per layer,
hidden element and key that a query sees. As in the papers, the 6 counts every parameter, also the position table and, with an untied
head, the token table, which multiply nothing (0.3 % of StarCoderBase, 1.9 % of StarCoder2-15B). Activations are those of uncompiled
blocks, counted as in Korthikanti et al. 2022, section 4.1, without the attention matrix, which fused kernels never store. The plan
takes the utilization of the devices from `hardware.mfu`.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from starmill.core.shards import ShardError
from starmill.model.config import ModelConfig, parameter_count, parameter_shapes
from starmill.model.encoder.tokens import TOKENS
from starmill.trainer.config import AdamW, Hardware, TrainRecipe
from starmill.trainer.data.inputs import Inputs, open_inputs


def flops_per_token(config: ModelConfig, sequence_length: int) -> float:
    """Return the FLOPs of training on one token, forwards and backwards: a decoder sees what is before, in its window, an encoder all."""
    windows = [min(window or sequence_length, sequence_length) for window in config.windows]
    keys = sum(
        window - window**2 / (2 * sequence_length) for window in windows
    )  # of all layers; half the sequence without a window
    keys = config.layers * sequence_length if config.is_encoder else keys
    return 6 * parameter_count(config) + 12 * config.hidden_size * keys


@dataclass(frozen=True)
class Cost:
    """The cost of a whole run: device hours, days on all devices, kWh with the building's overhead (PUE), kg of CO2.

    >>> round(cost(1e21, Hardware(peak_tflops=312, devices=8, mfu=0.5, watts=400)).days, 2)
    9.27
    """

    hours: float
    days: float
    kwh: float
    kg_co2: float


def cost(flops: float, hardware: Hardware) -> Cost:
    """Return what `flops` cost on that hardware."""
    hours = flops / (hardware.peak_tflops * 1e12 * hardware.mfu) / 3600
    kwh = hours * hardware.watts / 1000 * hardware.pue
    return Cost(hours, hours / hardware.devices / 24, kwh, kwh * hardware.kg_co2_per_kwh)


@dataclass(frozen=True)
class Memory:
    """Bytes on one rank: weights, gradients, moments, averages in float32; gathered weights at the run's precision; activations; logits."""

    state: float
    gathered: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """Bytes of all four."""
        return self.state + self.gathered + self.activations + self.logits


def memory(config: ModelConfig, options: TrainRecipe, data_ranks: int, tensor_ranks: int) -> Memory:
    """Return what one of data_ranks * tensor_ranks ranks needs, micro-batch and recomputation as in the recipe."""
    width = 2 if options.parallel.precision_on("cuda") == "bfloat16" else 4
    everything = parameter_count(config)
    embeddings = config.vocab_size * config.hidden_size * (1 if config.tie_embeddings else 2)
    block = (everything - embeddings) / config.layers
    # FSDP prefetches one block, and keeps embedding and head; a single data rank has only its copy at `width` bytes per element.
    gathered = 2 * block + embeddings if data_ranks > 1 else everything * (width == 2)
    sharers = data_ranks // options.parallel.replicas
    whole = 4 * everything / tensor_ranks  # gradients, where a step reduces them over the ranks once
    once = options.parallel.reduce_once and options.data.batch > data_ranks * options.data.micro_batch
    tokens = options.data.sequence_length * options.data.micro_batch
    between = tensor_ranks if options.parallel.sequence else 1  # ranks that share norms, dropout and residuals
    # Bytes per token and hidden element. Norms keep their inputs in float32, which FSDP's residual stream is not, and dropout its mask.
    shared = (8 + 2 * (config.dropout > 0)) / between
    read = 2 * width  # the inputs of queries, keys, values and the MLP are gathered
    inside = (2 + (4 if config.gated else 2) * config.mlp_size / config.hidden_size) * width / tensor_ranks
    keys = 2 * width * config.kv_heads / config.heads / min(config.kv_heads, tensor_ranks)
    layer = tokens * config.hidden_size * (shared + read + inside + keys)
    kept = tokens * config.hidden_size * (4 if data_ranks == 1 else width) / between
    # The rows of logits that are held at a time, and the head's gradient; tensor ranks hold all rows (model/kernels/loss.py).
    rows, summed = (tokens, 0) if tensor_ranks > 1 else (min(tokens, 4096), 4 * config.vocab_size * config.hidden_size)
    return Memory(
        state=_state(config, options.optimizer) / (sharers * tensor_ranks) + whole * (data_ranks > 1 and once),
        gathered=gathered * width / tensor_ranks,
        activations=config.layers * kept + layer if options.parallel.recompute else config.layers * layer,
        logits=rows * config.vocab_size * (8 + width) + summed,  # as computed, in float32, and their gradient
    )


def _state(config: ModelConfig, options: AdamW) -> float:
    """Return the bytes of all weights, gradients, moments and averages: float32, and of Muon's matrices one moment, not two."""
    shapes = parameter_shapes(config)
    matrices = sum(math.prod(shape) for name, shape in shapes.items() if len(shape) > 1 and name.startswith("blocks."))
    everything = sum(math.prod(shape) for shape in shapes.values())
    return (20 if options.average else 16) * everything - 4 * matrices * (options.muon is not None)


def layouts(config: ModelConfig, options: TrainRecipe, devices: int) -> list[tuple[int, int, Memory]]:
    """Return (data ranks, tensor ranks, memory) for every way to share the recipe out over `devices`."""
    found = []
    for tensor_ranks in range(1, devices + 1):
        fits = config.kv_heads == 1 or config.kv_heads % tensor_ranks == 0
        fits = fits and not (options.parallel.sequence and options.data.sequence_length % tensor_ranks)
        if devices % tensor_ranks or config.heads % tensor_ranks or config.mlp_size % tensor_ranks or not fits:
            continue
        data_ranks = devices // tensor_ranks
        fits = data_ranks % options.parallel.replicas == 0
        if fits and all(stage.batch % (data_ranks * options.data.micro_batch) == 0 for stage in options.data.stages()):
            found.append((data_ranks, tensor_ranks, memory(config, options, data_ranks, tensor_ranks)))
    return found


def lines(options: TrainRecipe, config: ModelConfig) -> list[str]:
    """Return the plan of a recipe for people."""
    tokens, per_token = options.tokens(options.steps), flops_per_token(config, options.data.sequence_length)
    shown = [
        f"model      {parameter_count(config):,} parameters, vocabulary {config.vocab_size:,}",
        f"steps      {options.steps:,} of {_up_to(options)}{options.tokens_per_step:,} tokens = {tokens:,} tokens",
        f"compute    {tokens * per_token:.3e} FLOPs, {per_token:.3e} per token",
    ]
    hardware = options.hardware
    if hardware is not None:
        spent = cost(tokens * per_token, hardware)
        shown += [
            f"time       {spent.hours:,.0f} device-hours at {hardware.mfu:.1%} of {hardware.peak_tflops:,.0f} TFLOP/s: "
            f"{spent.days:,.1f} days on {hardware.devices:,} devices",
            f"energy     {spent.kwh:,.0f} kWh at {hardware.watts:,.0f} W and a PUE of {hardware.pue}"
            + (f", {spent.kg_co2:,.0f} kg CO2" if spent.kg_co2 else ""),
        ]
    devices = hardware.devices if hardware is not None else 1
    shown.append(f"memory     GB per rank on {devices:,} devices, micro-batches of {options.data.micro_batch}:")
    shown.append("           data x tensor    state  gathered  activations  logits    total")
    found = layouts(config, options, devices)
    for data_ranks, tensor_ranks, need in found:
        sizes = [need.state, need.gathered, need.activations, need.logits, need.total]
        fields = "".join(f"{size / 1e9:{width}.2f}" for size, width in zip(sizes, (9, 10, 13, 8, 9), strict=True))
        over = hardware is not None and need.total > hardware.memory_gb * 1e9
        chosen = "  <- this recipe" if tensor_ranks == options.parallel.tensor else ""
        shown.append(f"           {data_ranks:4} x {tensor_ranks:<6}{fields}{'  too large' if over else ''}{chosen}")
    if options.parallel.tensor not in [tensor_ranks for _, tensor_ranks, _ in found]:
        shown.append(
            f"           this recipe does not divide evenly: parallel.tensor={options.parallel.tensor}, data.batch={options.data.batch}"
        )
    return shown


def _up_to(options: TrainRecipe) -> str:
    return f"{options.data.stages()[0].batch * options.data.sequence_length:,} to " if options.data.ramp else ""


def data_lines(options: TrainRecipe, found: Inputs) -> list[str]:
    """Return, for people, the size of the shards in units and tokens, and the epochs of the run."""
    units, epoch = found.train.units, found.train.epoch_tokens()
    epochs = options.tokens(options.steps) / max(1.0, epoch)
    shown = [
        f"data       {len(units):,} units, {units.tokens:,} tokens; an epoch takes {epoch:,.0f} of them: {epochs:.2f} epochs; "
        f"held out: {len(found.held_out.units):,} units"
    ]
    for number, phase in enumerate(options.data.phases, 1):
        shown.append(f"           from step {phase.from_step:,}: an epoch takes {found.train.epoch_tokens(number):,.0f} tokens")
    shown += found.told
    kinds = found.train.epoch_kinds()
    shown += ["           kind                  tokens          epoch   share of it"] if len(kinds) > 1 else []
    for kind, tokens in found.train.units.sizes("kind").items() if len(kinds) > 1 else ():
        shown.append(f"           {kind:<16}{tokens:12,}{kinds[kind]:15,.0f}{kinds[kind] / max(1.0, epoch):14.2%}")
    mixtures = [options.data.mixture, *(phase.mixture for phase in options.data.phases)]
    for column, named in (
        ("kind", {*options.data.fim.kinds}.union(*(mixture.kinds for mixture in mixtures))),
        ("language", set().union(*({**mixture.languages, **mixture.caps} for mixture in mixtures))),
    ):
        missing = sorted(named - set(units.sizes(column)))
        if missing:
            shown.append(f"           not in these shards: {column} {', '.join(missing)}")
    return shown


def look(options: TrainRecipe) -> tuple[ModelConfig, Inputs | None]:
    """Return the model of a recipe, and its shards where there are any. Raises ShardError if the model's size depends on them."""
    try:
        found = open_inputs(options)
    except (ShardError, FileNotFoundError):
        if options.model.vocab_size is None:
            raise
        return options.model.config(options.model.vocab_size - len(TOKENS) * options.model.is_encoder), None
    return found.config, found


def data(options: TrainRecipe, config: ModelConfig, found: Inputs | None = None) -> dict[str, Any]:
    """Return the plan of a recipe as plain data, for JSON. `layouts`: bytes per rank."""
    tokens, per_token = options.tokens(options.steps), flops_per_token(config, options.data.sequence_length)
    hardware = options.hardware
    found_layouts = layouts(config, options, hardware.devices if hardware is not None else 1)
    return {
        "parameters": parameter_count(config),
        "vocabulary": config.vocab_size,
        "steps": options.steps,
        "tokens_per_step": options.tokens_per_step,
        "tokens": tokens,
        "flops": tokens * per_token,
        "flops_per_token": per_token,
        "cost": None if hardware is None else asdict(cost(tokens * per_token, hardware)),
        "layouts": [
            {"data": ranks, "tensor": tensor, "this": tensor == options.parallel.tensor, **asdict(need), "total": need.total}
            for ranks, tensor, need in found_layouts
        ],
        "units": None if found is None else len(found.train.units),
        "shard_tokens": None if found is None else found.train.units.tokens,
        "epoch_tokens": None if found is None else found.train.epoch_tokens(),
        "kinds": None if found is None else _kinds(found),
        "held_out_units": None if found is None else len(found.held_out.units),
    }


def _kinds(found: Inputs) -> dict[str, dict[str, float]]:
    epoch = found.train.epoch_kinds()
    return {kind: {"tokens": n, "epoch_tokens": epoch[kind]} for kind, n in found.train.units.sizes("kind").items()}
