"""Email addresses, and what only looks like one."""

import pytest

from starmill.transforms.clean.redact.emails import find

AT = "@"  # no address stands in this file as such


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"mail jane.doe{AT}uni-real.edu now", [f"jane.doe{AT}uni-real.edu"]),
        (f"<a.b+c{AT}x.co.uk>, d_e{AT}mail.real.org.", [f"a.b+c{AT}x.co.uk", f"d_e{AT}mail.real.org"]),
        (f"'x{AT}y.io'", [f"x{AT}y.io"]),
        (f"git clone git{AT}host.com:owner/repo.git", []),
        (f"icon{AT}2x.png", []),
        (f"{AT}decorator.name\ndef f(): ...", []),
        (f"npm i {AT}scope/name{AT}1.2.3", []),
        (f"me{AT}example.com you{AT}sub.example.org", []),
        (f"a {AT} b.com", []),
        (f"https://user{AT}host.com/", []),
        ("no address", []),
        (AT * 5000, []),
    ],
)
def test_find(text: str, found: list[str]) -> None:
    assert [text[a:b] for a, b in find(text)] == found
