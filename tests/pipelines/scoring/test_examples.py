"""What is no example is told with its file and line; what is held out depends on the texts and the seed alone."""

import gzip
import json
from pathlib import Path

import pytest
from labelled import examples, write

from starmill.core.errors import InputError, NotThere
from starmill.pipelines.scoring.examples import read


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "x", "label": 1', "not JSON"),
        ("[1]", "not an object"),
        ('{"label": 1}', r"one text is needed, as `text` or `content`; it has label \(int\)"),
        ('{"text": 5, "label": 1}', "one text is needed"),
        ('{"text": "x"}', "one of `label` and `score` is needed"),
        ('{"text": "x", "label": 2}', "label=2 is none of 0, 1, false and true"),
        ('{"text": "x", "label": "good"}', "label='good' is none of"),
        ('{"text": "x", "score": "7"}', "score='7' is no number"),
        ('{"text": "x", "score": 1e300}', "score=1e\\+300 is no number"),
        ('{"text": "x", "score": 1}', "has a score, and the lines before have a label"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_told_with_its_place(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "e.jsonl").write_text(json.dumps({"text": "x", "label": True}) + "\n\n" + line + "\n")
    with pytest.raises(InputError, match=rf"e\.jsonl:3: {said}"):
        read([str(tmp_path / "e.jsonl")], 0, 0.1)


def test_files_that_are_not_there_or_empty(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"e\.jsonl: no example; give lines such as"):
        read([str(tmp_path / "e.jsonl")], 0, 0.1)
    with pytest.raises(NotThere, match=r"EXAMPLES: .*none: no such file"):
        read([str(tmp_path / "none")], 0, 0.1)


def test_neither_the_order_of_lines_nor_of_files_decides(tmp_path: Path) -> None:
    rows = examples(200)
    one = read([write(tmp_path / "a.jsonl", rows)], 0, 0.25)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows[:50][::-1]).encode()))
    assert read([write(tmp_path / "b.jsonl", rows[50:][::-1]), str(tmp_path / "c.jsonl.gz")], 0, 0.25) == one
    held = [example.text for example in one[1] if example.is_held_out]
    assert 25 < len(held) < 75 and held != [e.text for e in read([str(tmp_path / "a.jsonl")], 1, 0.25)[1] if e.is_held_out]
