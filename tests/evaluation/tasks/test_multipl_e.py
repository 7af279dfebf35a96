"""MultiPL-E's Python file calls its tests itself."""

import toys


def test_tests_are_those_of_the_file() -> None:
    problem = toys.fixed("multipl_e_python")[0]
    job = problem.check(problem.canonical)
    assert job.tests.count("\ncheck(twice)") == 1 and job.solution == f"{toys.TWICE}    return 2 * x\n"
