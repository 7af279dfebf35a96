"""Pieces: a record's segments after redaction hold the text they held before, whatever was redacted where."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core import schema
from starmill.core.document import Special
from starmill.core.schema import PRIVATE_IPV4
from starmill.transforms.clean.redact import Redact
from starmill.transforms.render.pieces import PLACEHOLDERS, joined, label, redacted, segments

MAIL = "jane.doe" + "@real-site.org"


def through(texts: list[str], roles: list[str]) -> dict:
    """One record whose content is `texts` joined, a segment each, after the real redaction."""
    bounds = [0]
    for text in texts:
        bounds.append(bounds[-1] + len(text))
    marked = [
        {"role": role, "name": None, "start": start, "end": end}
        for role, start, end in zip(roles, bounds, bounds[1:], strict=False)
    ]
    row = {"content": "".join(texts), "content_id": "a", "length_bytes": 0, "segments": marked}
    kind = pa.schema([*(schema.RECORDS.field(n) for n in row)])
    (done,) = Redact()(pa.RecordBatch.from_pylist([row], schema=kind)).to_pylist()
    return dict(done)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["", "a comment", f"write to {MAIL}", f"{MAIL}", "é 漢\n", "<EMAIL>", f"{MAIL} and {MAIL}."]),
        max_size=6,
    )
)
def test_each_segment_is_redacted_as_if_it_were_alone(texts: list[str]) -> None:
    # A line end between them: no find goes over a bound.
    texts = [f"{text}\n" for text in texts]
    row = through(texts, ["comment"] * len(texts))
    found = list(segments(row))
    assert [s.pieces for s in found] == [tuple(redacted(*Redact().redact(text, "a"))) for text in texts]
    assert sum(p == PLACEHOLDERS["EMAIL"] for s in found for p in s.pieces) == "".join(texts).count(MAIL)


def test_a_find_over_a_bound_is_the_first_segment_s() -> None:
    row = through(["mail jane.doe", "@real-site.org now", " then"], ["title", "comment", "comment"])
    assert [s.pieces for s in segments(row)] == [("mail ", Special("<EMAIL>")), (" now",), (" then",)]


def test_marks_and_records_without_segments() -> None:
    assert [(s.role, s.pieces) for s in segments(through(["", "x", ""], ["open", "text", "close"]))] == [
        ("open", ()),
        ("text", ("x",)),
        ("close", ()),
    ]
    assert list(segments({"content": "x", "redactions": None, "segments": None})) == []


def test_an_address_in_a_name_is_one_of_the_private_ones_and_one_text_with_what_is_around() -> None:
    (name,) = joined(label("hosts/<IP_ADDRESS-0123456789ab>.py"))
    assert name in {f"hosts/{address}.py" for address in PRIVATE_IPV4} and joined(label("")) == []
