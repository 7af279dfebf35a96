"""The training loop: the same on one process and on many; what differs between ranks is in parallel.py."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from starmill.core import seeds
from starmill.core.errors import UsageError
from starmill.core.process import handling
from starmill.core.terminal import say
from starmill.core.tokenizer import difference
from starmill.model import adapters
from starmill.model.config import ModelConfig
from starmill.model.encoder.tokens import files_of
from starmill.model.exchange import folders, huggingface
from starmill.trainer import checkpoint, parallel, plan, provenance
from starmill.trainer.allocator import keep_freed
from starmill.trainer.benchmarks import Scoring
from starmill.trainer.checkpoint import CheckpointError, Checkpoints, Meta
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.corpus import Corpus, Position, prefetched
from starmill.trainer.data.infill import infills
from starmill.trainer.data.inputs import Inputs, open_inputs
from starmill.trainer.export import CheckpointWeights
from starmill.trainer.metrics import Metrics
from starmill.trainer.optim import Optimizer, learning_rate, scale_initial
from starmill.trainer.parallel import Ranks
from starmill.trainer.profiler import MemorySnapshot, Profiler
from starmill.trainer.sft import preferences
from starmill.trainer.step import Run, TrainingStopped

SAME = 1.0  # seconds in which a second signal is the first one, passed on


def train(options: TrainRecipe, fresh: bool = False) -> int:
    """Train, or continue, to the end; return the exit status: 0, or 128 + the number of the signal that stopped it.

    Raises TrainingStopped for a loss that is not finite or far above those before, CheckpointError for a checkpoint of another run.
    """
    torch.set_num_threads(options.threads)
    signals: list[int] = []
    noted = handling(partial(_note, signals, []), (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))
    layout = options.parallel
    with parallel.joined(options.device, layout.tensor, layout.timeout_s, layout.replicas) as ranks, noted:
        if ranks.device.type == "cpu":
            keep_freed()
        with checkpoint.alone(Path(options.output), ranks):
            return _train(options, ranks, signals, fresh)


def _note(signals: list[int], times: list[float], number: int, frame: FrameType | None) -> None:
    """Note a signal to save and stop; another Ctrl-C ends the run at once, unless it is the same one, passed on by torchrun."""
    times.append(time.monotonic())
    if number == signal.SIGINT and times[-1] - times[0] > SAME:
        raise KeyboardInterrupt
    if not signals and os.environ.get("RANK", "0") == "0":
        told = "stopping: saves after this step" + ("; Ctrl-C again ends at once" if number == signal.SIGINT else "")
        threading.Thread(
            target=say, args=(told,), kwargs={"to": sys.stderr}
        ).start()  # the signal may have come in the middle of a line
    signals.append(number)


def _train(options: TrainRecipe, ranks: Ranks, signals: list[int], fresh: bool) -> int:
    options.accumulation(ranks.data_ranks)  # refused now, not after minutes of reading weights
    ranks.doing("opening the data")
    found, output, identity = open_inputs(options), Path(options.output), options.identity()
    checkpoints = Checkpoints(
        output / "checkpoints", ranks, options.keep_checkpoints, options.asynchronous_checkpoints, options.milestone_every
    )
    if fresh:
        checkpoints.clear()
    before = checkpoints.newest()
    if before is None and options.branch is not None:
        before = Path(options.branch), checkpoint.named(Path(options.branch))
    if options.weights is not None and before is None:
        _refuse_other_tokenizer(options, found)
    if before is not None:
        _refuse_other_run(options, found, *before)
    ranks.doing("building the model")
    reference, key = None, identity + found.digest
    if options.dpo is not None and before is not None:
        reference = preferences.kept(found, output, key, ranks)
    # A run that goes on needs the first weights only where it has lost what its preferences refer to.
    first = _first_weights(options, found.config, before is not None and (options.dpo is None or reference is not None))
    decoder = parallel.build(found.config, options.parallel, ranks, first, partial(_prepare, options))
    optimizer = Optimizer(decoder, options.optimizer)
    run = Run(options, ranks, found.train, decoder, optimizer)
    if options.dpo is not None:
        decoder.eval()
        ranks.doing("the reference of the preferences")
        reference = reference or preferences.computed(found, output, key, ranks, run.target_losses)
        parallel.reshard(decoder)
        found = preferences.beside(found, reference)
        run.corpus = found.train
    step = 0
    positions: tuple[Position, ...] = ()
    if before is not None:
        path, meta = before
        ranks.doing("reading a checkpoint")
        checkpoint.load(path, checkpoint.state(decoder, optimizer, meta.step - len(meta.skipped)), ranks)
        step, positions, run.losses, run.skipped = meta.step, meta.positions, meta.losses, meta.skipped
    provenance.keep(options, found, ranks, step)
    found.fetch_ahead(
        positions, (options.tokens(options.steps) - options.tokens(step)) // options.data.batch, ranks.data, ranks.data_ranks
    )
    asked = infills(found.held_out, options.data.held_out_infills) if isinstance(found.held_out, Corpus) else []
    with Metrics(output, step, options, found.config, ranks) as metrics, _scoring(options, step, metrics, ranks) as scoring:

        def evaluate(step: int) -> None:
            own = {name: run.evaluate(corpus) for name, corpus in found.sets.items()}
            metrics.held_out(step, run.evaluate(found.held_out), own, run.infilled(asked))

        def score(step: int, path: Path) -> None:
            if options.tasks is not None and options.tasks.after(step, options.steps):
                ranks.doing(f"the model for benchmark tasks after step {step}")
                checkpoints.finish()
                if scoring is not None:
                    weights = CheckpointWeights(path, found.config, torch.float32, lora=options.lora)
                    scoring.begin(step, lambda place: _write(found, weights, place))

        if before is not None:
            metrics.say(f"continuing after step {step} from {path}")
        if step == 0:
            for line in (*plan.lines(options, found.config), *plan.data_lines(options, found)):
                metrics.say(line)
            if found.held_out.is_empty and len(found.held_out.units):
                metrics.say("no held-out loss: data.mixture has factor 0 for every held-out document")
        if options.weights and before is None and not (Path(options.weights) / "tokenizer.json").exists():
            metrics.say(
                f"weights: {options.weights} has no tokenizer.json, so nothing says whether its tokens are those of the shards"
            )
        if step == options.steps:
            metrics.say(f"all {step} steps are done; writing the model again")
        # A kill may have come between a checkpoint and its held-out loss.
        if options.is_evaluated(step) and ranks.gathered(not metrics.has_held_out(step))[0]:
            evaluate(step)
        if before is not None:
            score(step, before[0])
        batches = prefetched(found.train.batches(positions, ranks.data, ranks.data_ranks, step), options.data.prefetch)
        profiler = Profiler(options.profile, output, ranks)
        snapshot = MemorySnapshot(options.memory_snapshot, output, ranks)
        while step < options.steps:
            step += 1
            profiler.begin(step)
            try:
                with snapshot.of(step):
                    taken = run.step(batches, step, bool(signals))
            except TrainingStopped:
                checkpoints.finish()  # the checkpoint that a thread is writing is good: publish it while all ranks are here
                raise
            profiler.end(step)
            if taken.skipped:
                metrics.skipped(step, taken.skipped)
            else:
                rate = learning_rate(step, options.steps, options.optimizer)
                metrics.step(step, rate, found.train.epochs(taken.following), taken)
            checkpoints.poll()
            if scoring is not None:
                scoring.poll()
            if step % options.checkpoint_every == 0 or step == options.steps or taken.is_last:
                positions = tuple(position for share in ranks.gathered(taken.following) for position in share)
                meta = Meta(step, positions, identity, found.digest, run.losses, run.skipped, options.falling(step))
                ranks.doing(f"the checkpoint of step {step}")
                provenance.note(output, ranks, step, positions)
                checkpoints.save(meta, checkpoint.state(decoder, optimizer, step - len(run.skipped)))
                score(step, checkpoints.place(meta))
            if taken.is_last and step < options.steps:
                checkpoints.finish()
                metrics.say(f"stopped after step {step}; run the same command to continue")
                return 128 + (signals or [signal.SIGTERM])[0]
            if options.is_evaluated(step):
                evaluate(step)
        ranks.doing("writing the model")
        batches.close()  # type: ignore[attr-defined]
        checkpoints.finish()
        finished = parallel.gathered(decoder, ranks)
        if finished is not None:
            if options.lora is not None:
                shape = adapters.Shape(options.lora.rank, options.lora.alpha / options.lora.rank)
                adapters.save(finished, found.config, shape, output / "adapter", options.weights or "")
                finished = adapters.merged(finished, shape.scale)
            _write(found, finished, output / "model")
        metrics.conclude(step)
        metrics.say(f"model: {output / 'model'}")
        if scoring is not None:
            scoring.finish(lambda: bool(signals))
    return 128 + signals[0] if scoring is not None and signals else 0


def _scoring(options: TrainRecipe, step: int, metrics: Metrics, ranks: Ranks) -> AbstractContextManager[Scoring | None]:
    if options.tasks is None or ranks.rank != 0:
        return nullcontext()
    return Scoring(options.tasks, Path(options.output), step, metrics.tasks, metrics.say)


def _write(found: Inputs, weights: Mapping[str, torch.Tensor], place: Path) -> None:
    huggingface.write(found.config, weights, place, found.beside())


def _prepare(options: TrainRecipe, decoder: Any) -> None:
    """Put a recipe's adapters into a model, if it has any."""
    if options.lora is not None:
        generator = torch.Generator().manual_seed(seeds.uint64(options.seed, "lora") >> 1)
        shape = adapters.Shape(options.lora.rank, options.lora.alpha / options.lora.rank)
        adapters.add(decoder, shape, options.lora.targets, generator)


def _refuse_other_run(options: TrainRecipe, found: Inputs, path: Path, meta: Meta) -> None:
    """Raise CheckpointError for a checkpoint that this recipe would not have come to."""
    identity, fix = options.identity(), "go back to it, use --fresh, or another --output"
    if meta.recipe != identity and (keys := provenance.changed(options)):
        fix = f"these keys differ: {'; '.join(keys)}; {fix}"
    checkpoint.check(path, meta, identity, found.digest, fix)
    if meta.step > options.steps:
        raise CheckpointError(f"{path}: is of a later step than steps={options.steps}; set a higher `steps`, or {fix}")
    if meta.falling != options.falling(meta.step):
        raise CheckpointError(
            f"{path}: its learning rate has fallen otherwise than steps={options.steps} with optimizer.decay_steps="
            f"{options.optimizer.decay_steps} says; `branch` from a checkpoint before it fell, or {fix}"
        )
    left = set(meta.skipped)
    late = next((n for first, last in options.skip for n in range(first, min(last, meta.step) + 1) if n not in left), None)
    if late is not None:
        raise CheckpointError(
            f"{path}: has learned from step {late}, which `skip` names; remove the checkpoints from that step on to go back before it"
        )


def _first_weights(options: TrainRecipe, config: ModelConfig, continues: bool) -> Callable[[Any], None]:
    """Return a function that initializes a whole model. Raises UsageError for `weights` of another shape."""
    if options.weights is None or continues:  # a checkpoint replaces them, and their folder may be gone
        generator = torch.Generator().manual_seed(seeds.uint64(options.seed, "weights") >> 1)

        def draw(model: Any) -> None:
            model.init_weights(generator)
            scale_initial(model, options.optimizer)

        return draw
    folder = options.weights
    theirs = folders.shape(folder)
    free = (
        "rope_theta",
        "rope_scaling",
        "sliding_window",
        "layer_types",
        "dropout",
        "init_std",
        *(() if config.has_position_table else ("max_positions",)),
    )
    taken = replace(theirs, **{name: getattr(config, name) for name in free})
    for name, value in vars(taken).items():
        if value != getattr(config, name):
            raise UsageError(
                f"weights: {folder} has {name}={value}, the recipe's model {getattr(config, name)}; make them equal"
            )
    return partial(huggingface.fill, folder=folder)


def _refuse_other_tokenizer(options: TrainRecipe, found: Inputs) -> None:
    """Raise UsageError for `weights` whose tokenizer is not the shards': each token would be another one's embedding."""
    ours = files_of(found.config, found.tokenizer.data)["tokenizer.json"]
    if told := difference(Path(options.weights or "") / "tokenizer.json", ours):
        raise UsageError(
            f"weights: {options.weights} was trained with another tokenizer than the shards' ({told}); mill the shards with its "
            "tokenizer.json"
        )
