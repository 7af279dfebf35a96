"""Tokenize: repositories to documents, documents to ids, shard k from part k."""

import functools
from dataclasses import dataclass

import pyarrow as pa

from starmill.core.dataset import Sidecar, Workspace, part_path
from starmill.core.shards import ShardWriter
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.ledger import Ledger, lineage
from starmill.transforms.beam import PartRef
from starmill.transforms.format import Format, documents
from starmill.transforms.tokenize import tokenize


@dataclass(frozen=True)
class TokenizePart:
    """dataset/part-k -> shards/part-k.{bin,idx,docs.parquet}."""

    workspace: Workspace
    format: Format
    tokenizer_path: str

    def __call__(self, ref: PartRef) -> Sidecar:
        """Tokenize one part and publish its shard."""
        ledger = Ledger("tokenize", ref.part, ref.key, lineage(self.workspace, ("release", ref.part)))
        writer = ShardWriter(_tokenizer(self.workspace, self.tokenizer_path))

        def counted() -> "pa.RecordBatch":
            for block in self.workspace.blocks(part_path("dataset", ref.part)):
                ledger.keep(block)
                yield block

        for document in tokenize(documents(counted(), self.format), _tokenizer(self.workspace, self.tokenizer_path)):
            writer.add(document)
        for suffix, data in writer.finish().items():
            ledger.add(part_path("shards", ref.part, suffix), data)
        return ledger.commit(self.workspace)


@functools.lru_cache(maxsize=1)
def _tokenizer(workspace: Workspace, path: str) -> Tokenizer:
    return Tokenizer.load(workspace.read(path))
