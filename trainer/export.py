"""`starmill export` writes what a training publishes: weights, tokenizer, a model card from the manifests, checkpoints, notices.

Weights are read from checkpoints one block at a time, so that a machine too small to train the model can export it, also while the
training goes on. transformers loads the folder and each `checkpoints/step-N` in it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from starmill.core.errors import MachineError, UsageError
from starmill.model import adapters
from starmill.model.config import ModelConfig, parameter_shapes
from starmill.model.exchange import huggingface
from starmill.trainer import card, checkpoint
from starmill.trainer.checkpoint import CheckpointError
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.optim import AVERAGE
from starmill.trainer.parallel import Ranks
from starmill.trainer.sft.options import Lora

TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


class CheckpointWeights(Mapping[str, torch.Tensor]):
    """A checkpoint's parameters, or their `average`, cast to `dtype`; read in the decoder's order, one block of them is in memory.

    What the adapters of `lora` add is in the weights, which stayed as they were: of these there is no average.
    """

    def __init__(
        self, path: Path, config: ModelConfig, dtype: torch.dtype, average: bool = False, lora: Lora | None = None
    ) -> None:
        """Name the checkpoint; no tensor is read."""
        self._prefix, self._lora = AVERAGE if average else "model", lora
        self._shapes = parameter_shapes(config)
        self._path, self._dtype = path, dtype
        self._read: dict[str, torch.Tensor] = {}

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return one parameter. Raises CheckpointError for files that are damaged or missing."""
        if name not in self._read:
            block, lora = _block(name), self._lora
            shapes = {n: shape for n, shape in self._shapes.items() if _block(n) == block}
            keys = {("model" if lora else self._prefix, n): torch.empty(shape) for n, shape in shapes.items()}
            if lora is not None:
                for n, (outputs, inputs) in _adapted(shapes, lora):
                    keys[self._prefix, f"{n}.lora_a"] = torch.empty(lora.rank, inputs)
                    keys[self._prefix, f"{n}.lora_b"] = torch.empty(outputs, lora.rank)
            checkpoint.load(self._path, {".".join(key): tensor for key, tensor in keys.items()}, Ranks(torch.device("cpu")))
            found = {n: tensor for (_, n), tensor in keys.items()}
            found = adapters.merged(found, lora.alpha / lora.rank) if lora else found
            self._read = {n: tensor.to(self._dtype) for n, tensor in found.items()}
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._shapes)

    def __len__(self) -> int:
        """Return how many parameters there are."""
        return len(self._shapes)


def export(
    options: TrainRecipe,
    folder: Path,
    dtype: torch.dtype,
    license: str | None = None,
    every: bool = False,
    average: bool = False,
) -> list[str]:
    """Write a run's newest checkpoint to `folder`, with `every` the others too; return lines for people.

    `average` writes the moving average of its weights; `license` null is OpenRAIL-M. Raises UsageError for a recipe that keeps no
    average, and a tuned model without a licence; CheckpointError if there is no
    checkpoint, or the newest is of another recipe or other data; OSError if it cannot be written.
    """
    if average and not options.optimizer.average:
        raise UsageError("--average: the run keeps no average of its weights; train with optimizer.average, such as 0.999")
    if license is None and (options.sft or options.dpo):
        raise UsageError(
            f"--license: a tuned model keeps the terms of the model that it was, {options.weights}; give its licence"
        )
    license = license or card.OPENRAIL
    found, place = open_inputs(options), Path(options.output) / "checkpoints"
    metas = checkpoint.whole(place)
    if not metas:
        raise CheckpointError(f"{place}: no checkpoint; train first, or give the recipe and --output that you trained with")
    for path, meta in metas.items():
        checkpoint.check(
            path, meta, options.identity(), found.digest, "give the recipe, --set and --workspace that you trained with"
        )
    for path in [*metas] if every else [[*metas][-1]]:
        if bad := checkpoint.damaged(path, metas[path].files):
            raise CheckpointError(
                f"{path / bad[0]}: its sha256 is not that in meta.json; remove {path} to export the one before"
            )
    files = found.beside()
    newest = next(reversed(metas))
    text = card.write(options, found, metas[newest].step, dtype, license, average)
    notices = {"README.md": text.encode()} | ({"NOTICE": card.NOTICE.encode()} if license == card.OPENRAIL else {})
    huggingface.write(
        found.config, CheckpointWeights(newest, found.config, dtype, average, options.lora), folder, {**files, **notices}
    )
    told = [f"{folder}: step {metas[newest].step:,} of {options.steps:,}, {str(dtype).removeprefix('torch.')}, with model card"]
    for path in metas if every else ():
        there = folder / "checkpoints" / path.name
        huggingface.write(found.config, CheckpointWeights(path, found.config, dtype, average, options.lora), there, files)
        told.append(f"{there}: step {metas[path].step:,}")
    return told


def push(folder: Path, repository: str, public: bool) -> list[str]:
    """Upload an export to the Hugging Face Hub: the folder to `main`, each of its checkpoints to a branch of its name.

    The token is huggingface_hub's (HF_TOKEN, or `hf auth login`). Raises MachineError with what that library says.
    """
    try:
        from huggingface_hub import HfApi  # only --push needs it

        return _pushed(HfApi(), folder, repository, public)
    except ModuleNotFoundError as error:
        raise MachineError(f"--push needs {error.name}, which is not installed: pip install huggingface_hub") from None
    except (OSError, ValueError) as error:
        raise MachineError(f"--push {repository}: {error}") from error


def _pushed(hub: Any, folder: Path, repository: str, public: bool) -> list[str]:
    hub.create_repo(repository, private=not public, exist_ok=True)
    hub.upload_folder(folder_path=folder, repo_id=repository, ignore_patterns=["checkpoints/*", ".*"], commit_message="Model")
    told = [f"pushed to {repository}"]
    for there in sorted((folder / "checkpoints").glob("step-*")):
        hub.create_branch(repository, branch=there.name, exist_ok=True)
        hub.upload_folder(
            folder_path=there, repo_id=repository, revision=there.name, ignore_patterns=[".*"], commit_message=there.name
        )
        told.append(f"pushed to {repository}, branch {there.name}")
    return told


def _adapted(shapes: Mapping[str, tuple[int, ...]], lora: Lora) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the weight's shape of each matrix that has an adapter."""
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        if name.startswith("blocks.") and module != name and module.rpartition(".")[2] in lora.targets:
            yield module, shape


def _block(name: str) -> str:
    return ".".join(name.split(".")[:2]) if name.startswith("blocks.") else name
