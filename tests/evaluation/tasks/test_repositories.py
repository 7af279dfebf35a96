"""Lines and statements of RepoBench and CrossCodeEval: what is cut, what is compared, and what of other files fits."""

import pytest
import toys

from starmill.evaluation.tasks import repositories
from starmill.evaluation.tasks.repositories import CHARACTERS, first_line, fitting, line_score, statement, statement_score


def test_repobench() -> None:
    problem = toys.fixed("repobench_java_cross_file_first")[0]
    assert problem.prompt.startswith(
        "// Repo Name: toy/repo\n// Path: b.x\nthe text of twice\n\n// Path: a.x\nimport b\nx = 1\n"
    )
    assert first_line("\n  # no\n  y = 1\nz", "#") == "y = 1" and first_line("", "#") == ""
    near = line_score("y  =  b.twice(x)\nz", "y = b.twice(x)", "#")
    assert near.passed and 0.9 < near.measured["edit_similarity"] < 1
    assert not line_score("", "y", "#").passed


def test_crosscodeeval() -> None:
    with_other, without = (toys.fixed(f"crosscodeeval_python{kind}")[0] for kind in ("", "_in_file"))
    assert with_other.prompt == "# rows is a table\n" + without.prompt
    score = statement_score("return self.rows.get(\n    key, 0)\nmore", "return self.rows.get(\n    name, 0)", "python")
    assert not score.passed and score.measured["identifier_f1"] == pytest.approx(0.75)
    assert statement_score("return a.b(c);\n}", "return a.b(c);", "java").passed


@pytest.mark.parametrize(
    ("completion", "language", "wanted"),
    [
        ("f('a)b', \"(\",\n g)\nx", "python", "f('a)b', \"(\",\n g)"),
        ("\n\nx = 1\ny", "python", "\n\nx = 1"),
        ("'open\nx = 1", "python", "'open"),
        ("f(a", "python", "f(a"),
        ("x = ';'; y", "java", "x = ';';"),
        ("if (x) { y(); }", "csharp", "if (x) {"),
        ("", "typescript", ""),
    ],
    ids=str,
)
def test_statements(completion: str, language: str, wanted: str) -> None:
    assert statement(completion, language) == wanted


def test_what_fits() -> None:
    assert fitting("one\ntwo\n", "x" * (CHARACTERS - 5)) == "two\n" + "x" * (CHARACTERS - 5)
    assert fitting("one\n", "x" * (CHARACTERS + 1)) == "x" * CHARACTERS and fitting("abc", "x" * (CHARACTERS - 1)) == "x" * (
        CHARACTERS - 1
    )
    assert len(repositories.TASKS) == 14
