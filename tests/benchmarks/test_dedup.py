"""The benchmark's own ground: the corpus repeats, the truth is brute force's, and quality is right on a case made by hand."""

import hashlib
import itertools
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import corpus
import numpy as np
import pyarrow as pa
import pytest
import tools
import truth
import workspaces

from starmill.core.dataset import Workspace, part_path

ROOT = Path(corpus.__file__).resolve().parent.parent
TREES = [
    corpus.Root("code", 3, (str(ROOT / "transforms"), str(ROOT / "pipelines"))),
    corpus.Root("absent", 1, ("/no/such/folder",)),
]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return corpus.build(TREES, 200_000, seed=7)


def brute(texts: list[bytes]) -> dict[tuple[int, int], float]:
    """Similarity of every pair that shares a shingle, by Python sets of tuples."""
    sets = []
    for text in texts:
        words = re.findall(rb"[A-Za-z0-9_\x80-\xff]+", text)
        sets.append({tuple(words[i : i + 5]) for i in range(len(words) - 4)})
    return {
        (i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j])
        for i, j in itertools.combinations(range(len(sets)), 2)
        if sets[i] & sets[j]
    }


def test_a_corpus_is_a_function_of_its_seed(table):
    assert corpus.sha256(corpus.build(TREES, 200_000, seed=7)) == corpus.sha256(table)
    assert corpus.sha256(corpus.build(TREES, 200_000, seed=8)) != corpus.sha256(table)


def test_a_corpus_has_its_size_and_its_planted_files(table):
    assert 190_000 < corpus.size(table) < 260_000
    names = table.column("name").to_pylist()
    planted = [
        len(c.encode()) for n, c in zip(names, table.column("content").to_pylist(), strict=True) if n.startswith("planted/")
    ]
    assert 0.05 < sum(planted) / corpus.size(table) < 0.2
    assert all(n.startswith(("code/", "planted/")) for n in names)
    assert len(set(names)) == len(names)
    assert table.column("id").to_pylist() == list(range(len(names)))


def test_most_edits_leave_a_near_duplicate(table):
    texts = [t for t in table.column("content").to_pylist() if 500 <= len(t) <= 100_000]
    edited = [corpus.edit(texts, i % len(texts), np.random.default_rng(i)) for i in range(100)]
    pairs = [brute([texts[i % len(texts)].encode(), text.encode()]).get((0, 1), 0.0) for i, text in enumerate(edited)]
    assert np.mean(np.array(pairs) >= 0.7) > 0.7
    assert sum(text == texts[i % len(texts)] for i, text in enumerate(edited)) < 30


def test_truth_is_brute_force(table):
    draw = random.Random(3)
    texts = [t.encode() for t in table.column("content").to_pylist()[:30]]
    texts += [b"\n".join(line for line in draw.choice(texts).split(b"\n") if draw.random() > 0.03) for _ in range(24)]
    copy = len(texts)
    texts += [
        texts[0],
        b"",
        b"four words are few",
        "größe über maß und ziel".encode(),
        "größe über maß und ziel!".encode(),
        texts[1],
    ]
    expected = brute(texts)
    sets = truth.shingle_sets(texts)
    for least in (0.3, 0.7, 1.0):
        exact = truth.similar_pairs(texts, sets, least)
        found = {(a, b): j for (a, b), j in zip(exact.pairs.tolist(), exact.jaccards.tolist(), strict=True)}
        assert found == {pair: j for pair, j in expected.items() if j >= least}
        assert len(found) >= 5
    every = np.array([(b, a) for a, b in itertools.combinations(range(len(texts)), 2)])
    assert truth.jaccards(sets, every).tolist() == [expected.get((a, b), 0.0) for b, a in every.tolist()]
    assert exact.contents[0] == exact.contents[copy] != exact.contents[1]


def test_quality_of_a_case_made_by_hand():
    # 0-1 at .9, 1-2 at .75, 2-3 at .6, 5-6 at .8; 7 has the bytes of 4.
    pairs = np.array([(0, 1), (1, 2), (2, 3), (5, 6)])
    exact = truth.Truth(pairs, np.array([0.9, 0.75, 0.6, 0.8]), np.array([0, 1, 2, 3, 4, 5, 6, 4]))
    kept = np.array([True, False, False, True, True, True, True, False])
    assert truth.quality(exact, kept) == {
        "removed": 3,
        "resolved_0.8": 0.5,  # 0-1 yes, 5-6 no
        "left_0.8": 2,
        "resolved_0.7": pytest.approx(2 / 3),
        "left_0.7": 2,
        "justified_0.7": pytest.approx(2 / 3),  # 1 by 0, 7 by 4; 2 resembles only what went, a chain
        "justified_0.5": 1.0,  # 2 by 3
    }


def test_banded_recall_counts_whole_bands():
    rows = np.array([[1, 2, 3, 4], [1, 2, 9, 9], [9, 2, 3, 9]], np.uint32)
    exact = truth.Truth(np.array([(0, 1), (0, 2), (0, 3)]), np.array([0.9, 0.8, 0.7]), np.arange(4))
    signatures = [row.tobytes() for row in rows] + [None]
    assert truth.banded_recall(exact, signatures, 4, 2, 0.8) == 0.5
    assert truth.banded_recall(exact, signatures, 4, 4, 0.8) == 1.0


def test_the_workspace_of_a_corpus_holds_its_bytes(table, tmp_path):
    workspace = Workspace(str(tmp_path))
    workspaces.curate(table, workspace, part_bytes=60_000)
    parts = [n for n in workspace.files("curated") if n.endswith(".parquet")]
    assert len(parts) > 2
    rows = [row for n in parts for row in workspace.table(f"curated/{n}").to_pylist()]
    assert [r["content"] for r in rows] == table.column("content").to_pylist()
    assert [r["path"] for r in rows] == [f"/{i}" for i in range(len(rows))]
    assert all(r["blob_id"] == hashlib.sha1(r["content"].encode()).hexdigest() for r in rows)


def test_the_stage_removes_the_synthetic_twins(tmp_path, monkeypatch):
    monkeypatch.setattr(workspaces, "SYNTHETIC_PART", 100)
    workspace = Workspace(str(tmp_path))
    workspaces.synthesize(workspace, 260, seed=1)
    usage = tools.run([sys.executable, str(tools.PEERS / "with_starmill.py"), "stage", workspace.url])
    assert json.loads(usage.last)["stage"] > 0
    assert usage.peak > 50
    removed = {f for k in range(3) for f in workspace.table(part_path("dropped/dedup", k)).column("path").to_pylist()}
    assert len(removed) == 8  # rows 19, 39 ... of the parts after the first, or the twin of each


def test_a_tool_that_cannot_be_had_is_named_with_its_error(monkeypatch, tmp_path):
    monkeypatch.setitem(tools.REQUIREMENTS, "sketches", (str(tmp_path / "absent.whl"),))
    with pytest.raises(tools.Failed, match=r"absent\.whl"):
        tools.environment("sketches", tmp_path)
    script = ROOT / "benchmarks" / "dedup.py"
    command = [sys.executable, str(script), "--megabytes", "0.2", "--only", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"Corpus: \d+ files, 0\.\d\d MB, seed 0, sha256 `[0-9a-f]{64}`", done.stdout)
