"""Labels to spans and back; the bounds of entities are seqeval's."""

from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from starmill.model.encoder.spans import Found, entities, labelled, spans, stripped

LABELS = ["O", "B-NAME", "I-NAME", "B-KEY", "I-KEY"]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(LABELS), max_size=30))
def test_entities_are_those_of_seqeval(labels: list[str]) -> None:
    assert [*entities(labels)] == [(kind, first, last + 1) for kind, first, last in get_entities(labels)]


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_labels_of_spans_give_the_spans_again(data: st.DataObject) -> None:
    words = data.draw(
        st.lists(st.tuples(st.sampled_from(["ab", "cde", "f"]), st.sampled_from([None, "NAME", "KEY"])), max_size=12)
    )
    text, offsets, wanted, at = "", [], [], 0
    for word, kind in words:
        text += f"{word} "
        offsets.append((at, at + len(word)))
        if kind:
            wanted.append((at, at + len(word), kind))
        at += len(word) + 1
    assert [tuple(found[:3]) for found in spans(text, labelled(offsets, wanted), offsets)] == wanted


def test_what_surrounds_a_value_is_not_of_it() -> None:
    assert spans("<a@b.io>,", ["B-EMAIL"], [(0, 9)]) == [Found(1, 7, "EMAIL")]
    assert stripped(" 'p@ss!w0rd!'", 0, 13, "PASSWORD") == (2, 12), "a password ends as it likes"
    assert spans("...", ["B-NAME"], [(0, 3)]) == []
    assert spans("a b", ["B-NAME", "I-NAME"], [(0, 1), (1, 3)], [0.5, 1.0]) == [Found(0, 3, "NAME", 0.75)]


def test_time_is_linear_in_a_value() -> None:
    text = "a" + "." * 2_000_000
    assert stripped(text, 0, len(text), "NAME") == (0, 1)
