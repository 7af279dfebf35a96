"""Pictures are well-formed, and their heights are the numbers: what falls and what goes on is what came in."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starmill.reports.page import svg
from starmill.reports.page.svg import Column, bar, funnel, histogram, short

AMOUNTS = st.integers(0, 10**9)


def columns(stages: list[list[tuple[int, int]]]) -> list[Column]:
    names = [f"<{i}>" for i in range(len(stages[0]))]
    made = []
    for number, stage in enumerate(stages):
        kept, dropped = (dict(zip(names, (pair[i] for pair in stage), strict=True)) for i in (0, 1))
        into = {n: kept[n] + dropped[n] for n in names}
        made.append(Column(f"stage {number}", into, kept, dropped, [("why & how", sum(dropped.values()))]))
    return made


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
def test_heights_are_amounts(stages: list[list[tuple[int, int]]]) -> None:
    made = columns(stages)
    picture = ET.fromstring(funnel(made, list(made[0].into), "<said>"))
    nodes = [float(r.get("height")) for r in picture.iter("rect") if r.get("class") == "node"]
    into = [sum(c.into.values()) for c in made] + [sum(made[-1].kept.values())]
    most = max(into) or 1
    assert nodes == pytest.approx([max(1, svg.HIGH * n / most) for n in into], abs=0.06)
    fallen = sum(float(r.get("height")) for r in picture.iter("rect") if (r.get("class") or "").startswith("sunk"))
    assert fallen == pytest.approx(sum(sum(c.dropped.values()) for c in made) * svg.HIGH / most, abs=0.06 * 25)
    box = [float(n) for n in picture.get("viewBox").split()]
    for shape in picture.iter("rect"):
        assert 0 <= float(shape.get("x")) <= box[2] and float(shape.get("y")) + float(shape.get("height")) <= box[3] + 1
    for label in picture.iter("text"):
        assert float(label.get("y")) <= box[3] and float(label.get("x")) <= box[2]


def test_the_reasons_are_named_and_the_rest_summed() -> None:
    reasons = [(f"reason_{i}", 10 - i) for i in range(6)]
    said = funnel([Column("one", {"a": 100}, {"a": 55}, {"a": 45}, reasons)], ["a"], "said")
    assert re.findall(r'class="why">([^<]*)<', said) == ["reason_0 10", "reason_1 9", "reason_2 8", "3 other reasons 18"]
    assert "−45 (45.0 %)" in said and 'aria-label="said"' in said
    assert ET.fromstring(funnel([], [], "nothing")) is not None


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=60), st.data(), st.sampled_from(["above", "below"]))
def test_bars_beyond_a_threshold_are_marked(files: list[int], data: st.DataObject, side: str) -> None:
    edges = [float(i) for i in range(len(files) - 1)]
    at = data.draw(st.integers(0, len(edges) - 1))
    if not any(files):
        files[0] = 1
    picture = ET.fromstring(histogram(edges, files, edges[at], side, "said"))
    bars = {int(r.get("data-bin")): r.get("class") for r in picture.iter("rect")}
    assert {*bars} == {i for i, n in enumerate(files) if n}
    for index, classes in bars.items():
        assert ("beyond" in classes) is (index > at if side == "above" else index <= at)
    highest = max(picture.iter("rect"), key=lambda r: float(r.get("height")))
    assert files[int(highest.get("data-bin"))] == max(files)


def test_a_bar_is_a_share() -> None:
    picture = ET.fromstring(bar([("a", 1), ("b", 2)], 4))
    assert [(float(r.get("x")), float(r.get("width"))) for r in picture.iter("rect")] == [(0, 25), (25, 50)]
    assert 'width="0.00"' in bar([("a", 1)], 0) and short(999) == "999" and short(-2_000_000) == "-2M"
