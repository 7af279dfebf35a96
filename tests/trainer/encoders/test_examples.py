"""The annotated set's columns, in JSONL and parquet; what is written is read again; what is no example is named."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.core.errors import InputError, NotThere
from starmill.trainer.encoders import examples
from starmill.trainer.encoders.examples import Example, read, write

ROW = {
    "id": 7,
    "text": "by Jane Doe, jane@corp.io",
    "fragments": [
        {"category": "EMAIL", "position": [13, 25], "value": "jane@corp.io"},
        {"category": "NAME", "position": [3, 11], "value": "Jane Doe"},
        {"category": "AMBIGUOUS", "position": [0, 2], "value": "by"},
        {"category": "NAME", "position": [3, 7], "value": "Jane"},
    ],
}
WANTED = Example(ROW["text"], ((3, 11, "NAME"), (13, 25, "EMAIL")))


def test_rows_of_the_annotated_set(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW) + "\n")
    pq.write_table(pa.Table.from_pylist([ROW]), tmp_path / "b.parquet")
    assert (
        read(str(tmp_path / "a.jsonl"), ("NAME", "EMAIL")) == read(str(tmp_path / "b.parquet"), ("NAME", "EMAIL")) == [WANTED]
    )
    assert read(str(tmp_path), ("NAME",)) == [Example(ROW["text"], ((3, 11, "NAME"),))] * 2


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    some = [WANTED._replace(format="f"), Example("é\n", ())]
    write(tmp_path / "new/x.jsonl", some)
    assert read(str(tmp_path / "new/x.jsonl"), ("NAME", "EMAIL")) == some


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is no object"),
        ('{"text": 1, "fragments": []}', "row 1: `text`"),
        ('{"text": "a", "fragments": [{"category": "NAME"}]}', "row 1: a fragment is"),
        ('{"text": "a", "fragments": [{"category": "NAME", "position": [0, 2]}]}', "not in a text of 1 characters"),
    ],
)
def test_what_is_no_example_is_named(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(InputError, match=said):
        read(str(tmp_path / "a.jsonl"), ("NAME",))
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a parquet file"):
        read(str(tmp_path / "b.parquet"), ("NAME",))
    with pytest.raises(NotThere, match="starmill plant"):
        read(str(tmp_path / "none.jsonl"), ("NAME",))


def test_a_line_without_end_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps(ROW) + "\n"
    (tmp_path / "a.jsonl").write_text(line + line)
    monkeypatch.setattr(examples, "MOST_LINE", len(line))
    assert len(read(str(tmp_path / "a.jsonl"), ("NAME",))) == 2
    monkeypatch.setattr(examples, "MOST_LINE", len(line) - 1)
    with pytest.raises(InputError, match="line 1 has more than"):
        read(str(tmp_path / "a.jsonl"), ("NAME",))
