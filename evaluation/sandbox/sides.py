"""What the two processes of a job do: the candidate's executes a solution and answers calls, the tests' calls it and says how it went."""

import builtins
import importlib
import json
import linecache
import os
import symtable
import sys
import types
from collections.abc import Iterator
from typing import Any, NoReturn

from starmill.evaluation.sandbox.calls import Ended, Peer

SAID = 300  # characters of an exception
FAILURES = ("syntax", "error", "memory", "wrong")  # of a solution before its tests
# Modules of which the tests' process takes an imported name from its own library: with none of their functions a solution can have a
# text of its own executed there, or an object made that equals all (as with exec, pickle.loads, subprocess, unittest.mock).
PURE = frozenset(
    "abc cmath collections collections.abc dataclasses datetime decimal enum fractions functools itertools math numbers statistics "
    "string time typing".split()
)


def candidate(peer: Peer, text: str, nonce: str) -> NoReturn:
    """Execute a solution, say what names it made, and answer calls to them until the tests' process is gone.

    With a nonce, the tests stand behind the solution in one text, and the nonce says that they came to their end.
    """
    module = types.ModuleType("__main__" if nonce else "solution")
    sys.modules[module.__name__] = module
    peer.names = module.__dict__
    place = module.__file__ = f"{module.__name__}.py"
    linecache.cache[place] = (len(text), None, text.splitlines(keepends=True), place)
    message: tuple[Any, ...]
    try:
        exec(compile(text, place, "exec"), module.__dict__)
        message = ("ready", [*_found(module)], nonce)
    except (SyntaxError, ValueError) as error:  # ValueError: a zero byte
        message = ("failed", "syntax" if _outside(error, place) else "error", _said(error))
    except BaseException as error:
        message = ("failed", _reason(error), _said(error))
    try:
        _flush()
        _tell(peer, message)
        peer.serve()
    finally:
        os._exit(0)


def tests(peer: Peer, text: str, together: bool, nonce: str, report: int) -> NoReturn:
    """Execute tests on a candidate, and write into the descriptor what came of it: the nonce if their end was reached."""
    try:
        first = peer._message()
        found = _begun(first, together, nonce) or _tested(peer, first[1], text)
    except Ended as error:
        found = {"reason": "ended", "said": str(error)}
    except MemoryError:
        found = {"reason": "memory", "said": "MemoryError"}
    except BaseException as error:
        found = {"reason": "error", "said": _said(error)}
    os.write(report, json.dumps(found or {"passed": nonce}).encode())
    os._exit(0)


def _begun(first: tuple[Any, ...], together: bool, nonce: str) -> dict[str, str]:
    """Return why a candidate is not ready, or nothing."""
    if first[0] == "failed" and len(first) == 3:
        return {"reason": first[1] if first[1] in FAILURES else "error", "said": _shown(str(first[2]))}
    if first[0] != "ready" or len(first) != 3:
        raise Ended("not a message")
    if together:
        return {"passed": nonce} if first[2] == nonce else {"reason": "ended", "said": "its end was not reached"}
    return {}


def _tested(peer: Peer, names: Any, text: str) -> dict[str, str]:
    code = compile(text, "tests.py", "exec")
    asked = {*_names(code)}
    space: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    made = {name: (str(module), str(attribute)) for name, module, attribute in names if name in asked and name[:2] != "__"}
    hides = [name for name in made if hasattr(builtins, name)]
    if hides and _asks_more(text):  # a solution that makes its own `all` is to be asked, not to judge
        made = {name: of for name, of in made.items() if name not in hides}
    for name, of in made.items():
        own = _own(*of)
        space[name] = peer.ask("name", name) if own is None else own
    try:
        exec(code, space)
    except Ended:
        raise
    except NameError as error:
        return {"reason": "missing" if error.name in asked and error.name not in space else "error", "said": _said(error)}
    except BaseException as error:
        return {"reason": _reason(error), "said": _said(error)}
    peer.ask("alive")
    if peer.ended:  # and an exception that says so was caught
        raise Ended("the candidate's process ended")
    return {}


def _found(module: types.ModuleType) -> Iterator[tuple[str, str, str]]:
    """Yield the names of a module; for those of the standard library, from where the other end may import them itself."""
    for name, value in [*vars(module).items()]:
        if name.startswith("__"):
            continue
        if isinstance(value, types.ModuleType):
            yield name, value.__name__, ""
        elif getattr(value, "__module__", None) in sys.stdlib_module_names and isinstance(
            getattr(value, "__qualname__", None), str
        ):
            yield name, value.__module__, value.__qualname__
        else:
            yield name, "", ""


def _own(module: str, attribute: str) -> Any:
    """Return what a name of PURE stands for, imported here, or nothing for another: that is used where it is."""
    if module not in PURE:
        return None
    found = importlib.import_module(module)
    if not attribute:
        return found
    value = getattr(found, attribute, None)
    return value if getattr(value, "__module__", None) == module else None


def _asks_more(text: str) -> bool:
    """Whether tests read a name that neither they nor Python make: then the solution's names of Python's functions are not meant."""
    tables = [symtable.symtable(text, "tests.py", "exec")]
    made, read = {"__builtins__", *vars(builtins), "__file__"}, set()
    top = tables[0]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for one in table.get_symbols():
            if table is top or one.is_global():
                if one.is_assigned() or one.is_imported():
                    made.add(one.get_name())
                if one.is_referenced():
                    read.add(one.get_name())
    return bool(read - made)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _tell(peer: Peer, message: tuple[Any, ...]) -> None:
    from starmill.evaluation.sandbox.calls import send

    send(peer.channel, peer.packed(message))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed, or replaced by the solution
            continue


def _reason(error: BaseException) -> str:
    return "memory" if isinstance(error, MemoryError) else "wrong" if isinstance(error, AssertionError) else "error"


def _outside(error: BaseException, place: str) -> bool:
    """Whether a solution could not even be compiled: nothing of it is on the stack."""
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == place:
            return False
        at = at.tb_next
    return True


def _said(error: BaseException) -> str:
    try:
        return _shown(f"{type(error).__name__}: {error}".splitlines()[0])
    except BaseException:
        return _shown(type(error).__name__)


def _shown(text: str) -> str:
    """Return the begin of a text as one that can be written: a solution may raise what is no Unicode."""
    return text[:SAID].encode("utf-8", "replace").decode()
