"""StarCoder2's format of a program and its LLVM IR (paper, section 5.1): a document is a pair, in one of two directions.

    code<code_to_intermediate>IR          half of the pairs
    IR<intermediate_to_code>code          the others

Which half is a hash of (seed, repository, path). A record without segments is a pair that someone else wrote out: one of the two
sentinels in its text divides it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from starmill.core import seeds
from starmill.core.document import Document, Piece, Special
from starmill.transforms.render.code import Format
from starmill.transforms.render.pieces import document, redacted, segments

TO_IR, TO_CODE = Special("<code_to_intermediate>"), Special("<intermediate_to_code>")


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each pair (schema.DATASET)."""
    for row in (row for block in blocks for row in block.to_pylist()):
        pieces = pair(row, options) if row["segments"] else written(row)
        yield document(row, row["kind"], pieces, row["language"] or "")


def pair(row: Mapping[str, Any], options: Format) -> Iterator[Piece]:
    """Yield the pieces of a pair whose segments are code and ir."""
    texts = {segment.role: segment.pieces for segment in segments(row)}
    if seeds.uniform(options.seed, "ir_direction", row["repo_name"], row["path"]) < 0.5:
        yield from (*texts["code"], TO_IR, *texts["ir"])
    else:
        yield from (*texts["ir"], TO_CODE, *texts["code"])


def written(row: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of a pair that is one text; where not exactly one sentinel divides it, it is text and nothing else."""
    content, spans = row["content"], row["redactions"] or []
    found = [(content.find(mark.token), mark) for mark in (TO_IR, TO_CODE) for _ in range(content.count(mark.token))]
    if len(found) != 1:
        yield from redacted(content, spans)
        return
    [(at, mark)] = found
    end = at + len(mark.token)
    yield from redacted(content, [s for s in spans if s["end"] <= at], 0, at)
    yield mark
    yield from redacted(content, [s for s in spans if s["start"] >= end], end)
