"""Tokenize: what the mixture takes, repositories to documents, documents to ids, shard k from part k."""

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import skips
from starmill.core.dataset import Manifest, Sidecar, Workspace, part_path
from starmill.core.document import Document
from starmill.core.errors import InputError, NotThere
from starmill.core.part import PartRef, Tokens
from starmill.core.shard_cache import SUFFIXES
from starmill.core.shards import ShardWriter
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.stages import vocabulary
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, follow, of_parts
from starmill.transforms.decide.mix import Take, Weights
from starmill.transforms.render.code import Format
from starmill.transforms.step import chain, leave_out
from starmill.transforms.tokenize import TokenizedDocument, tokenize

STEP = "tokenize"  # what makes the ids, as a step
Render = Callable[[Iterable[pa.RecordBatch], Format], Iterator[Document]]


@dataclass(frozen=True)
class TokenizePart:
    """dataset/part-k -> shards/part-k.{bin,idx,docs.parquet}, with the workspace's tokenizer of this sha256.

    `renderers`: by kind. The documents of one kind follow those of another, in that order. A part without documents has no shard.
    """

    workspace: Workspace
    renderers: Mapping[str, Render]
    format: Format
    sha256: str
    take: Take = Take()
    weights: Weights | None = None

    def __call__(self, ref: PartRef) -> Sidecar:
        """Tokenize one part and publish its shard."""
        inputs, path = lineage(self.workspace, ref.part, "dataset"), part_path("dataset", ref.part)
        ledger = Ledger("tokenize", "shards", ref.part, ref.key, inputs)
        vocabulary = _tokenizer(self.workspace, self.sha256)
        writer = ShardWriter(vocabulary.eod, vocabulary.dtype)
        compared = replace(self.workspace, digests=inputs)
        kinds = compared.table(path, ["kind"]).column("kind").unique().to_pylist()
        book = Book(self.weights)

        def rows(kind: str) -> Iterator[pa.RecordBatch]:
            for block in compared.blocks(path):
                here = block if kinds == [kind] else block.filter(pc.equal(block.column("kind"), kind))
                here, lost = chain(here, (self.take,), STEP)
                here, left_out = leave_out(here, STEP, STEP)
                ledger.drop(lost + left_out)
                for row in range(here.num_rows if skips.one_by_one(STEP, STEP) else 0):  # which one is it?
                    with skips.at(STEP, STEP, here.slice(row, 1)):
                        vocabulary.encode(here.column("content")[row].as_py())
                ledger.keep(here)
                book.see(here)
                with skips.at(STEP, STEP, here):
                    yield here

        for kind in sorted(kinds, key=[*self.renderers].index):
            for made in tokenize(self.renderers[kind](rows(kind), self.format), vocabulary):
                skips.go_on()
                document, weight = made.document, book.add(made)
                writer.add(made.ids, document.kind, document.repo_name, document.language, made.files, weight)
        ledger.count_tokens(book.close())
        files = writer.finish()
        for suffix in SUFFIXES:
            if suffix not in files:  # a shard that the part had before, which no sidecar would name any more
                self.workspace.remove(part_path("shards", ref.part, suffix))
        for suffix, data in files.items():
            ledger.add(part_path("shards", ref.part, suffix), data)
        return ledger.commit(self.workspace)


class Book:
    """The weights of the documents of one part, and what its shard holds, by kind and language.

    A renderer makes documents of records, and knows no weights: a record is found again by its repository and content.
    """

    def __init__(self, weights: Weights | None) -> None:
        """Open an empty book."""
        self._weights = weights
        self._records: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0])

    def see(self, block: pa.RecordBatch) -> None:
        """Take the weights of records, before their documents are made."""
        if self._weights is None:
            return
        columns = (block.column(name).to_pylist() for name in ("repo_name", "content_id", "length_bytes"))
        for repo_name, content_id, size, weight in zip(*columns, self._weights.of(block).tolist(), strict=True):
            record = self._records[repo_name, content_id]
            record[0] += weight * max(1, size or 0)
            record[1] += max(1, size or 0)

    def add(self, made: TokenizedDocument) -> float:
        """Count a document; return its weight, 1 where nothing is known of its records."""
        document = made.document
        names = {(document.repo_name, f.content_id) for f in made.files} if self._weights else set()
        known = [self._records[name] for name in sorted(names) if name in self._records]
        weight = sum(w for w, _ in known) / sum(size for _, size in known) if known else 1.0
        weight = float(np.float32(weight))  # as the side table has it
        rest = len(made.ids) + 1
        for file in made.files:
            self._count(document.kind, file.language, 0, file.token_count, weight)
            rest -= file.token_count
        self._count(document.kind, document.language, 1, rest, weight)
        return weight

    def close(self) -> tuple[Tokens, ...]:
        """Return what was counted."""
        return tuple(Tokens(*key, int(n), int(tokens), epoch) for key, (n, tokens, epoch) in sorted(self._sums.items()))

    def _count(self, kind: str, language: str, documents: int, tokens: int, weight: float) -> None:
        sums = self._sums[kind, language]
        sums[:] = sums[0] + documents, sums[1] + tokens, sums[2] + tokens * weight


@functools.lru_cache(maxsize=1)
def _tokenizer(workspace: Workspace, sha256: str) -> Tokenizer:
    found = Tokenizer.load(workspace.read(vocabulary.PATH), where=workspace.path(vocabulary.PATH))
    if found.sha256 != sha256:
        raise InputError(f"{workspace.path(vocabulary.PATH)} changed under a running stage; run again")
    return found


def _renderers(options: Options) -> dict[str, Render]:
    return {name: kind.render for name, kind in options.table.items()}


def sentinels(options: Options) -> dict[str, tuple[str, ...]]:
    """Return the special tokens that the documents of each kind have beside StarCoder2's."""
    made = {name: kind.sentinels(options.format) for name, kind in options.table.items()}
    return {name: tokens for name, tokens in made.items() if tokens}


def _of_sources(options: Options) -> dict[str, tuple[str, ...]]:
    given = {kind for source in options.sources.values() for kind in source.gives if options.mix.has(kind)}
    return {kind: tokens for kind, tokens in sentinels(options).items() if kind in given}


def taking(options: Options, workspace: Workspace) -> Take:
    """Return the step that takes the recipe's mixture out of the workspace's dataset. Raises NotThere before that is complete."""
    if (dataset := workspace.manifest("dataset")) is None:
        raise NotThere(f"{workspace.url}: the dataset is not complete; run `starmill release` first")
    return _taken(options, dataset)


def _taken(options: Options, dataset: Manifest) -> Take:
    take: Take = options.mix.of(c for p in dataset.parts for c in p.counts)
    return take


def _parts(options: Options, workspace: Workspace, inputs: Sequence[Manifest]) -> list[PartRef]:
    # A part is made again where the mixture is another for the kinds and languages that it has, and no other part is.
    take = _taken(options, inputs[0])
    rules = [take.material(part.counts) for part in inputs[0].parts]
    refs = zip(follow(options, workspace, inputs), rules, strict=True)
    return [ref._replace(key=f"{ref.key} {json.dumps(rule)}" if rule else ref.key) for ref, rule in refs]


def _work(options: Options, workspace: Workspace) -> TokenizePart:
    made, take = vocabulary.sha256(workspace), taking(options, workspace)
    return TokenizePart(workspace, _renderers(options), options.format, made, take, options.mix.weights)


STAGE = Stage(
    name="tokenize",
    dataset="shards",
    needs=("dataset",),
    reads=lambda options: (options.format, *([options.mix.weights] if options.mix.weights else [])),
    steps=lambda options: {name: (render,) for name, render in _renderers(options).items()},
    check=lambda options: vocabulary.check(options.tokenizer, _of_sources(options)),
    material=lambda options, workspace: (
        vocabulary.prepare(workspace, options.tokenizer, sentinels(options), taking(options, workspace)).sha256,
    ),
    parts=_parts,
    graph=of_parts(_work),
    sketch=of_parts(lambda options, workspace: TokenizePart(workspace, _renderers(options), options.format, "")),
)
