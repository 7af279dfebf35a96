"""A comparison holds both texts, whatever they are; a pair is of the record that left and of the one that stayed."""

from types import SimpleNamespace

import pytest
import reported
from hypothesis import given
from hypothesis import strategies as st

from starmill.core.dataset import Workspace
from starmill.reports.page import twins
from starmill.reports.page.sample import Part, Sample
from starmill.reports.page.twins import pairs, rows, side_by_side
from starmill.transforms.clean.redact import labels

LINES = st.lists(st.text(alphabet="abc d", max_size=12), max_size=25)


@given(LINES, LINES)
def test_both_texts_can_be_read_off(left: list[str], right: list[str]) -> None:
    found, differing = side_by_side(left, right)
    at = [0, 0]
    for row in found:
        if "equal" in row:
            n = row["equal"]
            assert n > 0 and left[at[0] : at[0] + n] == right[at[1] : at[1] + n]
            at = [at[0] + n, at[1] + n]
            continue
        for side, (lines, pieces) in enumerate(((left, row["left"]), (right, row["right"]))):
            assert (pieces is None) is (row["n"][side] is None)
            if pieces is not None:
                assert "".join(piece for piece, _ in pieces) == lines[at[side]] and row["n"][side] == at[side] + 1
                at[side] += 1
    assert at == [len(left), len(right)]
    assert (differing == 0) is (left == right)


@given(LINES)
def test_equal_texts_have_no_marks(lines: list[str]) -> None:
    found, differing = side_by_side(lines, lines)
    assert differing == 0 and not any(marked for row in found for _, marked in row.get("left") or [])


def test_long_lines_are_cut_and_not_compared_word_by_word() -> None:
    found, _ = side_by_side(["a " * 5000], ["b " * 5000])
    assert all(len(piece) <= twins.WIDTH + 1 and marked for row in found for piece, marked in (row["left"] or []))


def test_a_row_that_is_not_shown_is_not_compared_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [[f"a {side}{n}" for n in range(1000)] for side in "xy"]
    asked = []
    real = twins.WORD
    monkeypatch.setattr(twins, "WORD", SimpleNamespace(findall=lambda line: asked.append(line) or real.findall(line)))
    found, differing = side_by_side(*texts)
    assert differing == len(found) == 1000 and len(asked) == 2 * twins.SHOWN


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x1e", "\u2028", "\n"])
def test_texts_of_too_many_lines_of_any_sort_are_not_compared(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"kind": "code", "repo_name": "r", "path": "/b", "content_id": "2", "jaccard": 0.9}
    row |= {"kept_content_id": "1", "kept_release": None, "kept_repo_name": "r", "kept_path": "/a"}
    part = Part(Workspace("memory://none"), 0, lambda data: data)
    vars(part).update(names=[("code", "r", "/a"), ("code", "r", "/b")], rows={("code", "r", "/a"): 0, ("code", "r", "/b"): 1})
    sample = Sample(Workspace("memory://none"), [0], 1)
    sample._held[0] = part
    for lines, count in ((twins.LINES // 2, 1), (twins.LINES, 0)):
        monkeypatch.setattr(twins, "_stored", lambda part, row, lines=lines: f"x{end}" * lines)
        assert len(pairs(sample, [(part, row)])) == count


def test_a_pair_of_the_workspace(workspace: Workspace) -> None:
    sample = Sample(workspace, [0, 1], 2, labels.hidden)
    [pair] = pairs(sample, rows(sample, [s.name for s in reported.STAGES]))
    assert (pair["kept"], pair["removed"], pair["jaccard"]) == ("one/lib:/kept.py", "one/lib:/twin.py", 0.91)
    differing = [row for row in pair["lines"] if "equal" not in row and any(m for _, m in row["left"] or [])]
    assert [["".join(p for p, m in row[side] if m) for side in ("left", "right")] for row in differing] == [
        ["step_7", "turn_7"]
    ]
    assert pair["differing"] == 1 and pair["left_out"] == 0


def test_a_twin_that_is_elsewhere_is_not_shown(workspace: Workspace) -> None:
    sample = Sample(workspace, [1], 2)
    assert rows(sample, ["dedup"]) == [] and pairs(sample, []) == []
    whole = Sample(workspace, [0, 1], 2)
    [(part, row)] = rows(whole, ["dedup"])
    assert (
        pairs(whole, [(part, row | {"kept_path": "/gone.py"})])
        == []
        == pairs(whole, [(part, row | {"kept_release": "s3://old"})])
    )
