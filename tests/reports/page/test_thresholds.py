"""Each drawn threshold, wherever it is moved, drops what the true rule drops; bins are exact; nothing is drawn that is not known."""

import random
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starmill.core.dataset import Workspace
from starmill.pipelines.kinds import Curate
from starmill.reports.page import thresholds
from starmill.reports.page.sample import Sample
from starmill.reports.page.thresholds import DRAWN, Drawn, counted, edges_of, of_sample, similarities
from starmill.reports.settings import Settings, read
from starmill.transforms.decide.signals import LowScore, Signals, SyntaxErrors

RULES = Curate(signals=Signals(SyntaxErrors(), LowScore()))
LANGUAGES = ["Python", "C", "HTML", "JSON", "Text", "YAML", "WebAssembly", "Markdown", ""]


def rows(count: int = 600) -> list[dict[str, object]]:
    """Records with numbers of all sizes, many of them at thresholds."""
    draw = random.Random(5)
    sizes = [0, 1, 99, 100, 101, 512, 513, 1000, 1001, 1024, 1025, 100_000, 100_001]

    def size() -> int:
        return draw.choice(sizes) if draw.random() < 0.5 else int(10 ** draw.uniform(0, 6))

    made = []
    for _ in range(count):
        chars, language = max(1, size()), draw.choice(LANGUAGES)
        made.append(
            {
                "language": language or None,
                "num_lines": size(),
                "max_line_length": size(),
                "avg_line_length": float(size()),
                "alpha_fraction": draw.choice([0.0, 0.24, 0.25, 0.26, draw.random()]),
                "alphanum_fraction": draw.choice([0.25, draw.random()]),
                "num_chars": chars,
                "encoded_longest": size(),
                "encoded_total": int(chars * draw.choice([0, 0.5, draw.random()])),
                "visible_text_chars": min(chars, size()) if language == "HTML" else None,
                "syntax_error_fraction": draw.choice([None, 0.0, 0.1, draw.random()]),
                "quality_score": draw.choice([None, 0.5, draw.random()]),
                "segments": [],
                "length_bytes": size(),
            }
        )
    return made


def columns(made: list[dict[str, object]]) -> dict[str, np.ndarray]:
    names = (*thresholds.COLUMNS[1:], "length_bytes")
    return thresholds._arrays(pa.Table.from_pylist([{n: row[n] for n in names} for row in made]))


ALONE = {  # what else of a rule drops records is out of the way, or what else would decide first
    ("long_lines", "max_lines"): {"max_line_chars": 10**9, "max_data_line_chars": 10**9, "max_mean_chars": 1e9},
    ("long_lines", "max_line_chars"): {"max_lines": 10**9, "max_data_line_chars": 10**9, "max_mean_chars": 1e9},
    ("long_lines", "max_data_line_chars"): {"max_lines": 10**9, "max_line_chars": 10**9, "max_mean_chars": 1e9},
    ("long_lines", "max_mean_chars"): {"max_lines": 10**9, "max_line_chars": 10**9, "max_data_line_chars": 10**9},
    ("encoded_data", "max_match_chars"): {"max_fraction": 1.0},
    ("encoded_data", "max_fraction"): {"max_match_chars": 10**9},
    ("html", "min_text_chars"): {"min_text_fraction": 0.0},
    ("html", "min_text_fraction"): {"min_text_chars": 0},
}


@pytest.mark.parametrize("row", [d for d in DRAWN if d.kind == "code"], ids=lambda d: f"{d.rule[-1]}.{d.option}")
def test_a_threshold_drops_what_its_rule_drops(row: Drawn) -> None:
    rule = RULES
    for name in row.rule:
        rule = getattr(rule, name)
    assert row.rule[-1] == rule.name, "the name that the page shows is the step's"
    made = rows()
    item = thresholds._item(row, columns(made), asdict(rule))
    assert item is not None and item["threshold"] == getattr(rule, row.option) and item["threshold"] in item["edges"]
    block = pa.RecordBatch.from_pylist([{n: r[n] for n in rule.reads} for r in made])
    for at, edge in enumerate(item["edges"]):
        value = type(item["threshold"])(edge)
        if value != edge:  # no such value of a whole number
            continue
        judged = replace(rule, **{**ALONE.get((rule.name, row.option), {}), row.option: value})
        gone = sum(judged.judge(*(b.as_py() for b in values)) is not None for values in zip(*block.columns, strict=True))
        beyond = item["files"][at + 1 :] if row.side == "above" else item["files"][: at + 1]
        assert sum(beyond) == gone, f"{row.option}={value}"


@pytest.mark.parametrize("row", [d for d in DRAWN if d.kind == "pull_request"], ids=lambda d: d.option)
def test_thresholds_of_pull_requests_are_those_of_the_rule(row: Drawn) -> None:
    limits = asdict(RULES.pulls)
    item = thresholds._item(row, columns(rows()), limits)
    assert item is not None and item["threshold"] == limits[row.option]
    marks = [
        ("title", "username_0", 0, 14),
        ("body", "username_0", 15, 32),
        ("comment", "u", 33, 40),
        ("is_merged", "True", 40, 40),
    ]
    segments = [dict(zip(("role", "name", "start", "end"), mark, strict=True)) for mark in marks]
    gone = sum(
        RULES.pulls.judge(r["num_chars"], segments) == f"pull_too_{'short' if row.side == 'below' else 'long'}" for r in rows()
    )
    at = item["edges"].index(item["threshold"])
    assert sum(item["files"][at + 1 :] if row.side == "above" else item["files"][: at + 1]) == gone > 0


@given(
    st.lists(st.floats(0, 1e7, allow_nan=False).map(lambda x: round(x, 2)), min_size=1, max_size=50),
    st.integers(0, 10**6),
    st.sampled_from(["above", "below"]),
)
def test_bins_are_exact_at_every_edge(values: list[float], threshold: int, side: str) -> None:
    numbers = np.array(values)
    edges = edges_of(numbers, threshold, False)
    assert edges == sorted({*edges}) and threshold in edges and len(edges) < 70
    files, size = counted(numbers, numbers, edges, side)
    assert sum(files) == len(values) and len(files) == len(size) == len(edges) + 1
    for at, edge in enumerate(edges):
        beyond = files[at + 1 :] if side == "above" else files[: at + 1]
        assert sum(beyond) == sum(v > edge if side == "above" else v < edge for v in values)


def test_a_workspace_s_own_values_are_drawn(workspace: Workspace) -> None:
    sample = Sample(workspace, [0, 1], 2)
    items = {f"{i['rule']}.{i['option']}": i for i in of_sample(sample, read(workspace), "curate")}
    assert items["long_lines.max_line_chars"]["threshold"] == 1000 and sum(items["html.min_text_chars"]["files"]) == 1
    assert sum(items["alpha.min_fraction"]["files"]) == 12, "issues are not held to it"
    own = {"curate": {"quality": {"alpha": asdict(RULES.quality.alpha) | {"min_fraction": 0.9}}}}
    [item] = of_sample(sample, Settings({"curate": own | {"kinds": {"code": own}}}), "curate")
    assert item["threshold"] == 0.9, "a kind's own value comes first"


def test_without_values_nothing_is_drawn(workspace: Workspace) -> None:
    assert (
        of_sample(Sample(workspace, [0], 2), Settings(), "curate")
        == []
        == of_sample(Sample(workspace, [], 2), read(workspace), "curate")
    )
    strange = {"curate": {"quality": {"alpha": {"min_fraction": 0.3}, "html": 3, "long_lines": {"max_lines": "many"}}}}
    for wrong in (
        {"max_line_chars": 5, "data_languages": None},
        {"max_line_chars": 10**400, "data_languages": []},
        {"max_mean_chars": True},
    ):
        of_another = Settings({"curate": {"curate": {"quality": {"long_lines": wrong}}}})
        assert of_sample(Sample(workspace, [0], 2), of_another, "curate") == []
    assert of_sample(Sample(workspace, [0], 2), Settings({"curate": strange}), "curate") == [], "of another release"


def test_similarities_from_the_threshold_up() -> None:
    found = [{"jaccard": x, "length_bytes": 10} for x in (0.7, 0.704, 0.85, 0.99, 1.0, None)]
    item = similarities(found, 0.7)
    assert item is not None and sum(item["files"]) == 4 and item["edges"][0] == 0.7
    at = item["edges"].index(0.85)
    assert sum(item["files"][at + 1 :]) == 2 and sum(item["files"][1:]) == 4
    assert similarities(found, None) is None and similarities([], 0.7) is None
