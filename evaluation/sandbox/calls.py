"""Calls between two processes that do not trust each other: values of plain types by value, all else by reference.

The tests' process asks, the candidate's answers, and may ask back about what it was given (a function that it is to call). What
arrives is a pickle that can build plain values and nothing else: `find_class` knows PLAIN, and a reference is a number.

A reference lends no operation that would see a value of the tests and could answer to please: an object of the candidate equals,
precedes or adds to another object of the candidate as its class says, and to a plain value not at all. Only the standard library.
"""

import builtins
import copyreg
import io
import pickle
import socket
import struct
import types
from collections.abc import Callable
from typing import Any

LARGEST = 256 << 20  # bytes of a message
LENGTH = struct.Struct("<Q")
ERRORS = {name: one for name, one in vars(builtins).items() if isinstance(one, type) and issubclass(one, BaseException)}
# What a pickle may name, beside references: constructors of plain values, which do nothing but that.
PLAIN = {
    *(
        ("builtins", name)
        for name in ("complex", "set", "frozenset", "bytearray", "range", "slice", "NotImplemented", "Ellipsis")
    ),
    *(("builtins", name) for name in ("int", "float", "str", "bool", "bytes", "list", "tuple", "dict", "object", *ERRORS)),
    *(("collections", name) for name in ("OrderedDict", "Counter", "defaultdict", "deque")),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("uuid", "UUID"),
    ("uuid", "SafeUUID"),
    ("pathlib", "PurePosixPath"),
}
BASES = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)
CHANGES = (list, dict, set, bytearray)
# What a reference lends. Of BOTH, only where the other operand is a reference too.
ALONE = (
    "__len__ __bool__ __str__ __repr__ __hash__ __iter__ __next__ __reversed__ __enter__ __exit__ __getitem__ __int__ __float__ __index__"
).split()
BOTH = (
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __sub__ __mul__ __truediv__ __floordiv__ __mod__ __pow__ __matmul__ __and__ __or__ "
    "__xor__"
).split()
# By what an operation is done that a class need not have a method of that name for.
DONE_BY: dict[str, Callable[[Any], Any]] = {
    "__len__": len, "__bool__": bool, "__str__": str, "__repr__": repr, "__hash__": hash, "__iter__": iter, "__next__": next,
    "__reversed__": reversed, "__int__": int, "__float__": float,
}  # fmt: skip
ONE = "__neg__ __pos__ __abs__ __invert__".split()
LENT = {*ALONE, *BOTH, *ONE, "__setitem__", "__delitem__", "__instancecheck__", "__subclasscheck__", "__call__"}


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
        self._classes: dict[int, type] = {}
        self.ended = False  # whether the other end was found gone: what caught that exception has not undone it

    def lend(self, value: Any) -> int:
        """Return the number by which the other end may refer to a value; the value lives as long as this end."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._lent)
            self._lent.append(value)
        return number

    def packed(self, message: Any) -> bytes:
        """Return a message as bytes."""
        file = io.BytesIO()
        _Out(file, self).dump(message)
        return file.getvalue()

    def unpacked(self, data: bytes) -> Any:
        """Return the message that bytes are. Raises Ended for what is none."""
        try:
            return _In(io.BytesIO(data), self).load()
        except MemoryError:
            raise
        except Exception as error:
            raise Ended(f"not a message: {type(error).__name__}") from None

    def ask(self, what: str, *words: Any) -> Any:
        """Have the other end do something, and return what it returns, or raise what it raises. Raises Ended."""
        sent = words[1:] if what == "do" else ()
        send(self.channel, self.packed((what, *words)))
        while True:
            kind, *rest = self._message()
            if kind == "is":
                if rest[1] is not None:
                    _follow(sent, rest[1])
                return rest[0]
            if kind == "raises":
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
            given = words[1:] if kind == "do" else []
            before = self.packed(given) if _any_changes(given) else b""
            value = self._done(kind, words)
            changed = given if before and self.packed(given) != before else None
            data = self.packed(("is", value, changed))
        except Ended:
            raise
        except BaseException as error:
            data = self.packed(("raises", error))
        send(self.channel, data)

    def _done(self, kind: Any, words: list[Any]) -> Any:
        if kind == "name" and words[0] in self.names:
            return self.names[words[0]]
        if kind == "do" and words[1] in LENT and len(words) == 4:
            thing, operation, values, named = self._mine(words[0]), words[1], words[2], words[3]
            if operation == "__call__":
                return thing(*values, **named)
            if operation in ("__instancecheck__", "__subclasscheck__"):
                return (isinstance if operation == "__instancecheck__" else issubclass)(values[0], thing)
            if operation in DONE_BY:
                return DONE_BY[operation](thing)
            method = getattr(type(thing), operation, None)
            if method is None:
                raise TypeError(f"'{type(thing).__name__}' has no {operation}")
            return method(thing, *values)
        if kind == "attribute" and _public(words[1]):
            return getattr(self._mine(words[0]), words[1])
        if kind == "set" and _public(words[1]):
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

    def _own(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self._lent):
            raise Refused("no such reference")
        return self._lent[number]

    def reduced(self, value: Any) -> Any:
        """Return how a value of no basic type is written: NotImplemented is pickle's own way, of what PLAIN names."""
        if isinstance(value, Ref):
            return _HERE, (object.__getattribute__(value, "_number"),)
        kind = type(value)
        if (kind.__module__, kind.__qualname__) in PLAIN and not isinstance(value, BaseException):
            return NotImplemented
        if value is NotImplemented or value is Ellipsis:
            return NotImplemented
        if isinstance(value, type) and (value.__module__, value.__qualname__) in PLAIN:
            return NotImplemented
        if isinstance(value, type) and issubclass(value, BaseException):
            return _ERROR_CLASS, (self.lend(value), value.__name__, _builtin(value))
        if isinstance(value, BaseException):
            arguments = tuple(one for one in value.args if type(one) in (bool, int, float, str, bytes, type(None)))
            own = None if kind.__module__ == "builtins" else self.lend(value)
            return _ERROR, (kind if kind.__module__ != "builtins" else ERRORS[kind.__name__], arguments, own)
        # A subclass that compares as its base does (a named tuple, an IntEnum) is its base's value, and a reference too.
        base = next((one for one in BASES if isinstance(value, one)), None)
        if base and kind.__eq__ is base.__eq__:
            return _DERIVED, (base, base(value), self.lend(value))
        return _THERE, (self.lend(value), callable(value))


class Ref:
    """Something of the other process: it is called, asked for attributes and walked there."""

    def __init__(self, peer: Peer, number: int) -> None:
        """Of a peer's lent value."""
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> Any:
        if not _public(name):
            raise AttributeError(name)
        return object.__getattribute__(self, "_peer").ask("attribute", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "_peer").ask("set", self, name, value)


class _Called(Ref):
    """A reference to what can be called."""


def _lent(operation: str) -> Callable[..., Any]:
    def asked(self: Ref, *values: Any, **named: Any) -> Any:
        if operation in BOTH and not all(isinstance(value, Ref) for value in values):
            return NotImplemented
        return object.__getattribute__(self, "_peer").ask("do", self, operation, values, named)

    return asked


for _operation in LENT - {"__call__"}:
    setattr(Ref, _operation, _lent(_operation))
setattr(_Called, "__call__", _lent("__call__"))  # noqa: B010 - a method that a type checker would take for a wrong one


def _public(name: Any) -> bool:
    return isinstance(name, str) and (not name.startswith("_") or name in ("__name__", "__doc__", "__init__"))


def _any_changes(values: Any) -> bool:
    return any(isinstance(one, CHANGES) or (isinstance(one, tuple | dict) and _any_changes(one)) for one in _parts(values))


def _parts(values: Any) -> Any:
    return values.values() if isinstance(values, dict) else values


def _follow(old: Any, new: Any) -> None:
    """Make values that a call has changed at the other end equal to what that left of them."""
    for mine, its in zip(_parts(old), _parts(new), strict=False):
        if type(mine) is not type(its):
            continue
        if isinstance(mine, tuple) or (isinstance(mine, list) and len(mine) == len(its)):
            _follow(mine, its)
        if isinstance(mine, list | bytearray) and mine != its:
            mine[:] = its
        elif isinstance(mine, dict | set) and mine != its:
            mine.clear()
            mine.update(its)


def _builtin(kind: type) -> type:
    return next(one for one in kind.__mro__ if one.__module__ == "builtins")


# The five words that only these pickles have. `_In` gives each its meaning.
def _THERE(number: int, called: bool) -> None: ...
def _HERE(number: int) -> None: ...
def _DERIVED(base: type, value: Any, number: int) -> None: ...
def _ERROR(kind: Any, arguments: Any, number: int | None) -> None: ...
def _ERROR_CLASS(number: int, name: str, base: type) -> None: ...


_WORDS = (_THERE, _HERE, _DERIVED, _ERROR, _ERROR_CLASS)


class _Out(pickle.Pickler):
    def __init__(self, file: io.BytesIO, peer: Peer) -> None:
        super().__init__(file, protocol=5)
        self._peer = peer
        self.dispatch_table: dict[type, Any] = {complex: copyreg.dispatch_table[complex]}  # none that a solution registers

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, types.FunctionType) and value in _WORDS:
            return NotImplemented
        return self._peer.reduced(value)


class _In(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, peer: Peer) -> None:
        super().__init__(file)
        self._peer = peer

    def persistent_load(self, _: Any) -> Any:
        raise pickle.UnpicklingError("a persistent id")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PLAIN:
            return super().find_class(module, name)
        found = {word.__name__: getattr(self, word.__name__.lower()) for word in _WORDS}.get(name)
        if found is None or module != __name__:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return found

    def _there(self, number: int, called: bool) -> Ref:
        return (_Called if called else Ref)(self._peer, int(number))

    def _here(self, number: int) -> Any:
        return self._peer._own(number)

    def _derived(self, base: type, value: Any, number: int) -> Any:
        if base not in BASES or type(value) is not base:
            raise pickle.UnpicklingError("not a value of its base")
        if base is bool:
            return value
        peer, number = self._peer, int(number)
        return _derived_class(base)(value)._of(peer, number)

    def _error(self, kind: Any, arguments: Any, number: int | None) -> BaseException:
        if not isinstance(kind, type) or not issubclass(kind, BaseException) or type(arguments) is not tuple:
            raise pickle.UnpicklingError("not an exception")
        try:
            made: BaseException = kind(*arguments)
        except Exception:  # one with required arguments of other types
            made = kind.__new__(kind, *arguments)
        if number is not None:
            made.__dict__["_ref"] = Ref(self._peer, int(number))
        return made

    def _error_class(self, number: int, name: str, base: type) -> type:
        if not isinstance(base, type) or not issubclass(base, BaseException):
            raise pickle.UnpicklingError("not an exception's class")
        made = self._peer._classes.get(int(number))
        if made is None:
            made = self._peer._classes[int(number)] = type(str(name), (base,), {"__getattr__": _of_the_error})
        return made


def _of_the_error(self: BaseException, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(self.__dict__["_ref"], name)


_made: dict[type, type] = {}


def _derived_class(base: type) -> type:
    """Return the subclass of a plain type whose values have the attributes of what they stand for."""
    if base not in _made:

        def of(self: Any, peer: Peer, number: int) -> Any:
            self._ref = Ref(peer, number)
            return self

        def attribute(self: Any, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self._ref, name)

        _made[base] = type(base.__name__, (base,), {"_of": of, "__getattr__": attribute})
    return _made[base]
