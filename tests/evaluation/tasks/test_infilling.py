"""What is missing goes between prefix and suffix; of a single line only the first counts."""

import toys

from starmill.evaluation.tasks.infilling import first_line


def test_programs() -> None:
    single, several = toys.fixed("infilling_single_line")[0], toys.fixed("infilling_multi_line")[0]
    assert single.prompt == (toys.TWICE, "    # the end\n")
    assert single.check("    return 2 * x\n    more").solution == f"{toys.TWICE}    return 2 * x\n    # the end\n"
    assert (
        several.check("    y = x\n    return 2 * y\n").solution == f"{toys.TWICE}    y = x\n    return 2 * y\n    # the end\n"
    )


def test_the_first_line_is_the_first_with_something_in_it() -> None:
    assert first_line("\n  \n    a\nb") == "    a\n" and first_line("") == "" and first_line(" \n") == ""
