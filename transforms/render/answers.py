"""StarCoder2's format of Stack Overflow (paper, section 5.3): a document is a question with its answers, in a random order.

    <issue_start>username_0: q<issue_comment>username_1: a\\nUpvotes: 3 [selected answer]<issue_comment>username_2: b\\nUpvotes: 0

Where a record has a title, `Title: T\\n` stands before the question. The order is a hash of (seed, site, question, place of the answer).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from starmill.core import seeds
from starmill.core.document import Document, Piece
from starmill.transforms.render.code import Format
from starmill.transforms.render.issues import COLUMNS, COMMENT, START, said
from starmill.transforms.render.pieces import document, segments


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each question (schema.DATASET)."""
    for block in blocks:
        for row in block.select(["kind", *COLUMNS]).to_pylist():
            yield document(row, row["kind"], thread(row, options.seed))


def thread(row: Mapping[str, Any], seed: int) -> Iterator[Piece]:
    """Yield the pieces of a question and its answers."""
    answers: list[list[Piece]] = []
    yield START
    for segment in segments(row):
        if segment.role == "title":
            yield from ("Title: ", *segment.pieces, "\n")
        elif segment.role == "question":
            yield from said(segment)
        elif segment.role == "answer":
            answers.append([COMMENT, *said(segment)])
        elif segment.role == "votes" and answers:  # the question's are not told
            answers[-1].append(f"\nUpvotes: {segment.name}")
        elif segment.role == "selected" and answers:
            answers[-1].append(" [selected answer]")
    order = sorted(range(len(answers)), key=lambda k: (seeds.uint64(seed, "answer_order", row["repo_name"], row["path"], k), k))
    for k in order:
        yield from answers[k]
