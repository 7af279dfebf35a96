"""Batches that grow: whole turns of the lanes, tokens counted step by step."""

import pytest

from starmill.trainer import ramp
from starmill.trainer.ramp import Stage


def test_a_stage_lasts_until_its_tokens_in_whole_turns() -> None:
    made = ramp.stages([(250, 2), (281, 4)], 8, 10)
    assert made == (Stage(1, 2, 0), Stage(17, 4, 320), Stage(19, 8, 400))
    counted = 0
    for step in range(1, 25):
        counted += ramp.stage(made, step).batch * 10
        assert ramp.tokens(made, step, 10) == counted
    assert ramp.tokens(made, 0, 10) == 0


@pytest.mark.parametrize("ranks", [1, 2])
def test_each_turn_reads_each_lane_once_on_any_number_of_ranks(ranks: int) -> None:
    made, share = ramp.stages([(250, 2), (281, 4)], 8, 10), 8 // ranks
    of = [[*range(rank * share, (rank + 1) * share)] for rank in range(ranks)]
    for first, steps in ((1, 4), (5, 4), (17, 2), (19, 1), (20, 1)):
        read = [[lane for lanes in of for lane in lanes[ramp.lanes(made, step)]] for step in range(first, first + steps)]
        assert sorted(lane for step in read for lane in step) == [*range(8)] and len({len(step) for step in read}) == 1


def test_no_ramp_is_one_stage() -> None:
    assert ramp.stages([], 4, 32) == (Stage(1, 4, 0),) and ramp.lanes(ramp.stages([], 4, 32), 9) == slice(0, None, 1)
