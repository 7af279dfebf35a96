"""What may cross between two processes that do not trust each other: plain values as they are, and references to all else.

What arrives is a pickle that can build plain values and nothing else: `find_class` knows PLAIN and five words of this file, and no
instruction may set an attribute (of Fraction, say, how it compares). A reference lends no operation that would see a value of the other
side and could answer to please: an object of the candidate equals, precedes or adds to another object of the candidate as its class
says, and to a plain value not at all. Only the standard library.
"""

import builtins
import copyreg
import io
import pickle
import re
import types
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

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
    ("pathlib", "PurePosixPath"),
}
UNCHANGED = (int, float, str, bytes, tuple, frozenset)
# How a value of a subclass becomes one of its base, where the subclass may say otherwise (str of an Enum is its name).
EXACT: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}
BASES = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)
# What a reference lends. Of BOTH, only where the other operand is a reference too.
ALONE = (
    "__len__ __bool__ __str__ __repr__ __hash__ __iter__ __next__ __reversed__ __enter__ __exit__ __getitem__ __int__ __float__ __index__ "
    "__format__"
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


# The instructions of a pickle that make values, by how long they are: these of a fixed length, and these that say their length.
FIXED = re.compile(rb"(?:[]N\x88\x89)}(taesu01R\x81\x85-\x87\x8f-\x94]|[Kh\x80].|M..|[Jj].{4}|[G\x95].{8})*+", re.DOTALL)
SIZED = {ord("C"): 1, 0x8A: 1, 0x8C: 1, ord("B"): 4, ord("X"): 4, 0x8B: 4, 0x8D: 8, 0x8E: 8, 0x96: 8}


class Border(Protocol):
    """What a side does with references (calls.py: Peer)."""

    classes: dict[int, type]
    refs: MutableMapping[int, Any]

    def lend(self, value: Any) -> int:
        """Return the number by which the other side may refer to a value."""

    def own(self, number: Any) -> Any:
        """Return the value of such a number."""

    def ask(self, what: str, *words: Any) -> Any:
        """Have the other side do something."""


def packed(message: Any, peer: Border) -> bytes:
    """Return a message as bytes; `peer` lends what goes by reference."""
    file = io.BytesIO()
    _Out(file, peer).dump(message)
    return file.getvalue()


def unpacked(data: bytes, peer: Border) -> Any:
    """Return the message that bytes are. Raises whatever reading a broken pickle raises."""
    _check(data)
    return _In(io.BytesIO(data), peer).load()


def _check(data: bytes) -> None:
    """Raise UnpicklingError for a pickle that does more than make values: BUILD sets attributes, of classes too."""
    at = 0
    while True:
        found = FIXED.match(data, at)
        at = found.end() if found else at
        instruction = data[at]
        if instruction == ord("."):
            return
        if instruction not in SIZED:
            raise pickle.UnpicklingError(f"instruction {instruction}")
        start = at + 1 + SIZED[instruction]
        at = start + int.from_bytes(data[at + 1 : start], "little")


class Ref:
    """Something of the other process: it is called, asked for attributes and walked there."""

    def __init__(self, peer: Border, number: int) -> None:
        """Of a peer's lent value."""
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> Any:
        if not public(name):
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
        if operation == "__exit__":
            values = (*values[:2], None)  # no traceback: it leads to all names of this process
        return object.__getattribute__(self, "_peer").ask("do", self, operation, values, named)

    return asked


for _operation in LENT - {"__call__"}:
    setattr(Ref, _operation, _lent(_operation))
setattr(_Called, "__call__", _lent("__call__"))  # noqa: B010 - a method that a type checker would take for a wrong one


def public(name: Any) -> bool:
    return isinstance(name, str) and (not name.startswith("_") or name in ("__name__", "__doc__", "__init__"))


def reduced(peer: Border, value: Any) -> Any:
    """Return how a value of no basic type is written: NotImplemented is pickle's own way, of what PLAIN names."""
    if isinstance(value, Ref):
        return _HERE, (object.__getattribute__(value, "_number"),)
    kind = type(value)
    if kind in _made.values() and kind.__mro__[1] in UNCHANGED:
        return reduced(peer, value._ref)
    if kind is uuid.UUID:
        return uuid.UUID, (value.hex,)
    if (kind.__module__, kind.__qualname__) in PLAIN and not isinstance(value, BaseException):
        return NotImplemented
    if value is NotImplemented or value is Ellipsis:
        return NotImplemented
    if isinstance(value, type) and (value.__module__, value.__qualname__) in PLAIN:
        return NotImplemented
    if isinstance(value, type) and issubclass(value, BaseException):
        return _ERROR_CLASS, (peer.lend(value), value.__name__, _errors(value.__bases__))
    if isinstance(value, BaseException):
        arguments = tuple(one for one in value.args if type(one) in (bool, int, float, str, bytes, type(None)))
        own = None if kind.__module__ == "builtins" else peer.lend(value)
        return _ERROR, (kind if kind.__module__ != "builtins" else ERRORS[kind.__name__], arguments, own)
    # A subclass that compares as its base does (a named tuple, an IntEnum) is its base's value, and a reference too.
    base = next((one for one in BASES if isinstance(value, one)), None)
    if base and kind.__eq__ is base.__eq__:
        return _DERIVED, (base, EXACT.get(base, base)(value), peer.lend(value))
    return _THERE, (peer.lend(value), callable(value))


def _errors(bases: tuple[type, ...]) -> tuple[type, ...]:
    return tuple(one for one in bases if issubclass(one, BaseException))


# The five words that only these pickles have. `_In` gives each its meaning.
def _THERE(number: int, called: bool) -> None: ...
def _HERE(number: int) -> None: ...
def _DERIVED(base: type, value: Any, number: int) -> None: ...
def _ERROR(kind: Any, arguments: Any, number: int | None) -> None: ...
def _ERROR_CLASS(number: int, name: str, bases: tuple[type, ...]) -> None: ...


_WORDS = (_THERE, _HERE, _DERIVED, _ERROR, _ERROR_CLASS)


class _Out(pickle.Pickler):
    def __init__(self, file: io.BytesIO, peer: Border) -> None:
        super().__init__(file, protocol=5)
        self._peer = peer
        self.dispatch_table: dict[type, Any] = {complex: copyreg.dispatch_table[complex]}  # none that a solution registers

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, types.FunctionType) and value in _WORDS:
            return NotImplemented
        return reduced(self._peer, value)


class _In(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, peer: Border) -> None:
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
        kind = _Called if called else Ref
        found = self._peer.refs.get(int(number))
        if type(found) is not kind:  # else the same one again: tests may ask `is`
            found = self._peer.refs[int(number)] = kind(self._peer, int(number))
        return found

    def _here(self, number: int) -> Any:
        return self._peer.own(number)

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

    def _error_class(self, number: int, name: str, bases: Any) -> type:
        if not bases or type(bases) is not tuple or len(_errors(bases)) != len(bases):
            raise pickle.UnpicklingError("not an exception's class")
        made = self._peer.classes.get(int(number))
        if made is None:
            made = self._peer.classes[int(number)] = type(str(name), bases, {"__getattr__": _of_the_error})
        return made


def _of_the_error(self: BaseException, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(self.__dict__["_ref"], name)


_made: dict[type, type] = {}


def _derived_class(base: type) -> type:
    """Return the subclass of a plain type whose values have the attributes of what they stand for."""
    if base not in _made:

        def of(self: Any, peer: Border, number: int) -> Any:
            self._ref = Ref(peer, number)
            return self

        def attribute(self: Any, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self._ref, name)

        _made[base] = type(base.__name__, (base,), {"_of": of, "__getattr__": attribute})
    return _made[base]
