"""The page of an evaluation: what an HTML parser finds in it, and that no text of a model is markup."""

import re

from selectolax.lexbor import LexborHTMLParser

from starmill.reports.evaluation import page, rows
from starmill.reports.page.sheet import MOST

EVIL = "<script>alert(1)</script>\u202e\x1b[31m"


def result(**other: object) -> dict:
    return {
        "task": "toy", "about": "adds", "source": "us", "key": {"model": EVIL, "files": {}}, "sandbox": "limits", "of": 3, "problems": 2,
        "samples": 8, "passed": 1, "scores": {"pass@1": {"value": 0.125, "low": 0.0, "high": 0.4}},
        "measures": {"excess_code": {"mean": 0.25, "samples": 1}}, "reasons": {"wrong": 7}, "warnings": [f"careful {EVIL}"],
        "outcomes": [{"problem": EVIL, "number": n, "passed": n == 0, "reason": "wrong", "said": EVIL} for n in range(4)],
    } | other  # fmt: skip


def test_everything_is_there_and_nothing_is_markup() -> None:
    problems = [(EVIL, (EVIL, "behind"), [EVIL] * 4), ("long", "p" * (MOST + 5), [])]
    found = page([(result(), problems)])
    tree = LexborHTMLParser(found)
    assert tree.css_first("script") is None and len(tree.css("details")) == 2
    shown = tree.body.text()
    for said in (
        "12.5 % (0.0 to 40.0)",
        "25.0 %",
        "toy (2 of 3)",
        "alert(1)",
        "1 samples more are in samples.jsonl",
        "5 characters more",
    ):
        assert said in shown, said
    assert "\u202e" not in found and "\x1b" not in found
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', found)
    assert policy.startswith("default-src 'none'") and "script" not in policy
    assert found == page([(result(), problems)])


def test_rows_are_those_of_the_table() -> None:
    assert rows([result(problems=3, measures={})]) == [("toy", "pass@1", "12.5 % (0.0 to 40.0)")]
