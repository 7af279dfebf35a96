"""What stays of a shard is the shard that was never given what goes."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.core.part import Tokens
from starmill.core.shards import ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, train
from starmill.pipelines.run.withdrawal.shard import without

TOKENIZER = Tokenizer.load(train([f"value_{i} = {i}\n" * 3 for i in range(50)], 400))
SEP, NAME = TOKENIZER.special("<file_sep>"), TOKENIZER.special("<repo_name>")


def shard(documents: list[list[str]], draw: random.Random, names: list[bool], gone: set[str]) -> dict[str, bytes | pa.Buffer]:
    """Write repositories, with or without their names, of the files that are not gone; and an issue after each."""
    writer = ShardWriter(TOKENIZER.eod, TOKENIZER.dtype)
    for d, files in enumerate(documents):
        kept = [f for f in files if f not in gone]
        ids = [np.array([NAME], np.uint16), TOKENIZER.encode(f"repo{d}")] if names[d] else []
        spans = []
        for file in kept:
            ids.append(np.array([SEP], np.uint16))
            code = TOKENIZER.encode(f"{file} = 1\n" * (int(file.split("_")[1]) % 4))
            spans.append(TokenSpan(file, file, "Python", sum(map(len, ids)), len(code)))
            ids.append(code)
        if kept:
            writer.add(np.concatenate(ids), "code", f"repo{d}", "Python", spans, 1.5)
        issue = TOKENIZER.encode(f"issue {d}")
        if f"issue{d}" not in gone:
            writer.add(issue, "issue", f"repo{d}", "", [TokenSpan(f"issue{d}", f"issue{d}", "", 0, len(issue))])
    return writer.finish()


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_shard_without_it(seed: int) -> None:
    draw = random.Random(seed)
    documents = [[f"f_{draw.randrange(99)}_{d}_{i}" for i in range(draw.randint(1, 5))] for d in range(8)]
    names = [draw.random() < 0.5 for _ in documents]
    every = [*(f for files in documents for f in files), *(f"issue{d}" for d in range(8))]
    gone = {*draw.sample(every, (0, 1, 5, 12, 20, len(every))[seed])}
    whole = shard(documents, draw, names, set())
    table = pq.read_table(pa.BufferReader(whole["docs.parquet"]))
    ids = np.frombuffer(whole["bin"], "<u2")
    rest = without(ids, table, TOKENIZER, lambda document, files: ["asked" if f["path"] in gone else None for f in files])
    wanted = shard(documents, draw, names, gone)
    assert {n: bytes(d) for n, d in rest.files.items()} == {n: bytes(d) for n, d in wanted.items()}
    assert {file["path"] for _, file, _ in rest.gone} == gone
    left = len(wanted.get("bin", b"")) // 2
    assert rest.tokens == len(ids) - left == len(ids) - sum(t.tokens for t in rest.held)
    documents_left = sum(t.documents for t in rest.held)
    assert rest.documents == table.num_rows - documents_left and (documents_left == 0) == (rest.files == {})


def test_the_language_of_a_document_is_one_that_stays() -> None:
    writer, piece = ShardWriter(TOKENIZER.eod, TOKENIZER.dtype), TOKENIZER.encode("a = 1\n")
    n = len(piece)
    spans = [TokenSpan(f"f.{i}", f"c{i}", language, i * n, n) for i, language in enumerate(("C", "Go", "Java", "Java"))]
    writer.add(np.concatenate([piece] * 4), "code", "r", "C", spans)
    made = writer.finish()
    table, ids = pq.read_table(pa.BufferReader(made["docs.parquet"])), np.frombuffer(made["bin"], "<u2")
    rest = without(ids, table, TOKENIZER, lambda document, files: ["asked" if f["language"] == "C" else None for f in files])
    assert pq.read_table(pa.BufferReader(rest.files["docs.parquet"]))["language"].to_pylist() == ["Java"]
    assert rest.held == (Tokens("code", "Go", 0, n, float(n)), Tokens("code", "Java", 1, 2 * n + 1, 2.0 * n + 1))
