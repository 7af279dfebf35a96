"""The tokenizer of a workspace: an existing one copied in, or one trained on a sample of the dataset that depends on no worker."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypedDict

import fsspec
import msgspec

from starmill.core import recipe, seeds
from starmill.core.dataset import Workspace, output, part_path, tell_damage
from starmill.core.errors import InputError, NotThere
from starmill.core.tokenizer import Tokenizer, huggingface_files, train
from starmill.pipelines.stages.ledger import digest_of, lineage

PATH, MADE = "tokenizer/tokenizer.json", "tokenizer/manifest.json"


@dataclass(frozen=True)
class TokenizerOptions:
    """`path`: a tokenizer.json to use. Without one, a BPE of `vocab_size` is trained on about `sample_bytes` of the dataset."""

    path: str | None = None  # a tokenizer.json; null trains one
    vocab_size: int = 49_152  # StarCoder and StarCoder2
    sample_bytes: int = 10_000_000_000  # of the dataset, that a tokenizer is trained on
    seed: int = 0  # of the sample


def prepare(workspace: Workspace, options: TokenizerOptions) -> Tokenizer:
    """Return the workspace's tokenizer, made first if it is not there for these options and this dataset.

    Raises FileNotFoundError for a missing `path`, InputError for a file that is no tokenizer.json, or
    whose tokenizer changes text.
    """
    dataset = workspace.manifest("dataset")
    if dataset is None:
        raise NotThere(f"{workspace.url}: the dataset is not complete; run `starmill release` first")
    wanted = recipe.digest(options, None if options.path else dataset.digest)
    known = made(workspace)
    if known is not None and known["key"] == wanted:
        changed = [path for path, sha256 in known["outputs"].items() if digest_of(workspace, path) != sha256]
        if not changed:
            return _lossless(workspace.read(PATH), workspace.path(PATH))
        for path in changed:
            tell_damage(workspace.path(path), "its sha256 is not the manifest's")
    if options.path:
        try:
            with fsspec.open(options.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise NotThere(f"tokenizer.path: {options.path}: no such file; give a tokenizer.json") from None
    else:
        total = sum(c.bytes for p in dataset.parts for c in p.counts if not c.reason)
        data = train(sample(workspace, len(dataset.parts), options, total), options.vocab_size)
    tokenizer = _lossless(data, f"tokenizer.path: {options.path}")
    outputs = {}
    for name, content in sorted(huggingface_files(data).items()):
        workspace.publish(f"tokenizer/{name}", content)
        outputs[f"tokenizer/{name}"] = output(f"tokenizer/{name}", content).sha256
    manifest = {"key": wanted, "sha256": tokenizer.sha256, "outputs": outputs}
    workspace.publish(MADE, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return tokenizer


def _lossless(data: bytes, where: str) -> Tokenizer:
    tokenizer = Tokenizer.load(data, where=where)
    try:
        tokenizer.check_lossless()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return tokenizer


def sha256(workspace: Workspace) -> str:
    """Return the digest of the tokenizer that `prepare` made here. Raises FileNotFoundError before that."""
    if (known := made(workspace)) is None:
        raise NotThere(f"{workspace.path(MADE)}: no tokenizer was made here; run `starmill tokenize` first")
    return known["sha256"]


class Made(TypedDict):
    """The manifest of a tokenizer: the key of its options and dataset, the sha256 of tokenizer.json, and of each file by its path."""

    key: str
    sha256: str
    outputs: dict[str, str]


def made(workspace: Workspace) -> Made | None:
    """Return the manifest of the workspace's tokenizer, or None; a damaged one is none, and is named."""
    try:
        return msgspec.json.decode(workspace.read(MADE), type=Made)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        tell_damage(workspace.path(MADE), str(error))
        return None


def sample(workspace: Workspace, parts: int, options: TokenizerOptions, total_bytes: int) -> Iterator[str]:
    """Yield the contents of about `sample_bytes` of the dataset, in its order, each file chosen by a hash of what it is."""
    rate = options.sample_bytes / max(1, total_bytes)
    for part in range(parts):
        compared = replace(workspace, digests=lineage(workspace, part, "dataset"))
        for block in compared.blocks(part_path("dataset", part), ["repo_name", "path", "content"]):
            for repo_name, path, content in zip(*(c.to_pylist() for c in block.columns), strict=True):
                if rate >= 1 or seeds.uniform(options.seed, "tokenizer_sample", repo_name, path) < rate:
                    yield content
