"""The sample is bounded and the same each time; texts are cut without a half of a secret; only what is asked for is read."""

import reported
from hypothesis import given
from hypothesis import strategies as st

from starmill.core.dataset import Workspace
from starmill.reports.page.sample import MARGIN, TEXT, Part, Sample, cut, drawn
from starmill.transforms.clean.redact import labels


@given(st.dictionaries(st.integers(0, 10**6), st.integers(0, 1000), max_size=60), st.integers(1, 20), st.integers(1, 5000))
def test_a_sample_is_bounded(rows: dict[int, int], parts: int, most: int) -> None:
    found = drawn(rows.items(), parts, most)
    assert found == sorted({*found}) == sorted([*rows][: len(found)])
    assert len(found) <= parts and bool(found) is bool(rows)
    assert len(found) <= 1 or sum(rows[part] for part in found) <= most
    if len(rows) <= parts and sum(rows.values()) <= most:
        assert found == sorted(rows)


def test_no_secret_is_cut_in_two() -> None:
    secret = reported.EMAIL
    for shift in (0, 1, len(secret) // 2, len(secret) - 1, len(secret)):
        for place in (TEXT, TEXT + MARGIN):
            text = "x " * ((place - shift) // 2) + " " * ((place - shift) % 2) + secret + " y" * 40_000
            shown = cut(text, labels.hidden)
            assert secret[:6] not in shown and len(shown) <= TEXT + 100
    assert cut("short", labels.hidden) == "short"


def test_a_part_reads_its_own_rows(workspace: Workspace) -> None:
    for number, records in enumerate(reported.records()):
        part = Part(workspace, number, labels.hidden)
        assert part.names == [(r["row"]["kind"], r["row"]["repo_name"], r["row"]["path"]) for r in records]
        rows = [0, len(records) - 1, 2, 3]
        assert {row: v["content"] for row, v in part.texts(rows)} == {row: records[row]["row"]["content"] for row in rows}
        assert part.measured(1)["num_chars"] == len(records[1]["row"]["content"]) and "visible_text_chars" not in part.measured(
            1
        )
        assert all(part.rows[name] == row for row, name in enumerate(part.names))
    hidden = Part(workspace, 0, labels.hidden).text(6)
    assert reported.EMAIL not in hidden and reported.SECRET not in hidden and "<EMAIL-" in hidden and "<KEY-" in hidden


def test_what_is_absent_is_empty(workspace: Workspace) -> None:
    part = Part(workspace, 77)
    assert (part.names, part.measures, part.measured(0), list(part.texts([0])), part.text(0)) == ([], None, {}, [], "")
    assert part.dropped("curate") is None and part.columns("records", "path") is None
    assert Part(workspace, 0).columns("records", "no such column") is None


def test_a_part_is_opened_once(workspace: Workspace) -> None:
    sample = Sample(workspace, [0, 1], 2)
    assert [*sample] == [sample.part(0), sample.part(1)] and sample.part(1) is sample.part(1) and sample.is_whole
    assert not Sample(workspace, [0], 2).is_whole
