"""The prefilter: each row with a match of an anchor and no other, the same for any slice, thread and process, and texts of any bytes."""

import pickle
import re
import threading
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.clean.redact import Redact, scan
from starmill.transforms.clean.redact.redact import DETECTORS


def nothing(*_: object) -> scan.Spans:
    yield from ()


WORDS = scan.Detector("WORDS", nothing, lambda: (rb"(?i)ab", rb"[0-9]{3}", rb"\xc3\xa9x"), nothing)
MORE = scan.Detector("MORE", nothing, lambda: (rb"z.z",), nothing)
TEXTS = st.lists(st.none() | st.text(st.sampled_from("aBb012éxz \n"), max_size=9), max_size=9)


def ends(text: str, detector: scan.Detector) -> set[tuple[int, int]]:
    """Return each (anchor, end) that Python's patterns know: of every beginning the shortest match."""
    data = text.encode()
    found = set()
    for number, anchor in enumerate(detector.anchors()):
        pattern = re.compile(anchor, re.DOTALL)
        found |= {(number, m.end()) for at in range(len(data)) if (m := pattern.match(data, at))}
    return found


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(0, 3), st.sampled_from([pa.string(), pa.large_string()]))
def test_rows_are_those_that_patterns_match(texts: list[str | None], skip: int, kind: pa.DataType) -> None:
    array = pa.array(texts, kind).slice(skip)
    found = {row: [set(hits) for hits in each] for row, each in scan.rows_with_hits(array, [WORDS, MORE])}
    texts = texts[skip:]
    for row, text in enumerate(texts):
        wanted = [ends(text or "", WORDS), ends(text or "", MORE)]
        if any(wanted):
            assert row in found
        for hits, right in zip(found.get(row, [set(), set()]), wanted, strict=True):
            assert right <= hits
            assert all(end <= 2 for _, end in hits - right), "else only what began in an earlier row, which is harmless"


def test_hits_are_in_order_of_their_ends() -> None:
    [(row, [hits])] = scan.rows_with_hits(pa.array(["", "ab 123 AB 456"]), [WORDS])
    assert row == 1 and list(hits) == [(0, 2), (1, 6), (0, 9), (1, 13)]
    assert (
        list(scan.rows_with_hits(pa.array(["ab"]), [])) == list(scan.rows_with_hits(pa.array([], pa.string()), [WORDS])) == []
    )


def test_a_text_of_nothing_but_hits_takes_little_memory() -> None:
    told = WORDS._replace(find_at=None)
    size = 1 << 18
    block = pa.array(["0" * size, "x", "ab012ab"], pa.large_string())
    tracemalloc.start()
    found = list(scan.rows_with_hits(block, [told, MORE]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [(0, [[(1, 3)], []]), (2, [[(0, 2)], []])]  # whether there is a hit is all that is asked
    assert peak < 110 * size, f"{peak / size:.0f} bytes for each hit"


def test_threads_and_processes_have_databases_of_their_own() -> None:
    found: list[object] = []
    block = pa.array(["x", "ab"] * 500)
    threads = [threading.Thread(target=lambda: found.append([*scan.rows_with_hits(block, [WORDS])])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(f == found[0] for f in found)
    step = Redact()
    step.redact("AB", "f")
    assert len(pickle.dumps(step)) < 1000, "a pickled step carries no database"


def test_a_text_beyond_what_one_call_reads_is_read_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MOST_BYTES", 7)
    block = pa.array(["x", "ab", "x123", "", "zzz", "abc"], pa.large_string())
    rows = [row for row, _ in scan.rows_with_hits(block, [WORDS, MORE])]
    assert rows == [1, 2, 4, 5]
    with pytest.raises(ValueError, match="8 bytes is longer"):
        list(scan.rows_with_hits(pa.array(["abababab"]), [WORDS]))


@pytest.mark.parametrize("option", DETECTORS)
def test_anchors_see_no_more_than_they_match(option: str) -> None:
    for anchor in DETECTORS[option].anchors():
        compiled = re.compile(anchor)
        assert not compiled.match(b""), anchor
        outside = re.sub(rb"\[(?:\\.|[^\]\\])*\]", b"", anchor)
        assert not re.search(rb"\\[bBAZ]|\(\?[=!<]|(?<!\\)[\^$]", outside), anchor
    assert DETECTORS[option].kind in ("EMAIL", "IP_ADDRESS", "KEY", "USERNAME")
