"""Which matches are grants and which are mentions, and conditions that take a licence back. Whole trees: decide/test_license_trees.py."""

from dataclasses import replace

import pytest
from tedious_texts import is_linear

from starmill.transforms.measure.grants import CONDITION, GRANTS, Finding, folder, weighed
from starmill.transforms.measure.matches import Match


def match(kind: str, words: int, coverage: float = 100.0, matcher: str = "2-aho", score: float = 100.0, line: int = 1) -> Match:
    return Match("GPL-2.0-only", kind, matcher, score, coverage, words, line, line)


@pytest.mark.parametrize(
    ("found", "text", "full", "right"),
    [
        (match("text", 300), "a", True, "text"),
        (match("text", 300, 60, "3-seq"), "a", True, "text"),
        (match("text", 300, 40, "3-seq"), "a", True, "mention"),
        (match("text", 10, 60, "3-seq"), "a", True, "mention"),
        (match("notice", 8, 100, "3-seq"), "a", True, "mention"),  # a weak match of eight words
        (match("notice", 30), "a", False, "notice"),
        (match("notice", 5), "released under the GPL", True, "notice"),
        (match("notice", 5), "released under the GPL", False, "word"),
        (match("notice", 5), "no longer under the GPL", True, "mention"),
        (match("notice", 30), "not covered by the GPL", True, "notice"),
        (match("tag", 3), "License: GPL", True, "tag"),
        (match("tag", 3), "Unlike others. License: GPL", True, "tag"),
        (match("tag", 9, matcher="1-spdx-id"), "unlike", False, "tag"),
        (match("reference", 2), "GPL", True, "reference"),
        (match("reference", 2), "GPL", False, "mention"),
        (match("reference", 2), "word " * 100, True, "mention"),
    ],
)
def test_a_match_is_weighed(found: Match, text: str, full: bool, right: str) -> None:
    weights = weighed("/LICENSE" if full else "/README", text, [found], full)
    assert [one.how for one in weights if one.expression == found.expression] == [right]


def test_clues_and_introductions_are_nothing() -> None:
    assert weighed("/LICENSE", "a", [match("clue", 9), match("intro", 9)], True) == []


def test_a_remark_beside_a_text_is_one() -> None:
    found = weighed("/LICENSE", "under the GPL\n" * 3, [match("notice", 3), match("text", 300, line=2)], True)
    assert {one.how for one in found} == {"text", "mention"}


def test_terms_that_nobody_knows() -> None:
    terms = "You may look at it. " * 10
    assert [one.how for one in weighed("/LICENSE", terms, [], True)] == ["unknown"]
    assert (
        weighed("/README", terms, [], False)
        == weighed("/LICENSE", "short", [], True)
        == weighed("/copyright", terms, [], True)
        == []
    )


def test_terms_without_blanks_between_words() -> None:
    terms = "本软件仅供个人学习使用，未经作者书面许可，禁止用于任何商业用途，违者必究"  # to learn from, and not for commerce
    assert [one.how for one in weighed("/LICENSE", terms, [], True)] == ["unknown"]
    assert weighed("/LICENSE", "许可证：无", [], True) == []


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("It may not be used for commercial purposes.", True),
        ("for non-commercial use only", True),
        ("Commercial use is prohibited", True),
        ("for personal use only", True),
        ("the Commons Clause", True),
        ("for any purpose, including commercial applications", False),
        ("for commercial and non-commercial purposes", False),
        ("commercial damages or losses", False),
    ],
)
def test_a_condition_is_seen(sentence: str, right: bool) -> None:
    for blank in (" ", "\n", "\r\n", "\n    ", "\n * ", "\n## "):  # a text is wrapped, and may stand in a comment
        assert (CONDITION.search(sentence.replace(" ", blank)) is not None) is right
    found = weighed("/LICENSE", sentence, [match("text", 300)], True)
    assert ("restriction" in {one.how for one in found}) is right


def test_conditions_are_looked_for_in_linear_time() -> None:
    for piece in ("not ", "not\n * ", "only a ", "not \n", "for non-commercial use ", "not a" + " " * 99, "#/;*"):
        assert is_linear(lambda size, piece=piece: CONDITION.search(piece * (size // len(piece))))
    for letter in "a \n*":
        assert is_linear(lambda size, letter=letter: CONDITION.search("not " + letter * size))


def test_a_piece_at_the_end_of_a_text_that_goes_on_is_no_grant() -> None:
    """What is cut off may be most of another licence, of which the piece is alike to this one."""
    piece, whole = match("text", 125, 76, "3-seq", line=9), match("text", 300, line=9)
    for cut in (False, True):
        assert weighed("/LICENSE", "a\n" * 9, [piece], True, cut)[0].how == ("mention" if cut else "text")
        assert weighed("/LICENSE", "a\n" * 9, [whole], True, cut)[0].how == "text"
        assert weighed("/LICENSE", "a\n" * 99, [piece], True, cut)[0].how == "text"


def test_a_match_may_end_behind_the_last_line() -> None:
    """ScanCode counts a form feed as the end of a line: a text of 501 lines ends for it in line 507."""
    behind = replace(match("text", 4000, 99, "3-seq"), end_line=507)
    assert [one.how for one in weighed("/COPYING", "a\n" * 501, [behind], True)] == ["text"]


def test_a_condition_of_former_times_is_none() -> None:
    for said in ("It was once under a 'free for non-commercial use' license", "formerly for personal use only"):
        assert [one.how for one in weighed("/LICENSE", said, [match("text", 300)], True)] == ["text"]
    now = "It was once free. Now it is for non-commercial use only"
    assert "restriction" in {one.how for one in weighed("/LICENSE", now, [match("text", 300)], True)}


def test_what_is_said_of_a_part_has_its_names() -> None:
    text = "MIT\n\n## nut\n\nGPL\n\n## bolt\n\nGPL\n"
    mit = replace(match("text", 300), expression="MIT")
    found = weighed("/LICENSE", text, [mit, match("text", 300, line=5), match("text", 300, line=9)], True)
    assert [(one.expression, one.of) for one in found] == [("MIT", ()), ("GPL-2.0-only", ("bolt", "nut"))]
    whole = weighed("/LICENSE", text, [mit, match("text", 300, line=5), match("notice", 30, line=1)], True)
    assert [(one.how, one.of) for one in whole] == [("text", ()), ("text", ("nut",)), ("notice", ())]
    assert [one.of for one in weighed("/README", text, [mit, match("text", 300, line=5)], False)] == [(), ()]
    # More names than a part may have: it is about the whole.
    many = "MIT\n" + "".join(f"\n## nut{'x' * n}\n\nGPL\n" for n in range(65))
    matches = [mit, *(match("text", 300, line=4 + 4 * n) for n in range(65))]
    assert [one.of for one in weighed("/LICENSE", many, matches, True) if one.expression != "MIT"][-1] == ()
    said = found[1]
    assert (said.row()["how"], said.row(elsewhere=True)["how"], "of" in said.row()) == ("text", "part:text", False)


def test_where_a_finding_holds_and_its_row() -> None:
    assert [folder(p) for p in ("/LICENSE", "/a/b/x", "/a/licenses/x", "/a-1.dist-info/licenses/x")] == ["", "/a/b", "/a", ""]
    assert Finding("/x", "MIT", "text").row() == {
        "path": "/x", "expression": "MIT", "how": "text", "score": 100.0, "start_line": 0, "end_line": 0
    }  # fmt: skip
    assert "mention" not in GRANTS
