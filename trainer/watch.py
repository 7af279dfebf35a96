"""Which rank the others wait for: each one says what it does, and one that has waited long asks all where they are.

A thread on each rank looks at the group's store every few seconds; nothing is written to it while steps go on. A rank that is behind
in what all do in one order is the one that is waited for, and so is one that does not answer: its whole process, or host, has stopped.
"""

import json
import platform
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from torch._C._distributed_c10d import Store

from starmill.core.terminal import say

SLOWER = 2.0  # times the median of all ranks, from which a part of a step is named
SHARE = 0.1  # of a step's time that a part has to take
LOOKS = 20.0  # in the time that a rank waits before it asks
GRACE = 6  # looks, in which all can answer
ASKED = "asked"


class Watch:
    """What this rank does, and what it finds out about the others.

    >>> from torch.distributed import HashStore
    >>> watch = Watch(HashStore(), 0, 1, patience=60.0)
    >>> watch.doing("data of step 1"); watch.state()["doing"]
    'data of step 1'
    """

    def __init__(self, store: Store, rank: int, world: int, patience: float) -> None:
        """Of one rank of `world`; after `patience` seconds in one place it asks."""
        self._store, self._rank, self._world, self._patience = store, rank, world, patience
        self._now = (0, "start", time.monotonic())
        self._over, self._answered, self._asked, self._turn = threading.Event(), "", 0, 0
        self.finding = ""  # whom the ranks wait for, as of the last time that this one asked

    def doing(self, what: str) -> None:
        """Say what this rank begins to do; all ranks begin the same things in the same order."""
        self._now = (self._now[0] + 1, what, time.monotonic())

    def state(self) -> dict[str, Any]:
        """Return where this rank is: how many things it has begun, the last of them, and the seconds since."""
        count, what, since = self._now
        return {"count": count, "doing": what, "seconds": time.monotonic() - since, "host": platform.node()}

    def start(self) -> None:
        """Look from now on, in a thread that ends with the process."""
        threading.Thread(target=self._look, daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _look(self) -> None:
        pause = self._patience / LOOKS
        while not self._over.wait(pause):
            try:
                self._answer()
                if self._now[0] != self._asked and self.state()["seconds"] > self._patience:
                    self._asked, before = self._now[0], self._answers()
                    self._store.set(ASKED, f"{self._rank} {self._asked}")
                    for _ in range(GRACE):
                        self._answer()  # also what others ask meanwhile
                        if self._over.wait(pause):
                            return
                    after = self._answers()
                    fresh = [
                        now if now.get("turn") != then.get("turn") else None for then, now in zip(before, after, strict=True)
                    ]
                    self.finding, speaks = waited_for(fresh)
                    if speaks == self._rank:
                        say(self.finding, to=sys.stderr)
            except RuntimeError:  # the store's host is gone; the ranks' own error says so
                return

    def _answer(self) -> None:
        """Say where this rank is, if anyone has asked since."""
        if self._store.check([ASKED]) and (asked := self._store.get(ASKED).decode()) != self._answered:
            self._answered, self._turn = asked, self._turn + 1
            self._store.set(f"rank {self._rank}", json.dumps({"turn": self._turn, **self.state()}))

    def _answers(self) -> list[dict[str, Any]]:
        """Return the last answer of each rank."""
        keys = [f"rank {rank}" for rank in range(self._world)]
        return [json.loads(self._store.get(key)) if self._store.check([key]) else {} for key in keys]


def waited_for(states: Sequence[Mapping[str, Any] | None]) -> tuple[str, int]:
    """Return who is waited for, of the ranks' states (None: one that does not answer), and which rank says so: the first that waits.

    >>> waited_for([{"count": 9, "doing": "forward of step 3", "seconds": 70.0, "host": "a"}, None])[0]
    'rank 1 does not answer; the others have been at forward of step 3 for 70 s'
    """
    there = {rank: state for rank, state in enumerate(states) if state is not None}
    if not there:
        return "no rank answers", -1
    most = max(state["count"] for state in there.values())
    ahead = [rank for rank, state in there.items() if state["count"] == most]
    told = [f"rank {rank} does not answer" for rank, state in enumerate(states) if state is None]
    for rank, state in there.items():
        if state["count"] < most:
            told.append(f"rank {rank} on {state['host']} has been at {state['doing']} for {state['seconds']:.0f} s")
    first = there[ahead[0]]
    waits = f"have been at {first['doing']} for {first['seconds']:.0f} s"
    return f"{', '.join(told)}; the others {waits}" if told else f"all ranks {waits}, none behind the others", ahead[0]


def slow(rows: Sequence[tuple[int, str, Mapping[str, float]]]) -> dict[str, float]:
    """Return the seconds of each part of a step that took one rank much longer than most, by rank, host and part.

    >>> slow([(0, "a", {"data": 0.1, "forward": 1.0}), (1, "b", {"data": 3.0, "forward": 1.1}), (2, "c", {"data": 0.1, "forward": 1.0})])
    {'rank 1 on b, data': 3.0}
    """
    found, step = {}, max(sum(parts.values()) for _, _, parts in rows)
    for part in rows[0][2]:
        each = [parts.get(part, 0.0) for _, _, parts in rows]
        usual = median(each) if len(each) > 2 else min(each)
        for (rank, host, _), seconds in zip(rows, each, strict=True):
            if seconds > SLOWER * usual and seconds - usual > SHARE * step:
                found[f"rank {rank} on {host}, {part}"] = seconds
    return found
