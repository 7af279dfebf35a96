"""All ways to name a file, against rows whose repositories and paths have colons and slashes of their own."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Workspace, part_path
from starmill.core.errors import UsageError
from starmill.reports import query
from starmill.reports.query import exactly, nearest, parse

ROWS: list[dict[str, Any]] = [
    {"repo_name": r, "path": p, "content_id": c * 40, "blob_id": b * 40, "directory_id": d * 40}
    for r, p, c, b, d in (
        ("o/r", "/a.py", "a", "1", "d"),
        ("o/r", "/lib/a.py", "a", "1", "d"),
        ("o/r", "/lib/x:y.py", "b", "2", "d"),
        ("https://h:80/s", "/a.py", "c", "3", "e"),
        ("https://h:80/s", "/x:y.py", "e", "4", "e"),
    )
]
BLOCK = pa.RecordBatch.from_pylist(ROWS, schema=schema.RECORDS)


def named(text: str) -> list[str]:
    asked = parse(text)
    return [f"{row['repo_name']} {row['path']}" for row in asked.preferred(BLOCK.filter(asked.mask(BLOCK)).to_pylist())]


@pytest.mark.parametrize("path", ["a.py", "/a.py", "./a.py", ".//a.py", "lib/../a.py"])
def test_a_path_is_one_of_its_repositorys_root(path: str) -> None:
    assert named(path) == ["o/r /a.py", "https://h:80/s /a.py"]
    assert named(f"o/r:{path}") == ["o/r /a.py"]
    assert named(f"https://h:80/s:{path}") == ["https://h:80/s /a.py"]


def test_colons_in_paths_and_repositories() -> None:
    assert named("lib/x:y.py") == named("o/r:/lib/x:y.py") == ["o/r /lib/x:y.py"]
    assert named("https://h:80/s:x:y.py") == ["https://h:80/s /x:y.py"]
    assert named("r:/a.py") == named("o/r:") == named("") == []


def test_hashes_of_contents_and_blobs() -> None:
    both = ["o/r /a.py", "o/r /lib/a.py"]
    for text in ("a" * 40, "A" * 40, "1" * 40, "swh:1:cnt:" + "a" * 40, "SWH:1:cnt:" + "A" * 40):
        assert named(text) == both
    assert named("swh:1:dir:" + "E" * 40) == ["https://h:80/s /a.py", "https://h:80/s /x:y.py"]
    assert named("swh:1:rev:" + "e" * 40) == [], "the ids of revisions are others"


@pytest.mark.parametrize(
    ("qualifiers", "count"),
    [
        ("path=/lib/a.py", 1),
        ("origin=https://github.com/o/r;path=/lib/a.py", 1),
        ("path=/moved/since.py", 2),
        ("origin=https://elsewhere.org/f/k.git;lines=3-4", 2),
    ],
)
def test_qualifiers_choose_among_equal_contents(qualifiers: str, count: int) -> None:
    assert len(named(f"swh:1:cnt:{'a' * 40};{qualifiers}")) == count


@pytest.mark.parametrize("text", ["swh:1:cnt:abc", "swh:2:cnt:" + "a" * 40, "swh:1:cnt:" + "g" * 40, "swh:1:rel:" + "a" * 40])
def test_what_is_no_swhid_of_a_file(text: str) -> None:
    with pytest.raises(UsageError, match=f"^{text}: "):
        parse(text)
    assert parse(f"/{text}").places, "with a slash it is a path"


def test_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, part = Workspace(str(tmp_path)), ParquetPart(schema.RECORDS)
    part.write(BLOCK)
    workspace.publish(part_path("records", 0), part.close())
    parts = workspace.parts("records")
    assert nearest(workspace, parse("o/r:/src/A.py"), parts)[0] == "o/r:/a.py", "the same name in another folder"
    assert nearest(workspace, parse("/lib/x:yy.py"), parts)[0] == "o/r:/lib/x:y.py"
    assert nearest(workspace, parse("/quite/different.txt"), parts) == []
    assert nearest(workspace, parse("a" * 40), parts) == [], "hashes are not near each other"
    monkeypatch.setattr(query, "ROWS_COMPARED", 1)
    assert nearest(workspace, parse("/lib/x:yy.py"), parts) == []


def test_one_file_exactly() -> None:
    assert BLOCK.filter(exactly("https://h:80/s", "/x:y.py").mask(BLOCK)).to_pylist() == [BLOCK.to_pylist()[4]]
