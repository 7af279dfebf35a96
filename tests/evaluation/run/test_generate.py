"""What is missing is asked for, in two turns where a task has them; a run that was stopped gives the file of one that was not."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import toys

from starmill.evaluation.run.generate import Decoding, Request, fill
from starmill.evaluation.run.samples import Samples

DECODING = Decoding(9, 0.5, 1.0, ("STOP",), 0)


class Echo:
    """Answers with the name of the request; stops a user's way after some."""

    def __init__(self, most: int = 10**6) -> None:
        self.identity = {"model": "echo"}
        self.most, self.asked = most, list[Request]()

    def answers(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, str, str]]:
        for index in reversed(range(len(requests))):
            if len(self.asked) == self.most:
                raise KeyboardInterrupt
            self.asked.append(requests[index])
            yield index, f"{requests[index].name} STOP and more", ""


@pytest.mark.parametrize("name", ["humaneval", "humanevalexplain"])
def test_a_stopped_run_continues_and_gives_the_same_file(name: str, tmp_path: Path) -> None:
    problems = toys.fixed(name)
    turns = 2 if problems[0].then else 1
    with Samples(tmp_path / "whole") as samples:
        fill(samples, name, problems, 3, Echo(), DECODING)
    wanted = (tmp_path / "whole").read_bytes()
    assert wanted.count(b"\n") == 6 * turns and b"STOP" not in wanted
    for most in range(6 * turns):
        place, echo = tmp_path / str(most), Echo(most)
        with Samples(place) as samples, pytest.raises(KeyboardInterrupt):
            fill(samples, name, problems, 3, echo, DECODING)
        place.write_bytes(place.read_bytes() + b'{"torn')
        again = Echo()
        with Samples(place) as samples:
            fill(samples, name, problems, 3, again, DECODING)
        assert place.read_bytes() == wanted
        assert len(echo.asked) + len(again.asked) == 6 * turns, "nothing is asked twice"


def test_more_samples_leave_those_that_are_there(tmp_path: Path) -> None:
    problems = toys.fixed("humaneval")
    with Samples(tmp_path / "s") as samples:
        fill(samples, "humaneval", problems[:1], 1, Echo(), DECODING)
        more = Echo()
        fill(samples, "humaneval", problems, 2, more, DECODING)
        assert [request.name for request in more.asked] == ["humaneval/Toy/1/1", "humaneval/Toy/1/0", "humaneval/Toy/0/1"]


def test_a_second_turn_is_made_of_the_first(tmp_path: Path) -> None:
    problems, echo = toys.fixed("humanevalexplain"), Echo()
    with Samples(tmp_path / "s") as samples:
        fill(samples, "humanevalexplain", problems, 1, echo, DECODING)
    last = echo.asked[-1]
    assert last.name == "humanevalexplain/Toy/0/0" and "humanevalexplain/Toy/0/0/first\n\nWrite functional code" in last.prompt


def test_seeds_are_of_names() -> None:
    one = Request("t/a/0", "x")
    assert one.seed(DECODING) == Request("t/a/0", "y").seed(DECODING) != Request("t/a/1", "x").seed(DECODING)
    assert 0 <= one.seed(DECODING) < 2**31
