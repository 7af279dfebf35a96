"""Manual pages in mdoc(7), beside what groff prints of them."""

import gzip
from pathlib import Path

import pytest
from groff import words_of, words_of_groff

from starmill.pipelines.sources.documentation.mdoc import markdown

PAGE = r""".Dd January 1, 2024
.Dt TOY 1
.Os
.Sh NAME
.Nm toy
.Nd play with wood
.Sh SYNOPSIS
.Nm
.Op Fl ab
.Op Fl c Ar file Ns , Ns Ar file
.Ar
.In toy.h
.Ft int
.Fn toy_play "int n" "char *name"
.Sh DESCRIPTION
The
.Nm
utility
.Pq see Xr play 2
plays
.Dq all day .
.Pp
Options:
.Bl -tag -width Ds
.It Fl a , Fl Fl all
Show all.
.Pp
More.
.It Fl c Ar file Oo , Ar file Oc Ns ...
Read.
.Bl -bullet -compact
.It
one
.It
two
.El
.El
.Bl -enum
.It
first
.It
second
.El
.Bd -literal
x = 1;

    y;
.Ed
.Dl toy -a
Written in
.Bx 4.3
and
.Ux Ns -like
systems; needs
.Ev HOME .
.Ss Sub
See
.Lk https://example.org/ .
.Sh EXIT STATUS
.Ex -std
.Rs
.%A A. Author
.%T A Book
.Re
"""
GOLDEN = """\
# TOY(1)

## NAME

toy — play with wood

## SYNOPSIS

toy [-ab] [-c file,file] file ...
#include <toy.h>
int
toy_play(int n, char *name)

## DESCRIPTION

The toy utility (see play(2)) plays “all day”.

Options:

-a, --all
:   Show all.

    More.

-c file [, file]...
:   Read.

    - one
    - two

1. first
2. second

```
x = 1;

    y;
```

```
toy -a
```

Written in 4.3BSD and UNIX-like systems; needs HOME.

### Sub

See https://example.org/.

## EXIT STATUS

The toy utility exits 0 on success, and >0 if an error occurs. A. Author, A Book.
"""


def test_the_golden_text() -> None:
    assert markdown(PAGE.split("\n"), 10_000) == GOLDEN
    assert words_of(GOLDEN) == words_of_groff(PAGE.encode(), "mdoc")


def test_pages_of_this_system_have_the_words_that_groff_prints() -> None:
    places = [
        Path(f"/usr/share/man/{name}.gz") for name in ("man1/ssh-agent.1", "man1/scp.1", "man5/editrc.5edit", "man3/ffi_call.3")
    ]
    pages = [gzip.decompress(place.read_bytes()) for place in places if place.is_file()]
    if not pages:
        pytest.skip("NOT RUN: no manual pages in mdoc on this machine")
    for page in pages:
        printed, ours = words_of_groff(page, "mdoc"), words_of(markdown(page.decode().split("\n"), 1 << 20))
        differ = (printed - ours).total() + (ours - printed).total()
        assert differ <= 0.02 * printed.total(), (page[:100], printed - ours, ours - printed)


def test_what_is_left_open_or_is_no_macro_is_said() -> None:
    page = ".Dt A 1\n.Sh B\n.Fo f\n.Fa x\n.Rs\n.%T Book\n.El\n.Fc\n.It a\n.Nm\n.Fl\n.Xr\n.Fn\n.In\n.St\n.Lb\n.Pf\n.Bl\n.It Fl z\nlast"
    made = markdown(page.split("\n"), 1000)
    assert "f(x)" in made and "Book." in made and made.index("-z") < made.index("last")
    assert markdown([".Dt"], 10) == "" == markdown([], 10)
