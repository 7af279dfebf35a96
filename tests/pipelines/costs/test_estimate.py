"""Estimate: at four times the size that rates were fitted on, real runs cost what was predicted; at any size, what follows by itself."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from plain_tree import tree

from starmill.cli import __main__ as cli
from starmill.pipelines.costs import bench, estimate
from starmill.pipelines.costs.estimate import Dump, Work
from starmill.pipelines.costs.rates import REQUESTS, STAGE_OF, Rates
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages import STAGES
from starmill.pipelines.stages.dedup import graph as dedup
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.transforms.dedup.minhash import MinHash

SMALL = 160_000  # bytes of the first sample


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Rates, Path]:
    """A recipe over real code with near duplicates, and rates fitted on 160 and 640 kB of it."""
    place = tmp_path_factory.mktemp("measured")
    dump = tree(place / "dump", 200, 2)
    for i in range(0, 200, 4):  # one file again, edited, in the same repository: so a sample has as many as the whole
        lines = (place / f"dump/r{i:03d}/f1.py").read_bytes().splitlines()
        lines.insert(random.Random(i).randrange(len(lines)), b"# edited in copy %d" % i)
        (place / f"dump/r{i:03d}/copy.py").write_bytes(b"\n".join(lines))
    options = Recipe("unset", dump, tokenizer=TokenizerOptions(vocab_size=300, sample_bytes=20_000))
    block, found = SMALL // 2, []
    for name, times, larger in bench.RUNS:
        found += observe(options, place / name, SMALL * times, block * larger)
    return options, bench.of(found, options, {}), place


def observe(options: Recipe, place: Path, size: int, part: int) -> list[bench.Observation]:
    sampled = replace(bench.sample(options, size, SMALL // 2, part), workspace=str(place))
    return [o for stage in STAGES for o in bench.observe(sampled, stage)]


def test_four_times_the_size_costs_what_was_predicted(measured: tuple[Recipe, Rates, Path]) -> None:
    options, rates, place = measured
    real = {o.row: o for o in observe(options, place / "real", 16 * SMALL, SMALL // 2)}
    into = real["ingest"].drivers
    larger = replace(options, ingest=replace(options.ingest, part_bytes=SMALL // 2, block_bytes=SMALL // 2))
    costs = {c.row: c for c in estimate.estimate(rates, larger, Dump(into["files"], into["bytes"]), workers=2)}
    assert costs["ingest"].work.parts == pytest.approx(into["parts"], rel=0.25)
    for row, cost in costs.items():
        seen = real[row].costs
        stored = sum(size for name, size in seen.items() if name.startswith("stored/"))
        assert cost.stored == pytest.approx(stored, rel=0.25), row
        assert cost.fetched == pytest.approx(seen["fetched"], rel=0.25), row
        if "shuffled" in seen:
            assert cost.shuffled == pytest.approx(seen["shuffled"], rel=0.25), row
        for kind in REQUESTS:
            assert cost.requests[kind] == pytest.approx(seen[kind], rel=0.25, abs=2), (row, kind)


def paced(measured: tuple[Recipe, Rates, Path]) -> tuple[Recipe, Rates]:
    """The recipe, and its rates as if each row took a CPU second a megabyte: samples this small take less than can be told from noise."""
    options, rates, _ = measured
    known = []
    for o in rates.observations:
        cpu = 0.1 + o.drivers["bytes"] / 1e6
        known.append(replace(o, costs={**o.costs, "cpu": cpu, "seconds": cpu} | ({"start": 1.0} if "start" in o.costs else {})))
    return options, bench.of(known, options, {})


def test_workers_share_all_but_the_training_of_the_tokenizer(measured: tuple[Recipe, Rates, Path]) -> None:
    options, rates = paced(measured)
    one, many = ([*estimate.estimate(rates, options, Dump(1e6, 1e10), workers)] for workers in (1, 8))
    for alone, shared in zip(one, many, strict=True):
        assert shared.cpu >= alone.cpu and shared.stored == alone.stored
        if alone.row != "licenses":  # there are none here
            assert (shared.seconds < alone.seconds / 4) == (alone.row != "tokenizer")
    capped = estimate.estimate(rates, options, Dump(1e6, 1e10), workers=10**9)
    assert capped[0].seconds == estimate.estimate(rates, options, Dump(1e6, 1e10), workers=capped[0].work.parts)[0].seconds
    given = Recipe("w", options.sources, tokenizer=TokenizerOptions(path="tokenizer.json"))
    assert "tokenizer" not in {c.row for c in estimate.estimate(rates, given, Dump(1e6, 1e10), 1)}


def test_workers_apart_cost_what_was_measured(measured: tuple[Recipe, Rates, Path]) -> None:
    """As much work as the second run had: its own time with two workers comes back, and each worker is a process that starts."""
    options, rates = paced(measured)
    second = {o.row: o for o in bench.largest(rates.observations)}
    shared = {stage: 30.0 + i for i, stage in enumerate(STAGES)}
    made = bench.of(rates.observations, options, shared)
    assert made.coefficients == rates.coefficients
    into, cut = second["ingest"].drivers, replace(options.ingest, part_bytes=SMALL // 2, block_bytes=SMALL // 2)
    dump, larger = Dump(into["files"], into["bytes"], into["repositories"]), replace(options, ingest=cut)
    one, two, three = ([*estimate.estimate(made, larger, dump, workers)] for workers in (1, 2, 3))
    for stage, took in shared.items():
        alone, both = (sum(c.seconds for c in some if STAGE_OF.get(c.row, c.row) == stage) for some in (one, two))
        assert both == pytest.approx(took, rel=0.05) and alone < 30
    for a, b, c in zip(one, two, three, strict=True):
        if b.row != "tokenizer":  # which the driver trains
            start = made.cost(b.row, "start", {"one": 1.0})  # the driver's too
            assert c.cpu - b.cpu == pytest.approx(b.cpu - a.cpu - start, abs=1e-6) and b.cpu - a.cpu >= 2 * start


def test_a_bucket_is_waited_for(measured: tuple[Recipe, Rates, Path]) -> None:
    options, rates, _ = measured
    disk, bucket = (estimate.estimate(rates, options, Dump(1e6, 1e10), 4, latency) for latency in (0, 0.05))
    for near, far in zip(disk, bucket, strict=True):
        assert far.seconds - near.seconds == pytest.approx(
            0.05 * sum(near.requests.values()) / (1 if near.row == "tokenizer" else 4)
        )


def test_what_is_known_of_the_dump_is_not_taken_from_the_sample(measured: tuple[Recipe, Rates, Path]) -> None:
    options, rates, _ = measured
    few, many = ({c.row: c for c in estimate.estimate(rates, options, Dump(1e6, 1e10, 1e5, share), 1)} for share in (0.2, 0.6))
    assert many["dedup"].work.removed == pytest.approx(3 * few["dedup"].work.removed)
    assert many["dedup"].work.candidates == pytest.approx(3 * few["dedup"].work.candidates)
    assert many["release"].work.files == pytest.approx(few["release"].work.files / 2)
    assert many["dedup"].stored > few["dedup"].stored and many["release"].stored < few["release"].stored
    assert few["ingest"].work.repositories == 1e5 and few["dedup"].work.candidates > 0


def work(parts: int, group: int, groups: int, candidates: float) -> Work:
    return Work(1, 1, 0, parts, groups, 1, 0, 1, 0, 1, 0, group, candidates)


def test_cells_are_those_that_random_pairs_hit() -> None:
    """Against a draw: pairs of parts thrown at random, verified by the group that `anchors` names, count distinct reads."""
    parts, group, pairs = 60, 6, 500
    draw, reads = random.Random(5), []
    for _ in range(20):
        hit = set()
        for _ in range(pairs):
            a, b = (draw.randrange(parts) for _ in range(2))
            first, second = a // group, b // group
            verifier = min(first, second) if (first + second) % 2 == 0 else max(first, second)
            hit |= {(verifier, a), (verifier, b)}
        reads.append(len(hit))
    assert work(parts, group, parts, pairs).cells(parts) == pytest.approx(sum(reads) / len(reads), rel=0.05)


def test_verification_is_quadratic_in_parts_once_candidates_are_everywhere() -> None:
    assert work(1000, 10, 1000, 1e9).cells(1000) == pytest.approx(1000 + 1000 * 99 / 2)
    assert work(2000, 10, 2000, 1e9).cells(2000) == pytest.approx(2000 + 2000 * 199 / 2)  # P + P^2 / 2G
    assert work(5, 10, 5, 1e9).cells(5) == 5  # one group reads each part once
    assert work(1000, 10, 1000, 0).cells(1000) == 0


def test_dedup_is_cut_as_the_stage_cuts_it(measured: tuple[Recipe, Rates, Path]) -> None:
    options, real, _ = measured
    # A test process's peak is of all that ran in it before: its slope over parts of 60 kB says nothing of parts of 256 MB.
    rates = bench.of([replace(o, costs=o.costs | {"peak": 4e8}) for o in real.observations], options, {})
    small, large = (dict(estimate.work_by_row(rates, options, Dump(files, 20_000 * files)))["dedup"] for files in (1e5, 3e9))
    assert small.partitions == 1 + int(small.files) // dedup.FILES_PER_PARTITION and large.partitions == dedup.MAX_PARTITIONS
    assert large.keys == pytest.approx(large.files * 32 / dedup.MAX_PARTITIONS)
    peaks = [c.peak for c in estimate.estimate(rates, options, Dump(3e9, 6e13), 1) if c.row == "dedup"]
    assert large.keys * estimate.KEY_BYTES < peaks[0] < 100e9  # a worker of a cluster, not all of it
    assert small.group == large.group > 1  # a part is as large in both
    assert large.parts == pytest.approx(20_000 * 3e9 / options.ingest.part_bytes, rel=0.01)


def test_limits_name_what_no_runner_does(measured: tuple[Recipe, Rates, Path]) -> None:
    options, rates, _ = measured

    def told(recipe: Recipe, dump: Dump, workers: int) -> list[str]:
        found = estimate.limits(rates, recipe, estimate.estimate(rates, recipe, dump, workers))
        assert not any(isinstance(value, str | list) for value in found.values()), "--json has fields, and no lines"
        return estimate.limit_lines(found)

    cut = replace(options, ingest=replace(options.ingest, part_bytes=1_000_000))
    many = "\n".join(told(cut, Dump(3e9, 6.75e13), 1000))
    for text in ("Dataflow takes 20 MB, no runner 2 GB: raise ingest.part_bytes", "use a cluster", "verification"):
        assert text in many
    assert len(told(options, Dump(1e4, 1e8), 2)) == 3
    assert "measured with other options" in "\n".join(told(replace(options, minhash=MinHash(threshold=0.8)), Dump(1e4, 1e8), 2))


def test_the_command(measured: tuple[Recipe, Rates, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, rates, _ = measured
    (tmp_path / "rates.json").write_text(rates.to_json())
    sizes = ["--files", "3e9", "--bytes", "67.5e12", "--workers", "1000"]
    assert cli.main(["estimate", "stack-v2", *sizes, "--rates", str(tmp_path / "rates.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:11]] == [
        c.row for c in estimate.estimate(rates, Recipe("w"), Dump(1, 1), 1)
    ] + ["together"]
    assert cli.main(["estimate", "stack-v2", *sizes, "--rates", str(tmp_path / "absent.json")]) == 1
    assert "run `starmill bench" in capsys.readouterr().err
