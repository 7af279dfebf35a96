"""What a table is read in: small row groups together, large ones in pieces; and which names need a mark."""

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.pipelines.sources.tables import plan as tables_plan
from starmill.pipelines.sources.tables.columns import Columns
from starmill.pipelines.sources.tables.plan import ALL, Mark, Span

COLUMNS = Columns({"content": ["content"], "repo_name": ["repo"]}, frozenset(("content",)))


def test_row_groups_become_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"r{i:03d}" for i in range(100)]
    pq.write_table(pa.table({"repo": names, "content": ["x" * 50] * 100, "unused": names}), tmp_path / "t", row_group_size=20)

    def pieces() -> list[tables_plan.Piece]:
        with pa.OSFile(str(tmp_path / "t")) as file:
            return tables_plan.pieces(file, COLUMNS)

    [whole] = pieces()
    assert whole[:3] == (range(5), 0, 100) and whole.span == Span(b"r000", b"r099")
    monkeypatch.setattr(tables_plan, "SMALL_UNIT", 0)
    assert [p.groups for p in pieces()] == [range(g, g + 1) for g in range(5)]
    assert all(a.span.last < b.span.first for a, b in pairwise(pieces()))  # type: ignore[union-attr, operator]
    monkeypatch.setattr(tables_plan, "UNIT_ROWS", 7)
    assert [p[1:3] for p in pieces()[:3]] == [(0, 7), (7, 7), (14, 6)] and sum(p.take for p in pieces()) == 100


def test_a_plan_says_what_it_holds() -> None:
    piece = tables_plan.Piece(range(3, 5), 7, 9, 1, None)
    assert tables_plan.extent(piece.extent) == (range(3, 5), 7, 9) and tables_plan.extent({}) == (None, 0, -1)
    for span in (ALL, Span(b"", b""), Span(b"a", b"\xff")):
        assert Span.read(str(span)) == span
    assert Span.read("") is None


def test_a_name_outside_of_what_a_footer_states_is_marked() -> None:
    mark = Mark.of({"mark": "1234", "span": str(Span(b"a", b"c")), "shared": ""})
    assert mark(b"b", b"x.py") == b"x.py" and mark(b"z", b"x.py") == b"x~1234.py" and mark(None, b"x.py") == b"x.py"


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.jsonl").write_text("{}\n")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real/a.jsonl")
    (tmp_path / "folder").symlink_to("/etc")
    root, found = tables_plan.listing(str(tmp_path))
    assert {name: f.reason for name, f in found.items()} == {"folder": "symlink", "link.jsonl": "symlink", "real/a.jsonl": ""}
    assert root == str(tmp_path) and tables_plan.listing(str(tmp_path / "real/a.jsonl"))[1].keys() == {"a.jsonl"}
