"""The tokenizer of a workspace: an existing one copied in, or one trained on a sample of the mixture that depends on no worker.

It is trained on what the shards will have: of texts that a cap leaves out, it need not know the words. One process draws the sample. So it
reads at most PARTS parts: of more, those whose numbers a hash of the seed chooses, from which then more files are drawn.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypedDict

import msgspec

from starmill.core import recipe, seeds, skips
from starmill.core.dataset import Workspace, output, part_path
from starmill.core.errors import InputError, NotThere
from starmill.core.names import Bytes, Place, Seed
from starmill.core.storage import named
from starmill.core.terminal import tell_damage
from starmill.core.tokenizer import MOST_TOKENS, SPECIAL_TOKENS, Tokenizer, huggingface_files, train
from starmill.pipelines.stages.ledger import digest_of, lineage
from starmill.transforms.decide.mix import Take

EVERYTHING = Take()
ALL = "all parts"  # what a tokenizer is trained on, in words
PARTS = 2048  # that a sample is of: 400 GB in parts of 200 MB, half an hour
PATH, MADE = "tokenizer/tokenizer.json", "tokenizer/manifest.json"


@dataclass(frozen=True)
class TokenizerOptions:
    """`path`: a tokenizer.json to use. Without one, a BPE of `vocab_size` is trained on about `sample_bytes` of the mixture."""

    path: Place | None = None  # a tokenizer.json; null trains one
    vocab_size: Annotated[int, msgspec.Meta(ge=len(SPECIAL_TOKENS) + 256, le=MOST_TOKENS)] = 49_152  # StarCoder and StarCoder2
    sample_bytes: Bytes = 10_000_000_000  # of the mixture, that a tokenizer is trained on
    seed: Seed = 0  # of the sample


def prepare(
    workspace: Workspace, options: TokenizerOptions, sentinels: Mapping[str, tuple[str, ...]], take: Take = EVERYTHING
) -> Tokenizer:
    """Return the workspace's tokenizer, made first if it is not there for these options, this dataset and what is taken of it.

    `sentinels`: by kind of record, the special tokens that its documents have beside StarCoder2's, which follow these where such records
    are taken. Raises FileNotFoundError for a missing `path`, InputError for a file that is no tokenizer.json, that lacks one of
    them, or whose tokenizer changes text.
    """
    dataset = workspace.manifest("dataset")
    if dataset is None:
        raise NotThere(f"{workspace.url}: the dataset is not complete; run `starmill release` first")
    held = {kind for part in dataset.parts for kind in part.kinds if take.kinds is None or kind in take.kinds}
    more = needed({kind: tokens for kind, tokens in sentinels.items() if kind in held})
    wanted = recipe.digest(options, None if options.path else dataset.known_as(), *([] if options.path else [take]), *more)
    known = made(workspace)
    if known is not None and known["key"] == wanted:
        changed = [path for path, sha256 in known["outputs"].items() if digest_of(workspace, path) != sha256]
        if not changed:
            return Tokenizer.load(workspace.read(PATH), where=workspace.path(PATH))  # it was tried when it was made
        for path in changed:
            tell_damage(workspace.path(path), "its sha256 is not the manifest's")
    if options.path:
        data = _given(options.path)
    else:
        drawn = parts_of_sample(len(dataset.parts), options.seed)
        # Those that are taken by their names are few, and no sidecar counts them.
        counts = (c for part in drawn for c in dataset.parts[part].counts if not c.reason)
        total = sum(c.bytes * (take.share(c.kind, c.language) or 0) for c in counts)
        # None of them is left out because it takes long: its words are cut, so that its time is linear in its bytes, and the training
        # that follows is over the words of all.
        with skips.naming(workspace, "tokenize", "train", ALL) as desk:
            data = train(sample(workspace, drawn, options, total, desk, take), options.vocab_size, [*more])
    tokenizer = _lossless(data, f"tokenizer.path: {options.path}", more)
    outputs = {}
    for name, content in sorted(huggingface_files(data).items()):
        workspace.publish(f"tokenizer/{name}", content)
        outputs[f"tokenizer/{name}"] = output(f"tokenizer/{name}", content).sha256
    manifest = {"key": wanted, "sha256": tokenizer.sha256, "outputs": outputs}
    workspace.publish(MADE, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return tokenizer


def needed(sentinels: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the special tokens of these kinds in their order, each with the kind that has it.

    >>> needed({"commit": ("<commit_before>", "<commit_msg>")})
    {'<commit_before>': 'commit', '<commit_msg>': 'commit'}
    """
    found: dict[str, str] = {}
    for kind, tokens in sentinels.items():
        for token in tokens:
            found.setdefault(token, kind)
    return found


def check(options: TokenizerOptions, sentinels: Mapping[str, tuple[str, ...]]) -> None:
    """Raise InputError where `path` is no tokenizer that shards of these kinds of records can be made with, or `vocab_size` too small."""
    more = needed(sentinels)
    if options.path:
        _lossless(_given(options.path), f"tokenizer.path: {options.path}", more)
    elif options.vocab_size < (least := len(SPECIAL_TOKENS) + len(more) + 256):
        raise InputError(f"tokenizer.vocab_size: {options.vocab_size}: must be at least {least}, with {', '.join(more)}")


def _given(path: str) -> bytes:
    with named("tokenizer.path", path) as file:
        return bytes(file.read())


def _lossless(data: bytes, where: str, more: Mapping[str, str]) -> Tokenizer:
    tokenizer = Tokenizer.load(data, where=where)
    for token, kind in more.items():
        if not tokenizer.has(token):
            raise InputError(
                f"{where}: it has no special token {token}, which records of kind {kind} need: give one that was trained with them, leave "
                "`path` out, or leave out their source"
            )
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


def parts_of_sample(parts: int, seed: int) -> Sequence[int]:
    """Return the numbers of the parts that a sample is of, ascending: all of them, or PARTS.

    >>> parts_of_sample(4, seed=0), len(parts_of_sample(100_000, seed=0))
    (range(0, 4), 2048)
    """
    if parts <= PARTS:
        return range(parts)
    return sorted(sorted(range(parts), key=lambda part: seeds.uint64(seed, "tokenizer_parts", part))[:PARTS])


def sample(
    workspace: Workspace,
    parts: Iterable[int],
    options: TokenizerOptions,
    total_bytes: float,
    desk: skips.Desk | None = None,
    take: Take = EVERYTHING,
) -> Iterator[str]:
    """Yield the contents of about `sample_bytes` of the `total_bytes` that are taken of these parts, in the dataset's order.

    Each file is chosen by a hash of what it is.

    The desk is told which row group they are of. The trainer reads a few hundred texts ahead, and in threads of its own.
    """
    rate = options.sample_bytes / max(1, total_bytes)
    for part in parts:
        compared = replace(workspace, digests=lineage(workspace, part, "dataset"))
        for whole in compared.blocks(part_path("dataset", part), [*take.reads, "content"]):
            block = take(whole).kept.select(["repo_name", "path", "content"])
            if desk is not None:
                desk.of = f"part {part}"
            with skips.at("tokenize", "train", block, desk):
                for repo_name, path, content in zip(*(c.to_pylist() for c in block.columns), strict=True):
                    if rate >= 1 or seeds.uniform(options.seed, "tokenizer_sample", repo_name, path) < rate:
                        yield content
    if desk is not None:
        desk.of = ALL
        desk.tell()
