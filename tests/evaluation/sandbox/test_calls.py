"""What goes over the border between a candidate and its tests, and what does not."""

import collections
import datetime
import decimal
import enum
import fractions
import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from starmill.evaluation.sandbox import calls
from starmill.evaluation.sandbox.calls import Ended, Peer


@pytest.fixture
def ask() -> Iterator[Callable[..., Any]]:
    """Return what gives the value of a name at the other end, which a thread serves."""
    here, there = socket.socketpair()
    names: dict[str, Any] = {}
    served = Peer(there, names)
    thread = threading.Thread(target=served.serve, daemon=True)
    thread.start()
    peer = Peer(here)

    def value(given: Any) -> Any:
        names["value"] = given
        return peer.ask("name", "value")

    yield value
    here.close()
    thread.join(10)
    there.close()


def test_containers_of_the_library_go_by_value(ask: Callable[..., Any]) -> None:
    for value in (
        collections.Counter("aab"), collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 3), range(3), slice(1, 2),
        bytearray(b"x"), datetime.UTC, decimal.Decimal("1.10"), fractions.Fraction(1, 3), ..., NotImplemented,
    ):  # fmt: skip
        assert ask(value) == value and type(ask(value)) is type(value)
    table = ask(collections.defaultdict(list, {1: [2]}))
    assert table == {1: [2]} and list(table["new"]) == []


def test_what_is_derived_has_its_base_s_value_and_its_own_attributes(ask: Callable[..., Any]) -> None:
    Point = collections.namedtuple("Point", "x y")

    class Colour(enum.IntEnum):
        RED = 3

    assert ask(Point(1, 2)) == (1, 2) and ask(Point(1, 2)).y == 2
    assert ask(Colour.RED) == 3 and ask(Colour.RED).name == "RED"


def test_what_compares_by_itself_equals_nothing_plain(ask: Callable[..., Any]) -> None:
    class Same(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __lt__(self, other: int) -> bool:
            return True

        def __sub__(self, other: int) -> int:
            return 0

        __rsub__ = __sub__
        __hash__ = int.__hash__

    found = ask(Same(1))
    assert found != 1 and found == ask(Same(2))
    for operation in (lambda: found < 3, lambda: found - 3, lambda: 3 - found, lambda: 3 in found):
        with pytest.raises((TypeError, AttributeError)):
            operation()


def test_objects_are_used_where_they_are(ask: Callable[..., Any]) -> None:
    class Pile:
        def __init__(self, *values: int) -> None:
            self.values = [*values]

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Pile) and self.values == other.values

        def __hash__(self) -> int:
            return 0

        def __add__(self, other: "Pile") -> "Pile":
            return Pile(*self.values, *other.values)

        def __getitem__(self, at: int) -> int:
            return self.values[at]

        def grow(self, by: Callable[[int], int]) -> None:
            self.values = [by(one) for one in self.values]

    made = ask(Pile)
    one, two = made(1, 2), made(3)
    assert one + two == made(1, 2, 3) and isinstance(one, made) and not isinstance(3, made)
    assert [*one] == [1, 2] and one[1] == 2
    one.grow(lambda value: value * 10)
    assert one.values == [10, 20]
    one.values = [7]
    assert one == made(7)
    assert made.__name__ == "Pile"


def test_what_a_call_changes_is_changed_here(ask: Callable[..., Any]) -> None:
    def change(numbers: list[int], table: dict[str, Any], rest: list[Any] | None = None) -> None:
        numbers.sort()
        table["new"] = 1
        if rest is not None:
            rest[0].append(5)

    row = [3, 1, 2]
    table: dict[str, Any] = {}
    inner: list[int] = []
    ask(change)(row, table, rest=[inner])

    def turn(queue: collections.deque[int], tree: dict[str, Any]) -> None:
        queue.rotate()
        tree["a"]["b"] = tree["c"] = 1

    queue, branch = collections.deque([1, 2, 3]), {"x": 0}
    tree = {"a": branch}
    ask(turn)(queue, tree)
    assert [*queue] == [3, 1, 2] and tree == {"a": {"x": 0, "b": 1}, "c": 1} and tree["a"] is branch
    assert row == [1, 2, 3] and table == {"new": 1} and inner == [5]


def test_exceptions_keep_their_class(ask: Callable[..., Any]) -> None:
    class Own(ValueError):
        def __init__(self, code: int) -> None:
            super().__init__(f"code {code}")
            self.code = code

    def own() -> None:
        raise Own(3)

    def ends() -> None:
        raise SystemExit(4)

    with pytest.raises(ask(Own)) as caught:
        ask(own)()
    assert str(caught.value) == "code 3" and caught.value.code == 3 and isinstance(caught.value, ValueError)
    with pytest.raises(SystemExit) as left:
        ask(ends)()
    assert left.value.code == 4


def test_exceptions_keep_their_ancestors(ask: Callable[..., Any]) -> None:
    class Own(Exception):
        pass

    class Special(Own, KeyError):
        pass

    def special(values: list[int]) -> None:
        values.append(1)
        raise Special("x")

    values: list[int] = []
    for kind in (Own, Special):
        with pytest.raises(ask(kind)) as caught:
            ask(special)(values)
        assert isinstance(caught.value, KeyError) and issubclass(ask(Special), ask(Own))
    assert values == [1, 1], "what was changed before it was raised is changed"


def test_the_same_object_is_the_same_again(ask: Callable[..., Any]) -> None:
    class Colour(enum.Enum):
        RED = 1

    class Word(str, enum.Enum):  # noqa: UP042 - another str() than that of StrEnum
        A = "a"

    assert ask(Colour.RED) is ask(Colour.RED) and f"{ask(Colour.RED):>12}" == "  Colour.RED"
    assert ask(Word.A) == "a" and isinstance(ask(Word.A), ask(Word)), "of a class that says its name in place of its value"


def test_generators_are_walked_step_by_step(ask: Callable[..., Any]) -> None:
    seen = []

    def numbers() -> Iterator[int]:
        for number in range(10**9):
            seen.append(number)
            yield number

    walked = iter(ask(numbers)())
    assert [next(walked), next(walked)] == [0, 1] and len(seen) == 2


@pytest.mark.parametrize("program", [os.system, eval, open, getattr, pickle.loads, socket.socket])
def test_a_message_builds_nothing_but_values(program: Any) -> None:
    class Sent:
        def __reduce__(self) -> Any:
            return program, ("x",)

    here, there = socket.socketpair()
    with here, there, pytest.raises(Ended, match="not a message"):
        Peer(there).unpacked(pickle.dumps(Sent()))


def test_the_candidate_may_use_only_what_it_was_given() -> None:
    here, there = socket.socketpair()
    tests, candidate = Peer(here), Peer(there)
    with here, there:
        for message in (
            ("attribute", "{0.__class__}", "format"), ("attribute", 0, "real"), ("name", "secret"), ("do", [], "__len__", (), {}), ("do",),
        ):  # fmt: skip
            candidate_asks = candidate.packed(message)
            with pytest.raises((calls.Refused, IndexError)):
                kind, *words = tests.unpacked(candidate_asks)
                tests._done(kind, words)

        def given() -> int:
            return 3

        number = tests.lend(given)
        assert tests._done("do", [given, "__call__", (), {}]) == 3 and number == 0
        with pytest.raises(calls.Refused):
            tests._done("attribute", [given, "__globals__"])


def test_a_message_that_is_too_large_is_not_read() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(calls.LENGTH.pack(calls.LARGEST + 1))
        with pytest.raises(Ended, match="bytes"):
            calls.receive(here)
