"""Both sides of each rule over commits."""

from typing import Any

import pytest

from starmill.transforms.decide.commits import CommitRules

GOOD = "Give the right area for a negative width"
KEPT = CommitRules(small_rate=1, large_rate=1, few_words_rate=1, data_rate=1)
LEFT = CommitRules(small_rate=0, large_rate=0, few_words_rate=0, data_rate=0)


def judged(
    rule: CommitRules = LEFT,
    subject: str = GOOD,
    lines: int = 9,
    after: str = "x\n",
    language: str = "Python",
    path: str = "/commit/1",
) -> str | None:
    marked: list[dict[str, Any]] = []
    for role, name, size in (("before", "/a.py", 2), ("message", subject, len(subject)), ("after", "/a.py", len(after))):
        start = marked[-1]["end"] + 1 if marked else 0
        marked.append({"role": role, "name": name, "start": start, "end": start + size})
    marked.append({"role": "changed", "name": str(lines), "start": start + size, "end": start + size})
    return rule.judge(path, marked, language)


CASES: dict[str, tuple[dict[str, Any], str | None]] = {
    "good": ({}, None),
    "nothing left of the file": ({"after": ""}, "empty_after"),
    "two lines": ({"lines": 2}, "small_change"),
    "two lines, kept": ({"lines": 2, "rule": KEPT}, None),
    "three lines": ({"lines": 3}, None),
    "199 lines": ({"lines": 199}, None),
    "200 lines": ({"lines": 200}, "large_change"),
    "200 lines, kept": ({"lines": 200, "rule": KEPT}, None),
    "no subject": ({"subject": ""}, "empty_subject"),
    "a subject of spaces": ({"subject": "  "}, "empty_subject"),
    "update": ({"subject": "Update README.md", "rule": KEPT}, "vague_subject"),
    "update of something": ({"subject": "Update README.md of the parser"}, None),
    "a phrase": ({"subject": "this is one more Auto Commit of mine"}, "vague_subject"),
    "four words": ({"subject": "fix the right area"}, "few_words"),
    "four words, kept": ({"subject": "fix the right area", "rule": KEPT}, None),
    "five words": ({"subject": "fix the right area now"}, None),
    "a version": ({"subject": "v1.2.3 is out and it is good"}, "subject_of_a_version"),
    "a version without a v": ({"subject": "1.2.3 is out and it is good"}, "subject_of_a_version"),
    "a version, kept": ({"subject": "1.2.3 is out and good", "rule": CommitRules(about_versions=True)}, None),
    "half a version": ({"subject": "1.2 is out and it is good"}, None),
    "a version later": ({"subject": "Release 1.2.3 of the parser today"}, None),
    "20 characters a word": ({"subject": " ".join(["x" * 19] * 4 + ["x" * 20])}, None),
    "above 20 characters a word": ({"subject": " ".join(["x" * 19] * 3 + ["x" * 21, "x" * 20])}, "long_words"),
    "one indented word": ({"subject": " word", "rule": KEPT}, "one_indented_word"),
    "one word": ({"subject": "word", "rule": KEPT}, None),
    "two indented words": ({"subject": " two words", "rule": KEPT}, None),
    "data": ({"language": "JSON"}, "data_format"),
    "data, kept": ({"language": "JSON", "rule": KEPT}, None),
    "no language": ({"language": None}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_commit(case: str) -> None:
    given, reason = CASES[case]
    assert judged(**given) == reason


def test_a_row_that_is_no_commit_is_dropped() -> None:
    assert CommitRules().judge("/a.py", None, "Python") == "empty_after"


@pytest.mark.parametrize(
    ("given", "rate"), [({"lines": 1}, 0.1), ({"lines": 500}, 0.1), ({"subject": "fix it"}, 0.5), ({"language": "YAML"}, 0.5)]
)
def test_shares_are_as_asked_and_hashes_of_the_commit(given: dict[str, Any], rate: float) -> None:
    def kept(rule: CommitRules) -> list[bool]:
        return [judged(rule, path=f"/commit/{n:040x}", **given) is None for n in range(2000)]

    first = kept(CommitRules())
    assert abs(sum(first) / 2000 - rate) < 0.04 and first == kept(CommitRules())
    assert first != kept(CommitRules(seed=1))


def test_two_shares_are_drawn_apart() -> None:
    both = [judged(CommitRules(), path=f"/commit/{n:040x}", subject="fix it", language="YAML") is None for n in range(2000)]
    assert abs(sum(both) / 2000 - 0.25) < 0.04
