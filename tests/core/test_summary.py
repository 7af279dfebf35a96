"""A summary is the sums of its manifest, whatever the manifest; it costs the same reading however many parts there are, and none that does
not fit is believed.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starmill.core import summary
from starmill.core.dataset import LastRun, StageName, Workspace
from starmill.core.part import Count, Manifest, Output, Sidecar, Tokens
from starmill.reports import funnel, status

NAMES = st.sampled_from(["", "a", "b"])
COUNTS = st.builds(Count, NAMES, NAMES, NAMES, st.integers(0, 9), st.integers(0, 99), NAMES)
TOKENS = st.builds(Tokens, NAMES, NAMES, st.integers(0, 9), st.integers(0, 99), st.integers(0, 99).map(float))


def made(part: int, counts: tuple[Count, ...] = (), tokens: tuple[Tokens, ...] = ()) -> Sidecar:
    sha256 = f"{part:064x}"
    outputs = tuple(Output(f"{folder}/part-{part:05d}.parquet", sha256, part, part) for folder in ("records", "dropped/ingest"))
    return Sidecar("ingest", "records", part, "k", outputs, counts, {f"before/part-{part:05d}.parquet": sha256}, (), tokens)


def listed(parts: int, counts: tuple[Count, ...] = ()) -> Manifest:
    return Manifest("ingest", "records", "k", "d", "v", tuple(made(part, counts) for part in range(parts)))


@given(st.lists(st.tuples(st.lists(COUNTS, max_size=4), st.lists(TOKENS, max_size=3)), max_size=12))
def test_sums_are_those_of_the_parts(held: list[tuple[list[Count], list[Tokens]]]) -> None:
    parts = [made(part, tuple(counts), tuple(tokens)) for part, (counts, tokens) in enumerate(held)]
    found = summary.of(Manifest("ingest", "records", "k", "d", "v", tuple(parts)), "m")
    sums: Counter[tuple[str, ...]] = Counter()
    for c in (c for part in parts for c in part.counts):
        sums[c.step, c.reason, c.language, c.kind, "files"] += c.files
        sums[c.step, c.reason, c.language, c.kind, "bytes"] += c.bytes
    assert sums == {
        (c.step, c.reason, c.language, c.kind, n): v for c in found.counts for n, v in (("files", c.files), ("bytes", c.bytes))
    }
    assert sum(t.tokens for t in found.tokens) == sum(t.tokens for part in parts for t in part.tokens)
    holding = {
        (w.step, w.reason): {p.part for p in parts if (w.step, w.reason) in {(c.step, c.reason) for c in p.counts}}
        for w in found.where
    }
    assert all({*w.first} == holding[w.step, w.reason] and w.parts == len(w.first) for w in found.where)
    assert set(holding) == {(c.step, c.reason) for part in parts for c in part.counts if c.reason}
    assert sorted(found.drawn) == [(p, 2 * p) for p in range(len(parts))] and found.parts == len(parts)
    assert {name: files.bytes for name, files in found.outputs.items()} == dict.fromkeys(
        ("dropped/ingest", "records") if parts else (), sum(range(len(parts)))
    )


def test_lineage_is_compared_by_its_digest() -> None:
    one, other = listed(5), listed(5)
    same = {path.replace("records", "before"): o for part in one.parts for o in part.outputs for path in [o.path]}
    assert same.keys() >= {path for part in other.parts for path in part.lineage}
    before = tuple(
        replace(p, outputs=tuple(replace(o, path=o.path.replace("records", "before")) for o in p.outputs)) for p in one.parts
    )
    made_there = summary.of(replace(one, parts=before), "")
    read_here = summary.of(other, "")
    assert made_there.outputs["before"].digest == read_here.lineage["before"]
    changed = replace(other.parts[2], lineage=dict.fromkeys(other.parts[2].lineage, "f" * 64))
    other = replace(other, parts=(*other.parts[:2], changed, *other.parts[3:]))
    assert made_there.outputs["before"].digest != summary.of(other, "").lineage["before"]


def test_large_datasets_are_drawn_from_all_over() -> None:
    found = summary.of(listed(2000, (Count("s", "r", "C", 1, 1),)), "")
    [where] = found.where
    assert len(found.drawn) == summary.DRAWN and len(where.first) == summary.OF_REASON and where.parts == 2000
    assert max(where.first) > 1700 and min(where.first) < 300
    assert where.first == tuple(part for part, _ in found.drawn)[: summary.OF_REASON], "one order, so that a sample serves all"


@pytest.mark.parametrize("damage", ["gone", "zeros", "of another", "of a newer manifest"])
def test_a_summary_that_does_not_fit_is_made_anew(tmp_path: Path, damage: str) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.publish_manifest(listed(3, (Count("s", "r", "C", 1, 1),)))
    whole, place = workspace.summary("records"), tmp_path / "records" / summary.NAME
    assert whole is not None and whole.parts == 3
    if damage == "gone":
        place.unlink()
    elif damage == "zeros":
        place.write_bytes(bytes(100))
    elif damage == "of another":
        place.write_bytes(place.read_bytes().replace(b'"records"', b'"recorxx"'))
    else:
        kept = place.read_bytes()
        workspace.publish_manifest(listed(4))
        place.write_bytes(kept)
        whole = summary.of(listed(4), "")
    again = workspace.summary("records")
    assert again is not None and replace(again, mark="") == replace(whole, mark="")
    workspace.remove("records/manifest.json")
    assert workspace.summary("records") is None, "a summary alone completes nothing"


def test_views_read_the_same_however_many_parts_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    reads = Workspace.read

    def counted(self: Workspace, relative: str, start: int | None = None, end: int | None = None) -> bytes:
        data = reads(self, relative, start, end)
        read.append(len(data))
        return data

    monkeypatch.setattr(Workspace, "read", counted)
    monkeypatch.setattr(Workspace, "listing", lambda self, folder: pytest.fail("lists a folder of a complete dataset"))
    spent = []
    for parts in (300, 1200):
        workspace = Workspace(str(tmp_path / str(parts)))
        workspace.publish_last_run(LastRun((StageName("ingest", "records"),), parts))
        workspace.publish_manifest(listed(parts, (Count("s", "r", "C", 1, 1),)))
        read.clear()
        assert funnel.measure(workspace)[0].into.files == parts
        [told] = status.measure(workspace)
        assert told.is_complete and told.published == parts and told.is_cleaned
        spent.append((len(read), sum(read)))
    (requests, few), (same, more) = spent
    assert requests == same <= 12 and more < few + 1000 < 500_000
