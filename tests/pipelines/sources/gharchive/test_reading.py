"""Hours as rows and problems, and opened anew for each look."""

import io
from pathlib import Path

import hours
import pytest

from starmill.core.storage import Storage
from starmill.pipelines.sources.gharchive import reading
from starmill.pipelines.sources.gharchive.hours import Cut


def test_each_line_gives_its_rows_or_why_it_has_none() -> None:
    lines = [hours.line(hours.opened(1, 1)), b"", b'{"id":"', hours.line(hours.event("PushEvent", {}, "00:00:00", 2))]
    found = [*reading.found(io.BytesIO(b"\n".join(lines)), None, 1 << 30)]
    assert sum(size for *_, size in found) == sum(map(len, lines))
    assert [(row.thread, row.id) for rows, *_ in found for row in rows] == [("issues/1", "1")]
    assert [(p.line, p.reason, p.size) for _, lost, _ in found for p in lost] == [(3, "bad_event", 7)]
    assert [(p.line, p.reason) for _, lost, _ in reading.found(io.BytesIO(b""), None, 9) for p in lost] == [(0, "empty_file")]


def test_a_cut_member_ends_the_look_and_the_next_one_stops_before_it(tmp_path: Path) -> None:
    whole = hours.hour(tmp_path / "0.json.gz", hours.opened(1, 1)).read_bytes()
    (tmp_path / "0.json.gz").write_bytes(whole + whole[:-9])
    with reading.Looks(Storage(str(tmp_path)), "0.json.gz") as looks:
        with pytest.raises(Cut) as cut:
            [*reading.found(next(looks), None, 1 << 30)]
        assert reading.cut(cut.value)[:2] == (0, "cut_member")
        assert [len(rows) for rows, *_ in reading.found(next(looks), cut.value.whole, 1 << 30)] == [1]


def test_hours_are_listed_by_name_and_another_state_is_another_hour(tmp_path: Path) -> None:
    for name in ("b.json.gz", "a b.json.gz"):
        hours.hour(tmp_path / name, hours.opened(1, 1))
    storage = Storage(str(tmp_path))
    before = reading.listed(storage, 99)
    assert [found.hour.name for found in before] == ["a%20b.json.gz", "b.json.gz"] and before == reading.listed(storage, 99)
    hours.hour(tmp_path / "b.json.gz", hours.opened(1, 1), hours.opened(2, 2))
    assert [a == b for a, b in zip(before, reading.listed(storage, 99), strict=True)] == [True, False]
    assert not {f.hour for f in before} & {f.hour for f in reading.listed(storage, 98)}
    with pytest.raises(FileNotFoundError):
        reading.listed(Storage(str(tmp_path / "none")), 99)
