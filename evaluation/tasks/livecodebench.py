"""LiveCodeBench (Jain et al. 2024): problems of contests, by when they were set: a model can be asked what is newer than it.

Programs read and print, or are a class with a method. Tests that are not public are base64 of zlib of a pickle of one text: the text is
read out of it by hand, and nothing is unpickled. The files have no solutions.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from starmill.core.errors import InputError
from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task

MOST = 1 << 30  # bytes of a problem's tests
SECONDS = 6.0  # of CPU for a test, and at most
TOGETHER = 120.0  # of all
# What comes before the text in a pickle of protocols 2 to 5: an opcode, and how many bytes of it are passed over.
PASSED = {0x80: 1, 0x95: 8}
# How the text begins: its opcode, and the bytes of its length.
LENGTHS = {0x8C: 1, 0x58: 4, 0x8D: 8}
MODULES = "string re datetime collections heapq bisect copy math random statistics itertools functools operator io json".split()
MODULES += ["builtins", "typing"]
IMPORTS = "".join(f"from {name} import *\n" for name in MODULES) + f"import sys, {', '.join(MODULES)}\n"
READS = """import io as _io
import sys as _sys

SOURCE = {source!r}


def printed(given):
    out = _io.TextIOWrapper(_io.BytesIO(), "utf-8")
    kept = _sys.stdin, _sys.stdout
    _sys.stdin, _sys.stdout = _io.TextIOWrapper(_io.BytesIO(given.encode()), "utf-8"), out
    try:
        exec(compile(SOURCE, "solution", "exec"), {{"__name__": "__main__"}})
    except SystemExit:
        pass
    finally:
        _sys.stdin, _sys.stdout = kept
    out.flush()
    return out.buffer.getvalue().decode("utf-8", "replace")
"""
COMPARES = """from decimal import Decimal, InvalidOperation


def same(got, wanted):
    got, wanted = ([line.strip() for line in text.strip().split("\\n")] for text in (got, wanted))
    return len(got) == len(wanted) and all(a == b or numbers(a) == numbers(b) != None for a, b in zip(got, wanted))


def numbers(line):
    try:
        return [Decimal(word) for word in line.split()]
    except InvalidOperation:
        return None


"""
CALLS = """def plain(value):
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


"""


def pickled_text(data: bytes) -> str:
    """Return the one text of a pickle that holds nothing else. Raises ValueError for any other.

    >>> import pickle
    >>> pickled_text(pickle.dumps("[]"))
    '[]'
    """
    at = 0
    while at < len(data) and data[at] in PASSED:
        at += 1 + PASSED[data[at]]
    if at >= len(data) or data[at] not in LENGTHS:
        raise ValueError("a pickle of something else than a text")
    size = LENGTHS[data[at]]
    start = at + 1 + size
    end = start + int.from_bytes(data[at + 1 : start], "little")
    rest = data[end:]
    # What may follow: that the text is remembered, in one of three ways, and the end.
    if end > len(data) or not (
        rest in (b".", b"\x94.") or (rest[:1] == b"q" and len(rest) == 3) or (rest[:1] == b"r" and len(rest) == 6)
    ):
        raise ValueError("a pickle of more than a text")
    return data[start:end].decode("utf-8", "surrogatepass")


def cases_of(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a problem's tests, the public first. Raises InputError for what cannot be read."""
    found: list[dict[str, str]] = []
    for name in ("public_test_cases", "private_test_cases"):
        text = row[name]
        try:
            if not text.lstrip().startswith("["):
                inflate = zlib.decompressobj()
                data = inflate.decompress(base64.b64decode(text, validate=True), MOST)
                if not inflate.eof:
                    raise ValueError(f"it does not end, or has above {MOST:,} bytes")
                text = pickled_text(data)
            found += json.loads(text)
        except (ValueError, binascii.Error, zlib.error) as error:
            raise InputError(f"livecodebench: {row['question_id']}: {name}: {error}; get the file again") from None
    return found


def check(program: str, tests: list[dict[str, str]], called: str) -> Job:
    """Judge a program by all its tests: the method `called` of its class Solution, or what it prints."""
    cases = [(test["input"], test["output"]) for test in tests]
    seconds = min(TOGETHER, SECONDS * max(1, len(cases)))
    if not called:
        asked = COMPARES + f"for given, wanted in {cases!r}:\n    assert same(printed(given), wanted), given[:80]\n"
        return Job(READS.format(source=IMPORTS + program), asked, seconds)
    calls = [([json.loads(line) for line in given.split("\n") if line.strip()], json.loads(wanted)) for given, wanted in cases]
    asked = CALLS + f"for given, wanted in {calls!r}:\n    assert plain(called(*given)) == wanted, str(given)[:80]\n"
    return Job(f"{IMPORTS}{program}\n\n\ndef called(*given):\n    return Solution().{called}(*given)\n", asked, seconds)


def fenced(completion: str) -> str:
    """Return what stands before the end of a block of code, or the block itself where the completion opens one anew."""
    return (
        completion.partition("```python\n")[2].partition("```")[0]
        if "```python\n" in completion
        else completion.partition("```")[0]
    )


def _prompt(row: Mapping[str, Any]) -> str:
    starter = row["starter_code"].strip()
    how = (
        "Write the class that begins so:"
        if starter
        else "Read the input from standard input, and print the answer to standard output:"
    )
    return (
        f"### Question\n{row['question_content'].strip()}\n\n### Format\n{how}\n```python\n{starter or '# the program'}\n```\n\n"
        "### Answer\n```python\n"
    )


def read(rows: Rows, since: str, until: str) -> list[Problem]:
    """Return the problems of contests from `since` until before `until`, days as 2024-01-31."""
    found = []
    for row in (row for file in rows.values() for row in file):
        if not since <= row["contest_date"][:10] < until:
            continue
        called = json.loads(row["metadata"] or "{}").get("func_name", "") if row["starter_code"].strip() else ""
        if called and not called.isidentifier():
            raise InputError(
                f"livecodebench: {row['question_id']}: {called!r:.60} is no name of a function; get the file again"
            )
        judged = partial(_judged, tests=cases_of(row), called=called)
        found.append(Problem(f"{row['platform']}/{row['question_id']}", _prompt(row), judged, "", "", whole=judged))
    return found


def _judged(completion: str, tests: list[dict[str, str]], called: str) -> Job:
    return check(fenced(completion), tests, called)


# A window and the files that hold it, of livecodebench/code_generation_lite: test2 to test6 are what each release added.
WINDOWS = {
    "2023_second_half": ("2023-07-01", "2024-01-01", ("test",)),
    "2024_first_half": ("2024-01-01", "2024-07-01", ("test", "test2", "test3")),
    "2024_second_half": ("2024-07-01", "2025-01-01", ("test3", "test4", "test5")),
    "2025_first_half": ("2025-01-01", "2025-07-01", ("test5", "test6")),
}
TASKS = tuple(
    Task(
        f"livecodebench_{name}",
        f"problems of contests from {since} until {until}",
        "Jain et al. 2024, arXiv 2403.07974",
        tuple(f"livecodebench/{file}.jsonl" for file in files),
        partial(read, since=since, until=until),
        ("\n```", "### Question", "<file_sep>"),
        max_new_tokens=2000,
        samples=10,
        solved=False,
    )
    for name, (since, until, files) in WINDOWS.items()
)
