"""The engine in a thread of its own: rows come from coroutines, and what is written goes back to the queue of each answer.

An answer that is closed cancels its rows, whether they are being written or wait. There is room for so many rows; beyond that a request is
refused at once. An error of the engine ends all that it had, told to each, and the next request finds a new engine.
"""

import asyncio
import functools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from starmill.core.errors import one_line
from starmill.core.tokenizer import Tokenizer
from starmill.model.ask import Ask
from starmill.model.decoder import Decoder
from starmill.model.engine import Engine
from starmill.model.likelihood import Score, of_prompt
from starmill.serving.text import Writer

log = logging.getLogger(__name__)


class Busy(Exception):
    """There is no room for more rows now."""


class Failed(Exception):
    """The engine failed; the message says how."""


@dataclass(frozen=True)
class Wanted:
    """A row: a prompt, and how it is answered. `tops`: with so many of the likeliest tokens, None without scores."""

    prompt: list[int]
    most: int  # new tokens
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stops: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    seed: int = 0
    name: int = 0
    tops: int | None = None


class Token(NamedTuple):
    """A token and where in the answer's text it begins, in characters; `score` where it was wanted."""

    id: int
    offset: int
    score: Score | None


@dataclass(frozen=True)
class News:
    """A token that was written of a row: text that stays, tokens, how many there are by now without one that ended it, and why it ended.

    `end` is "" while it goes on, else `stop` string, `eos` token, `length`.
    """

    row: int
    text: str
    tokens: list[Token]
    count: int
    end: str = ""


@dataclass
class _Row:
    """A row in the engine's thread."""

    answer: "Answer"
    number: int
    wanted: Wanted
    writer: Writer
    limit: int
    pushed: int = 0
    tokens: list[Token] = field(default_factory=list)
    ready: list[News] = field(default_factory=list)

    def ask(self) -> Ask:
        one = self.wanted
        scored = None if one.tops is None else lambda score: self.tokens.append(Token(score.token, self.writer.written, score))
        return Ask(
            one.prompt, one.most, one.temperature, one.top_p, one.top_k, one.stop_ids, one.seed, one.name,
            self.stopped, scored, one.tops or 0,
        )  # fmt: skip

    def stopped(self, new: list[int]) -> bool:
        self._push(new, last=False)
        if not self.writer.stopped:
            self._make(len(new))
        return self.writer.stopped

    def _push(self, new: list[int], last: bool) -> None:
        ids, self.pushed = new[self.pushed :], len(new)
        if self.wanted.tops is None:
            self.tokens += [Token(one, self.writer.written, None) for one in ids]
        self.writer.push(ids, last)

    def news(self, new: list[int], last: bool) -> list[News]:
        """Return what a step wrote, a piece for each token."""
        if last:
            self._push(new, last)
            self._make(len(new), "stop" if self.writer.stopped else "length" if len(new) >= self.limit else "eos")
        ready, self.ready = self.ready, []
        return ready

    def _make(self, count: int, end: str = "") -> None:
        self.ready.append(News(self.number, self.writer.take(last=bool(end)), self.tokens, count, end))
        self.tokens = []


class Answer:
    """What is written of some rows, in the order in which it comes: `async for news in answer`. Close it in any case."""

    def __init__(self, worker: "Worker", rows: int) -> None:
        """For so many rows."""
        self._worker, self.open = worker, rows
        self.queue: asyncio.Queue[News | Exception] = asyncio.Queue()
        self.tickets: set[int] = set()  # the engine's thread alone
        self.closed = False

    def __aiter__(self) -> "Answer":
        """Return itself."""
        return self

    async def __anext__(self) -> News:
        """Return what comes next. Raises Failed."""
        if not self.open:
            raise StopAsyncIteration
        found = await self.queue.get()
        if isinstance(found, Exception):
            raise found
        if found.end:
            self.open -= 1
            self._worker.open -= 1
        return found

    def close(self) -> None:
        """Give up what has not ended."""
        if not self.closed:
            self.closed = True
            if self.open:
                self._worker.open -= self.open
                self._worker.cancelled += self.open
                self.open = 0
                self._worker.forget(self)


class Worker:
    """An engine of `rows` rows at a time, before which `queue` more may wait."""

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer, rows: int = 16, queue_rows: int = 64, drafts: int | None = None
    ) -> None:
        """Make one, which `start` begins."""
        self.decoder, self.tokenizer, self.most = decoder, tokenizer, rows + queue_rows
        self.engine = Engine(decoder, rows, drafts)
        self.open = 0  # rows that are owed
        self.cancelled = 0
        self._size, self._drafts, self._rows = rows, drafts, dict[int, _Row]()
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def alive(self) -> bool:
        """Whether the engine's thread is at work."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, in the event loop that asks."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End after the step that is under way."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def ask(self, wanted: Sequence[Wanted]) -> Answer:
        """Take rows in; return their answer. Raises Busy."""
        self._room(len(wanted))
        answer = Answer(self, len(wanted))
        self._inbox.put(functools.partial(self._add, answer, wanted))
        return answer

    async def score(self, prompt: list[int], tops: int) -> list[Score]:
        """Return the scores of a prompt's tokens after its first. Raises Busy, Failed."""
        self._room(1)
        answer = Answer(self, 1)
        try:
            done: asyncio.Future[list[Score]] = asyncio.get_running_loop().create_future()
            self._inbox.put(functools.partial(self._score, answer, prompt, tops, done))
            return await done
        finally:
            answer.closed = True
            self.open -= 1

    def forget(self, answer: Answer) -> None:
        """Cancel the rows of an answer."""
        self._inbox.put(functools.partial(self._cancel, answer))

    def _room(self, rows: int) -> None:
        if self.open + rows > self.most:
            raise Busy(f"{self.open} rows are written or wait, and there is room for {self.most}")
        self.open += rows

    # All below runs in the engine's thread.

    def _work(self) -> None:
        while True:
            try:
                todo = self._inbox.get(block=not self.engine.busy)
            except queue.Empty:
                todo = self._step
            if todo is None:
                return
            try:
                todo()
            except Exception as error:
                log.exception("the engine failed")
                self._fail(error)

    def _add(self, answer: Answer, wanted: Sequence[Wanted]) -> None:
        if answer.closed:
            return
        try:
            for number, one in enumerate(wanted):
                limit = min(one.most, self.decoder.config.max_positions - len(one.prompt))
                row = _Row(answer, number, one, Writer(self.tokenizer, one.stops), limit)
                self._rows[(ticket := self.engine.add(row.ask()))] = row
                answer.tickets.add(ticket)
        except Exception as error:
            self._cancel(answer)
            failed = Failed(one_line(error))
            self._tell(lambda: answer.queue.put_nowait(failed))

    def _cancel(self, answer: Answer) -> None:
        for ticket in answer.tickets:
            self._rows.pop(ticket, None)
            self.engine.cancel(ticket)
        answer.tickets.clear()

    def _score(self, answer: Answer, prompt: list[int], tops: int, done: "asyncio.Future[list[Score]]") -> None:
        if answer.closed:
            return
        try:
            found = of_prompt(self.decoder, prompt, tops)
        except Exception as error:
            log.exception("a prompt could not be scored")
            self._tell(functools.partial(_settle, done, Failed(one_line(error))))
        else:
            self._tell(functools.partial(_settle, done, found))

    def _step(self) -> None:
        told = []
        for ticket, new, last in self.engine.step():
            row = self._rows.pop(ticket) if last else self._rows[ticket]
            if last:
                row.answer.tickets.discard(ticket)
            told += [(row.answer, news) for news in row.news(new, last)]
        self._tell(functools.partial(_deliver, told))

    def _fail(self, error: Exception) -> None:
        failed: list[tuple[Answer, News | Exception]] = []
        for answer in {id(row.answer): row.answer for row in self._rows.values()}.values():
            answer.tickets.clear()
            failed.append((answer, Failed(one_line(error))))
        self._rows.clear()
        drafted, accepted = self.engine.drafted, self.engine.accepted
        self.engine = Engine(self.decoder, self._size, self._drafts)
        self.engine.drafted, self.engine.accepted = drafted, accepted
        self._tell(functools.partial(_deliver, failed))

    def _tell(self, what: Callable[[], object]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)


def _deliver(told: Sequence[tuple[Answer, News | Exception]]) -> None:
    for answer, news in told:
        answer.queue.put_nowait(news)


def _settle(done: "asyncio.Future[list[Score]]", found: list[Score] | Failed) -> None:
    if done.done():  # nobody waits any more
        return
    if isinstance(found, Failed):
        done.set_exception(found)
    else:
        done.set_result(found)
