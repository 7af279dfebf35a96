"""The trigrams of a part, against a set for each file."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.transforms.attribution import trigrams

TEXTS = ["def F(x):\n", "", None, "ab", "é漢 DEF", "def f(x):" * 3, *("xyz" if i % 200 else "far" for i in range(900))]


def by_hand() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row, text in enumerate(TEXTS):
        data = (text or "").encode().lower()
        for one in {int.from_bytes(data[i : i + 3], "big") for i in range(len(data) - 2)}:
            found.setdefault(one, []).append(row)
    return found


def test_rows_are_those_that_hold_it_however_they_come() -> None:
    files = set()
    for step in (7, 2000):
        made = trigrams.Trigrams()
        for first in range(0, len(TEXTS), step):
            made.add(pa.array(TEXTS[first : first + step], pa.string()))
        files.add(trigrams.file_of(made.table(), "of a part"))
    table = pq.read_table(io.BytesIO(files.pop()))
    assert not files and table.schema.metadata[trigrams.PART] == b"of a part"
    rows = table.to_pylist()
    assert {r["trigram"]: trigrams.rows_of(r["rows"], r["files"]).tolist() for r in rows} == by_hand()
    assert [r["trigram"] for r in rows] == sorted(by_hand())


def test_rows_that_are_too_many_or_too_few_are_refused() -> None:
    for data, files in ((b"\0\0", 1), (b"\0", 2), (b"\x80", 1)):
        with pytest.raises(ValueError, match="not as many"):
            trigrams.rows_of(data, files)
