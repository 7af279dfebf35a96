"""Verdicts of one part, written from removals by hand."""

import numpy as np
import pyarrow as pa
from curated_workspace import OPTIONS, fill, row

from starmill.core.dataset import Workspace, part_path
from starmill.pipelines.stages.dedup.candidates import Candidates
from starmill.pipelines.stages.dedup.verdicts import publish
from starmill.transforms.dedup import bands, clusters


def test_each_row_is_judged_and_what_goes_names_its_twin(tmp_path):
    workspace = Workspace(str(tmp_path))
    rows = [row(f"r{i // 3}", f"/{i}", f"text {i}", language="C" if i % 2 else None) for i in range(9)]
    _, ref = fill(workspace, [[], rows], group=4)
    file = bands.file_ids(1, np.array([7, 4, 5]))
    twin = {"kept": 3, "kept_rank": bytes(33), "kept_repo_name": "k", "kept_path": "/k", "kept_content_id": "id"}
    removals = [
        {"file": int(f), **twin, "kept_release": None, "jaccard": j, "exact": j == 1.0}
        for f, j in zip(file, (0.8, 1.0, 0.9), strict=True)
    ]
    removed = pa.Table.from_pylist(removals, schema=clusters.REMOVAL)
    # r1 goes whole: it is rows 3 to 5, over two row groups, and a row of it that stays is no part of that.
    sidecar = publish(Candidates(workspace, OPTIONS), ref, removed, bands.file_ids(1, np.array([3])))
    verdicts = workspace.table(part_path("verdicts", 1)).to_pylist()
    assert [v["reason"] for v in verdicts] == [None] * 4 + ["duplicate_repository"] * 2 + [None, "near_duplicate", None]
    assert [v["keep"] for v in verdicts] == [v["reason"] is None for v in verdicts]
    assert verdicts[7] == {
        "keep": False,
        "reason": "near_duplicate",
        "kept_repo_name": "k",
        "kept_path": "/k",
        "kept_content_id": "id",
        "kept_release": None,
        "jaccard": 0.8,
        "cluster_id": "id",
    }
    dropped = workspace.table(part_path("dropped/dedup", 1)).to_pylist()
    assert [(d["path"], d["step"]) for d in dropped] == [("/4", "repository"), ("/5", "repository"), ("/7", "near")]
    assert {(c.language, c.reason): c.files for c in sidecar.counts} == {
        ("", ""): 4,
        ("C", ""): 2,
        ("", "duplicate_repository"): 1,
        ("C", "duplicate_repository"): 1,
        ("C", "near_duplicate"): 1,
    }
