"""Prompts of HumanEvalPack, bodies that end, and the second turn of an explanation."""

import toys


def test_prompts() -> None:
    tests, docs, commit = (toys.fixed(f"humanevalfix_{kind}")[0].prompt for kind in ("tests", "docs", "docs_commit"))
    assert tests.startswith("def twice(x: int) -> int:\n    return x * x\n") and "assert twice(2) == 4" in tests
    assert tests.endswith("\n\nFix bugs in twice.\n\ndef twice(x: int) -> int:")
    assert "Return two times x" in docs and "assert" not in docs and docs.endswith('"""')
    assert commit.startswith("<commit_before>def twice") and "<commit_msg>Fix bugs in twice.<commit_after>def twice" in commit


def test_a_completion_is_the_body_alone() -> None:
    solution = toys.fixed("humanevalfix_tests")[0].check("\n    return 2 * x\n\nprint('more')\n").solution
    assert solution.endswith(f"{toys.TWICE}    return 2 * x\n\n") and "print" not in solution


def test_an_explanation_becomes_the_next_prompt_without_the_solution() -> None:
    problem = toys.fixed("humanevalexplain")[0]
    assert (
        problem.prompt.startswith("def twice(x: int) -> int:\n    return 2 * x\n") and "at most 13 characters" in problem.prompt
    )
    assert problem.then is not None
    second = problem.then("It doubles.\n    return 2 * x\n")
    assert (
        second.startswith("It doubles.\n\n") and "return 2 * x" not in second and second.endswith("def twice(x: int) -> int:")
    )
