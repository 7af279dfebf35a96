"""Tokenize one part: the shard's ids are those of Hugging Face's tokenizer over the text, and Megatron reads them."""

from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.shards import ShardReader
from starmill.core.tokenizer import Tokenizer, train
from starmill.pipelines.stages.tokenize import TokenizePart
from starmill.pipelines.stages.vocabulary import PATH
from starmill.transforms.beam import PartRef
from starmill.transforms.render.code import Format, documents, text

ROWS = [
    {
        "repo_name": f"r{i // 3}",
        "path": f"/{i}.py",
        "content": f"x = {i}\n" * (i + 1),
        "content_id": str(i),
        "length_bytes": 6 * (i + 1),
    }
    for i in range(9)
]


@pytest.mark.filterwarnings("ignore")
def test_a_part(tmp_path: Path) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    workspace = Workspace(str(tmp_path))
    block = pa.RecordBatch.from_pylist(ROWS, schema=schema.DATASET)
    parquet = ParquetPart(schema.DATASET)
    parquet.write(block.slice(0, 4))
    parquet.write(block.slice(4))
    data = parquet.close()
    workspace.commit(Sidecar("release", "dataset", 0, "k", (output(part_path("dataset", 0), data),)), [data])
    tokenizer = Tokenizer.load(train([r["content"] for r in ROWS], 320))
    workspace.publish(PATH, tokenizer.data)
    sidecar = TokenizePart(workspace, Format(), tokenizer.sha256)(PartRef(0, "key"))
    assert [o.path.split(".", 1)[1] for o in sidecar.outputs] == ["bin", "idx", "docs.parquet", "parquet"]
    assert sum(c.files for c in sidecar.counts) == len(ROWS)
    oracle = tokenizers.Tokenizer.from_str(tokenizer.data.decode())
    expected = [[*oracle.encode(text(d), add_special_tokens=False).ids, 0] for d in documents([block], Format())]
    megatron = IndexedDataset(str(tmp_path / "shards/part-00000"))
    assert [megatron[i].tolist() for i in range(len(megatron))] == expected
    files = [f for row in ShardReader(str(tmp_path / "shards/part-00000")).table.to_pylist() for f in row["files"]]
    assert sorted(f["content_id"] for f in files) == [r["content_id"] for r in ROWS]


def test_a_tokenizer_that_changed_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.commit(Sidecar("release", "dataset", 0, "k", ()), [])
    workspace.publish(PATH, train(["a"], 300))
    with pytest.raises(ValueError, match="changed under a running stage"):
        TokenizePart(workspace, Format(), "0" * 64)(PartRef(0, "key"))
