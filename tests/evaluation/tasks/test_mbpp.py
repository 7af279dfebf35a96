"""MBPP's prompt, its split, and what goes where: setup, imports and challenge tests before and behind the border."""

import toys


def test_the_papers_use_ids_11_to_510() -> None:
    assert [p.name for p in toys.fixed("mbpp")] == ["Mbpp/11", "Mbpp/12"]
    assert [p.name for p in toys.fixed("mbpp_all")] == ["Mbpp/10", "Mbpp/11", "Mbpp/12"]


def test_prompts_and_tests() -> None:
    first, chain, lookup = toys.fixed("mbpp_all")
    assert first.prompt == '"""\nAdd one.\nassert inc(1) == 2\n"""\n' and "\r" not in first.canonical
    assert not first.check("").together and chain.check("").together, "a setup that makes objects of the solution's classes"
    assert chain.check("").tests.startswith("a = Link(1)")
    assert lookup.check("").tests.count("assert") == 2 and "a wrong answer" in lookup.mutant
    (root,) = toys.fixed("mbpp_sanitized")
    assert root.prompt.startswith('"""\nTake the root.') and root.check("").tests.startswith("import math\n")
