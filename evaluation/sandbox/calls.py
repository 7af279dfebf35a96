"""Calls between two processes that do not trust each other (values.py: what may cross).

The tests' process asks, the candidate's answers, and may ask back about what it was given: a function that it is to call, an object whose
methods it needs. Only the standard library.
"""

import socket
import struct
import types
import weakref
from collections import deque
from collections.abc import MutableMapping
from typing import Any

from starmill.evaluation.sandbox import values

LARGEST = 256 << 20  # bytes of a message
LENGTH = struct.Struct("<Q")
# What leads from a value to the process that it lies in: a generator's frame has its names, and builtins' exec.
HIDDEN = (types.FrameType, types.CodeType, types.TracebackType)
CHANGES = (list, dict, set, bytearray, deque)


class Ended(Exception):
    """The other process is gone, or what it said is no message."""


class Refused(Exception):
    """Something was asked of the other side that it does not lend."""


def send(channel: socket.socket, data: bytes) -> None:
    """Send one message. Raises Ended."""
    try:
        channel.sendall(LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise Ended(str(error)) from None


def receive(channel: socket.socket) -> bytes:
    """Return one message. Raises Ended at the end, and for one that is too large."""
    (size,) = LENGTH.unpack(_exactly(channel, LENGTH.size))
    if size > LARGEST:
        raise Ended(f"a value of {size:,} bytes")
    return _exactly(channel, size)


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        try:
            more = channel.recv(min(size - len(data), 1 << 20))
        except OSError as error:
            raise Ended(str(error)) from None
        if not more:
            raise Ended("the candidate's process ended")
        data += more
    return bytes(data)


class Peer:
    """One end of the two: `ask` runs something at the other end, `serve` answers until that is gone.

    >>> here, there = socket.socketpair()
    >>> Peer(here).lend([1, 2])
    0
    """

    def __init__(self, channel: socket.socket, names: dict[str, Any] | None = None) -> None:
        """`names`: what the other end may ask for by name."""
        self.channel = channel
        self.names = {} if names is None else names
        self._lent: list[Any] = []
        self._numbers: dict[int, int] = {}
        self.classes: dict[int, type] = {}
        self.refs: MutableMapping[int, Any] = weakref.WeakValueDictionary()
        self.ended = False  # whether the other end was found gone: what caught that exception has not undone it

    def lend(self, value: Any) -> int:
        """Return the number by which the other end may refer to a value; the value lives as long as this end.

        Raises TypeError for what is not lent: frames, and modules by an end that has no names.
        """
        if isinstance(value, HIDDEN) or (isinstance(value, types.ModuleType) and not self.names):
            raise TypeError(f"a {type(value).__name__} is not lent")
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._lent)
            self._lent.append(value)
        return number

    def packed(self, message: Any) -> bytes:
        """Return a message as bytes."""
        return values.packed(message, self)

    def unpacked(self, data: bytes) -> Any:
        """Return the message that bytes are. Raises Ended for what is none."""
        try:
            return values.unpacked(data, self)
        except MemoryError:
            raise
        except Exception as error:
            raise Ended(f"not a message: {type(error).__name__}") from None

    def ask(self, what: str, *words: Any) -> Any:
        """Have the other end do something, and return what it returns, or raise what it raises. Raises Ended."""
        sent = words[2:] if what == "do" else ()
        send(self.channel, self.packed((what, *words)))
        while True:
            kind, *rest = self._message()
            if kind == "is":
                if rest[1] is not None:
                    _follow(sent, rest[1])
                return rest[0]
            if kind == "raises":
                if rest[1] is not None:
                    _follow(sent, rest[1])
                raise rest[0] if isinstance(rest[0], BaseException) else Ended("not an exception")
            self._answer(kind, rest)

    def serve(self) -> None:
        """Answer what is asked until the other end is gone."""
        while True:
            try:
                kind, *rest = self._message()
            except Ended:
                return
            self._answer(kind, rest)

    def _message(self) -> Any:
        try:
            found = self.unpacked(receive(self.channel))
            if not isinstance(found, tuple) or not found:
                raise Ended("not a message")
        except Ended:
            self.ended = True
            raise
        return found

    def _answer(self, kind: Any, words: list[Any]) -> None:
        try:
            given = words[2:] if kind == "do" else []
            before = self.packed(given) if any(map(_any_changes, given)) else b""
            try:
                said = ("is", self._done(kind, words))
            except Ended:
                raise
            except BaseException as error:
                said = ("raises", error)
            changed = given if before and self.packed(given) != before else None
            data = self.packed((*said, changed))
        except Ended:
            raise
        except BaseException as error:  # of what cannot be written
            data = self.packed(("raises", error, None))
        send(self.channel, data)

    def _done(self, kind: Any, words: list[Any]) -> Any:
        if kind == "name" and words[0] in self.names:
            return self.names[words[0]]
        if kind == "do" and words[1] in values.LENT and len(words) == 4:
            thing, operation, given, named = self._mine(words[0]), words[1], words[2], words[3]
            if operation == "__call__":
                return thing(*given, **named)
            if operation in ("__instancecheck__", "__subclasscheck__"):
                return (isinstance if operation == "__instancecheck__" else issubclass)(given[0], thing)
            if operation in values.DONE_BY:
                return values.DONE_BY[operation](thing)
            method = getattr(type(thing), operation, None)
            if method is None:
                raise TypeError(f"'{type(thing).__name__}' has no {operation}")
            return method(thing, *given)
        if kind == "attribute" and values.public(words[1]):
            return getattr(self._mine(words[0]), words[1])
        if kind == "set" and values.public(words[1]):
            return setattr(self._mine(words[0]), words[1], words[2])
        if kind == "alive":
            return None
        raise Refused(f"{kind} {words[1:2]}")

    def _mine(self, value: Any) -> Any:
        """Return a value that was lent: what the other end made up itself has methods (str.format) that show more than was lent."""
        number = self._numbers.get(id(value))
        if number is None or self._lent[number] is not value:
            raise Refused("no reference")
        return value

    def own(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self._lent):
            raise Refused("no such reference")
        return self._lent[number]


def _any_changes(given: Any) -> bool:
    return any(isinstance(one, CHANGES) or (isinstance(one, tuple) and _any_changes(one)) for one in _parts(given))


def _parts(given: Any) -> Any:
    return given.values() if isinstance(given, dict) else given


def _follow(old: Any, new: Any) -> None:
    """Make values that a call has changed at the other end equal to what that left of them, each where it is."""
    for mine, its in zip(_parts(old), _parts(new), strict=False):
        if type(mine) is not type(its) or mine == its:
            continue
        if isinstance(mine, dict):
            kept = [key for key in mine if key in its]
            _follow([mine[key] for key in kept], [its[key] for key in kept])
            its = {**its, **{key: mine[key] for key in kept if mine[key] == its[key]}}  # the same ones, where they stand
        elif isinstance(mine, tuple | list) and len(mine) == len(its):
            _follow(mine, its)
        if isinstance(mine, list | bytearray) and mine != its:
            mine[:] = its
        elif isinstance(mine, deque) and mine != its:
            mine.clear()
            mine.extend(its)
        elif isinstance(mine, dict | set) and mine != its:
            mine.clear()
            mine.update(its)
