"""CommitPackFT's filters at both sides of each threshold."""

from dataclasses import replace

import pytest
from tedious_texts import is_linear

from starmill.alignment.commits.recipe import CommitsRecipe, Rules
from starmill.alignment.commits.rules import Commit, cleaned, judge
from starmill.alignment.commits.run import verbs_of

VERBS = verbs_of(CommitsRecipe("w", "c"))
RULES = Rules()
GOOD = Commit("n", "Return what the file has", "/lib/reader.py", "a " * 40, "b " * 40, "Python")


def reason(one: Commit = GOOD, rules: Rules = RULES, **changed: str) -> str:
    found = judge(replace(one, **changed), rules, VERBS, lambda text: len(text.split()), 1)
    return found.reason if found else ""


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("Add a b c d", ""), ("Add a b cd", "short_message"), ("Add a b c " + "d" * 989, ""), ("Add a b c " + "d" * 990, "long_message"),
        ("add a b c d", "not_capitalized"), ("Added a b c d", "not_imperative"), ("Adding a b c d", "not_imperative"),
        ("Cleanup of a swipe in it", ""), ("Add the parts, still WIP today", "says_nothing"), ("Fix I/O of large files", ""),
        ("Fix what I'm asked to fix", "speaks_of_people"), ("Use deadbeef as the default color", ""),
        ("Fix bug 3 of the parser", "speaks_of_elsewhere"), ("Drop " + "0123456789" * 4 + " from the list", "speaks_of_elsewhere"),
        ("Fix crash of reader in a loop", "names_its_file"), ("Fix crash of readers in a loop", ""),
        ("Set version of it to one", "sets_a_version"), ("Release 2 of all of it", "sets_a_version"),
        ("Release the lock in an error", ""), ("v1.2.3 of all that is here", "sets_a_version"),
        ("Fix it, thanks to all for that", "speaks_of_people"), ("", "short_message"), ("\u00c4ndere das Ende der Datei", "not_imperative"),
    ],
)  # fmt: skip
def test_messages(message: str, why: str) -> None:
    assert reason(message=message) == why


def test_names_of_files() -> None:
    assert reason(path="/.gitignore", message="Add all that to gitignore") == "names_its_file"
    assert (
        reason(path="/.gitignore", message="Ignore all that is made")
        == reason(path="/Makefile.", message="Make all that is made")
        == ""
    )
    assert reason(path="/Makefile", message="Use tabs in the Makefile") == "names_its_file" and reason(path="") == ""


def test_sizes_and_sides() -> None:
    words = lambda count: "w " * count  # noqa: E731
    assert reason(before=words(25), after="x " * 25) == "" and reason(before=words(25), after="x " * 24) == "too_short"
    assert reason(before=words(368), after="x " * 400) == "" and reason(before=words(369), after="x " * 400) == "too_long"
    assert reason(before="") == "nothing_before" and reason(before="", rules=replace(RULES, added=True, min_tokens=9)) == ""
    assert reason(after="") == "nothing_after" and reason(after=GOOD.before) == "no_change"
    assert reason(rules=replace(RULES, languages=("Go",))) == "another_language"
    half = replace(RULES, version_rate=0.5)
    kept = sum(not reason(replace(GOOD, name=str(n)), half, message="Bump all things to the next") for n in range(200))
    assert 70 < kept < 130
    with pytest.raises(ValueError, match="nothing is between"):
        Rules(min_words=9, max_words=3)


def test_what_stands_around_a_message() -> None:
    assert (
        cleaned("[a] [b] c:") == "[b] c:" and cleaned("a: b: Do it") == "b: Do it" and cleaned("[CI SKIP] Do it [x]") == "Do it"
    )
    assert cleaned("") == cleaned(" [a] ") == ""


@pytest.mark.parametrize("piece", ["a" * 39 + " ", "issue ", "i ", "[a] ", "#", "1.", "\t"])
def test_time_is_linear(piece: str) -> None:
    assert is_linear(
        lambda size: reason(message="Add " + cleaned(piece * size), rules=replace(RULES, max_words=10**9, max_chars=10**9))
    )
