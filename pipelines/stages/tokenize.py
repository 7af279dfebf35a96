"""Tokenize: repositories to documents, documents to ids, shard k from part k."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import skips
from starmill.core.dataset import Sidecar, Workspace, part_path
from starmill.core.document import Document
from starmill.core.errors import InputError
from starmill.core.part import PartRef
from starmill.core.shard_cache import SUFFIXES
from starmill.core.shards import ShardWriter
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.stages import vocabulary
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, of_parts
from starmill.transforms.render.code import Format
from starmill.transforms.step import leave_out
from starmill.transforms.tokenize import tokenize

STEP = "tokenize"  # the stage's only one
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

    def __call__(self, ref: PartRef) -> Sidecar:
        """Tokenize one part and publish its shard."""
        inputs, path = lineage(self.workspace, ref.part, "dataset"), part_path("dataset", ref.part)
        ledger = Ledger("tokenize", "shards", ref.part, ref.key, inputs)
        vocabulary = _tokenizer(self.workspace, self.sha256)
        writer = ShardWriter(vocabulary.eod)
        compared = replace(self.workspace, digests=inputs)
        kinds = compared.table(path, ["kind"]).column("kind").unique().to_pylist()

        def rows(kind: str) -> Iterator[pa.RecordBatch]:
            for block in compared.blocks(path):
                here = block if kinds == [kind] else block.filter(pc.equal(block.column("kind"), kind))
                here, lost = leave_out(here, STEP, STEP)
                ledger.drop(lost)
                for row in range(here.num_rows if skips.one_by_one(STEP, STEP) else 0):  # which one is it?
                    with skips.at(STEP, STEP, here.slice(row, 1)):
                        vocabulary.encode(here.column("content")[row].as_py())
                ledger.keep(here)
                with skips.at(STEP, STEP, here):
                    yield here

        for kind in sorted(kinds, key=[*self.renderers].index):
            for made in tokenize(self.renderers[kind](rows(kind), self.format), vocabulary):
                skips.go_on()
                writer.add(made.ids, made.document.kind, made.document.repo_name, made.document.language, made.files)
        files = writer.finish()
        for suffix in SUFFIXES:
            if suffix not in files:  # a shard that the part had before, which no sidecar would name any more
                self.workspace.remove(part_path("shards", ref.part, suffix))
        for suffix, data in files.items():
            ledger.add(part_path("shards", ref.part, suffix), data)
        return ledger.commit(self.workspace)


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
    given = {kind for source in options.sources.values() for kind in source.gives}
    return {kind: tokens for kind, tokens in sentinels(options).items() if kind in given}


def _work(options: Options, workspace: Workspace) -> TokenizePart:
    return TokenizePart(workspace, _renderers(options), options.format, vocabulary.sha256(workspace))


STAGE = Stage(
    name="tokenize",
    dataset="shards",
    needs=("dataset",),
    reads=lambda options: (options.format,),
    steps=lambda options: {name: (render,) for name, render in _renderers(options).items()},
    check=lambda options: vocabulary.check(options.tokenizer, _of_sources(options)),
    material=lambda options, workspace: (vocabulary.prepare(workspace, options.tokenizer, sentinels(options)).sha256,),
    graph=of_parts(_work),
    sketch=of_parts(lambda options, workspace: TokenizePart(workspace, _renderers(options), options.format, "")),
)
