"""Where bodies end, and answers that are wrong."""

from starmill.evaluation.tasks.programs import IMPORTS, all_wrong, body, wrong_value


def test_a_body_ends_before_what_is_not_indented() -> None:
    assert body("\n    a = 1\n\n    return a\n\nx = 2\n    y") == "\n    a = 1\n\n    return a\n"
    assert body("") == "" and body("def") == "" and body("\n\n") == "\n\n"


def test_wrong_programs_answer_wrongly_whatever_they_are_given() -> None:
    names: dict = {}
    exec(all_wrong("def f(x): return x\ndef g(): return f(1)\nclass A: pass", wrong_value("assert f(1) == 1")), names)
    assert names["f"](1, 2, z=3) is None and names["g"]() is None
    assert wrong_value("assert f(1) is None") == "'a wrong answer'"


def test_imports_are_of_the_standard_library() -> None:
    exec(IMPORTS, {})
