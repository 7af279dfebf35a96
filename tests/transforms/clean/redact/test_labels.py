"""Names: what a text loses a name loses too, two names stay two, and names without personal data stay as they are."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starmill.core.schema import PLACEHOLDER
from starmill.transforms.clean.redact import Redact
from starmill.transforms.clean.redact.labels import aliases, all_cleaned, cleaned, hidden, redacted

MAIL, HOST = "jane.doe" + "@corp.io", "93.184." + "216.34"
KEY, TOKEN = "AKIA" + "QWERTYUIOPASDFGH", "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (f"{MAIL}/x", "<EMAIL>/x"),
        (f"/contact-{MAIL}.py", "/<EMAIL>.py"),
        (f"/{MAIL}.test.js", "/<EMAIL>.test.js"),
        (f"/{MAIL}", "/<EMAIL>"),
        (f"/old/{MAIL}.h5", "/old/<EMAIL>.h5"),
        (f"/keys/{KEY}.txt", "/keys/<KEY>.txt"),
        (f"/aws_{KEY}_old.txt", "/aws_<KEY>_old.txt"),
        (f"/ci_{TOKEN}/run.sh", "/ci_<KEY>/run.sh"),
        (f"/hosts/{HOST}.conf", "/hosts/<IP_ADDRESS>.conf"),
        (f"/{KEY}_{TOKEN}_{MAIL}.py", "/<KEY>_<KEY>_<EMAIL>.py"),
        (f"/host_{HOST}_a/{MAIL}.md", "/host_<IP_ADDRESS>_a/<EMAIL>.md"),
    ],
)
def test_what_is_replaced(name: str, shape: str) -> None:
    assert PLACEHOLDER.sub(r"<\1>", redacted(name)) == shape
    assert redacted(redacted(name)) == redacted(name), "twice is once"
    assert redacted(name, False, False, False) == name
    assert {name, redacted(name), cleaned(name)} <= aliases(name)


@pytest.mark.parametrize(
    "name",
    [
        "/lib/heapq.py", "/icon@2x.png", "/sprite@3x.svg", "/node_modules/@babel/core@7.1.0/index.js", "git@github.com:org/repo",
        "/numpy-1.26.4/setup.py", "/v1.2.3.4/x.c", "/sk-learn-pipeline-for-something-very-interesting.py", "/a b/é漢.rs", "",
        "/boost_1_84_0/any.hpp", "/" + "0123456789abcdef" * 2 + ".json", "/jane.doe@example.com.txt",
    ],
)  # fmt: skip
def test_what_stays(name: str) -> None:
    assert redacted(name) == cleaned(name) == name and aliases(name) == {name}


def test_two_names_stay_two_and_the_same_stays_one() -> None:
    assert redacted(f"/{MAIL}.py") != redacted(f"/john{MAIL}.py")
    [(kind, first)] = PLACEHOLDER.findall(redacted(f"/a/{MAIL}.py"))
    assert PLACEHOLDER.findall(redacted(f"{MAIL}/fork")) == [(kind, first)], "one value, wherever it is"


def test_what_looks_like_a_placeholder_in_a_dump_is_none() -> None:
    typed = redacted(f"/{MAIL}.py")
    assert cleaned(typed) == typed.replace("<", "(").replace(">", ")") and not PLACEHOLDER.search(cleaned(typed))


PIECES = [
    MAIL,
    KEY,
    TOKEN,
    HOST,
    HOST.replace(".", "_"),
    "/",
    "_",
    "-",
    ".",
    ".py",
    "a",
    " ",
    "<",
    ">",
    "<KEY-0123456789ab>",
    "é",
]
NAMES = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | NAMES, max_size=20), st.booleans(), st.booleans(), st.booleans())
def test_many_at_once_are_each_by_itself(names: list[str | None], emails: bool, ip_addresses: bool, keys: bool) -> None:
    wanted = {"emails": emails, "ip_addresses": ip_addresses, "keys": keys}
    assert all_cleaned(names, **wanted) == [name and cleaned(name, **wanted) for name in names]


@settings(max_examples=200, deadline=None)
@example(f"//{MAIL}{MAIL}")  # a comment of C, to a text
@given(NAMES)
def test_a_name_hides_what_a_text_hides(name: str) -> None:
    _, spans = Redact().redact(name, "f")
    shown = redacted(name)
    assert redacted(shown) == shown
    assert len(PLACEHOLDER.findall(shown)) >= bool(spans), "the rules for texts hold"
    outside = [re.escape(piece) for piece in PLACEHOLDER.split(shown)[::3]]
    assert re.fullmatch(".+?".join(outside), name, re.DOTALL), "between the placeholders stands what stood there"


def test_plain_data() -> None:
    told = hidden({"path": f"/{MAIL}", "rows": 2, "lines": [f"- {MAIL}", None], "size": 0.5})
    assert MAIL not in str(told) and (told["rows"], told["size"], told["lines"][1]) == (2, 0.5, None)
