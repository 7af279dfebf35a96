"""The escapes of roff, beside groff's own characters."""

import re
import shutil
import subprocess

import pytest

from starmill.pipelines.sources.documentation.roff import CHARACTERS, GREEK, MAX_STRING, STRINGS, plain, uncommented

TEXTS = {
    r"\fBbold\fR \fIit\fP \f[CW]code\f[] \f(CWx\fP": "bold it code x",
    r"\-\-all a\ b\~c\0d \&.x \e \\n \(rs": "--all a b c d .x \\ \\n \\",
    r"\s-1SMALL\s0 \s+2x\s[0] \s'1'y": "SMALL x y",
    r"\h'2n'\v'-.5v'x\l'3i'\w'abc'": "x",
    r"\*(lqq\*(rq \*R \*[Tm] \*(Aq \*[unknown]": "“q” ® ™ ' ",
    r"\[u00E9] \[u0065_0301] \N'65' \[char66] \('e \(:u \[~n] \(,c": "é é A B é ü ñ ç",
    r"\(em\[en]\(bu\(co\(>=\(*a\[*S]\(if": "—–•©≥αΣ∞",
    r"\ofoo \z_x \o'ab'": "foo _x a",
    r"\n(.g\n[x]\nx\k(ab\m[red]r\m[]": "r",
    "\\": "",
    r"\[unclosed \(a": "[unclosed (a",
    r"\C'em'\(zz\[nothing]": "—",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: re.sub(r"\W+", "_", text)[:20])
def test_escapes(text: str) -> None:
    assert plain(text) == TEXTS[text]


def test_characters_are_groffs() -> None:
    if not shutil.which("groff"):
        pytest.skip("NOT RUN: groff, the oracle of its characters, is not here")
    names = [*CHARACTERS, *(f"*{letter}" for letter in GREEK)]
    page = ".pl 9999\n.nf\n" + "".join(f"\\[{name}]\n" for name in names)
    done = subprocess.run(["groff", "-Tutf8", "-P-cbou"], input=page, capture_output=True, text=True, check=True)
    said = dict(zip(names, done.stdout.rstrip("\n").split("\n"), strict=True))
    other = {name: told for name, told in said.items() if plain(f"\\[{name}]") != told}
    assert other == {"hy": "‐", "br": "│", "bv": "⎪", "-": "−"}, "what ASCII has is written in it"


def test_comments_go() -> None:
    assert [*map(uncommented, ('a \\" b', '\\" all', "x \\# y", '\\\\" kept', ".\\}"))] == [
        "a ",
        "",
        "x ",
        '\\\\" kept',
        ".\\}",
    ]


def test_a_string_is_as_long_as_it_may_be() -> None:
    assert plain("\\*x" * 3, {**STRINGS, "x": "y" * MAX_STRING}) == "y" * MAX_STRING * 3
