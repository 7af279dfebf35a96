"""What a part of a licence file is about: names of files, headings, sentences. Whole trees: decide/test_license_trees.py."""

import pytest
from tedious_texts import is_linear

from starmill.transforms.measure.portions import THIRD_PARTIES, Names, Portions, holds, of_name, subject, words_of

OTHERS = tuple(sorted(THIRD_PARTIES))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("LICENSE", ()),
        ("LICENSE.txt", ()),
        ("LICENSE-MIT", ()),
        ("COPYING.LESSER", ()),
        ("COPYINGv3", ()),
        ("LICENSE_GPLv2.txt", ()),
        ("LICENSE-LGPL-2.1-or-later", ()),
        ("LICENSE.v2.md", ()),
        ("LICENSE.commercial", ()),
        ("LICENSE-CODE", ()),
        ("LICENSE.widget", ()),  # the project's own name
        ("LICENSE.nut.txt", ("nut",)),
        ("NUT_LICENSE.rst", ("nut",)),
        ("LICENSE-libnut-1.2", ("nut",)),
        ("LICENSE-THIRD-PARTY", OTHERS),
        ("LICENSES_bundled.txt", OTHERS),
        ("LICENSE-docs", ("doc", "docs", "documentation", "handbook", "manual", "manuals")),
    ],
)
def test_a_licence_file_is_named_after_what_it_is_about(name: str, right: Names) -> None:
    assert of_name(f"/a/{name}", words_of("acme/widget")) == right


@pytest.mark.parametrize(
    ("heading", "right"),
    [
        ("Following applies to:\n./etc/roots.pem\n./b/*.proto", ("*.proto", "roots.pem")),
        ("This license applies to the files in nuts/.", ("nuts",)),
        ("This license applies to all files.", ()),
        ("Files: nuts/*", ("nuts",)),
        ("Files: src/*", ()),
        ("Files: *", ()),
        ("Component: nut", ("nut",)),
        ("nut\n---", ("nut",)),
        ("## nut 1.2", ("nut",)),
        ("## MIT", ()),
        ("## Terms and conditions", ()),
        ("## 2. Redistribution", ()),
        ("## Source code", ()),
        ("## Widget", ()),
        ("-----\n\nnut\n\n", ("nut",)),
        ("=====\nnut\n=====", ("nut",)),
        ("-----\n\nThis is what we want of everybody, and no less than that.\n\n", ()),
        ("## Third-party software", OTHERS),
        ("This package bundles the following software:", OTHERS),
        ("You may give it to any third party.", ()),
        ("## nut\n\nThe rest of it:", ()),
        ("## nut\n\nThis project is under:", ()),
        ("## nut\n\n-----\n", ()),
        ("This package bundles the following software:\n\n-----\n", OTHERS),
    ],
)
def test_headings(heading: str, right: Names) -> None:
    lines = ["MIT", "", *heading.split("\n"), "", "terms"]
    parts = Portions(lines, 1, [(1, 1)], words_of("acme/widget"))
    assert parts.at(len(lines), len(lines)) == right and parts.at(1, 1) == ()


def test_nothing_within_a_text_is_a_heading() -> None:
    lines = ["MIT", "", "Definitions of nuts", "-------------------", "## nut", "", "terms"]
    assert Portions(lines, 1, [(2, 6)], frozenset()).at(7, 7) == ()


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("The fonts are under the OFL", ("font", "fonts", "typeface", "typefaces")),
        ("- Nut corpora are free.\n- The program is not", ()),
        ("The program is free.\n\n- Nut corpora are not", ("corpora", "corpus", "data", "dataset", "datasets")),
        ("The data are free; all are for", ("corpora", "corpus", "data", "dataset", "datasets")),
        ("The data are free; the program is for", ()),
        ("The data are free, but the program is for", ()),
        ("Code and data are for", ()),
        ("Data and code are for", ()),
        ("The data are free. The nut is for", ()),
        ("The data structures are for", ()),
        ("All files in `nuts/` are under", ("nuts",)),
        ("All files in `src/` are under", ()),
        ("It is for", ()),
    ],
)
def test_sentences(sentence: str, right: Names) -> None:
    lines = sentence.split("\n")
    assert subject(lines, len(lines)) == right


@pytest.mark.parametrize(
    ("name", "path", "right"),
    [
        ("nut", "/src/nut/a.c", True),
        ("nut", "/src/libnut-1.2/a.c", True),
        ("nut", "/src/nut.c", True),
        ("nut", "/src/nutcracker.c", False),
        ("*.proto", "/a/b.proto", True),
        ("libnut*.so", "/a/libnut-1.so", True),
    ],
)
def test_which_files_a_part_has(name: str, path: str, right: bool) -> None:
    assert holds((name,), path) is right


def test_parts_are_found_in_linear_time() -> None:
    pieces = ("applies to:\na/b\n", "## nut\nnut\n---\n", "the data ", "bundles a b third-party ")
    for piece in pieces:

        def look(size: int, piece: str = piece) -> None:
            lines = (piece * (size // len(piece))).split("\n")
            Portions(lines, 0, [], frozenset()).at(len(lines), len(lines))
            subject(lines, len(lines))

        assert is_linear(look), piece
