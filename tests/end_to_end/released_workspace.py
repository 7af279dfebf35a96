"""A workspace with a release of given files, written by hand as the stage that makes it leaves it; and what is derived from it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from starmill.core import schema
from starmill.core.dataset import Count, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines.run import attribution
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import index, portrait


def row(repo: str, path: str, content: str, **values) -> dict:
    data = content.encode()
    ids = {"blob_id": hashlib.sha1(data).hexdigest(), "content_id": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    licences = {"license_type": "permissive", "detected_licenses": ["MIT"]}
    about = {"kind": "code", "repo_name": repo, "path": path, "length_bytes": len(data), "content": content}
    return {**about, **ids, **licences, **values}


def build(place: Path | str, parts: Sequence[Sequence[dict]], group: int = 7) -> Workspace:
    """Write the parts of a release, `group` rows a row group."""
    workspace = Workspace(str(place))
    for number, rows in enumerate(parts):
        part = ParquetPart(schema.DATASET)
        for first in range(0, len(rows), group):
            part.write(pa.RecordBatch.from_pylist(list(rows[first : first + group]), schema=schema.DATASET))
        data, size = part.close(), sum(r["length_bytes"] for r in rows)
        made = (output(part_path("dataset", number), data, len(rows)),)
        counts = (Count("", "", "", len(rows), size, "code"),)
        workspace.commit(Sidecar("release", "dataset", number, "k", made, counts, {}, ("code",)), [data])
    workspace.finish("dataset", "k", len(parts), "v")
    return workspace


def derive(workspace: Workspace, workers: int = 1) -> Workspace:
    """Make its portrait and its fingerprints."""
    for stage in (portrait, index):
        attribution.make(workspace, stage, choose((), workers), quiet=True)
    return workspace
