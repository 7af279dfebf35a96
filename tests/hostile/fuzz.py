"""How a parser is fuzzed: damaged bytes of good examples, the same in each run, and what may come of them.

An answer, a row or an error of ours, in bounded time; never anything else. A new parser is a function and a line of a table.
"""

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from starmill.core.errors import StarmillError

# What damaged text is made of, in whatever language: values of another type, size and depth.
BITS = (
    *(
        b"null",
        b"true",
        b"-1",
        b"0",
        b"1e999",
        b"NaN",
        b"99999999999999999999999",
        b"0.5",
        b"[]",
        b"{}",
        b'""',
        b'"x"',
        b"[[",
        b"}}",
    ),
    *(
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\\u0000",
        b"\n",
        b"\r",
        b"\x1b[31m",
        b"\xe2\x80\xae",
        b"[" * 3000,
        b'{"a":' * 3000,
    ),
    *(
        b"*a",
        b"&a ",
        b"!!python/object:os.system ",
        b"<<: *a",
        b"../../",
        b"/etc/passwd",
        b"a" * 5000,
        b"1" * 5000,
        b": ",
        b",",
        b"=",
    ),
    *(
        b"\x78\x9c",
        b"tree ",
        b"100644 ",
        b"40000 ",
        b"ref: ",
        b"gitdir: ",
        b"blob 99999999999\0",
        b"\xffff" * 8,
        b"\x80" * 12,
        bytes(64),
    ),
)


@dataclass(frozen=True)
class Target:
    """A parser: good examples of what it reads, and what reads damaged ones in an empty folder."""

    examples: Callable[[Path], Sequence[bytes]]
    read: Callable[[bytes, Path], object]
    times: int = 100


@st.composite
def edits(draw: st.DrawFn) -> Callable[[Sequence[bytes]], bytes]:
    """Return what damages one of some examples: up to five bits put in, over, or cut away; or no example at all."""
    noise = draw(st.binary(max_size=200)) if draw(st.integers(0, 19)) == 0 else None
    which, hows = draw(st.integers(0, 1000)), st.sampled_from(("put", "over", "cut", "end"))
    change = st.tuples(st.floats(0, 1), hows, st.sampled_from(BITS) | st.binary(max_size=8))
    changes = draw(st.lists(change, max_size=5))

    def damage(examples: Sequence[bytes]) -> bytes:
        data = examples[which % len(examples)] if noise is None else noise
        for where, how, bit in changes:
            at = int(where * len(data))
            after = {"put": at, "over": at + len(bit), "cut": at + 1 + len(bit) * 4, "end": len(data)}[how]
            data = data[:at] + (b"" if how == "cut" else bit) + data[after:]
        return data

    return damage


def fuzz(target: Target, top: Path) -> None:
    """Read damaged examples, each in an empty folder below `top`: the end is an answer or an error of ours."""
    (top / "examples").mkdir()
    examples, count = target.examples(top / "examples"), itertools.count()

    @settings(max_examples=target.times, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    @given(edits())
    def run(damage: Callable[[Sequence[bytes]], bytes]) -> None:
        folder = top / str(next(count))
        folder.mkdir()
        try:
            target.read(damage(examples), folder)
        except StarmillError as error:
            assert str(error) and len(str(error)) < 20_000
        finally:
            shutil.rmtree(folder)

    run()
