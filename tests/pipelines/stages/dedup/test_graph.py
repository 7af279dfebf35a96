"""The whole stage on real runners: each verdict against brute force over the texts, and equal bytes however the work is cut."""

import random
from dataclasses import replace

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from curated_workspace import LOCAL, OPTIONS, cut, edited_corpus, fill, jaccard, judge, rank, row, run, shingle_set

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Workspace, output, part_path
from starmill.core.errors import MachineError
from starmill.core.part import PartRef
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.pipelines.stages.dedup.candidates import Candidates
from starmill.transforms.beam import pack
from starmill.transforms.dedup.minhash import MinHash

TWO_PROCESSES = (*LOCAL, "--direct_running_mode=multi_processing", "--direct_num_workers=2")


def published(workspace: Workspace, parts: int) -> list[bytes]:
    names = [part_path(n, k) for n in ("verdicts", "dropped/dedup") for k in range(parts)]
    return [workspace.read(n) for n in [*names, *(part_path("verdicts", k, "json") for k in range(parts))]]


@pytest.fixture(scope="module")
def corpus() -> list[dict]:
    return edited_corpus()


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> tuple[Workspace, list[PartRef]]:
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    refs = fill(workspace, [*cut(corpus, 4), []])
    run(workspace, refs)
    return workspace, refs


def verdicts_of(workspace: Workspace, corpus: list[dict]) -> list[tuple[dict, dict]]:
    return [
        (file, verdict)
        for k, rows in enumerate(cut(corpus, 4))
        for file, verdict in zip(rows, workspace.table(part_path("verdicts", k)).to_pylist(), strict=True)
    ]


def test_each_removed_file_has_a_kept_twin(corpus, finished):
    judged = verdicts_of(finished[0], corpus)
    kept = {(f["repo_name"], f["path"]): f for f, v in judged if v["keep"]}
    removed = [(f, v) for f, v in judged if not v["keep"]]
    assert sum(v["reason"] == "near_duplicate" for _, v in removed) > 60
    assert sum(v["reason"] == "exact_duplicate" for _, v in removed) > 40
    for file, verdict in removed:
        twin = kept[verdict["kept_repo_name"], verdict["kept_path"]]
        assert rank(twin) < rank(file)
        assert verdict["kept_content_id"] == verdict["cluster_id"] == twin["content_id"]
        if verdict["reason"] == "exact_duplicate":
            assert (twin["content"], 1.0) == (file["content"], verdict["jaccard"])
        else:
            assert twin["content"] != file["content"]
            assert verdict["jaccard"] == jaccard(twin["content"], file["content"]) >= OPTIONS.threshold
    for _, verdict in judged:
        if verdict["keep"]:
            assert set(verdict.values()) == {True, None}


def test_no_text_is_shuffled(corpus, tmp_path, monkeypatch):
    packed = []
    monkeypatch.setattr(dedup, "pack", lambda block: packed.append(block) or pack(block))
    workspace = Workspace(str(tmp_path))
    run(workspace, fill(workspace, cut(corpus, 4)))
    assert len({tuple(block.schema.names) for block in packed}) > 5
    cells = [value for block in packed for column in block.columns for value in column.to_pylist()]
    words = [value for value in cells if isinstance(value, str | bytes)]
    assert words and max(map(len, words)) < 200, "identities and paths; files are kilobytes"


def test_hardly_any_pair_of_duplicates_is_left(corpus, finished):
    kept = [(shingle_set(f["content"]), f["blob_id"]) for f, v in verdicts_of(finished[0], corpus) if v["keep"]]
    assert len({blob for _, blob in kept}) == len(kept), "no bytes are kept twice"
    left = [
        len(a & b) / len(a | b)
        for i, (a, _) in enumerate(kept)
        for b, _ in kept[:i]
        if a and b and len(a & b) >= 0.7 * len(a | b)
    ]
    assert len(left) <= 5
    assert not [similarity for similarity in left if similarity >= 0.85]


def test_the_kept_twin_is_the_most_similar_one_above(corpus, finished):
    judged = verdicts_of(finished[0], corpus)
    kept = [(rank(f), shingle_set(f["content"])) for f, v in judged if v["keep"]]
    exceptions = 0
    for file, verdict in judged:
        if verdict["reason"] == "near_duplicate":
            own = shingle_set(file["content"])
            best = max(len(own & twin) / len(own | twin) for above, twin in kept if above < rank(file))
            exceptions += verdict["jaccard"] != best
    assert exceptions <= 2, "only a pair that no band found may be nearer"


def test_copies_of_a_removed_file_name_the_file_that_is_kept(corpus, finished):
    judged = verdicts_of(finished[0], corpus)
    best: dict[str, dict] = {}
    for file, _ in judged:
        best[file["blob_id"]] = min(best.get(file["blob_id"], file), file, key=rank)
    verdict_of = {(f["repo_name"], f["path"]): v for f, v in judged}
    moved = 0
    for file, verdict in judged:
        twin = best[file["blob_id"]]
        if file is not twin and not verdict_of[twin["repo_name"], twin["path"]]["keep"]:
            assert verdict == verdict_of[twin["repo_name"], twin["path"]]
            moved += 1
    assert moved > 5


def test_dropped_rows_and_counts(corpus, finished):
    workspace, refs = finished
    for k, rows in enumerate([*cut(corpus, 4), []]):
        verdicts = workspace.table(part_path("verdicts", k))
        dropped = workspace.table(part_path("dropped/dedup", k))
        assert verdicts.schema.equals(schema.VERDICTS)
        assert dropped.schema.equals(schema.DROPPED)
        expected = {f["path"]: v for f, v in zip(rows, verdicts.to_pylist(), strict=True) if not v["keep"]}
        source = {f["path"]: f for f in rows}
        lost = dropped.to_pylist()
        assert {d["path"] for d in lost} == set(expected)
        for d in lost:
            assert d["step"] == {"exact_duplicate": "exact", "near_duplicate": "near"}[d["reason"]]
            names = ("reason", "kept_repo_name", "kept_path", "kept_content_id", "jaccard", "cluster_id")
            assert {n: d[n] for n in names} == {n: expected[d["path"]][n] for n in names}
            names = ("repo_name", "blob_id", "content_id", "language", "length_bytes")
            assert {n: d[n] for n in names} == {n: source[d["path"]][n] for n in names}
        sidecar = workspace.sidecar("verdicts", k)
        assert sidecar.key == refs[k].key
        assert set(sidecar.lineage) == {part_path("curated", k), part_path("signatures", k)}
        assert sum(c.files for c in sidecar.counts) == len(rows)
        assert sum(c.bytes for c in sidecar.counts) == sum(f["length_bytes"] for f in rows)
        assert sum(c.files for c in sidecar.counts if not c.reason) == len(rows) - len(expected)
        assert [(o.path, o.rows) for o in sidecar.outputs] == [
            (part_path("verdicts", k), len(rows)),
            (part_path("dropped/dedup", k), len(expected)),
        ]


def test_equal_bytes_whatever_the_order_workers_and_partitions(finished):
    workspace, refs = finished
    expected = published(workspace, len(refs))

    run(workspace, refs[::-1])
    assert published(workspace, len(refs)) == expected
    for partitions in (1, 23):
        with beam.Pipeline(options=PipelineOptions(list(LOCAL))) as pipeline:
            shuffled = pipeline | beam.Create(random.Random(partitions).sample(refs, len(refs)))
            dedup.Dedup(Candidates(workspace, OPTIONS), partitions).wire(shuffled)
        assert published(workspace, len(refs)) == expected
    run(workspace, refs, beam_options=TWO_PROCESSES)
    assert published(workspace, len(refs)) == expected


def test_the_same_files_are_kept_however_they_lie_in_parts(corpus, finished, tmp_path):
    workspace = Workspace(str(tmp_path))
    mixed = random.Random(4).sample(corpus, len(corpus))
    parts = [mixed[:1], mixed[1:200], mixed[200:]]
    run(workspace, fill(workspace, parts, group=90))
    there = {
        (f["repo_name"], f["path"]): v
        for k, rows in enumerate(parts)
        for f, v in zip(rows, workspace.table(part_path("verdicts", k)).to_pylist(), strict=True)
    }
    assert there == {(f["repo_name"], f["path"]): v for f, v in verdicts_of(finished[0], corpus)}


def test_line_ends_make_near_duplicates_and_numbers_do_not(tmp_path):
    code = "\n".join(f"def method_{i}(self, value):\n    return self.call(value, {i})" for i in range(30))
    tables = [", ".join(str(random.Random(s).randrange(10**6)) for _ in range(300)) for s in (1, 2)]
    rows = [row("r", f"/{i}", t) for i, t in enumerate([code, code.replace("\n", "\r\n"), *tables])]
    verdicts = judge(Workspace(str(tmp_path)), rows)
    assert [v["reason"] for v in verdicts] == [None, "near_duplicate", None, None]
    assert verdicts[1]["jaccard"] == 1.0


def test_a_pair_exactly_at_the_threshold_is_a_duplicate(tmp_path):
    code = " ".join(f"word_{i}" for i in range(400))
    rows = [row("r", f"/{i}", t) for i, t in enumerate([code, code.replace(" ", "\n"), code + " more"])]
    verdicts = judge(Workspace(str(tmp_path)), rows, MinHash(threshold=1.0))
    assert [v["jaccard"] for v in verdicts] == [None, 1.0, None]


def test_short_files_go_only_for_equal_bytes(tmp_path):
    texts = ["a b c d", "a b c d", "a b  c d", "", "", "a b c d e", "a b  c d e"]
    verdicts = judge(Workspace(str(tmp_path)), [row("r", f"/{i}", t) for i, t in enumerate(texts)])
    assert [v["reason"] for v in verdicts] == [None, "exact_duplicate", None, None, "exact_duplicate", None, "near_duplicate"]


def test_scope_language_compares_within_a_language(tmp_path):
    code = " ".join(f"word_{i}" for i in range(60))
    rows = [
        row("r", f"/{i}", text, language=language)
        for i, (text, language) in enumerate(
            [
                (code, "C"),
                (code, "C++"),
                (code + "\n", "C"),
                (code, "C"),
                (code + " ", "C++"),
                (code, None),
                (code + "\t", None),
            ]
        )
    ]
    verdicts = judge(Workspace(str(tmp_path / "one")), rows, MinHash(scope="language"))
    assert [v["kept_path"] for v in verdicts] == [None, None, "/0", "/0", "/1", None, "/5"]
    verdicts = judge(Workspace(str(tmp_path / "all")), rows)
    assert [v["kept_path"] for v in verdicts] == [None, *["/0"] * 6]


def test_scope_split_compares_within_a_list_of_languages(tmp_path):
    code = " ".join(f"word_{i}" for i in range(60))
    languages = ["C", "Markdown", "C++", "RST", None]
    rows = [row("r", f"/{i}", code + " " * i, language=language) for i, language in enumerate(languages)]
    options = MinHash(scope="split", splits={"documents": ("Markdown", "RST"), "native": ("C", "C++")})
    assert [v["kept_path"] for v in judge(Workspace(str(tmp_path)), rows, options)] == [None, None, "/0", "/1", None]


def test_distributed_rounds_give_the_same_bytes(finished):
    workspace, refs = finished
    expected = published(workspace, len(refs))
    for rounds, partitions in ((1, 3), (4, 5)):
        with beam.Pipeline(options=PipelineOptions(list(LOCAL))) as pipeline:
            candidates = Candidates(workspace, MinHash(rounds=rounds))
            dedup.Dedup(candidates, partitions).wire(pipeline | beam.Create(refs))
        assert published(workspace, len(refs)) == expected


def test_repositories_with_equal_trees_go_whole(tmp_path):
    code = [" ".join(f"word_{n}_{i}" for i in range(60)) for n in range(3)]
    rows = [row("b/fork", f"/{n}", code[n], directory_id="tree-1") for n in range(3)]
    rows += [row("a/origin", f"/{n}", code[n], directory_id="tree-1") for n in range(3)]
    rows += [
        row("c/vendors", "/0", code[0], directory_id="tree-2", star_events_count=9),
        row("c/vendors", "/9", code[2] + " x"),
    ]
    rows += [row("d/unknown", "/1", code[1]), row("e/unknown", "/1", code[1])]
    workspace, options = Workspace(str(tmp_path)), MinHash(repositories=True)
    run(workspace, fill(workspace, [rows[:3], rows[3:]], options), options)
    verdicts = [v for k in range(2) for v in workspace.table(part_path("verdicts", k)).to_pylist()]
    assert [(v["reason"], v["kept_repo_name"]) for v in verdicts] == [
        ("duplicate_repository", "c/vendors"),  # its tree is a/origin's; the best of its bytes lies elsewhere
        ("duplicate_repository", "a/origin"),
        ("duplicate_repository", "a/origin"),
        ("exact_duplicate", "c/vendors"),
        (None, None),
        (None, None),
        (None, None),
        ("near_duplicate", "a/origin"),
        ("exact_duplicate", "a/origin"),
        ("exact_duplicate", "a/origin"),
    ]
    assert {d["step"] for d in workspace.table(part_path("dropped/dedup", 0)).to_pylist()} == {"repository"}
    plain = judge(Workspace(str(tmp_path / "plain")), rows)
    assert [v["kept_path"] for v in plain] == [v["kept_path"] for v in verdicts]


def test_an_earlier_release_without_verdicts_is_refused(tmp_path):
    workspace = Workspace(str(tmp_path))
    refs = fill(workspace, [[row("r", "/a", "x")]])
    with pytest.raises(ValueError, match=r"no verdicts/manifest\.json; run `starmill dedup` there first"):
        run(workspace, refs, MinHash(earlier=(str(tmp_path / "nowhere"),)))


def test_without_near_only_equal_bytes_go(tmp_path):
    code = " ".join(f"word_{i}" for i in range(60))
    rows = [row("r", f"/{i}", t) for i, t in enumerate([code, code + "\n", code])]
    verdicts = judge(Workspace(str(tmp_path)), rows, MinHash(near=False))
    assert [v["reason"] for v in verdicts] == [None, None, "exact_duplicate"]


def test_parts_of_different_runs_are_an_error(tmp_path):
    workspace = Workspace(str(tmp_path))
    code = " ".join(f"word_{i}" for i in range(60))
    refs = fill(workspace, [[row("r", f"/{i}", code + " " * i) for i in range(3)]])
    short = ParquetPart(schema.CURATED)
    data = short.close()
    workspace.publish(part_path("curated", 0), data)
    sidecar = workspace.sidecar("curated", 0)
    with pytest.raises(MachineError, match=r"curated/part-00000.parquet: its bytes are not those that were published"):
        run(workspace, refs)
    outputs = tuple(o if o.path.startswith("signatures") else output(part_path("curated", 0), data) for o in sidecar.outputs)
    workspace.publish_sidecar(replace(sidecar, outputs=outputs))
    with pytest.raises(Exception, match=r"curated/part-00000.parquet has 0 rows and signatures/part-00000.parquet has a row 2"):
        run(workspace, refs)


def test_a_part_that_was_not_curated_is_an_error(tmp_path):
    with pytest.raises(Exception, match=r"signatures/part-00003.parquet"):
        run(Workspace(str(tmp_path)), [PartRef(3, "key")])


def test_what_a_killed_worker_was_writing_is_no_part(tmp_path):
    workspace = Workspace(str(tmp_path))
    fill(workspace, [[row("r", "/a.py", "x = 1\n" * 9)], [row("r", "/b.py", "y = 1\n" * 9)]])
    sized = dedup.Dedup.sized(workspace, OPTIONS)
    workspace.publish("curated/.tmp-812-part-00001.parquet", b"half")
    assert dedup.Dedup.sized(workspace, OPTIONS) == sized
