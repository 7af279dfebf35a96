"""Tokenize one part: the shard's ids are those of Hugging Face's tokenizer over the text, and Megatron reads them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers

from starmill.core import schema, skips
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.core.shards import ShardReader, open_shards
from starmill.core.skips import Skip
from starmill.core.tokenizer import Tokenizer, train
from starmill.pipelines.stages.tokenize import TokenizePart
from starmill.pipelines.stages.vocabulary import PATH
from starmill.transforms.render.code import Format, documents, text

ROWS = [
    {
        "kind": "code",
        "repo_name": f"r{i // 3}",
        "path": f"/{i}.py",
        "content": f"x = {i}\n" * (i + 1),
        "content_id": str(i),
        "length_bytes": 6 * (i + 1),
    }
    for i in range(9)
]


def release(workspace: Workspace, part: int, *blocks: pa.RecordBatch) -> None:
    parquet = ParquetPart(schema.DATASET)
    for block in blocks:
        parquet.write(block)
    data = parquet.close()
    workspace.commit(Sidecar("release", "dataset", part, "k", (output(part_path("dataset", part), data),)), [data])


def ready(place: Path) -> tuple[Workspace, pa.RecordBatch, Tokenizer]:
    """Return a workspace with a tokenizer, the rows to release in it, and the tokenizer."""
    workspace, tokenizer = Workspace(str(place)), Tokenizer.load(train([r["content"] for r in ROWS], 320))
    workspace.publish(PATH, tokenizer.data)
    return workspace, pa.RecordBatch.from_pylist(ROWS, schema=schema.DATASET), tokenizer


@pytest.mark.filterwarnings("ignore")
def test_a_part(tmp_path: Path) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    workspace, block, tokenizer = ready(tmp_path)
    release(workspace, 0, block.slice(0, 4), block.slice(4))
    sidecar = TokenizePart(workspace, {"code": documents}, Format(), tokenizer.sha256)(PartRef(0, "key"))
    assert [o.path.split(".", 1)[1] for o in sidecar.outputs] == ["bin", "idx", "docs.parquet", "parquet"]
    assert sum(c.files for c in sidecar.counts) == len(ROWS)
    oracle = tokenizers.Tokenizer.from_str(tokenizer.data.decode())
    expected = [[*oracle.encode(text(d), add_special_tokens=False).ids, 0] for d in documents([block], Format())]
    megatron = IndexedDataset(str(tmp_path / "shards/part-00000"))
    assert [megatron[i].tolist() for i in range(len(megatron))] == expected
    files = [f for row in ShardReader(str(tmp_path / "shards/part-00000")).table.to_pylist() for f in row["files"]]
    assert sorted(f["content_id"] for f in files) == [r["content_id"] for r in ROWS]


def test_a_file_that_is_left_out_is_a_row_and_how_it_was_looked_for_shows_nowhere(tmp_path: Path) -> None:
    workspace, block, tokenizer = ready(tmp_path)
    release(workspace, 0, block.slice(0, 4), block.slice(4))
    skip, made = Skip("tokenize", "tokenize", "code", "r1", "/4.py", "4", "took an hour"), []
    for rows in ([], [["tokenize", "tokenize"]]):
        workspace.publish("skips/part-00000.json", json.dumps({"format": 1, "skips": [], "rows": rows}).encode())
        with skips.making(workspace, 0, skips.packed([skip]), 100.0):
            made.append(TokenizePart(workspace, {"code": documents}, Format(), tokenizer.sha256)(PartRef(0, "key")))
    assert made[0] == made[1] and made[0].key != "key"
    [lost] = workspace.table("dropped/tokenize/part-00000.parquet").to_pylist()
    assert (lost["path"], lost["reason"], lost["detail"]) == ("/4.py", "skipped:tokenize", "took an hour")
    files = [f for row in ShardReader(str(tmp_path / "shards/part-00000")).table.to_pylist() for f in row["files"]]
    assert sorted(f["path"] for f in files) == [f"{i}.py" for i in range(9) if i != 4]


@pytest.mark.filterwarnings("ignore")
def test_megatron_reads_all_that_is_there_when_a_part_has_no_documents(tmp_path: Path) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    workspace, block, tokenizer = ready(tmp_path)
    for part in range(3):
        release(workspace, part, block)
    for part, rows in ((0, [block]), (1, [block]), (2, [block]), (1, [])):  # part 1 loses its documents
        release(workspace, part, *rows)
        sidecar = TokenizePart(workspace, {"code": documents}, Format(), tokenizer.sha256)(PartRef(part, "key"))
    assert [o.path for o in sidecar.outputs] == ["dropped/tokenize/part-00001.parquet"]
    workspace.finish("shards", "key", 3, "v")
    prefixes = sorted(
        {str(p.with_name(p.name.partition(".")[0])) for p in tmp_path.glob("shards/part-*") if p.suffix != ".json"}
    )
    assert [p[-1] for p in prefixes] == ["0", "2"]
    read = [[megatron[i].tolist() for i in range(len(megatron))] for megatron in map(IndexedDataset, prefixes)]
    assert read == [[shard.tokens(i).tolist() for i in range(shard.documents)] for shard in open_shards(str(tmp_path))]


def test_a_tokenizer_that_changed_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.commit(Sidecar("release", "dataset", 0, "k", ()), [])
    workspace.publish(PATH, train(["a"], 300))
    with pytest.raises(ValueError, match="changed under a running stage"):
        TokenizePart(workspace, {"code": documents}, Format(), "0" * 64)(PartRef(0, "key"))
