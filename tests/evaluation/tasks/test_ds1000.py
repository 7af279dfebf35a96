"""DS-1000: a problem's own tests judge what stands in its hole, and those that look at its text where it has some."""

import toys

from starmill.evaluation.sandbox import Job


def test_names_are_of_the_library_and_its_number() -> None:
    assert [problem.name for problem in toys.fixed("ds1000")] == ["Numpy/0", "Numpy/1"]
    assert [problem.name for problem in toys.fixed("ds1000_pytorch")] == ["Pytorch/0", "Pytorch/1"]


def test_the_text_is_judged_where_the_problem_does() -> None:
    plain, looked = (problem.check("result = [2 * x for x in a]") for problem in toys.fixed("ds1000"))
    assert isinstance(plain, Job) and isinstance(looked, Job) and plain.together
    assert plain.tests.endswith("test_execution(code)\n") and looked.tests.endswith("test_string(code)\n")
