"""Both sides of each rule over pull requests."""

import pytest

from starmill.transforms.decide.pulls import Pulls

GOOD = [
    ("title", "username_0", "Fix the parser"),
    ("body", "username_0", "It failed on tabs, which are white space too."),
    ("status", None, "opened"),
    ("base", "0", ""),
    ("review", "username_1", "Good. " * 30),
    ("review_state", "approved", "approved"),
    ("status", "username_1", "closed"),
    ("is_merged", "False", "False"),
]


def judged(rules: Pulls, *changes: tuple[str, str | None, str] | str) -> str | None:
    """Judge the good one with changes: a role that is left out, or a part in place of those of its role, or behind all."""
    gone = {change for change in changes if isinstance(change, str)}
    given = [change for change in changes if not isinstance(change, str)]
    parts = [next((g for g in given if g[0] == part[0]), part) for part in GOOD if part[0] not in gone]
    parts += [g for g in given if g not in parts]
    content, marked = "", []
    for role, name, text in parts:
        marked.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(text)})
        content += text + "\n"
    return rules.judge(len(content), marked)


CASES = {
    "good": ((), None),
    "a bot's": ((("title", "bot", "Fix the parser"),), "opened_by_a_bot"),
    "not described": ((("body", "username_0", ""),), "no_description"),
    "not discussed": (("review",), "no_review"),
    "commented": (("review", ("comment", "username_1", "Good. " * 30)), None),
    "commented on a line": (("review", ("code_comment", "username_1", "Good. " * 30)), None),
    "neither merged nor approved": ((("review_state", "commented", "commented"),), "not_accepted"),
    "merged": ((("review_state", "commented", "commented"), ("is_merged", "True", "True")), None),
    "a title of 9": ((("title", "username_0", "Fix parse"),), "title_too_short"),
    "a title of 10": ((("title", "username_0", "Fix parser"),), None),
    "a version": ((("version", None, ""),), "title_of_a_version"),
    "short": ((("review", "username_1", "Good."),), "pull_too_short"),
    "long": ((("review", "username_1", "x" * 100_000),), "pull_too_long"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pull_request(case: str) -> None:
    changes, reason = CASES[case]
    assert judged(Pulls(), *changes) == reason


def test_files_may_be_asked_for() -> None:
    assert judged(Pulls(with_files=True)) == "no_files"
    shown, head, diff = ("base_file", "a.py", "x = 1\n"), ("head", "0", ""), ("diff", None, "")
    assert judged(Pulls(with_files=True), shown, head, diff) is None
    assert judged(Pulls(with_files=True), shown, head, ("head", "1", ""), diff) == "no_first_diff", "only a later head is known"
    assert judged(Pulls(with_files=True), shown, head) == judged(Pulls(with_files=True), shown) == "no_first_diff"


def test_a_base_may_change_once_by_the_merge() -> None:
    marks = [{"role": "base", "name": name, "start": 0, "end": 0} for name in ("0", "1")]

    def judge(merged: str, count: int, **options: bool) -> str | None:
        at, marked = 0, []
        for role, name, text in GOOD:
            marked.append({"role": role, "name": merged if role == "is_merged" else name, "start": at, "end": at + len(text)})
            at += len(text)
        return Pulls(**options).judge(at, [m for m in marked if m["role"] != "base"] + marks[:count])

    assert (judge("True", 2), judge("False", 2), judge("False", 1)) == (None, "base_changed", None)
    assert judge("False", 2, base_may_change=True) is None


def test_acceptance_is_an_option() -> None:
    assert judged(Pulls(merged_or_approved=False), ("review_state", "commented", "commented")) is None
