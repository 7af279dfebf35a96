"""A part of days: sorted rows in row groups of one bucket, whether they wait in memory or in a file, and what is lost."""

import gzip
import json
import zlib
from pathlib import Path

import hours
import pyarrow.parquet as pq
import pytest
import sorts

from starmill.core.dataset import Sidecar, Workspace
from starmill.core.part import PartRef
from starmill.pipelines.stages.threads import days
from starmill.pipelines.stages.threads.days import Days

BUCKETS = 128


def made(place: Path, to: Path, *files: str) -> Sidecar:
    names = files or sorted(path.name for path in place.iterdir())
    return Days(Workspace(str(to)), str(place), BUCKETS, 1 << 30)(PartRef(0, "key", json.dumps(names)))


def test_row_groups_are_of_one_bucket_and_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "GROUP_ROWS", 3)
    made(sorts.generated(tmp_path / "hours", 5, events=90), tmp_path / "out")
    seen, total = list[int](), 0
    for slab in range(2):
        file = pq.ParquetFile(tmp_path / f"out/events-{slab:03}/part-00000.parquet")
        ends = json.loads(file.metadata.metadata[b"starmill.ends"])
        assert len(ends) == 64 and ends[-1] == file.num_row_groups
        for place in range(64):
            rows = [
                row for g in range(ends[place - 1] if place else 0, ends[place]) for row in file.read_row_group(g).to_pylist()
            ]
            keys = [(r["repo"], r["thread"], r["time"], r["id"], -len(r["data"]), r["data"]) for r in rows]
            assert keys == sorted(keys) and {zlib.crc32(r["repo"].encode()) % BUCKETS for r in rows} <= {64 * slab + place}
            seen += [64 * slab + place] * bool(rows)
            total += len(rows)
    assert len(seen) > 4 and seen[-1] >= 64 > seen[0] and total > 60
    facts = pq.read_table(tmp_path / "out/facts/part-00000.parquet").to_pylist()
    of = pq.read_table(tmp_path / "out/seen/part-00000.parquet").to_pylist()
    assert sum(row["threads"] for row in of) == total and len({row["repo"] for row in of}) == len(of)
    assert {row["repo"] for row in facts} <= {row["repo"] for row in of} and len(facts) > 10


def test_what_waits_in_a_file_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sorts.generated(tmp_path / "hours", 6)
    wanted = made(place, tmp_path / "memory")
    for rows, size in ((4, 1 << 30), (1 << 30, 2000)):
        monkeypatch.setattr(days, "SPILL_ROWS", rows)
        monkeypatch.setattr(days, "SPILL_BYTES", size)
        assert made(place, tmp_path / f"file-{rows}") == wanted
    monkeypatch.undo()
    monkeypatch.setattr(days, "TOLD", 2)
    assert made(place, tmp_path / "problems").counts == wanted.counts


@pytest.mark.parametrize("rows", [1, 1 << 30])
def test_a_cut_hour_leaves_the_rows_of_its_whole_members(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "SPILL_ROWS", rows)
    one, two = (gzip.compress(b"\n".join(hours.line(hours.opened(n, n)) for n in some)) for some in ((1, 2), (3, 4)))
    (tmp_path / "hours").mkdir()
    hours.hour(tmp_path / "hours/0.json.gz", hours.opened(5, 5))
    (tmp_path / "hours/1.json.gz").write_bytes(one + two[:-4])
    sidecar = made(tmp_path / "hours", tmp_path / "out")
    folder = f"out/events-{zlib.crc32(b'7') % BUCKETS // 64:03}"
    assert pq.read_table(tmp_path / folder / "part-00000.parquet").column("thread").to_pylist() == [
        "issues/1",
        "issues/2",
        "issues/5",
    ]
    assert [(c.reason, c.files) for c in sidecar.counts] == [("", 3), ("cut_member", 1)]
    [lost] = pq.read_table(tmp_path / "out/lost/part-00000.parquet").to_pylist()
    assert (lost["hour"], lost["line"], lost["reason"]) == ("1.json.gz", 0, "cut_member")
    whole, damaged = pq.read_table(tmp_path / "out/hours/part-00000.parquet").to_pylist()
    assert (whole["problems"], whole["digest"], damaged["problems"]) == (0, "", 1) and damaged["digest"]


def test_trouble_of_the_machine_fails_the_part(tmp_path: Path) -> None:
    hours.hour(tmp_path / "hours/0.json.gz", hours.opened(5, 5))
    with pytest.raises(FileNotFoundError):
        made(tmp_path / "hours", tmp_path / "out", "0.json.gz", "gone.json.gz")
    assert not (tmp_path / "out").exists()
