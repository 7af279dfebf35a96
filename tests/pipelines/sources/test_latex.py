r"""A paper's files to one text: each rule on its own, a golden paper, and sources that make `\input`, macros or patterns explode."""

import random
import re

import pytest
from tedious_texts import is_linear

from starmill.pipelines.sources.latex import TooLong, macros, text, uncommented

MAIN = r"""\documentclass{article} % of no interest
\newcommand{\R}{\mathbb{R}}
\newcommand{\norm}[1]{\|#1\|}
\def\ie{i.e.}
\renewcommand\section{\@startsection{section}}
\author{Ann, ann@uni.org}
\begin{document}
\maketitle
% a line of its own
\begin{abstract}In short.\end{abstract}
\input{parts/one}
\section*{Two}
We have $x \in \R$, \ie{} 50\% of \Real.\\% really
\include{two.tex}


%
More.
\begin{comment}
not this
\end{comment}
\bibliographystyle{plain}
\bibliography{refs}
\appendix
\section{Proofs}
\end{document}
"""
PARTS = {
    "main.tex": MAIN,
    "parts/one.tex": "\\section{One}\nFirst \\norm{x} \\input{parts/deeper}.",
    "parts/deeper.tex": "deep",
    "two.tex": "Second \\input{two}\n",
    "response.tex": r"\documentclass{letter}\begin{document}Dear editor\end{document}",
}
GOLDEN = r"""\begin{abstract}In short.\end{abstract}
\section{One}
First \norm{x} deep.
\section*{Two}
We have $x \in \mathbb{R}$, i.e. 50\% of \Real.\\
Second \input{two}

More.

\bibliographystyle{plain}"""


def test_the_golden_paper() -> None:
    assert text(PARTS, 10_000) == GOLDEN
    assert text(dict(reversed(PARTS.items())), 10_000) == GOLDEN


def test_comments_against_a_reading_of_each_character() -> None:
    def slowly(source: str) -> str:
        lines = [line for line in source.split("\n") if not line.lstrip(" \t").startswith("%")]
        kept = []
        for line in lines:
            at = 0
            while at < len(line) and line[at] != "%":
                at += 2 if line[at] == "\\" else 1
            kept.append(line[:at])
        return "\n".join(kept)

    chance = random.Random(6)
    for _ in range(500):
        source = "".join(chance.choices("\\\\%%ab \n", k=chance.randrange(30)))
        assert uncommented(source).rstrip("\n") == slowly(source).rstrip("\n"), repr(source)


SECTIONS = {
    "none": ("\\documentclass{a}\\begin{document}text\\end{document}", ""),
    "in a comment only": ("\\documentclass{a}\n%\\section{A}\ntext", ""),
    "after an abstract only": ("\\begin{abstract}x\\end{abstract}text", ""),
    "a chapter": ("pre \\chapter[a]{A} text \\begin{thebibliography}{9}", "\\chapter[a]{A} text"),
    "no document": ("\\section {A} text \\printbibliography", "\\section {A} text"),
    "a name that begins alike": (
        "\\section{A} \\appendixname \\bibliographystyle{x} b",
        "\\section{A} \\appendixname \\bibliographystyle{x} b",
    ),
    "Windows": ("\\section{A}\r\nb\r\n\r\n\r\nc % d\r\n", "\\section{A}\nb\n\nc"),
}


@pytest.mark.parametrize("case", SECTIONS)
def test_where_the_text_begins_and_ends(case: str) -> None:
    source, wanted = SECTIONS[case]
    assert text({"a.tex": source}, 1000) == wanted


def test_macros() -> None:
    source = (
        r"\newcommand*{\a}{x{y}z}\providecommand{ \b }{\{q}\def\c{\c\c}\def\d#1{#1}\newcommand{\e}[1]{#1}\def\f{"
        + "f" * 300
        + "}\\def\\a{2}"
    )
    assert macros(source) == {"a": "2", "b": r"\{q", "c": r"\c\c"}
    body = r"\section{S} \c \a{} \ab \def\a{3} \f"
    assert text({"x": source + body}, 1000) == r"\section{S} \c\c 3 \ab \def\a{3} \f"


def test_files_that_include_each_other() -> None:
    chain = {f"{k}.tex": f"\\section{{{k}}}\\input {k + 1}\n" for k in range(60)}
    chain["0.tex"] += "\\documentclass{a}"
    assert len(re.findall("section", text(chain, 10_000))) == 21
    ring = {"a": r"\documentclass{a}\section{A}\input{b}\input{b}\input{a}", "b": r"\input{a}B"}
    assert text(ring, 1000) == r"\section{A}\input{a}B\input{b}\input{a}"
    outside = {"a.tex": r"\documentclass{a}\section{A}\input{../../etc/passwd}\input{/etc/passwd}"}
    assert text(outside, 1000).endswith("{/etc/passwd}")


def test_macros_that_grow_end() -> None:
    source = r"\def\a{" + "x" * 190 + "}\\section{A}" + "\\a" * 10_000
    with pytest.raises(TooLong):
        text({"a": source}, 100_000)
    with pytest.raises(TooLong):
        text({"a": "\\section{A}" + "x" * 200}, 100)


FAMILIES = (
    *(
        "\\",
        "%",
        "\\\\%",
        " %",
        "\\section{",
        "\\input{",
        "\\input ",
        "\\def\\a{",
        "\\newcommand{\\a}{",
        "{",
        "}",
        "\n \n",
        "\n",
    ),
    *("\\begin{comment}", "\\iffalse", "\\begin ", "\\begin{abstract}", "\\a{}", "\\newcommand ", "\\documentclass"),
)


@pytest.mark.parametrize("of", FAMILIES)
def test_time_is_linear(of: str) -> None:
    assert is_linear(lambda size: text({"a": "\\section{A}" + of * (size // len(of))}, 10 << 20))
