"""What manifests declare. How it is judged is asked in tests/transforms/decide/test_license_trees.py."""

import json

import pytest
from tedious_texts import is_linear

from starmill.transforms.measure.declared import BY_END, BY_NAME, declared, expression

LONG = "Redistribution and use in source and binary forms\n        are permitted"


@pytest.mark.parametrize(
    ("path", "text", "right"),
    [
        ("/a/package.json", '{"license": "MIT"}', ["MIT"]),
        ("/package.json", '{"license": {"type": "ISC", "url": "x"}}', ["ISC"]),
        ("/package.json", '{"licenses": [{"type": "MIT"}, {"type": "GPL-2.0-only AND ISC"}]}', ["MIT OR (GPL-2.0-only AND ISC)"]),
        ("/package.json", '{"licenses": [{"type": "MIT"}, {"type": "who knows"}]}', ["MIT", "who knows"]),
        ("/package.json", '{"license": "SEE LICENSE IN x"}', []),
        ("/package.json", '{"license": 7}', []),
        ("/package.json", "[1]", []),
        ("/package.json", "[" * 100_000, []),
        ("/composer.json", '{"license": ["MIT", "ISC"]}', ["MIT OR ISC"]),
        ("/Cargo.toml", '[package]\nlicense = "MIT/ISC"\n', ["MIT/ISC"]),
        ("/Cargo.toml", "[package]\nlicense-file = 'x'\n", []),
        ("/pyproject.toml", '[project]\nlicense = {file = "x"}\nclassifiers = ["License :: OSI Approved :: MIT License"]\n',
         ["License :: OSI Approved :: MIT License"]),
        ("/pyproject.toml", '[project]\nlicense = {text = "BSD"}\n', ["BSD"]),
        ("/setup.cfg", "[metadata]\nlicense = MIT\n[options]\nlicense = GPL\n", ["MIT"]),
        ("/setup.cfg", "[options]\nlicense = GPL\n", []),
        ("/METADATA", "License: MIT\nLicense-Expression: ISC\n\nLicense: GPL\n", ["ISC"]),
        ("/METADATA", f"License: {LONG}\nClassifier: License :: OSI Approved :: BSD License\n\n",
         ["License :: OSI Approved :: BSD License"]),
        ("/METADATA", "License: UNKNOWN\nClassifier: License :: OSI Approved\n\n", []),
        ("/pom.xml", "<a><licenses><license><name> MIT </name></license></licenses><name>b</name></a>", ["MIT"]),
        ("/x.gemspec", "s.licenses = ['MIT', 'ISC']\n", ["MIT OR ISC"]),
        ("/DESCRIPTION", "License: MIT + file LICENSE\n", ["MIT"]),
        ("/DESCRIPTION", "License: GPL-2.0-only | MIT\n", ["GPL-2.0-only OR MIT"]),
        ("/a.cabal", "license:       BSD-3-Clause\n", ["BSD-3-Clause"]),
        ("/mix.exs", '      licenses: ["Apache-2.0"],\n', ["Apache-2.0"]),
        ("/setup.py", "license='MIT'", []),
    ],
)  # fmt: skip
def test_a_manifest_declares(path: str, text: str, right: list[str]) -> None:
    assert declared(path, text) == right


@pytest.mark.parametrize(
    ("statement", "right"),
    [
        ("MIT", "MIT"),
        ("mit", "MIT"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT AND ISC) OR GPL-2.0-only", "(MIT AND ISC) OR GPL-2.0-only"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("UNLICENSED", "LicenseRef-starmill-unlicensed"),
        ("The MIT License", None),
        ("", None),
        ("MIT AND", None),
        ("(" * 1000, None),
    ],
)
def test_a_statement_is_an_expression_or_is_left_to_scancode(statement: str, right: str | None) -> None:
    assert expression(statement) == right


def test_each_reader_survives_anything_in_linear_time() -> None:
    names = [*BY_NAME, *(f"a{end}" for end in BY_END)]
    for name in names:
        for piece in (
            "license",
            "license = ",
            "\n License:",
            "<licenses><license><name>",
            '{"license": [',
            "[metadata]\n",
            "\n ",
        ):
            assert is_linear(lambda size, name=name, piece=piece: declared(f"/{name}", piece * (size // len(piece)))), (
                name,
                piece,
            )
        assert declared(f"/{name}", json.dumps({"license": ["MIT", {"a": 1}]})) is not None


def test_a_licence_without_its_type_declares_nothing() -> None:
    for found in ('[{"url": "x"}]', "[{}]", '{"0": 1}'):
        assert declared("/package.json", f'{{"licenses": {found}}}') == []


def test_the_table_of_identifiers_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expression("ISC OR MIT") == "ISC OR MIT"
    monkeypatch.setattr("license_expression.get_spdx_licensing", lambda: pytest.fail("made again"))
    assert expression("MIT OR ISC OR Zlib") == "MIT OR ISC OR Zlib"
