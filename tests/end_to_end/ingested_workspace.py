"""What ingest leaves, written by hand: records/ of given rows; the steps that measure code, and one that cannot stand a text."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines.kinds import KINDS, Measure

ROWS = (
    ("free", "/LICENSE", "SPDX-License-Identifier: MIT\n"),
    ("free", "/a.py", "def area(width, height):\n    return width * height\n"),
    ("free", "/b.py", "x = '" + "y" * 2000 + "'\n"),
    ("free", "/what.zzzz", "no language has this name\n"),
    ("gnu", "/COPYING", "SPDX-License-Identifier: GPL-3.0-only\n"),
    ("gnu", "/c.py", "def f():\n    return 1\n"),
    ("none", "/vendor/d.py", "import os\n"),
)


def ingested(
    workspace: Workspace,
    rows: tuple[tuple[str, str, str], ...] = ROWS,
    kinds: tuple[str, ...] = (),
    segments: tuple[list[dict] | None, ...] = (),
) -> None:
    """Write records/ as ingest leaves it: a row group for each repository; all rows are code unless `kinds` names their kinds."""
    part = ParquetPart(schema.RECORDS)
    of_row = kinds or ("code",) * len(rows)
    for repository in dict.fromkeys(r for r, _, _ in rows):
        block = [
            {
                "kind": of_row[i],
                "repo_name": r,
                "path": p,
                "blob_id": hashlib.sha1(c.encode()).hexdigest(),
                "content_id": f"{i:040x}",
                "length_bytes": len(c),
                "content": c,
                "segments": segments[i] if segments else None,
            }
            for i, (r, p, c) in enumerate(rows)
            if r == repository
        ]
        part.write(pa.RecordBatch.from_pylist(block, schema=schema.RECORDS))
    data = part.close()
    made = output(part_path("records", 0), data)
    workspace.commit(Sidecar("ingest", "records", 0, "k", (made,), kinds=tuple(sorted({*of_row}))), [data])


CODE = {"code": KINDS["code"].measure(Measure())}


@dataclass(frozen=True)
class Picky:
    """A step that cannot stand one text."""

    reads: ClassVar[tuple[str, ...]] = ("content",)
    name: str = "picky"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Raise for a text with "area"."""
        if any("area" in text for text in block.column("content").to_pylist()):
            raise ValueError("area")
        return block
