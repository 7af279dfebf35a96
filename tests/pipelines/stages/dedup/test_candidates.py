"""Reading and comparing files by id, against brute force over their texts."""

import json
import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from curated_workspace import OPTIONS, fill, jaccard, row, run, shingle_set

from starmill.core import schema
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, MachineError
from starmill.pipelines.stages.dedup.candidates import RELEASE, Candidates, is_earlier
from starmill.transforms.dedup import bands, hot
from starmill.transforms.dedup.minhash import SIGNED


def crowd(count: int, seed: int) -> list[str]:
    """Texts at all similarities around 0.7 to each other."""
    draw = random.Random(seed)
    core = [f"core_{i}" for i in range(70)]
    texts = []
    for n in range(count):
        kept = core[: draw.randint(60, 70)] + [f"family_{draw.randrange(4)}_{i}" for i in range(draw.randint(0, 12))]
        texts.append(" ".join(kept + [f"own_{n}_{i}" for i in range(draw.randint(0, 9))]))
    return texts


@pytest.fixture(scope="module")
def crowded(tmp_path_factory) -> tuple[Candidates, np.ndarray, list[dict]]:
    """90 such files in three parts, ranks at random; returned best first."""
    draw = random.Random(3)
    rows = [row("r", f"/{i:03d}", t, star_events_count=draw.randrange(50)) for i, t in enumerate(crowd(90, 5))]
    workspace = Workspace(str(tmp_path_factory.mktemp("crowded")))
    parts = [rows[:20], rows[20:50], rows[50:]]
    fill(workspace, parts)
    ids = [(k << 32) | i for k, part in enumerate(parts) for i in range(len(part))]
    ranked = sorted(zip(ids, rows, strict=True), key=lambda f: (-f[1]["star_events_count"], f[1]["path"]))
    return Candidates(workspace, OPTIONS), np.array([i for i, _ in ranked]), [r for _, r in ranked]


def greedy(files: list[int], graph: set[tuple[int, int]]) -> set[int]:
    """The first maximal independent set of files in the order given; an edge is (above, below)."""
    kept: list[int] = []
    for file in files:
        if not any((k, file) in graph for k in kept):
            kept.append(file)
    return set(kept)


def test_verified_pairs_are_exact(crowded):
    candidates, ids, rows = crowded
    text = {int(i): r["content"] for i, r in zip(ids, rows, strict=True)}
    for parts in (range(1), range(1, 2), range(2), range(3)):
        ours = [(a, b) for a in sorted(text) for b in sorted(text) if a < b and (a >> 32 in parts or b >> 32 in parts)]
        pairs = np.array(ours)
        found, similar, files = candidates.verify(parts, pairs)
        expected = {tuple(sorted(p)): s for p in pairs.tolist() if (s := jaccard(text[p[0]], text[p[1]])) >= 0.7}
        assert {tuple(sorted(p)): s for p, s in zip(found.tolist(), similar.tolist(), strict=True)} == expected
        assert 100 < len(expected) < len(pairs) - 100
        assert set(files.column("file").to_pylist()) == set(text)


def guarded(sign: str, space: str = " ", lines: int = 30) -> str:
    """A file in which only an operator, or only white space, differs from its siblings."""
    return "\n".join(f"if first_{i}{space}{sign}{space}second_{i}:\n    return third_{i}" for i in range(lines))


def test_operators_tell_files_of_equal_words_apart(tmp_path):
    texts = [
        guarded(">"),
        guarded("<"),
        guarded("<", "  "),
        guarded(">") + "  # ========",
        guarded(">").replace("return", "return -", 1),
    ]
    workspace = Workspace(str(tmp_path))
    parts = [[row("r", f"/{i}", t)] for i, t in enumerate(texts)]
    fill(workspace, parts)
    files = np.array([k << 32 for k in range(len(texts))])
    pairs = np.array([(a, b) for i, a in enumerate(files) for b in files[:i]])
    assert {jaccard(texts[a >> 32], texts[b >> 32]) for a, b in pairs.tolist()} == {1.0}, "by their words they are all one"
    near = {(1, 2), (0, 3), (0, 4), (3, 4)}  # white space and a drawn line are nothing, one sign of thirty is an edit
    for parts_here in (range(1), range(5)):
        found, similar, _ = Candidates(workspace, OPTIONS).verify(
            parts_here, pairs[(pairs >> 32 == 0).any(1)] if parts_here == range(1) else pairs
        )
        expected = {p for p in near if 0 in p or parts_here == range(5)}
        assert {tuple(sorted((p >> 32).tolist())) for p in found} == expected
        named = {tuple(sorted((p >> 32).tolist())): s for p, s in zip(found, similar.tolist(), strict=True)}
        assert named[0, 3] == 1.0 and 0.7 < named[0, 4] < 1.0
    edges, _, members = Candidates(workspace, OPTIONS).join(np.zeros(5, np.int64), files)
    joined = {(a >> 32, b >> 32) for a, b in zip(edges["a"].to_pylist(), edges["b"].to_pylist(), strict=True)}
    assert joined == {(0, 3), (0, 4), (1, 2)} and sum(members["follows"].to_pylist()) == 3


def test_followers_that_stay_are_joined_again(crowded):
    # Files from elsewhere remove the leaders of the crowd, again and again: what they hid from each other must come to light.
    candidates, ids, rows = crowded
    sets = [shingle_set(r["content"]) for r in rows]
    order = ids.tolist()
    truth = {
        (order[i], order[j])
        for j in range(len(order))
        for i in range(j)
        if len(sets[i] & sets[j]) >= 0.7 * len(sets[i] | sets[j])
    }
    edges, _, members = candidates.join(np.zeros(len(ids), np.int64), ids)
    found = set(zip(edges.column("a").to_pylist(), edges.column("b").to_pylist(), strict=True))
    assert found < truth
    outsiders = [(9 << 32) | i for i in range(100)]
    rejoined = 0
    for seed in range(20):
        draw = random.Random(seed)
        hit = {(outsiders[i], f) for i, f in enumerate(draw.sample(order, draw.choice([3, 10, 30])))}
        a, b = (np.array([e[side] for e in sorted(found | hit)]) for side in (0, 1))
        gone, added = candidates.resolve(a, b, pa.Table.from_batches([members]))
        assert set(order) - set(gone.tolist()) == greedy([*outsiders, *order], truth | hit) - set(outsiders)
        rejoined += len(added)
    assert rejoined > 5, "no seed needed a second look: the test proves nothing"


def test_members_are_joined_within_their_component(crowded):
    candidates, ids, _ = crowded
    component = np.array([int(i) >> 32 for i in ids])
    edges, files, members = candidates.join(component, ids)
    assert edges.num_rows > 20
    assert (edges.column("a").to_numpy() >> 32 == edges.column("b").to_numpy() >> 32).all()
    assert set(files.column("file").to_pylist()) == {*edges.column("a").to_pylist(), *edges.column("b").to_pylist()}
    assert members.schema.equals(hot.MEMBER)
    assert {r["file"] for r in members.to_pylist() if r["follows"]} == set(edges.column("b").to_pylist())
    nothing = candidates.join(np.empty(0, np.int64), np.empty(0, np.int64))
    assert [len(table) for table in nothing] == [0, 0, 0]


def test_parts_of_earlier_releases_never_meet_this_ones(tmp_path):
    options = OPTIONS.__class__(earlier=("/a", "/b"))
    candidates = Candidates(Workspace(str(tmp_path)), options)
    assert candidates.place(5)[1:] == (5, None)
    workspace, number, release = candidates.place(2 * RELEASE + 7)
    assert (workspace.root, number, release) == ("/b", 7, "/b")
    parts = np.array([0, RELEASE - 1, RELEASE, 2 * RELEASE + 7])
    files = np.array([int(bands.file_ids(p, np.array(3))) for p in parts.tolist()])
    assert is_earlier(files).tolist() == [False, False, True, True]
    assert (files > 0).all()


def test_an_earlier_release_has_the_bytes_that_it_published(tmp_path):
    old, rows = Workspace(str(tmp_path / "old")), [row("o", f"/{i}", text) for i, text in enumerate(crowd(5, 1))]
    run(old, fill(old, [rows]))
    old.finish("verdicts", "key", 1, "version")
    new = Workspace(str(tmp_path / "new"))
    refs, options = fill(new, [rows]), OPTIONS.__class__(earlier=(old.root,))
    for path in ("signatures/part-00000.parquet", "verdicts/part-00000.parquet"):
        whole = old.read(path)
        old.publish(path, whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
        with pytest.raises(MachineError, match=rf"{path}: its bytes are not those that its release published.*verify --all"):
            run(new, refs, options)
        assert old.sidecar("verdicts", 0) and old.manifest("verdicts"), "another release's, which this run may not touch"
        old.publish(path, whole)
    run(new, refs, options)
    assert not new.table("verdicts/part-00000.parquet")["keep"].to_pylist().count(True)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "it does not say how they were made: it is older than that"),
        ({SIGNED: json.dumps(OPTIONS.signed() | {"words": 1})}, "words is 1, here 2"),
    ],
    ids=["none", "words"],
)
def test_an_earlier_release_of_other_signatures_is_refused(tmp_path, monkeypatch, metadata, said):
    old, rows = Workspace(str(tmp_path / "old")), [row("o", f"/{i}", text) for i, text in enumerate(crowd(5, 1))]
    monkeypatch.setattr("curated_workspace.signature_schema", lambda _: schema.SIGNATURES.with_metadata(metadata))
    run(old, fill(old, [rows]))
    old.finish("verdicts", "key", 1, "version")
    options = replace(OPTIONS, earlier=(old.root,))
    released = Candidates(Workspace(str(tmp_path / "new")), options)
    with pytest.raises(
        InputError, match=rf"old/signatures/part-00000.parquet: .*: {said}\. Give this recipe the same minhash, or run"
    ):
        released.compare(RELEASE)
    replace(released, options=replace(options, near=False)).compare(RELEASE)  # equal bytes are equal bytes
