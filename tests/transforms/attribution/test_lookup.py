"""Look-ups by ranges: the same rows as a scan of the whole, one read a page; damaged and stale files are refused by name."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import released_workspace as released

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.transforms.attribution import fingerprints, lookup
from starmill.transforms.attribution.lookup import Index, Table, Texts


@dataclass(frozen=True)
class Counting(Workspace):
    """A workspace that remembers what was read of it."""

    reads: list[str] = field(default_factory=list, compare=False)

    def read(self, relative: str, start: int | None = None, end: int | None = None) -> bytes:
        self.reads.append(relative)
        return super().read(relative, start, end)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(fingerprints, "PAGE", 16)
    monkeypatch.setattr(fingerprints, "PARTITION_BYTES", 20_000)
    files = ["".join(f"def function_{i}_{k}(value): return {i * k}\n" for i in range(60)) for k in range(20)]
    rows = [released.row("me/project", f"/{k}.py", text) for k, text in enumerate(files)]
    released.derive(released.build(tmp_path / "w", [rows[:11], rows[11:]], group=4))
    return Counting(str(tmp_path / "w"))


def test_a_look_up_finds_what_a_scan_finds_and_reads_each_page_once(place: Counting) -> None:
    whole = pa.concat_tables(place.table(p).replace_schema_metadata() for p in place.parts(fingerprints.DATASET))
    index = Index(place)
    assert len(index.partitions) > 1 and all(place.table(p).num_rows > 100 for p in place.parts(fingerprints.DATASET))
    every = np.unique(whole.column("hash").to_numpy())
    assert index.find(every) == whole
    assert index.find(every[:0]).num_rows == 0
    del place.reads[:]
    one = index.find(every[70:71])
    assert one.num_rows >= 1 and set(one.column("hash").to_pylist()) == {int(every[70])}
    within = [(t.bounds[0] <= every[70]) & (t.bounds[1] >= every[70]) for t in index.partitions]
    assert len(place.reads) == np.concatenate(within).sum() <= 2
    absent = np.array([int(every[70]) + 1], np.uint64)
    assert index.find(absent).num_rows == 0


def test_texts_are_read_by_row_and_row_groups_stay(place: Counting) -> None:
    texts = Texts(place)
    wanted = [place.table(p).to_pylist() for p in place.parts("dataset")]
    for part, row in ((0, 0), (0, 10), (1, 8), (1, 3)):
        found = texts.row(part, row)
        assert found == {name: wanted[part][row][name] for name in found}
    before = len(place.reads)
    texts.row(0, 1)
    assert len(place.reads) == before
    with pytest.raises(InputError, match="no row 11"):
        texts.row(0, 11)


def test_what_is_stale_damaged_or_absent_is_refused(place: Counting, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `starmill index` first"):
        Index(Workspace(str(tmp_path / "none"))).find(np.array([1], np.uint64))
    path = place.parts(fingerprints.DATASET)[0]
    data = bytearray(place.read(path))
    data[30:200] = bytes(170)
    place.publish(path, bytes(data))
    table = Table(place, path)
    with pytest.raises(InputError, match="damaged"):
        for group in range(table.footer.num_row_groups):
            table.group(group, fingerprints.KEPT.names)
    place.publish(path, bytes(data[:100]))
    with pytest.raises(InputError, match="damaged"):
        Table(place, path).footer  # noqa: B018
    place.remove(path)
    with pytest.raises(InputError, match="not there"):
        Table(place, path).footer  # noqa: B018


def test_fingerprints_of_an_earlier_release_are_not_believed(place: Counting) -> None:
    rows = [released.row("me/project", "/new.py", "x = 1\n" * 50)]
    released.build(place.root, [rows])
    with pytest.raises(InputError, match="earlier release"):
        Index(place).find(np.array([1], np.uint64))


def test_row_groups_leave_when_there_are_too_many_bytes_of_them(place: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(place)
    groups = [(0, 0), (0, 4), (0, 8)]
    for part, row in groups:
        texts.row(part, row)
    two = texts._held - 1
    texts = Texts(place)
    monkeypatch.setattr(lookup, "HELD", two)
    for at, is_read in ((0, True), (1, True), (2, True), (1, False), (0, True), (1, False), (2, True)):
        before = len(place.reads)
        texts.row(*groups[at])
        assert (len(place.reads) > before) is is_read, at
    assert len(texts._groups) == 2 and texts._held == sum(table.nbytes for table in texts._groups.values()) <= two
