"""Scores by entity are seqeval's; scores by type follow the overlap of BigCode on both sides of 0.8."""

from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score

from starmill.trainer.encoders.scores import Score, by_type, is_same, of_entities

LABELS = st.sampled_from(["O", "B-NAME", "I-NAME", "B-KEY", "I-KEY"])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=12), min_size=1, max_size=4))
def test_scores_of_entities_are_seqevals(rows: list[list[tuple[str, str]]]) -> None:
    found, true = [[a for a, _ in row] for row in rows], [[b for _, b in row] for row in rows]
    score = of_entities(found, true)
    theirs = [measure(true, found, zero_division=0) for measure in (precision_score, recall_score, f1_score)]
    assert all(abs(a - b) < 1e-9 for a, b in zip((score.precision, score.recall, score.f1), theirs, strict=True))


def test_an_overlap_counts_from_above_0_8_of_both() -> None:
    assert is_same((0, 9, "NAME"), (0, 10, "NAME")) and not is_same((0, 8, "NAME"), (0, 10, "NAME"))
    assert not is_same((0, 10, "NAME"), (0, 10, "KEY")) and not is_same((0, 30, "NAME"), (0, 10, "NAME"))


def test_each_true_span_is_matched_once() -> None:
    found = by_type([[(0, 10, "NAME"), (0, 10, "NAME")], []], [[(0, 10, "NAME")], [(5, 9, "KEY")]])
    assert found == {"NAME": Score(1, 2, 1), "KEY": Score(0, 0, 1)}
    assert found["NAME"].precision == 0.5 and found["KEY"].f1 == found["KEY"].precision == 0.0
