"""Prompts of HumanEval: stripped, behind a file's name, or as they are; each goes with its completion to one program."""

import toys

from starmill.evaluation.tasks.humaneval import PREFIX


def test_three_prompts_of_one_problem() -> None:
    stripped, prompted, plain = (toys.fixed(f"humaneval{kind}")[0] for kind in ("", "_prompted", "_unstripped"))
    assert stripped.prompt == toys.TWICE.strip() and prompted.prompt == PREFIX + stripped.prompt
    assert plain.prompt == f"\n\n{toys.TWICE}"
    programs = {each.check(each.canonical).solution.strip() for each in (stripped, prompted, plain)}
    assert programs == {f"{toys.TWICE}    return 2 * x"}
    assert stripped.check("").tests.endswith("check(twice)\n")
