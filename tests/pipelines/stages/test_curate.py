"""Curate one part: every row is kept with its annotations and signature, or dropped with its reason."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines.stages.curate import Curate, CuratePart, WorkspaceCache
from starmill.transforms.beam import PartRef
from starmill.transforms.dedup.minhash import MinHash

ROWS = [
    ("free", "/LICENSE", "SPDX-License-Identifier: MIT\n"),
    ("free", "/a.py", "def area(width, height):\n    return width * height\n"),
    ("free", "/b.py", "x = '" + "y" * 2000 + "'\n"),
    ("free", "/what.zzzz", "no language has this name\n"),
    ("gnu", "/COPYING", "SPDX-License-Identifier: GPL-3.0-only\n"),
    ("gnu", "/c.py", "def f():\n    return 1\n"),
    ("none", "/vendor/d.py", "import os\n"),
]


def test_a_part(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    part = ParquetPart(schema.FILES)
    for repository in ("free", "gnu", "none"):  # a row group each: the licence is found beyond it
        rows = [
            {"repo_name": r, "path": p, "content": c, "blob_id": f"{i:040x}", "content_id": f"{i:040x}", "length_bytes": len(c)}
            for i, (r, p, c) in enumerate(ROWS)
            if r == repository
        ]
        part.write(pa.RecordBatch.from_pylist(rows, schema=schema.FILES))
    data = part.close()
    workspace.commit(Sidecar("ingest", "files", 0, "k", (output(part_path("files", 0), data),)), [data])
    sidecar = CuratePart(workspace, Curate(), MinHash())(PartRef(0, "key"))
    kept = workspace.table("curated/part-00000.parquet").to_pylist()
    assert [(r["path"], r["language"], r["license_type"], r["detected_licenses"], r["is_vendor"]) for r in kept] == [
        ("/a.py", "Python", "permissive", ["MIT"], False),
        ("/vendor/d.py", "Python", "no_license", [], True),
    ]
    lost = {r["path"]: (r["step"], r["reason"]) for r in workspace.table("dropped/curate/part-00000.parquet").to_pylist()}
    assert lost["/c.py"] == ("license_type", "non_permissive")
    assert lost["/b.py"] == ("long_lines", "line_too_long")
    assert lost["/what.zzzz"] == ("languages", "unknown_language")
    assert len(kept) + len(lost) == len(ROWS) == sum(c.files for c in sidecar.counts)
    signatures = workspace.table("signatures/part-00000.parquet").to_pylist()
    assert [s["path"] for s in signatures] == [r["path"] for r in kept]
    assert len(np.frombuffer(signatures[0]["signature"], "<u4")) == 256 and signatures[1]["signature"] is None
    assert list(sidecar.lineage) == ["files/part-00000.parquet"]


def test_the_cache_outlives_the_process(tmp_path: Path) -> None:
    cache = WorkspaceCache(Workspace(str(tmp_path)), "cache/x")
    assert cache.get("abc-full") is None
    cache.put("abc-full", ["MIT", "Zlib"])
    cache.put("def-full", [])
    again = WorkspaceCache(Workspace(str(tmp_path)), "cache/x")
    assert again.get("abc-full") == ["MIT", "Zlib"] and again.get("def-full") == []
