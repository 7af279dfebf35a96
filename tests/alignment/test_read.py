"""What is taken from answers, and for which reason an answer is dropped; the examples that ship are held to the same rules."""

import pytest
from scripted import response as written

from starmill.alignment import read
from starmill.alignment.prompts import Prompts
from starmill.alignment.read import Reason, Response, concepts, instruction, response, unusable
from starmill.evaluation.run.generate import Reply

RIGHT = written(1, "items")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("", "400 too long"), "not_answered"),
        (Reply("x", ended="length"), "cut_off"),
        (Reply("x", ended="content_filter"), "cut_off"),
        (Reply(" \n"), "empty"),
        (Reply("x" * 100_001), "too_long"),
        (Reply(" I’m sorry, but no."), "refused"),
        (Reply("As an AI model, I"), "refused"),
        (Reply("I cannotate this."), None),
        (Reply("Sort a list.", ended="stop"), None),
    ],
)
def test_answers_that_are_none(reply: Reply, reason: str | None) -> None:
    found = unusable(reply)
    assert (found.reason if found else None) == (None if reason is None else reason)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a, b.\nc\n\nmore", ["a", "b.\nc".replace(".\n", ". ").removesuffix(".")]),
        ("loops, loops", ["loops"]),
        ("", "malformed"),
        (", ,", "malformed"),
        ("### Snippet", "malformed"),
        ("```python", "malformed"),
        ("x" * 121, "malformed"),
        ("循环, 列表", "another_language"),
    ],
)
def test_concepts(text: str, found: list[str] | str) -> None:
    came = concepts(text)
    assert (came.reason if isinstance(came, Reason) else came) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" Write a function.\n", "Write a function."),
        ("Überprüfe die Länge.", "Überprüfe die Länge."),
        ("Write.\n### Response\nx", "malformed"),
        ("Write this:\n```java\nint x;\n```", "another_language"),
        ("Write this:\n```python\nx = 1\n```", "Write this:\n```python\nx = 1\n```"),
        ("Напиши функцию f(x)", "another_language"),
        ("123", "another_language"),
        ("a" * 8_001, "too_long"),
    ],
)
def test_instructions(text: str, found: str) -> None:
    came = instruction(text)
    assert (came.reason if isinstance(came, Reason) else came) == found


def swapped(first: str, second: str) -> str:
    return RIGHT.replace(f"[{first}]", "[x]").replace(f"[{second}]", f"[{first}]").replace("[x]", f"[{second}]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "sections"),
        (RIGHT.replace("[Explanation]", ""), "sections"),
        (RIGHT + "\n[Tests]\n", "sections"),
        (swapped("Reasoning", "Explanation"), "sections"),
        (RIGHT.replace("```python\ndef", "```java\ndef"), "another_language"),
        (RIGHT.replace("```python\ndef", "```\ndef"), "no_code"),
        (RIGHT.replace("assert", "check"), "no_tests"),
        (RIGHT + "\n```python\nassert task_1([])\n```", "several_tests"),
        (RIGHT + "\n```\nsaid\n```", "several_tests"),
        (RIGHT.replace("return items", "return (items"), "syntax_error"),
        (written(1, "items", "def test():\n    assert task_1([])"), "tests_not_invoked"),
        (written(1, "items", "assert 1 + 1 == 2"), "tests_not_invoked"),
        (RIGHT[:-30], "no_tests"),  # the last fence is open
    ],
)
def test_responses_that_are_none(text: str, reason: str) -> None:
    found = response(text)
    assert isinstance(found, Reason) and found.reason == reason


def test_a_response() -> None:
    found = response(RIGHT)
    assert isinstance(found, Response) and [*found.sections] == [*read.SECTIONS]
    assert found.code.startswith("def task_1") and found.tests.startswith("assert") and found.sections["Tests"].endswith("```")
    several = response(RIGHT.replace("[Explanation]", "```python\nx = 1\n```\n[Explanation]"))
    assert isinstance(several, Response) and several.first == found.code and several.code.endswith("x = 1\n")


def test_the_examples_that_ship_pass_their_own_rules() -> None:
    prompts = Prompts()
    assert len(prompts.shots) >= 8 and len(prompts.judgements) >= 7
    for shot in prompts.shots:
        assert instruction(shot["instruction"]) == shot["instruction"]
        assert concepts(shot["concepts"]) == shot["concepts"].split(", ")
    responses = [response(shot["response"]) for shot in prompts.shots if "response" in shot]
    assert len(responses) >= 4 and all(isinstance(one, Response) for one in responses)


@pytest.mark.parametrize("text", ["```python\n" * 10_000, "[Tests]\n" * 12_000, "(" * 90_000, "i'm " * 20_000, "-" * 90_000])
def test_hostile_answers_take_linear_time(text: str) -> None:
    # A quadratic search would run into the limit of a test.
    response(RIGHT.replace("return items", text))
    response(text), concepts(text), instruction(text), read.blocks(text)
