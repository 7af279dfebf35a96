"""A user's own files that no model has seen: a missing line of each, exactly, and how likely each is, by the ending of its name."""

import json
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from starmill.core import seeds
from starmill.core.errors import NotThere
from starmill.core.files import read_small
from starmill.evaluation.task import Problem, Score, Task
from starmill.evaluation.tasks.santacoder_fim import exact

MAX_BYTES = 1 << 20  # of a file
AROUND = 6_000  # characters kept before a hole, and behind it
SHORTEST = 4  # characters of a line that is asked
OURS = "files of one's own"


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the paths below a folder and the texts of files, in order: neither links nor hidden names, nor what is no text.

    Raises NotThere where there is no such folder.
    """
    if not folder.is_dir():
        raise NotThere(f"--held-out-files {folder}: no such folder; give one with source files")
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
                continue
            try:
                text = read_small(path, MAX_BYTES).decode()
            except UnicodeDecodeError:
                continue
            if text.strip() and "\0" not in text:
                yield str(path.relative_to(folder)), text


def _holes(folder: Path) -> Iterator[Problem]:
    for name, text in files(folder):
        lines = text.splitlines(keepends=True)
        asked = [at for at, line in enumerate(lines) if len(line.strip()) >= SHORTEST]
        if len(asked) > 1:
            at = asked[int(seeds.uint64(0, "held out", name) % len(asked))]
            line = lines[at].rstrip("\r\n")
            before, behind = "".join(lines[:at]), lines[at][len(line) :] + "".join(lines[at + 1 :])
            prompt = (before[-AROUND:], behind[:AROUND])
            yield Problem(f"{name}:{at + 1}", prompt, partial(exact, wanted=line), line, f"{line.strip()} and more")


def likelihood_score(answer: str, size: int, group: str) -> Score:
    """Judge a log-likelihood: it passes where it is one; nats and bytes are told, by group."""
    try:
        (found,) = json.loads(answer)
        nats = -float(found)
    except (ValueError, TypeError):
        return Score(False, "no likelihood")
    if not (math.isfinite(nats) and nats >= 0):
        return Score(False, "no likelihood")
    return Score(True, "", {"nats": nats, "bytes": size, f"nats ({group})": nats, f"bytes ({group})": size})


def _texts(folder: Path) -> Iterator[Problem]:
    for name, text in files(folder):
        group = Path(name).suffix.removeprefix(".") or "no ending"
        check = partial(likelihood_score, size=len(text.encode()), group=group)
        yield Problem(name, "", check, "[-1.0]", "[1.0]", choices=(text,))


def tasks(folder: Path) -> tuple[Task, ...]:
    """Return the tasks of a folder."""
    return (
        Task(
            "held_out_fim", "a missing line of each file, exactly", OURS, (), lambda _: [*_holes(folder)], ("<file_sep>",),
            max_new_tokens=50, temperature=0.0,
        ),
        Task(
            "held_out_likelihood", "how likely each file is: bits for a byte, by ending", OURS, (), lambda _: [*_texts(folder)],
            temperature=0.0, ratio=("nats", "bytes"),
        ),
    )  # fmt: skip
