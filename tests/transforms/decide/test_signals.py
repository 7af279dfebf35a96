"""Both sides of each threshold, and what was not measured stays."""

import pyarrow as pa

from starmill.transforms.decide.signals import LowScore, Signals, SyntaxErrors
from starmill.transforms.step import chain


def test_thresholds() -> None:
    assert [SyntaxErrors(0.25).judge(share) for share in (0.25, 0.2501, None, 1.0)] == [
        None,
        "syntax_errors",
        None,
        "syntax_errors",
    ]
    assert [LowScore(1.5).judge(score) for score in (1.5, 1.4, None, 9.0)] == [None, "low_score", None, None]


def test_only_what_a_recipe_has_decides() -> None:
    names = ("kind", "repo_name", "path", "blob_id", "content_id", "language")
    rows = [(0.0, 0.9), (0.5, 0.9), (0.0, 0.1), (None, None)]
    made = [
        {"syntax_error_fraction": s, "quality_score": q, "length_bytes": 1, **dict.fromkeys(names, str(k))}
        for k, (s, q) in enumerate(rows)
    ]
    block = pa.RecordBatch.from_pylist(made)
    assert Signals().steps() == ()
    kept, dropped = chain(block, Signals(SyntaxErrors(), LowScore()).steps(), "curate")
    assert kept.column("path").to_pylist() == ["0", "3"]
    assert [(row["path"], row["reason"]) for lost in dropped for row in lost.to_pylist()] == [
        ("1", "syntax_errors"),
        ("2", "low_score"),
    ]
