"""Dedup at large: crowds that share a header, earlier releases, and inputs made to hurt, through the whole stage."""

import random
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from curated_workspace import LOCAL, OPTIONS, cut, edited_corpus, fill, jaccard, judge, rank, row, run, shingle_set

from starmill.core.dataset import Workspace, part_path
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.transforms.dedup.minhash import MinHash


@pytest.fixture(scope="module")
def corpus() -> list[dict]:
    return edited_corpus()


def crowded(count: int, core: int, own: int) -> list[str]:
    """Texts of `core` words that all share and `own` words of their own."""
    header = " ".join(f"license_{i}" for i in range(core))
    return [header + "".join(f" w{n}_{i}" for i in range(own)) for n in range(count)]


def test_a_crowd_of_equal_words_keeps_one_of_each_operator(tmp_path):
    # Generated code: the words are the same in all, a hot bucket in each band.
    draw = random.Random(8)
    signs = [draw.choice(["<", ">", "==", "!="]) for _ in range(300)]
    bodies = [[f"first_{i}{' ' * draw.randint(1, 3)}{sign} second_{i} third_{i}" for i in range(40)] for sign in signs]
    rows = [row("r", f"/{i:03d}", "\n".join(body)) for i, body in enumerate(bodies)]
    workspace = Workspace(str(tmp_path))
    run(workspace, fill(workspace, [rows[:100], rows[100:]], group=50))
    verdicts = [v for k in range(2) for v in workspace.table(part_path("verdicts", k)).to_pylist()]
    kept = [signs[i] for i, v in enumerate(verdicts) if v["keep"]]
    assert sorted(kept) == sorted({*signs})


def test_a_header_in_many_files_loses_no_twin(tmp_path):
    # 0.56 between any two, so nearly all meet in hot buckets; the twins differ in their last word.
    texts = crowded(600, 60, 22)
    draw = random.Random(6)
    texts += [t.rsplit(" ", 1)[0] + " changed" for t in draw.sample(texts, 80)]
    rows = [row("r", f"/{i:04d}", t, star_events_count=draw.choice([0, 1, 2])) for i, t in enumerate(texts)]
    assert 0.5 < jaccard(texts[0], texts[1]) < 0.6
    workspace = Workspace(str(tmp_path))
    parts = [rows[:300], rows[300:310], rows[310:]]
    run(workspace, fill(workspace, parts, group=50))
    verdicts = [v for k in range(3) for v in workspace.table(part_path("verdicts", k)).to_pylist()]
    ranked = sorted(range(len(rows)), key=lambda i: rank(rows[i]))
    sets, kept = [shingle_set(t) for t in texts], []
    for i in ranked:
        if not any(len(sets[i] & sets[k]) >= 0.7 * len(sets[i] | sets[k]) for k in kept):
            kept.append(i)
    assert len(kept) == 600
    assert {i for i, v in enumerate(verdicts) if v["keep"]} == set(kept)
    for i, verdict in enumerate(verdicts):
        if not verdict["keep"]:
            assert verdict["jaccard"] == jaccard(texts[int(verdict["kept_path"][1:])], texts[i]) >= 0.7


def test_a_crowd_of_near_equal_files_leaves_one(tmp_path):
    rows = [row("r", f"/{i:04d}", t) for i, t in enumerate(crowded(500, 80, 3))]
    verdicts = judge(Workspace(str(tmp_path)), rows)
    assert [v["kept_path"] for v in verdicts] == [None] + ["/0000"] * 499


def release(place: Path, parts: list[list[dict]], options: MinHash = OPTIONS) -> Workspace:
    workspace = Workspace(str(place))
    run(workspace, fill(workspace, parts, options), options)
    workspace.finish("verdicts", "key", len(parts), "version")
    return workspace


def test_an_earlier_release_is_never_read_again_and_never_loses(corpus, tmp_path):
    old, new = corpus[:160] + corpus[300:330], corpus[120:320]
    earlier = release(tmp_path / "old", cut(old, 2))
    for k in range(2):
        earlier.remove(part_path("curated", k))  # its text is gone
    options = MinHash(earlier=(earlier.root,))
    later = release(tmp_path / "new", cut(new, 3), options)
    kept_before = {
        f["content_id"]: f["content"]
        for k, rows in enumerate(cut(old, 2))
        for f, v in zip(rows, earlier.table(part_path("verdicts", k)).to_pylist(), strict=True)
        if v["keep"]
    }
    judged = [
        (f, v)
        for k, rows in enumerate(cut(new, 3))
        for f, v in zip(rows, later.table(part_path("verdicts", k)).to_pylist(), strict=True)
    ]
    from_before = [(f, v) for f, v in judged if v["kept_release"]]
    assert {v["kept_release"] for _, v in from_before} == {earlier.root}
    assert {v["reason"] for _, v in from_before} == {"exact_duplicate", "near_duplicate"}
    near = [(f, v) for f, v in from_before if v["reason"] == "near_duplicate"]
    assert len(near) > 15
    for file, verdict in near:
        assert abs(verdict["jaccard"] - jaccard(kept_before[verdict["kept_content_id"]], file["content"])) < 0.15
    # What stays is new: no equal bytes, and near ones only as far as bands and estimates miss.
    left = [f for f, v in judged if v["keep"]]
    assert not {f["content_id"] for f in left} & set(kept_before)
    assert sum(any(jaccard(f["content"], t) >= 0.8 for t in kept_before.values()) for f in left) <= 1
    # A file that resembles nothing of before is judged as if alone; more files go with the release than without.
    alone = release(tmp_path / "alone", cut(new, 3))
    kept_alone = sum(v["keep"] for k in range(3) for v in alone.table(part_path("verdicts", k)).to_pylist())
    assert len(left) < kept_alone - 30


def test_a_crowd_of_an_earlier_release(tmp_path):
    texts = crowded(300, 80, 3)
    earlier = release(tmp_path / "old", [[row("o", "/0", texts[0])]])
    rows = [row("r", f"/{i:04d}", t, star_events_count=100) for i, t in enumerate(texts[1:], 1)]
    later = release(tmp_path / "new", [rows[:200], rows[200:]], MinHash(earlier=(earlier.root,)))
    verdicts = [v for k in range(2) for v in later.table(part_path("verdicts", k)).to_pylist()]
    assert {v["reason"] for v in verdicts} == {"near_duplicate"}
    assert sum(v["kept_repo_name"] == "o" for v in verdicts) >= 295


def test_a_file_costs_the_shuffle_at_most_600_bytes(tmp_path):
    # Names as long as GitHub's, a fifth of the files near or exact duplicates, two parts.
    draw = random.Random(9)
    texts = [" ".join(f"w{draw.randrange(10**6)}" for _ in range(60)) for _ in range(6000)]
    texts += [t + " end" for t in texts[:800]] + texts[:700]
    rows = [
        row(f"organization-{i // 40}/project-name-{i // 40}", f"/source/main/module_{i % 7}/component_{i}.py", t)
        for i, t in enumerate(draw.sample(texts, len(texts)))
    ]
    workspace = Workspace(str(tmp_path))
    refs = fill(workspace, [rows[:4000], rows[4000:]], group=1000)
    pipeline = beam.Pipeline(options=PipelineOptions(list(LOCAL)))
    dedup.build(pipeline, workspace, refs, OPTIONS)
    result = pipeline.run()
    result.wait_until_finish()
    metrics = result.metrics().query()["counters"]
    counted = {n: sum(m.result for m in metrics if m.key.metric.name == n) for n in ("dedup/shuffled/bytes", "dedup/files")}
    assert counted["dedup/files"] == len(rows)
    assert 32 * 5 < counted["dedup/shuffled/bytes"] / len(rows) <= 600


def test_ten_thousand_copies_and_a_file_of_five_megabytes(tmp_path):
    big = "".join(f"value_{i} = compute(item_{i % 977}, {i})\n" for i in range(130_000))
    assert len(big) > 5_000_000
    rows = [row("r", f"/{i:05d}", "import one, two, three, four, five\n") for i in range(10_000)]
    rows += [row("r", "/big", big), row("r", "/bigger", big + "the_end = 1\n")]
    workspace = Workspace(str(tmp_path))
    run(workspace, fill(workspace, [rows[:6000], rows[6000:]], group=2500))
    verdicts = [v for k in range(2) for v in workspace.table(part_path("verdicts", k)).to_pylist()]
    assert [v["keep"] for v in verdicts] == [True] + [False] * 9_999 + [True, False]
    assert {v["kept_path"] for v in verdicts[1:10_000]} == {"/00000"}
    assert verdicts[-1]["kept_path"] == "/big"
    assert verdicts[-1]["jaccard"] == jaccard(big, big + "the_end = 1\n")


def reasons(workspace: Workspace, parts: list[list[dict]]) -> list[str | None]:
    run(workspace, fill(workspace, parts, group=20_000))
    return [v["reason"] for k in range(len(parts)) for v in workspace.table(part_path("verdicts", k)).to_pylist()]


@pytest.mark.slow
def test_a_hundred_thousand_one_line_files(tmp_path):
    # Half have nothing in common; the other half share one of two shingles, and so eight minima in some band: a hot bucket.
    lines = [f"from package_{i} import name_{i} as short_{i}\n" for i in range(50_000)]
    lines += [f"#!/usr/bin/env python3 -u option_{i}\n" for i in range(50_000)]
    assert jaccard(lines[-1], lines[-2]) == 1 / 3
    rows = [row("r", f"/{i:06d}", line) for i, line in enumerate(lines)]
    assert set(reasons(Workspace(str(tmp_path)), [rows[:30_000], rows[30_000:]])) == {None}


@pytest.mark.slow
def test_a_file_of_fifty_megabytes_and_its_copy_with_one_more_line(tmp_path):
    big = "".join(f"value_{i} = compute(item_{i % 977}, {i})\n" for i in range(1_300_000))
    assert len(big) > 50_000_000
    rows = [row("r", "/big", big), row("r", "/bigger", big + "the_end = 1\n"), row("r", "/other", "one two three four five")]
    assert judge(Workspace(str(tmp_path)), rows)[1]["jaccard"] > 0.999999


def test_spaces_minified_code_and_generated_tables(tmp_path):
    draw = random.Random(2)
    names = ["".join(draw.choices("abcdefghijkl", k=2)) for _ in range(40)]
    minified = ";".join(
        f"var {draw.choice(names)}={draw.choice(names)}({draw.choice(names)},{draw.random()})" for _ in range(4000)
    )
    release = minified.replace("var ", "let ", 40)
    tables = [
        "static const int table[] = {" + ",".join(str(draw.randrange(65536)) for _ in range(3000)) + "};" for _ in range(3)
    ]
    shifted = tables[0].replace("{", "{ 0, 0, ").replace(",", ",\n")
    texts = [" " * 1_000_000, " " * 1_000_001, "\t" * 1_000_000, "", "\n", minified, release, *tables, shifted, "+" * 500_000]
    verdicts = judge(Workspace(str(tmp_path)), [row("r", f"/{i:02d}", t) for i, t in enumerate(texts)])
    assert [v["kept_path"] for v in verdicts] == [None] * 6 + ["/05"] + [None] * 3 + ["/07", None]
