"""What an expression needs is in all that it matches: against texts that are made from the expressions themselves."""

import re

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.attribution.pattern import All, Any, Need, needed


def holds(need: Need | None, text: str) -> bool:
    if need is None or isinstance(need, str):
        return need is None or need in text
    return (any if isinstance(need, Any) else all)(holds(one, text) for one in need.of)


ATOMS = st.sampled_from(
    (
        "abc",
        "k",
        "S",
        "é",
        ".",
        "\\.",
        "\\d",
        "[ab]",
        "[^a]",
        "[]a-]",
        "[[:alpha:]x]",
        "\\pL",
        "\\p{Greek}",
        "\\x41",
        "\\bdef",
        "^",
        "$",
        "\\Qa*\\E",
        "\\\n",
        "\\\t",
    )
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: f"({'|'.join(some)})"),
        st.tuples(inner, st.sampled_from(("*", "+", "?", "{2}", "{0,2}", "{1,}", "+?"))).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=12,
)
TEXTS = st.lists(
    st.sampled_from(("abc", "ab", "k", "K", "s", "S", "ſ", "\u212a", "é", "É", "1", " ", "def", "A", "a*", ".", "α", "\n"))
).map("".join)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(PATTERNS, st.lists(TEXTS, min_size=5, max_size=20), st.booleans())
def test_no_text_that_matches_is_ruled_out(pattern: str, texts: list[str], ignore_case: bool) -> None:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    program, need = re2.compile(f"(?m){pattern}", options), needed(pattern, ignore_case)
    for text in (*texts, "".join(texts)):
        if program.search(text):
            assert holds(_folded(need) if ignore_case else need, text.lower() if ignore_case else text)


def _folded(need: Need | None) -> Need | None:
    if need is None or isinstance(need, str):
        return need and need.lower()
    return type(need)(tuple(_folded(one) for one in need.of))


def test_what_is_known() -> None:
    assert needed("colou?r = ") == Any(("color = ", "colour = "))
    assert needed("(foo|bar)+baz.*[Qq]ux") == All((Any(("bar", "foo")), "baz", Any(("Qux", "qux"))))
    assert needed("(?i)abc") == "abc" and needed("ABC", ignore_case=True) == "abc"
    assert needed("import (?P<name>os)$") == "import os"
    for open_ in ("a", "ab|abc", ".*", "(abc)?", "x(?i)abc", "(" * 80 + "abc" + ")" * 80, "[abc"):
        assert needed(open_) is None


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.one_of(st.sampled_from("ab\n\t\r\0 .\\*()[]{}#-é漢"), st.characters(exclude_categories=["Cs"])),
        min_size=3,
        max_size=60,
    )
)
def test_of_a_plain_text_all_is_needed(text: str) -> None:
    assert needed(re.escape(text)) == text
