"""What becomes of a model's finds: the rules of redaction on both sides of each, the prefilter, and rows that stand beside others."""

import pyarrow as pa
import pytest

from starmill.transforms.clean.redact import names, scan


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        ("Jane Doe", "NAME", True),
        ("José María García-Pérez", "NAME", True),
        ("Jane", "NAME", False),
        ("张伟", "NAME", False),
        ("abc", "PASSWORD", False),
        ("hunter2", "PASSWORD", True),
        ("jane_d", "USERNAME", True),
        ("gX9qLw3KzT7vPb2N", "KEY", True),
        ("gX9qLw3K", "KEY", False),
        ("getElementByName", "KEY", False),
        ("1234567890123", "KEY", False),
        ("93.184.216.34", "IP_ADDRESS", True),
        ("2606:2800:220:1:248:1893:25c8:1946", "IP_ADDRESS", True),
        ("10.1.2.3", "IP_ADDRESS", False),
        ("8.8.4.4", "IP_ADDRESS", False),
        ("999.1.1.1", "IP_ADDRESS", False),
        ("jane@corp.io", "EMAIL", True),
    ],
)
def test_rules_of_redaction(value: str, kind: str, wanted: bool) -> None:
    assert names.is_redacted(value, kind) is wanted


TEXTS = [
    "# Author: Jane",
    "x = 1\n",
    None,
    "db_PASSWD=hunter2",
    "Signed-off-by: J",
    "git blame",
    "© 2020",
    "written by Jane",
    "ask by jane",
    "Hello Marion",
    "hello world",
    "",
    "a@b",
]
ASKED = [0, 3, 4, 6, 7, 9, 12]


@pytest.mark.parametrize("has_hyperscan", [scan.HAS_HYPERSCAN, False])
def test_only_texts_with_an_anchor_are_asked(has_hyperscan: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "HAS_HYPERSCAN", has_hyperscan)
    assert names.rows_to_ask(pa.array(TEXTS)) == ASKED


def test_no_row_is_asked_for_what_stands_in_the_row_before() -> None:
    assert names.rows_to_ask(pa.array(["the auth", "or of it"])) == [0]
    assert names.rows_to_ask(pa.array(["the au", "thor of it"])) == []


def test_finds_are_of_their_rows_and_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def told(model: object, texts: list[str]) -> list[list[tuple[int, int, str, float]]]:
        asked.append(texts)
        return [[(0, 8, "NAME", 0.9), (9, 12, "NAME", 0.9), (0, 8, "USERNAME", 0.9)] for _ in texts]

    monkeypatch.setattr(names.tagging, "spans", told)
    texts = pa.array(["x = 1", "Jane Doe the author"])
    assert names.find(texts, names.tagging.Model("m"), ["NAME"]) == {1: [(0, 8, "NAME", 0.9)]}
    assert asked == [["Jane Doe the author"]]
