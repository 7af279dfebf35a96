"""Shards: Megatron's own reader opens them, every token leads to its file, and a damaged one is refused by name."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from starmill.core.dataset import Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError
from starmill.core.shard_cache import SUFFIXES
from starmill.core.shards import ShardError, ShardReader, ShardWriter, TokenSpan, open_shards

RNG = np.random.default_rng(0)
DOCUMENTS = [RNG.integers(38, 2000, n).astype(np.uint16) for n in (5, 0, 1000, 1, 77)]


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    writer = ShardWriter(eod=0)
    for i, ids in enumerate(DOCUMENTS):
        half = len(ids) // 2
        spans = [
            TokenSpan(f"a{i}.py", f"{i}a", "Python", 1, half - 1),
            TokenSpan(f"b{i}.py", f"{i}b", "C", half, len(ids) - half),
        ]
        writer.add(ids, "code", f"repo{i}", "Python", spans if half > 1 else [])
    for suffix, data in writer.finish().items():
        (tmp_path / f"s.{suffix}").write_bytes(data)
    return str(tmp_path / "s")


@pytest.mark.filterwarnings("ignore")
def test_megatron_reads_it(prefix: str) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    dataset = IndexedDataset(prefix)
    assert len(dataset) == len(DOCUMENTS)
    for ids, read in zip(DOCUMENTS, (dataset[i] for i in range(len(dataset))), strict=True):
        assert read.tolist() == [*ids.tolist(), 0] and read.dtype == np.uint16
    assert dataset.document_indices.tolist() == list(range(len(DOCUMENTS) + 1))


def test_it_reads_back(prefix: str) -> None:
    reader = ShardReader(prefix)
    assert reader.documents == len(DOCUMENTS)
    assert [reader.tokens(i).tolist() for i in range(reader.documents)] == [[*d.tolist(), 0] for d in DOCUMENTS]
    rows = reader.table.to_pylist()
    assert [r["token_count"] for r in rows] == reader.lengths.tolist()
    assert [r["token_start"] for r in rows] == reader.starts.tolist()


@pytest.mark.filterwarnings("ignore")
def test_megatron_reads_ids_that_uint16_does_not_hold(tmp_path: Path) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    writer, documents = ShardWriter(0, np.dtype(np.uint32)), [[70_000, 5, 1_048_575], [65_536]]
    for ids in documents:
        writer.add(np.array(ids, np.uint32), "code", "repo", "Python", [])
    for suffix, data in writer.finish().items():
        (tmp_path / f"s.{suffix}").write_bytes(data)
    theirs, ours = IndexedDataset(str(tmp_path / "s")), ShardReader(str(tmp_path / "s"))
    for number, ids in enumerate(documents):
        assert theirs[number].tolist() == ours.tokens(number).tolist() == [*ids, 0]
    assert theirs[0].dtype == np.int32 and ours.tokens(0).dtype == np.uint32
    (tmp_path / "s.bin").write_bytes(bytes(22))
    with pytest.raises(ShardError, match="22 bytes where the index says 24"):
        ShardReader(str(tmp_path / "s"))


def test_a_shard_that_becomes_shorter_while_it_is_read_does_not_end_the_process(tmp_path: Path) -> None:
    writer = ShardWriter(eod=0)
    for _ in range(2):
        writer.add(RNG.integers(38, 2000, 50_000).astype(np.uint16), "code", "repo", "Python", [])
    for suffix, data in writer.finish().items():
        (tmp_path / f"s.{suffix}").write_bytes(data)
    read = """
import os, sys
from starmill.core.shards import ShardError, ShardReader
shard = ShardReader(sys.argv[1])
int(shard.tokens(0).sum())
os.truncate(f"{sys.argv[1]}.bin", 1000)
try:
    int(shard.tokens(1).sum())
except ShardError as error:
    sys.exit(f"{error}")
"""
    done = subprocess.run([sys.executable, "-c", read, str(tmp_path / "s")], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and done.stderr.startswith(f"{tmp_path}/s.bin: became shorter while it was read;")


def test_no_documents_make_no_shard() -> None:
    assert ShardWriter(0).finish() == {}


def test_damage_is_named(prefix: str, tmp_path: Path) -> None:
    path = Path(f"{prefix}.bin")
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(ShardError, match=r"s\.bin: \d+ bytes where the index says"):
        ShardReader(prefix)
    path.write_bytes(whole)
    index = Path(f"{prefix}.idx").read_bytes()
    for damaged, message in [
        (index[:-1], "cut off"),
        (b"x" + index[1:], "wrong magic"),
        (b"", "wrong magic"),
        (index[:17] + b"\x05" + index[18:], "token type 5"),
    ]:
        Path(f"{prefix}.idx").write_bytes(damaged)
        with pytest.raises(ShardError, match=message):
            ShardReader(prefix)


@pytest.mark.parametrize(
    ("format", "message"),
    [
        (None, r"s\.docs\.parquet: format 1 .*made by an older starmill: run `starmill tokenize` again"),
        (b"3", r"s\.docs\.parquet: format 3 .*made by a newer starmill: run `starmill tokenize` again"),
        (b"x", r"s\.docs\.parquet: not the side table of a shard"),
    ],
)
def test_another_format_is_refused(prefix: str, format: bytes | None, message: str) -> None:
    table = pq.read_table(f"{prefix}.docs.parquet")
    assert table.schema.metadata[b"starmill.format"] == b"2"
    pq.write_table(table.replace_schema_metadata({b"starmill.format": format} if format else {}), f"{prefix}.docs.parquet")
    with pytest.raises(ShardError, match=message):
        ShardReader(prefix)


def test_the_tokens_and_their_index_are_bytes_that_no_change_may_touch(tmp_path: Path) -> None:
    writer = ShardWriter(eod=0)
    writer.add(np.array([7, 300], np.uint16), "code", "r", "C", [])
    writer.add(np.array([9], np.uint16), "issue", "r", "", [])
    made = {suffix: bytes(data).hex() for suffix, data in writer.finish().items() if suffix != "docs.parquet"}
    assert made == {
        "bin": "07002c01000009000000",
        "idx": "4d4d4944494458000001000000000000000802000000000000000300000000000000"  # magic, version, type, counts
        "0300000002000000"  # lengths
        "00000000000000000600000000000000"  # byte offsets
        "000000000000000001000000000000000200000000000000",  # boundaries
    }


def test_other_bytes_of_the_same_size_are_refused_when_they_are_read(prefix: str, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "w"))
    names = {s: part_path("shards", 0, s) for s in SUFFIXES}
    data = {s: Path(f"{prefix}.{s}").read_bytes() for s in SUFFIXES}
    made = tuple(output(names[s], data[s]) for s in SUFFIXES)
    workspace.commit(Sidecar("tokenize", "shards", 0, "k", made), [data[s] for s in SUFFIXES])
    workspace.finish("shards", "k", 1, "v")
    assert open_shards(workspace.url)[0].tokens(0).tolist() == [*DOCUMENTS[0].tolist(), 0]
    for suffix, whole in data.items():
        workspace.publish(names[suffix], bytes(len(whole)))
        with pytest.raises(ShardError, match=rf"part-00000\.{suffix}: its sha256 is not the manifest's"):
            open_shards(workspace.url)[0].tokens(2)
        workspace.publish(names[suffix], whole)
    Path(workspace.path(names["bin"])).rename(tmp_path / "elsewhere")
    Path(workspace.path(names["bin"])).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link"):
        open_shards(workspace.url)


def test_a_manifest_that_lacks_a_file_of_a_shard_is_named(prefix: str, tmp_path: Path) -> None:
    workspace, data = Workspace(str(tmp_path)), Path(f"{prefix}.idx").read_bytes()
    workspace.commit(Sidecar("tokenize", "shards", 0, "k", (output(part_path("shards", 0, "idx"), data),)), [data])
    workspace.finish("shards", "k", 1, "v")
    with pytest.raises(ShardError, match=r"part 0 in shards/manifest\.json lacks bin, docs\.parquet"):
        open_shards(workspace.url)


def test_an_unfinished_workspace_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="run `starmill run` first"):
        open_shards(str(tmp_path))
