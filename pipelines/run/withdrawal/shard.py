"""A shard without the files that go: their tokens, the `<file_sep>` before each, and documents of which no file is left.

What stays has the same tokens in the same order, so that a shard is what tokenizing the records that stay would make of them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from starmill.core.part import Tokens
from starmill.core.shards import ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer

FILE_SEP = "<file_sep>"
Judge = Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], list[str | None]]


@dataclass(frozen=True)
class Rest:
    """What stays of a shard: its files by suffix (none without documents), what it holds, and what went. `gone`: (document, file)."""

    files: dict[str, bytes | pa.Buffer]
    held: tuple[Tokens, ...]
    documents: int
    gone: tuple[tuple[Mapping[str, Any], Mapping[str, Any], str], ...]
    tokens: int


def without(ids: np.ndarray, table: pa.Table, tokenizer: Tokenizer, judge: Judge) -> Rest:
    """Return what stays of a shard of these ids and this side table. `judge(document, files)`: why each file goes, or None."""
    writer, separator = ShardWriter(tokenizer.eod, tokenizer.dtype), tokenizer.special(FILE_SEP)
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    gone, documents, tokens = list[tuple[Mapping[str, Any], Mapping[str, Any], str]](), 0, 0
    for row in table.to_pylist():
        reasons = judge(row, row["files"])
        gone += [(row, file, reason) for file, reason in zip(row["files"], reasons, strict=True) if reason]
        kept = [file for file, reason in zip(row["files"], reasons, strict=True) if not reason]
        if row["files"] and not kept:
            documents, tokens = documents + 1, tokens + row["token_count"]
            continue
        whole = ids[row["token_start"] : row["token_start"] + row["token_count"] - 1]  # without its last one, <|endoftext|>
        stays = np.ones(len(whole), np.bool_)
        for file, reason in zip(row["files"], reasons, strict=True):
            if reason:
                first = file["token_start"]
                first -= int(first > 0 and whole[first - 1] == separator)
                stays[first : file["token_start"] + file["token_count"]] = False
        before = np.concatenate([[0], np.cumsum(stays)])  # of a place in the document: how many tokens stay before it
        spans = [
            TokenSpan(f["path"], f["content_id"], f["language"], int(before[f["token_start"]]), f["token_count"]) for f in kept
        ]
        language, weight = _language(row, kept), float(row.get("weight", 1.0))
        writer.add(whole[stays], row["kind"], row["repo_name"], language, spans, weight)
        tokens += int(len(whole) - stays.sum())
        _count(sums, row["kind"], language, spans, int(stays.sum()) + 1, weight)
    held = tuple(Tokens(*key, int(n), int(count), epoch) for key, (n, count, epoch) in sorted(sums.items()))
    return Rest(writer.finish(), held, documents, tuple(gone), tokens)


def _language(row: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> str:
    """Return the language of a document: its own while a file has it, else that of most tokens that stay."""
    sizes: dict[str, int] = defaultdict(int)
    for file in kept:
        sizes[file["language"]] += file["token_count"]
    if row["language"] in sizes or len(kept) == len(row["files"]):
        return str(row["language"])
    return min(sizes, key=lambda name: (-sizes[name], name))


def _count(
    sums: dict[tuple[str, str], list[float]], kind: str, language: str, spans: Sequence[TokenSpan], tokens: int, weight: float
) -> None:
    # As the stage counts them (stages/tokenize.py: Book): a file's tokens in its own language, the others in the document's.
    rest = tokens - sum(span.token_count for span in spans)
    for name, documents, count in (*((span.language, 0, span.token_count) for span in spans), (language, 1, rest)):
        of = sums[kind, name]
        of[:] = of[0] + documents, of[1] + count, of[2] + count * weight
