"""A dataset as a finished run leaves it, of given texts: what a source of functions reads."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from starmill.core import schema, swhid
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path

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
