"""Manual pages in man(7), beside what groff prints of them."""

import gzip
from pathlib import Path

import pytest
from groff import words_of, words_of_groff

from starmill.pipelines.sources.documentation.man import arguments, commands, markdown

PAGE = r"""'\" t
.\" A comment.
.TH TOY 1 "2024-01-01" "toy 1.0" "User Commands"
.ie \n(.g .ds Aq \(aq
.el       .ds Aq '
.if t \{\
.  ds T never said
.\}
.de XX
Never said either.
..
.SH NAME
toy \- play with \fIwood\fR
.SH SYNOPSIS
.B toy
[\fIOPTION\fR]...
.br
.SY toy
.OP \-a n
.YS
.SH "LONG DESCRIPTION"
Plays; it\*(Aqs
.BR play (2)
all day.\" a remark
A \
joined line, a joined\c
ly word.
.PP
Second
.I paragraph
here.
.TP
.BR \-a ", " \-\-all
Show all.
.IP
More of it.
.RS
.IP \(bu 2
one
.IP \(bu 2
two
.RE
.TP
.B \-b
.TQ
.B \-c
Both.
.SS Sub
.nf
x = 1;
    y = "\en";

z
.fi
.IP 1. 4
first
.IP 2. 4
second
.PP
.TS
tab(;) allbox;
lb l
l l.
name;size
a;T{
two
lines
T}
.TE
.SH
SEE ALSO
.UR https://example.org/
The site
.UE .
"""
GOLDEN = """\
# TOY(1)

## NAME

toy - play with wood

## SYNOPSIS

toy [OPTION]...
toy [-a n]

## LONG DESCRIPTION

Plays; it's play(2) all day. A joined line, a joinedly word.

Second paragraph here.

-a, --all
:   Show all.

    More of it.

    - one
    - two

-b
-c
:   Both.

### Sub

```
x = 1;
    y = "\\n";

z
```

1. first
2. second

| name | size |
|---|---|
| a | two lines |

## SEE ALSO

The site <https://example.org/>.
"""
SYSTEM = "man1/ls.1 man1/git-rebase.1 man1/grep.1 man2/open.2 man3/printf.3 man5/passwd.5 man7/regex.7 man7/ascii.7".split()


def test_the_golden_text() -> None:
    assert markdown(PAGE.split("\n"), 10_000) == GOLDEN
    assert words_of(GOLDEN.replace("1. ", "1 ").replace("<", " ")) == words_of_groff(PAGE.encode(), "man")


def test_pages_of_this_system_have_the_words_that_groff_prints() -> None:
    places = [Path(f"/usr/share/man/{name}.gz") for name in SYSTEM]
    pages = [gzip.decompress(place.read_bytes()) for place in places if place.is_file() and place.stat().st_size < 40_000]
    if not pages:
        pytest.skip("NOT RUN: no manual pages on this machine")
    for page in pages:
        printed, ours = words_of_groff(page, "man"), words_of(markdown(page.decode().split("\n"), 1 << 20))
        differ = (printed - ours).total() + (ours - printed).total()
        assert differ <= 0.005 * printed.total(), (page[:100], printed - ours, ours - printed)


def test_a_page_runs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    page = f".TH A 1\n.sy touch {made}\n.pso touch {made}\n.open x {made}\n.so /etc/passwd\n.cf /etc/passwd\n.SH NAME\na\n"
    assert markdown(page.split("\n"), 10_000) == "# A(1)\n\n## NAME\n\na\n" and not made.exists()


def test_conditions_and_definitions() -> None:
    def said(page: str) -> list[str]:
        return [line for line in commands(page.split("\n"), {}) if line.strip(".}\\ ")]

    assert (
        said(".if n yes\n.if t no\n.if !n no\n.if !t yes\n.if 'a'a' yes\n.if 'a'b' no\n.if 0 no\n.if \\n(.g yes") == ["yes"] * 4
    )
    assert said(".ie t \\{\\\nno\n.if n \\{\nno\n.\\}\n.\\}\n.el \\{\\\nyes\n.\\}\nend") == ["yes", "end"]
    assert said(".de X Y\nno\n..\n.Y\n.ig\nno\n.  .\n.EQ\nno\n.EN\nend") == ["end"]
    assert said(".if n " * 16 + "x\nend") == ["x", "end"] and said(".if n " * 100_000 + "x\nend")[-1] == "end"


def test_arguments_are_words_or_quoted() -> None:
    assert arguments('a "b c" d\\ e "f""g" "open') == ["a", "b c", "d\\ e", 'f"g', "open"]


def test_what_is_left_open_is_said() -> None:
    assert markdown(".TH A 1\n.TP\nterm".split("\n"), 1000) == "# A(1)\n\nterm\n"
    assert markdown(".TH A 1\n.nf\nx".split("\n"), 1000) == "# A(1)\n\n```\nx\n```\n"
    assert markdown(".TH A 1\n.TS\nl.\na\tT{\nb".split("\n"), 1000) == "# A(1)\n\n| a | b |\n|---|---|\n"
    assert markdown(".TH\n.SH\n.RE\n.RE\n.TE\n.fi\n.UE\n.SH\nA".split("\n"), 1000) == "## <>\n\n## A\n"
