"""A dataset as a finished run leaves it, of given texts: what a source of functions reads."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import schema, swhid
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines.sources.functions.reader import Functions
from starmill.pipelines.sources.source import Source, label

Row = tuple[str, str, str, str]  # repository, path, language, text


def dataset(place: Path, rows: Sequence[Row], group: int = 1000) -> Path:
    """Write dataset/ with one part, of row groups of so many rows; every file is under MIT and has 7 stars."""
    workspace, part = Workspace(str(place)), ParquetPart(schema.DATASET)
    for first in range(0, max(1, len(rows)), group):
        block = [
            {
                "kind": "code",
                "repo_name": repository,
                "path": path,
                "content_id": swhid.content_id(text.encode()),
                "language": language,
                "detected_licenses": ["MIT"],
                "star_events_count": 7,
                "length_bytes": len(text.encode()),
                "content": text,
            }
            for repository, path, language, text in rows[first : first + group]
        ]
        part.write(pa.RecordBatch.from_pylist(block, schema=schema.DATASET))
    data = part.close()
    made = output(part_path("dataset", 0), data)
    workspace.commit(Sidecar("release", "dataset", 0, "k", (made,), kinds=("code",)), [data])
    workspace.finish("dataset", "k", 1, "v")
    return place


def milled(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    """Make a file of a finished dataset of each file of text in root/toy."""
    place, files = root.parent / "milled", []
    for path in sorted(p for p in (root / "toy").rglob("*") if p.is_file() and not p.is_symlink()):
        files.append(("toy", f"/{path.relative_to(root / 'toy')}", "Python", path.read_bytes().decode("latin-1")))
    return Functions(workspace=str(dataset(place, files))), place


def finished(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, set[bytes]]:
    """Make a file of a dataset, with a documented function, of each path below root/toy, called as ingest would."""
    files, top, paths = [], os.fsencode(root / "toy"), set[bytes]()
    for base, folders, names in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        paths |= {os.path.relpath(os.path.join(base, name), top) for name in (*names, *links)}
    for path in sorted(paths):
        file = Path(root / "toy", os.fsdecode(path))
        said = file.read_text() if file.is_file() and file.stat().st_size < 10 << 20 and not file.is_symlink() else ""
        files.append(("toy", label(path)[0], "Python", f'def f(x):\n    """It is {said.strip()}."""\n    return x\n'))
    return Functions(workspace=str(dataset(root.parent / "milled", files))), paths
