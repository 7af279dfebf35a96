"""Which questions with answers are worth keeping: StarCoder2's rule over Stack Overflow (paper, section 2.8), and thresholds of votes.

The paper also drops questions by a classifier of its own, which was trained on the ratings of a language model and is not published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starmill.core.names import AtLeast0
from starmill.transforms.step import Rule


@dataclass(frozen=True)
class Answers(Rule):
    """Drops questions with few answers, and, where an option says so, those that nobody voted for or that have no accepted answer.

    >>> answer = [{"role": "answer", "name": "username_1"}, {"role": "votes", "name": "2"}]
    >>> Answers().judge(answer * 3), Answers().judge(answer * 2), Answers(min_answer_score=3).judge(answer * 3)
    (None, 'few_answers', 'low_answer_score')
    """

    reads: ClassVar[tuple[str, ...]] = ("segments",)

    min_answers: AtLeast0 = 3  # of a question (section 2.8)
    min_question_score: AtLeast0 | None = None  # up-votes less down-votes; null: whatever it is
    min_answer_score: AtLeast0 | None = None  # the same of its best answer
    accepted: bool = False  # whether one of its answers must be accepted
    name: str = "answers"

    def judge(self, segments: Sequence[Mapping[str, Any]] | None) -> str | None:
        """Return few_answers, low_question_score, low_answer_score, none_accepted or None."""
        answers, votes, selected = 0, dict[str, list[int]](question=[], answer=[]), False
        of = "question"
        for segment in segments or ():
            if segment["role"] in votes:
                of = segment["role"]
                answers += of == "answer"
            elif segment["role"] == "votes":
                votes[of].append(int(segment["name"]))
            selected |= segment["role"] == "selected"
        if answers < self.min_answers:
            return "few_answers"
        if self.min_question_score is not None and max(votes["question"], default=0) < self.min_question_score:
            return "low_question_score"
        if self.min_answer_score is not None and max(votes["answer"], default=0) < self.min_answer_score:
            return "low_answer_score"
        return "none_accepted" if self.accepted and not selected else None
