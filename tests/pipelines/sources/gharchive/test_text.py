"""What is taken out of what people wrote, and what must stay."""

import pytest
from tedious_texts import tedious

from starmill.pipelines.sources.gharchive.text import clean, is_bot, masked, without_html_comments


@pytest.mark.parametrize(
    "login",
    ["dependabot[bot]", "Codecov-IO", "foo-Service-Account", "k8s-ci-robot", "Travis", "my-bot", "bors-servo", "x-test-y"],
)
def test_bots(login: str) -> None:
    assert is_bot(login)


@pytest.mark.parametrize("login", ["talbot", "abbot", "cilia", "linter", "testing", "bob", "ann-tester", ""])
def test_people(login: str) -> None:
    assert not is_bot(login)


def test_mail_is_taken_out_line_by_line_and_what_stands_before_stays() -> None:
    wrote = "On Fri, Jan 2, 2015 at 3:04 PM, Ann <a@b.c> wrote:\n> Why?\n> So."
    mail = f"I agree.\n\n{wrote}\n\u2014\nReply to this email directly or view it on GitHub."
    assert clean(mail, 100, 20) == "I agree.\n\n\u2014"
    quoted = "> Why?\n\nBecause of ten quotations:\n> this"
    assert clean(quoted, 100, 20) == quoted, "a quotation on the site is part of what is said"


def test_only_the_middle_of_a_long_text_goes() -> None:
    lines = [str(n) for n in range(100)]
    assert clean("\n".join(lines), 100, 20) == "\n".join(lines)
    assert clean("\r\n".join([*lines, "100"]), 100, 20).split("\n") == [*lines[:80], "[Truncated]", *lines[81:], "100"]
    assert clean("a" + "_" * 20 + "b" + "_" * 19, 100, 20) == "ab" + "_" * 19
    assert clean("\0a\0", 100, 20) == "a"


def test_logins_are_whole_words() -> None:
    names = {"a": "username_0", "bob-b": "username_1"}
    said = "a cat, @A! bob-b's, @Bob-B, BOB-B, bob-bc, xbob-b, github.com/a/toy, github.com/bob-b/toy"
    wanted = (
        "a cat, @username_0! username_1's, @username_1, username_1, bob-bc, xbob-b, github.com/a/toy, github.com/username_1/toy"
    )
    assert masked(said, names) == wanted
    assert masked("\u00e9a \u00e9", names) == "\u00e9a \u00e9"


def test_html_comments_go() -> None:
    assert without_html_comments("x<!--\nhow to\n-->y<!--z-->") == "xy"
    assert without_html_comments("--><!-- a <!-- b") == "--><!-- a <!-- b"


def test_time_is_linear() -> None:
    mail = "\nreply to this email directly"
    assert tedious(lambda text: masked(clean(without_html_comments(text) + mail, 100, 20), {"ann": "username_0"})) == []
