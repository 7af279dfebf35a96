"""A file of JSON lines that is only appended to: what a killed writer left torn goes, and what is whole stays."""

from pathlib import Path

import pytest

from starmill.core.errors import InputError
from starmill.evaluation.run.lines import Lines


def lines(place: Path) -> Lines:
    return Lines(place, "answer", "alignment", "give another --workspace")


def test_wherever_a_writer_is_killed(tmp_path: Path) -> None:
    place, rows = tmp_path / "deep/a.jsonl", [{"a": 1}, {"b": "\n\udc80"}]
    with lines(place) as file:
        for row in rows:
            file.append(row)
    data = place.read_bytes()
    first = data.index(b"\n") + 1
    for cut in range(len(data) + 1):
        place.write_bytes(data[:cut])
        with lines(place) as file:
            found = file.taken()
            assert found == rows[: (cut >= first) + (cut == len(data))] and file.taken() == []
            file.append({"c": 3})
        with lines(place) as file:
            assert file.taken() == [*found, {"c": 3}]


def test_one_process_writes_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    with lines(tmp_path / "a"), pytest.raises(InputError, match="another alignment writes it; wait for that, or give another"):
        lines(tmp_path / "a")
    with lines(tmp_path / "a") as file:
        file.replace([{"x": 1}])
        file.append({"y": 2})
    assert (tmp_path / "a").read_text() == '{"x": 1}\n{"y": 2}\n'
    (tmp_path / "a").write_text('{"x": 1}\n3\n')
    with pytest.raises(InputError, match="line 2 is no answer; remove the file"):
        lines(tmp_path / "a")
    (tmp_path / "a").write_text("")
    with lines(tmp_path / "a") as file:
        assert file.taken() == []
