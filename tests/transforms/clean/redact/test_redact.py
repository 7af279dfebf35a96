"""Redaction: nothing outside of the spans changes, twice is once, and a placeholder that a person typed is no span."""

import re

import planted
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core import schema
from starmill.core.schema import PLACEHOLDER
from starmill.transforms.clean.redact import Redact, labels, scan

MAIL, HOST = "jane.doe" + "@real-site.org", "93.184." + "216.34"
PIECES = ["x = 1\n", "<EMAIL>", "é漢 ", MAIL, f"'{HOST}'", "host ", " ", "a", "@", ".", "SPDX", f"{MAIL},{MAIL}", "1.2.3.4"]


def test_kinds_and_places() -> None:
    text, spans = Redact().redact(f"<EMAIL> é {MAIL} at host {HOST}", "f")
    assert text.startswith("<EMAIL> é <EMAIL> at host ") and MAIL not in text and HOST not in text
    assert next((s["kind"], text[s["start"] : s["end"]]) for s in spans) == ("EMAIL", "<EMAIL>")
    assert spans[0]["start"] == 10, "the typed one is not a span"
    assert [s["kind"] for s in spans] == ["EMAIL", "IP_ADDRESS"]


def test_addresses_with_dots_between_them_all_go() -> None:
    assert Redact().redact(f"{MAIL}..{MAIL}", "f")[0] == "<EMAIL>..<EMAIL>"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_invariants(text: str) -> None:
    redacted, spans = Redact().redact(text, "f")
    assert Redact().redact(redacted, "f")[0] == redacted, "twice is once"
    ends = [0, *(s["end"] for s in spans)]
    outside = [redacted[end:start] for end, start in zip(ends, [*(s["start"] for s in spans), len(redacted)], strict=True)]
    assert re.fullmatch(".+?".join(map(re.escape, outside)), text, re.DOTALL), "between the spans stands what stood there"
    if not spans:
        assert redacted == text


def test_a_block_without_finds_is_left_alone() -> None:
    block = pa.record_batch({"content": ["x = 1", "y"], "content_id": ["a", "b"], "length_bytes": [5, 1]})
    done = Redact()(block)
    assert done.column("content").equals(block.column("content"))
    assert done.column("redactions").type == pa.list_(schema.REDACTION) and done.column("redactions").to_pylist() == [[], []]


def test_columns_and_options() -> None:
    block = pa.record_batch({"content": [f"é {MAIL}", "y"], "content_id": ["a", "b"], "length_bytes": [0, 1]})
    block = block.append_column("segments", pa.nulls(2, pa.list_(schema.SEGMENT)))
    assert Redact()(block).column("length_bytes").to_pylist() == [len("é <EMAIL>".encode()), 1]
    assert Redact(emails=False)(block).column("content").to_pylist() == [f"é {MAIL}", "y"]


def test_names_by_the_options_of_texts() -> None:
    row = {
        "repo_name": f"{MAIL}/x",
        "path": f"/{HOST}.py",
        "branch_name": None,
        "extension": "py",
        "content": "x",
        "content_id": "a",
    }
    row |= {"length_bytes": 1, "segments": [{"role": "comment", "name": MAIL, "start": 0, "end": 1}]}
    block = pa.RecordBatch.from_pylist([row, row | {"segments": None}], pa.schema([schema.RECORDS.field(n) for n in row]))
    done = Redact()(block).to_pylist()
    assert [PLACEHOLDER.sub(r"<\1>", done[0][n]) for n in ("repo_name", "path", "extension")] == [
        "<EMAIL>/x",
        "/<IP_ADDRESS>.py",
        "py",
    ]
    assert done[0]["segments"][0]["name"] == labels.redacted(MAIL) and done[1]["segments"] is done[1]["branch_name"] is None
    only = Redact(emails=False)(block).to_pylist()[0]
    assert only["repo_name"] == row["repo_name"] and only["path"] == done[0]["path"] and only["segments"] == row["segments"]


SECRETS = [case.text for case in planted.everything(11, 1)]
MIXED = [*PIECES, *SECRETS, "<KEY>", "api_key = '", "Bearer ", "://a:", "-----BEGIN PRIVATE KEY-----", "\n", "key: ", "=", "'"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MIXED), st.sampled_from([8, 40, 400])), max_size=9))
def test_twice_is_once_whatever_stands_together(pieces: list[tuple[str, int]]) -> None:
    redacted = Redact().redact("".join(piece[:most] for piece, most in pieces), "f")[0]
    assert Redact().redact(redacted, "f")[0] == redacted


def test_without_hyperscan_the_same_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"é {secret}\n{MAIL} host {HOST}" if n % 3 else secret for n, secret in enumerate(SECRETS)] + ["x = 1", ""]
    block = pa.record_batch({"content": texts, "content_id": ["a"] * len(texts), "length_bytes": [0] * len(texts)})
    with_it = Redact()(block)
    monkeypatch.setattr(scan, "HAS_HYPERSCAN", False)
    monkeypatch.setattr(scan, "rows_with_hits", None)
    assert Redact()(block).equals(with_it) and with_it.column("content").to_pylist() != texts
