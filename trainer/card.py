"""The model card: every figure in it is read from the recipe, the manifests of the data, or the metrics of the run.

Sections after Mitchell et al. 2019, as the Hub shows them; the front matter is the Hub's own.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch

from starmill.core.dataset import Workspace
from starmill.core.document import CODE
from starmill.model.config import SLIDING, ModelConfig, parameter_count
from starmill.model.exchange.families import family
from starmill.trainer import plan
from starmill.trainer.config import FimRates, TrainRecipe
from starmill.trainer.data import masking
from starmill.trainer.data.inputs import Inputs
from starmill.trainer.sft.corpus import Conversations
from starmill.trainer.sft.options import Sft

OPENRAIL = "bigcode-openrail-m"
AGREEMENT = "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement"
NOTICE = f"""This model is made available under the BigCode OpenRAIL-M license, version 1.

The agreement: {AGREEMENT}

Its Attachment A restricts what the model and its derivatives may be used for. Whoever passes on the model, a derivative of it,
or access to either must pass on those restrictions and a copy of the agreement.
"""
LIMITS = """## Limits
A completion may be wrong, insecure, or no program at all: review and test it as you would a stranger's. The model may repeat code
of its training data word for word; that code stays under its own licence, which may ask for attribution."""
SHARDS = " The side tables of the\nshards lead from every token to the file it came from."


def write(options: TrainRecipe, found: Inputs, step: int, dtype: torch.dtype, license: str, average: bool = False) -> str:
    """Return README.md for the weights after `step` steps, or for their moving average."""
    name = Path(options.output).name
    tuned = options.sft or options.dpo
    task = "fill-mask" if found.config.is_encoder else "text-generation"
    tags = "".join(f"- {tag}\n" for tag in ("code", *(tag for tag in ("sft", "dpo", "lora") if getattr(options, tag))))
    front = f"---\nlicense: {license}\nlibrary_name: transformers\npipeline_tag: {task}\ntags:\n{tags}---\n"
    parts = [
        front + f"# {name}\n\n{_summary(found.config, options, step)}\n",
        _asked(found.files) if tuned and found.files else _use(options),
        _training(options, found, step, dtype, average),
        _talks(options, found) if tuned else _data(options, found),
        _loss(options, step),
        LIMITS + ("" if tuned else SHARDS) + "\n",
        _licence(license),
    ]
    return "\n".join(part for part in parts if part)


def _summary(config: ModelConfig, options: TrainRecipe, step: int) -> str:
    start = f", from the weights of `{_base(options.weights)}`" if options.weights else ""
    of = "conversations" if options.sft else "preferences" if options.dpo else "source code"
    done = "" if step == options.steps else f" of {options.steps:,} planned"
    return (
        f"{'An encoder' if config.is_encoder else 'A decoder'} of the {family(config).title} kind with "
        f"{parameter_count(config):,} parameters, trained on {of} for "
        f"{step:,} steps{done}, "
        f"{options.tokens(step):,} tokens{start}."
    )


def _base(weights: str) -> str:
    """Return the name of a model's folder: a training writes `NAME/model`."""
    place = Path(weights).absolute()
    return place.parent.name if place.name == "model" else place.name


def _asked(files: Mapping[str, bytes]) -> str:
    template = files["chat_template.jinja"].decode("utf-8", "replace")
    fence = "`" * (3 + max(map(len, re.findall("`{3,}", template)), default=0))
    return (
        "## Use\nIt answers what its chat template asks, which the tokenizer has: `tokenizer.apply_chat_template(messages, "
        f"add_generation_prompt=True)`.\n\n{fence}jinja\n{template}\n{fence}\n"
    )


def _use(options: TrainRecipe) -> str:
    if options.model.is_encoder:
        return (
            "## Use\nIts states are for a head of one's own: fine-tune it, as StarPII is, which finds personal data. Put `<cls>` before "
            "a text and `<sep>` behind it, as the tokenizer does; `<mask>` stands for a token to guess.\n"
        )
    lines = ["## Use", "It continues code; it was not taught to follow instructions. Begin a file with `<file_sep>`."]
    if any(rates.rate for rates in (options.data.fim, *options.data.fim.kinds.values())):
        lines.append("To fill in the middle: `<fim_prefix>` code before `<fim_suffix>` code after `<fim_middle>`.")
    return "\n".join(lines) + "\n"


def _training(options: TrainRecipe, found: Inputs, step: int, dtype: torch.dtype, average: bool) -> str:
    config, optimizer, fim = found.config, options.optimizer, options.data.fim
    muon, packed = optimizer.muon, Sft() if options.dpo else options.sft
    clipped = f"clipped at {optimizer.clip:g}" if optimizer.clip else "not clipped"
    flops = options.tokens(step) * plan.flops_per_token(config, options.data.sequence_length)
    rows = {
        "layers, hidden size, heads, key heads": f"{config.layers}, {config.hidden_size:,}, {config.heads}, {config.kv_heads}",
        "positions": f"learned, {config.max_positions:,}"
        if config.has_position_table
        else f"RoPE, theta {config.rope_theta:g}",
        "sequence, sliding window": f"{options.data.sequence_length:,}, {config.sliding_window or 'none'}"
        + (f" in {config.layer_types.count(SLIDING)} of {config.layers} layers" if config.layer_types else ""),
        "vocabulary": f"{config.vocab_size:,}",
        "tokens per step": ", then ".join(f"{stage.batch * options.data.sequence_length:,}" for stage in options.data.stages()),
        "learning rate": _rate(options),
        "AdamW": f"betas {optimizer.beta1:g} and {optimizer.beta2:g}, epsilon {optimizer.epsilon:g}, "
        f"weight decay {optimizer.weight_decay:g}, gradients {clipped}",
        **(
            {}
            if muon is None
            else {"Muon, for the matrices of blocks": f"momentum {muon.momentum:g}, {muon.iterations} iterations"}
        ),
        **({"moving average of the weights": f"decay {optimizer.average:g}; it is what is here"} if average else {}),
        **_tuned(options),
        **(
            _pairs()
            if config.is_encoder
            else {}
            if options.sft or options.dpo
            else {f"fill in the middle, {k}": _infilled(r) for k, r in {CODE: fim, **fim.kinds}.items()}
        ),
        "attention across documents": "no" if options.data.mask_documents or (packed and not packed.packing) else "yes",
        "compute": f"{flops:.3e} FLOPs",
        "type of these weights": str(dtype).removeprefix("torch."),
    }
    if options.hardware is not None:
        spent = plan.cost(flops, options.hardware)
        planned = f"{spent.hours:,.0f} device-hours, {spent.kwh:,.0f} kWh" + (
            f", {spent.kg_co2:,.0f} kg CO2" if spent.kg_co2 else ""
        )
        rows["estimated cost"] = f"{planned} at an MFU of {options.hardware.mfu:.1%}"
    table = "".join(f"| {key} | {value} |\n" for key, value in rows.items())
    return f"## Training\n| | |\n|---|---|\n{table}"


def _tuned(options: TrainRecipe) -> dict[str, str]:
    """Return what fine-tuning learns from, and the adapters that learn."""
    rows, lora, dpo = {}, options.lora, options.dpo
    if options.sft is not None:
        rows["loss"] = "of responses alone" + (", whole conversations packed into windows" if options.sft.packing else "")
    if dpo is not None:
        smoothed = f", label smoothing {dpo.label_smoothing:g}" if dpo.label_smoothing else ""
        rows["loss"] = f"DPO of pairs of responses, beta {dpo.beta:g}{smoothed}; the reference is the model of the beginning"
    if lora is not None:
        rows["LoRA, merged into these weights"] = f"rank {lora.rank}, alpha {lora.alpha:g}, of {', '.join(lora.targets)}"
    return rows


def _rate(options: TrainRecipe) -> str:
    rate = options.optimizer
    begins = f"{rate.lr:g} after {rate.warmup_steps:,} steps of warm-up"
    if rate.decay_steps == 0:
        return begins
    last = "" if rate.decay_steps is None else f" over the last {rate.decay_steps:,} steps"
    return f"{begins}, {rate.decay} to {rate.min_lr:g}{last}"


def _pairs() -> dict[str, str]:
    return {
        "masked tokens": f"{masking.RATE:g} of the text; of those {masking.MASKED:g} masked, {masking.OTHER:g} another token",
        "next-sentence prediction": f"{masking.RANDOM:g} of the pairs have a second half of another unit",
    }


def _infilled(rates: FimRates) -> str:
    whole = "files" if rates.file_rate is None else f"documents, {rates.file_rate:g} of their files"
    return f"{rates.rate:g} of {whole}, {rates.spm_rate:g} of those as SPM"


def _data(options: TrainRecipe, found: Inputs) -> str:
    workspace, lines = Workspace(options.workspace), ["## Data"]
    for stage in workspace.last_run().stages:
        manifest = workspace.manifest(stage.dataset)
        if manifest is not None:
            counts = [c for p in manifest.parts for c in p.counts]
            gone: Counter[str] = Counter()
            for count in counts:
                if count.reason:
                    gone[count.reason] += count.files
            dropped = ", ".join(f"{n:,} {reason}" for reason, n in sorted(gone.items(), key=lambda item: (-item[1], item[0])))
            files, size = (sum(getattr(c, key) for c in counts if not c.reason) for key in ("files", "bytes"))
            lines.append(f"- {stage.name}: {files:,} files kept, {size:,} bytes" + (f"; dropped {dropped}" if dropped else ""))
    lines += [f"\nDigest of the shards: `{found.digest}`.", "", "| language | tokens |", "|---|---|"]
    lines += [f"| {name} | {tokens:,} |" for name, tokens in found.train.units.sizes("language").items()]
    return "\n".join(lines) + "\n"


def _talks(options: TrainRecipe, found: Inputs) -> str:
    assert isinstance(found.train, Conversations) and isinstance(found.held_out, Conversations)
    each, what = (2, "pairs of responses") if options.dpo else (1, "conversations")
    units, held = found.train.units, found.held_out.units
    lines = [
        f"## Data\n{len(units) // each:,} {what} of {units.tokens:,} tokens, {int(units.answers.sum()):,} of them learned; "
        f"{len(held) // each:,} held out. Digest of the files, tokenizer and template: `{found.digest}`.",
        *([f"Left out: {', '.join(found.told)}."] if found.told else []),
        f"\nWhat `{_base(options.weights or '')}` was trained on before, its own card says.",
    ]
    return "\n".join(lines) + "\n"


def _loss(options: TrainRecipe, step: int) -> str:
    """The last held-out loss up to `step`; a line that a kill cut off is none."""
    path, last = Path(options.output) / "metrics.jsonl", None
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if "held_out_loss" in values and values["step"] <= step:
            last = values
    if last is None:
        return ""
    of = "masked token" if options.model.is_encoder else "token"
    of += " on repositories that were never trained on, without infilling"
    if options.sft or options.dpo:
        of = "pair" if options.dpo else "token of responses"
        of += f" on {'prompts' if options.dpo else 'conversations'} that were never trained on"
    rows = "".join(f"| {name} | {loss:.4f} |\n" for name, loss in last["held_out_loss_by_language"].items())
    return (
        f"## Held-out loss\nNats per {of}, after {last['step']:,} steps.\n\n"
        f"| | |\n|---|---|\n| all | {last['held_out_loss']:.4f} |\n{rows}"
    )


def _licence(license: str) -> str:
    if license != OPENRAIL:
        return f"## Licence\n`{license}`\n"
    return (
        f"## Licence\nBigCode OpenRAIL-M, version 1: [the agreement]({AGREEMENT}) with its restrictions of use; see NOTICE.\n"
    )
