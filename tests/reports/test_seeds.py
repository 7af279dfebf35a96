"""Seeds as JSON lines: one for each record, in their order; what is none is refused, what is no more is removed."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError, NotThere
from starmill.reports import seeds


def finished(place: Path, kind: str = "seed", parts: int = 2) -> Workspace:
    workspace = Workspace(str(place))
    for part in range(parts):
        text = f'def f(x):\n    """ä {part}."""\n    return x\n'
        marks = [{"role": "documentation", "name": None, "start": 14, "end": 24}]
        row = {"kind": kind, "repo_name": "me/a", "path": "/a/b.py/10-12~2", "language": "Python", "content": text}
        row |= {"segments": marks, "parent": "swh:1:cnt:" + "1" * 40, "detected_licenses": ["MIT"]}
        file = ParquetPart(schema.DATASET)
        file.write(pa.RecordBatch.from_pylist([row], schema=schema.DATASET))
        data = file.close()
        made = output(part_path("dataset", part), data)
        workspace.commit(Sidecar("release", "dataset", part, "k", (made,), kinds=(kind,)), [data])
    workspace.finish("dataset", "k", parts, "v")
    return workspace


def test_a_line_is_a_seed_with_its_file_and_lines(tmp_path: Path) -> None:
    made = seeds.write(finished(tmp_path))
    assert [(one.path, one.seeds) for one in made] == [("seeds/part-00000.jsonl", 1), ("seeds/part-00001.jsonl", 1)]
    [line] = (tmp_path / "seeds/part-00001.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "seed": 'def f(x):\n    """ä 1."""\n    return x\n',
        "language": "Python",
        "swhid": "swh:1:cnt:" + "1" * 40,
        "repository": "me/a",
        "path": "a/b.py",
        "licenses": ["MIT"],
        "lines": [10, 12],
        "documentation": [14, 24],
    }


def test_a_part_that_is_no_more_has_no_seeds(tmp_path: Path) -> None:
    seeds.write(finished(tmp_path))
    (tmp_path / "seeds/mine.txt").touch()
    seeds.write(finished(tmp_path, parts=1))
    assert sorted(p.name for p in (tmp_path / "seeds").iterdir()) == ["mine.txt", "part-00000.jsonl"]


def test_what_is_no_dataset_of_seeds_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="no complete dataset/ in it"):
        seeds.write(Workspace(str(tmp_path)))
    with pytest.raises(InputError, match="kind code, where seeds should be"):
        seeds.write(finished(tmp_path, "code"))
