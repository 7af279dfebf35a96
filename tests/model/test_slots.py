"""Rows join where the others end, and leave."""

import torch

from starmill.model.config import ModelConfig
from starmill.model.slots import Slots

CONFIG = ModelConfig(10, 1, 8, 2, 1, 16, "rope", 64)


def read(*rows: list[float]) -> Slots:
    made, longest = Slots(CONFIG), max(map(len, rows))
    order = torch.arange(longest).expand(len(rows), longest).clone()
    for at, row in enumerate(rows):
        order[at, : longest - len(row)] = -1
    made.order(order)
    values = torch.tensor([[0.0] * (longest - len(row)) + row for row in rows])[:, None, :, None].expand(-1, 1, -1, 4)
    made.extend(0, values, values + 100)
    made.advance(longest)
    return made


def held(slots: Slots) -> list[list[float]]:
    """What each row sees, oldest first."""
    new = torch.zeros(len(slots._order_BS), 1, 1, 4)
    order = slots.order(slots._order_BS[:, : slots.seen].max(1, keepdim=True)[0] + 1)[None]
    keys, values = slots.extend(0, new, new + 100)
    assert torch.equal(values, torch.where(keys == 0, values, keys + 100))
    for row in order:
        own = row[row >= 0]
        assert torch.equal(own, torch.arange(int(own[0]), int(own[0]) + len(own))), "one after the other"
    return [keys[at, 0, order[at] >= 0, 0].tolist()[:-1] for at in range(len(new))]


def test_rows_join_and_leave() -> None:
    slots = read([1, 2, 3])
    slots.join(read([4], [5, 6]))
    assert held(slots) == [[1, 2, 3], [4], [5, 6]] and slots.padded
    slots.join(read([7, 8, 9, 10, 11]))
    assert held(slots) == [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10, 11]]
    slots.keep(torch.tensor([1, 2]))
    slots.trim()
    assert held(slots) == [[4], [5, 6]] and slots.seen == 2


def test_a_row_may_be_meant_twice() -> None:
    slots = read([1], [2, 3])
    slots.keep(torch.tensor([1, 1, 0]))
    assert held(slots) == [[2, 3], [2, 3], [1]]


def test_tokens_that_were_wrong_are_hidden() -> None:
    slots = read([1, 2, 3], [4, 5])
    slots.forget(2, torch.tensor([[True, True], [False, True]]))
    assert slots.seen == 2 and held(slots) == [[1], [4]], "the last place has nothing of any row"
    slots.join(read([6]))
    assert held(slots) == [[1], [4], [6]]
    alone = read([1, 2, 3])
    alone.forget(2, torch.tensor([[False, True]]))
    assert alone.seen == 2 and not alone.padded and held(alone) == [[1, 2]]


def test_rows_move_together_where_places_are_empty() -> None:
    slots = read([1, 2, 3, 4, 5, 6], [7, 8])
    slots.forget(5, torch.tensor([[False, False, True, True, True], [False, False, False, False, True]]))
    before = held(slots)
    assert before == [[1, 2, 3], [7]] and slots.seen == 5
    slots.trim()
    assert slots.seen == 3 and held(slots) == before
    slots.trim()
    assert slots.seen == 3, "nothing to win"
