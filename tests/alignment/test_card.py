"""The card of instructions, and the funnel for a person."""

from scripted import recipe

from starmill.alignment.card import Step, lines, of_a_model, page
from starmill.alignment.recipe import Respond

STEPS = [Step("judge", 10, 7, {"judged_no": 2, "refused": 1}), Step("select", 1_200, 1_200, {})]


def test_the_card_says_model_sampling_reasons_and_licences() -> None:
    rows = [{"licenses": ["MIT", "Apache-2.0"]}, {"licenses": ["MIT"]}, {"licenses": []}, {"licenses": None}]
    wanted = recipe("w", "s", "http://secret.example/v1", judge=None, respond=Respond(1, samples=4), benchmarks=("smoke",))  # type: ignore[arg-type]
    said = page(of_a_model(wanted, {"model": "m", "by": "endpoint"}, "abc"), STEPS, rows)
    for text in (
        "4 pairs", '`{"by": "endpoint", "model": "m"}`', "`abc`, seed 3407", "4 samples", "| judge | 10 | 7 | judged_no 2, refused 1 |",
        "| select | 1,200 | 1,200 | none |", "no pair holds: smoke", "- MIT: 2\n- none found: 2\n- Apache-2.0: 1",
    ):  # fmt: skip
        assert text in said, text
    assert "secret.example" not in said and "- judge" not in said


def test_the_funnel_for_a_person() -> None:
    assert [line.split() for line in lines(STEPS)] == [
        ["judge", "10", "in", "7", "kept"], ["2", "judged_no"], ["1", "refused"], ["select", "1,200", "in", "1,200", "kept"],
    ]  # fmt: skip
