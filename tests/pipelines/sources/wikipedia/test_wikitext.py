"""Wikitext to text: golden texts of each thing that markup has, and markup that takes no square of its size."""

import random
import re

import pytest
from tedious_texts import is_linear

from starmill.pipelines.sources.wikipedia.wikitext import text

GOLDEN = {
    "Links: a, b, the cs, d#e, f": "Links: [[a]], [[a|b]], the [[c]]s, [[d#e]], [[:f]]",
    "Quotes: bold italic both don't ''": "Quotes: '''bold''' ''italic'' '''''both''''' don't '''''''",
    "Files go": "Files [[File:a.png|thumb|A [[b|c]] of {{d}}]]go[[Category:X]][[image:x.jpg]][[fr:Y]]",
    "Named here": "[[Fichier:a.png|thumb]]Named [[Cat\u00e9gorie:X|y]]here",
    "Templates go (1900) on": "Templates {{infobox\n| a = {{b|[[c]]}}\n}}go ({{lang-fr|x}}; ) (1900) on",
    "It is 5 km by caf\u00e9 \u2013 said": "It is {{convert|5|km|mi|abbr=on}} by {{lang|fr|caf\u00e9}}{{snd}}said",
    "References go.": "References<ref>{{cite|a}} b</ref> go<ref name=x />.<ref name='a'>{{open</ref>",
    "Before\n\nAfter": "Before\n{| class=x\n|-\n| a || [[b]]\n{| in\n|}\n|}\nAfter",
    "A paragraph\nof two lines\n\nAnother": "A paragraph\nof two lines\n\n\n\nAnother",
    "Top\n\nA\n\nB\n\ntext\n\nC\n\nmore": "Top\n== A ==\n=== B ===\ntext\n== Empty ==\n=== Empty too ===\n== C ==\nmore\n== Last ==\n",
    "Said:\n\n- one\n- two\n  - in\n- # not\n\nafter\n\nterm\nmeaning": (
        "Said:\n* one\n# two\n#* in\n* # not\n* \nafter\n\n; term\n: meaning"
    ),
    "Label and": "[http://a.b Label] and [https://c.d]<!-- hidden -->",
    "Label of it": "[http://a.b Label [[of]] it]",
    "Keeps $x^{2}_{[[3]]}$ and [[this]] ''too'' a<b": "Keeps <math>x^{2}_{[[3]]}</math> and <nowiki>[[this]] ''too''</nowiki> a&lt;b",
    "if a:\n    [[b]]": '<syntaxhighlight lang="py">\nif a:\n    [[b]]\n</syntaxhighlight>',
    "A B C": "<span style='x'>A</span> <b>B</b> C__NOTOC__",
    "One\ntwo": "One<br />two",
    "{{open [[never": "{{open [[never",
    "closed]] never}} |} ]": "closed]] never}} |} ]",
    "[[a b": "[[a {{x}}b",
    "[[a": "[[a {{x [[b }}",
    "x < y & z": "x < y &amp; z",
    "<!-- never": "<!-- never",
    "a never": "a <math> never",
    "lines": "\r\nlines\r\n",
}


@pytest.mark.parametrize("wanted", GOLDEN)
def test_the_golden_text(wanted: str) -> None:
    assert text(GOLDEN[wanted], frozenset(("file", "image", "category", "fichier", "cat\u00e9gorie"))) == wanted


def test_marks_of_ours_in_a_text_are_only_characters() -> None:
    assert text("a\0000\0b<nowiki>\0001\0</nowiki>") == "a0b1"
    assert text("a&#0;0&#0;b<nowiki>x</nowiki>") == "a\ufffd0\ufffdbx"


def test_no_word_outside_of_what_goes_is_lost() -> None:
    chance = random.Random(2)
    shown = [
        "{w}",
        "'''{w}'''",
        "[[{w}]]",
        "[[x|{w}]]",
        "<b>{w}</b>",
        "[http://x {w}]",
        "\n* {w}",
        "\n\n{w}",
        "<nowiki>{w}</nowiki>",
    ]
    gone = ["{{{{x|{w}}}}}", "<ref>{w}</ref>", "\n{{|\n|{w}\n|}}\n", "[[File:x|{w}]]", "<!--{w}-->", "[[{w}|]]"]
    for _ in range(300):
        source, wanted = "", []
        for k in range(chance.randrange(20)):
            form = chance.choice(shown + gone)
            source += form.format(w=f"w{k}") + " "
            wanted += [f"w{k}"] if form in shown else []
        assert re.findall(r"w\d+", text(source)) == wanted, source


FAMILIES = (
    *(
        "[",
        "[[",
        "[[a|",
        "{{",
        "{{nowrap|",
        "{{lang|a|",
        "\n{|",
        "\n|}",
        "<ref>",
        "<nowiki>",
        "<!--",
        "'",
        "\n=",
        "\n*",
        "[http://",
    ),
    *("&#9", "( ", "<a ", "\n ", "{{a}}", "[[File:a|[[b]]", "]]", "}}", "\0", "<math>", "* ", "[[x:", "__A"),
)


@pytest.mark.parametrize("of", FAMILIES)
def test_time_is_linear(of: str) -> None:
    ends = {"[": "]", "{": "}"}

    def run(size: int) -> None:
        many = size // len(of)
        text(of * many)
        text(of * (many // 2) + ends.get(of[0], "") * size)

    assert is_linear(run)


def test_templates_of_a_hundred_thousand_levels() -> None:
    assert text("a " + "{{x|" * 100_000 + "}}" * 100_000 + "b") == "a b"
    assert text("[[" * 100_000).startswith("[[[[") and text("[[" * 50_000 + "a" + "]]" * 50_000).count("a") == 1
