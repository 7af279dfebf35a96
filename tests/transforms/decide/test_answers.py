"""Both sides of each threshold over questions and answers."""

import pytest

from starmill.transforms.decide.answers import Answers

Marked = list[dict]


def asked(score: int | None, *answers: int | None, selected: int = -1) -> Marked:
    """Segments of a question with a score and of answers with theirs; None: nothing is said of it."""
    made: Marked = [{"role": "question", "name": "username_0"}]
    for k, votes in enumerate((score, *answers)):
        made += [{"role": "answer", "name": "username_1"}] if k else []
        made += [] if votes is None else [{"role": "votes", "name": str(votes)}]
        made += [{"role": "selected", "name": None}] if k and k - 1 == selected else []
    return made


THREE = asked(2, 0, 5, -1, selected=1)
CASES = {
    "three answers": (Answers(), THREE, None),
    "two": (Answers(), asked(9, 9, 9), "few_answers"),
    "none": (Answers(), None, "few_answers"),
    "none are asked for": (Answers(min_answers=0), asked(0), None),
    "its score": (Answers(min_question_score=2), THREE, None),
    "its lower score": (Answers(min_question_score=3), THREE, "low_question_score"),
    "the best answer's": (Answers(min_answer_score=5), THREE, None),
    "the best answer's lower score": (Answers(min_answer_score=6), THREE, "low_answer_score"),
    "no answer's score": (Answers(min_answers=0, min_answer_score=1), asked(7), "low_answer_score"),
    "a score below 0": (Answers(min_question_score=0), asked(-1, 0, 0, 0), "low_question_score"),
    "accepted": (Answers(accepted=True), THREE, None),
    "not accepted": (Answers(accepted=True), asked(2, 0, 5, -1), "none_accepted"),
    "nothing is said": (Answers(min_question_score=0, min_answer_score=0), asked(None, None, None, None), None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_question(case: str) -> None:
    rule, marked, reason = CASES[case]
    assert rule.judge(marked) == reason
