"""The index of benchmarks: what of their tasks is looked for, compiled once, and the tables in which a search looks it up.

`compiled` makes of tasks one blob: a row for each text, in its normal form, with its bits. The blob is a file, a key's material, and what
travels to workers; it does not depend on which matchers are on. `Tables` are arrays made of a blob and of the matchers, in the process
that searches: some 20 bytes for each place of a text that is indexed, which are
at most LIKELIEST runs of eight for a text.
"""

import base64
import collections
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from starmill.core.errors import InputError
from starmill.core.names import AtLeast1, Share
from starmill.transforms.clean.overlap import forms, lookup, rarity, words
from starmill.transforms.clean.overlap.tasks import Task
from starmill.transforms.clean.overlap.words import FEW, QUARTER, UNIT

FORMAT = 2
WINDOW, STEP = 16, 8  # bytes of a window, and from one that is looked up to the next
LONG = WINDOW + STEP - 1  # symbols of a text that surely holds a window that is looked up
SHORT_WINDOW, SHORT_STEP = 8, 4
SHORT = SHORT_WINDOW + SHORT_STEP - 1
CORE_WINDOW = 5  # of a core that is shorter than LONG
CORE = CORE_WINDOW + SHORT_STEP - 1
GRAM = 8  # letters of the pieces by which what is covered counts
# The columns of a find, and its matchers.
COLUMNS = 5
ROW, MATCHER, WHICH, START, END = range(COLUMNS)
NAMES = ("exact", "hidden", "edited", "ported", "retold")
EXACT, HIDDEN, EDITED, PORTED, RETOLD = range(len(NAMES))
NEVER = 1 << 62
SLOTS = 8192  # of the table of the pieces of one text, which has at most half as many
LONGEST = 4000  # letters of one text that are looked for; of a longer one the first
LIKELIEST = 8  # runs of a text that are indexed, those with most bits
RUN_BITS = 20.0  # that the weakest window of a run has, where the text has such a run
STATED_OFTEN = 0.02  # of a benchmark's tasks: words that so many have next to one another say nothing of one of them
# Of each text: whose it is, what it is (docstring, solution, tests, whole), in which form, how many bits it has, all its symbols, what each
# of these (of form words each word) weighs in 1 / UNIT bits, and the letters of the task's function.
TEXTS = pa.schema(
    [
        *((name, pa.string()) for name in ("benchmark", "task", "role", "form")),
        ("bits", pa.float32()),
        *((name, pa.binary()) for name in ("symbols", "weights", "entry")),
    ]
)


@dataclass(frozen=True)
class Matchers:
    """How a text is compared with benchmarks. Each matcher finds what those before it may miss.

    `exact`: docstrings and solutions in lower case without white space, StarCoder2's matcher (section 3.3), from `exact_chars` on.
    `short`: solutions under that, where they have `short_bits` bits: the rarity of their words in code.
    `hidden`: letters and digits alone, so that cells of notebooks, JSON, comment leaders and doctests that are gone hide nothing.
    `edited`: texts of which pieces of eight letters, in any order, cover many of their bits: typos, other names, other words.
    `ports`: the same with a smaller share of a docstring, where the function's name stands near: another language.
    `retold`: docstrings of which most words stand together, in any order, among others: a paraphrase, without any code (words.py).
    """

    exact: bool = True  # lower case, without white space
    exact_chars: AtLeast1 = 40  # of a text that `exact` looks for, without white space; the paper says no least length
    short: bool = True  # texts below that length, by rarity
    hidden: bool = True  # letters and digits alone
    edited: bool = True  # by the share of a text's pieces
    ports: bool = True  # the same, beside the function's name
    retold: bool = True  # docstrings by the share of their words
    short_bits: AtLeast1 = 35  # that the different words of a text must have for `short`
    bits: AtLeast1 = 50  # and for those below: such a find is no chance
    edited_bits: AtLeast1 = 140  # of a text that `edited` must find, beyond what its benchmark says in many tasks
    coverage: Share = 0.7  # and the share of the text's bits that they must be
    port_bits: AtLeast1 = 80  # of a text that `ports` must find
    port_coverage: Share = 0.3  # and their share
    retold_bits: AtLeast1 = 35  # of a docstring that `retold` must find
    retold_share: Share = 0.7  # of its bits, and of its words


def compiled(tasks: Iterable[Task]) -> str:
    """Return the blob of the tasks of some benchmarks: the same for the same tasks."""
    rows = []
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.benchmark, []).append(task)
    for group in groups.values():
        often, common = _often(group), words.common(task.prose for task in group)
        for task in group:
            rows += _texts(task, often, common)
    table = pa.Table.from_pylist(rows, schema=TEXTS.with_metadata({"format": str(FORMAT)})).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return base64.b64encode(zlib.compress(sink.getvalue().to_pybytes(), 6)).decode()


def opened(blob: str) -> pa.Table:
    """Return the texts (TEXTS) of a blob. Raises InputError for what is none."""
    try:
        table = pa.ipc.open_stream(zlib.decompress(base64.b64decode(blob))).read_all()
    except (ValueError, zlib.error, pa.ArrowException) as error:
        raise InputError(f"not an index of benchmarks: {error}; compile the benchmarks again") from None
    if not table.schema.equals(TEXTS):
        raise InputError("an index of benchmarks in another format: compile the benchmarks again")
    return table


def _threes(text: str) -> list[tuple[str, ...]]:
    found = [word[0].lower() for word in rarity.words(text)]
    return [*zip(found, found[1:], found[2:], strict=False)]


def _often(tasks: Sequence[Task]) -> frozenset[tuple[str, ...]]:
    """Return the threes of words that many tasks of a benchmark have."""
    seen = collections.Counter(three for task in tasks for three in {*_threes(task.prose), *_threes(task.solution)})
    least = max(FEW, STATED_OFTEN * len(tasks))
    return frozenset(three for three, times in seen.items() if times > least)


def _texts(task: Task, often: frozenset[tuple[str, ...]], common: frozenset[bytes]) -> list[dict[str, Any]]:
    who = {"benchmark": task.benchmark, "task": task.name, "entry": forms.letters(task.called)[0]}
    rows = []
    for role, text in (("docstring", task.stated), ("solution", task.solution)):
        made = _row(text, forms.squashed, frozenset())
        rows.append({**who, "role": role, "form": "squashed", **made})
    whole = f"{task.prose}\n{task.solution}"
    for role, text in (
        ("docstring", task.prose),
        ("opening", task.opening if task.opening != task.prose else ""),
        ("solution", task.solution),
        ("tests", task.tests),
        ("whole", whole if task.prose.strip() and task.solution.strip() else ""),
    ):
        rows.append({**who, "role": role, "form": "letters", **_row(text, forms.letters, often)})
    rows.append({**who, "role": "docstring", "form": "words", **words.row(task.prose, common)})
    return [row for row in rows if row["symbols"]]


def _row(text: str, form: Callable[[str], tuple[bytes, list[int]]], often: frozenset[tuple[str, ...]]) -> dict[str, Any]:
    symbols, places = form(text[: 4 * LONGEST])
    if form is forms.letters:
        symbols, places = symbols[:LONGEST], places[:LONGEST]
    found = [*rarity.words(text[: 4 * LONGEST])]
    lows = [word[0].lower() for word in found]
    common_to = [False] * len(found)
    for n, three in enumerate(zip(lows, lows[1:], lows[2:], strict=False)):
        if three in often:
            common_to[n : n + 3] = [True] * 3
    by_character = np.zeros(len(text[: 4 * LONGEST]) + 1)
    if form is forms.squashed:
        by_character += rarity.MARK / UNIT
    full = 0.0
    seen: set[str] = set()
    for word, low, stated in zip(found, lows, common_to, strict=True):
        bits = rarity.bits(low)
        if form is forms.letters or low not in seen:  # of a short solution a word counts once: a, b = b, a % b
            full += bits
        seen.add(low)
        by_character[word.start() : word.end()] = bits * (QUARTER if stated else 1) / len(word[0])
    weights = np.minimum(255, np.rint(by_character[places] * UNIT)).astype(np.uint8) if places else np.zeros(0, np.uint8)
    return {"bits": full, "symbols": symbols, "weights": weights.tobytes()}


class Tables:
    """What `search.search` looks into, made of a blob by the matchers; `owners[n]` are the (benchmark, task)s of text n of a form."""

    def __init__(self, blob: str, matchers: Matchers) -> None:
        """Build the tables. Raises InputError for what is no blob."""
        texts = opened(blob).to_pylist()
        on = matchers
        squashed = [t for t in texts if t["form"] == "squashed"]
        size = len
        squashed = [t for t in squashed if size(t["symbols"]) >= SHORT]
        longest = [t for t in squashed if on.exact and forms.characters(t["symbols"]) >= on.exact_chars]
        if on.short:
            longest += [t for t in squashed if forms.characters(t["symbols"]) < on.exact_chars and t["bits"] >= on.short_bits]
        self.exact, self.exact_owners = _needles([t for t in longest if size(t["symbols"]) >= LONG], WINDOW, STEP)
        self.short, self.short_owners = _needles([t for t in longest if size(t["symbols"]) < LONG], SHORT_WINDOW, SHORT_STEP)
        units, self.owners = _distinct(
            [
                t
                for t in texts
                if t["form"] == "letters" and size(t["symbols"]) >= LONG and t["bits"] >= on.bits
                if on.hidden or on.edited or on.ports
            ]
        )
        cores = _cores(longest)
        self.each = np.bool_(any(size(core["symbols"]) < CORE for core in cores))  # of such a needle the letters say nothing
        self.letters, self.units = _units(units, [core for core in cores if size(core["symbols"]) >= LONG], on)
        self.cores, _ = _needles([core for core in cores if CORE <= size(core["symbols"]) < LONG], CORE_WINDOW, SHORT_STEP)
        told = [t for t in texts if on.retold and t["form"] == "words" and t["bits"] >= on.retold_bits]
        told, self.told_owners = _distinct(told)
        self.words, self.told = words.tables(told, on.retold_bits, on.retold_share)
        self.stops = words.stops()
        self.lengths = [size(unit["symbols"]) for unit in units]

    @property
    def bytes(self) -> int:
        """How much memory the tables take."""

        def size(part: Any) -> int:
            return sum(map(size, part)) if isinstance(part, tuple) else getattr(part, "nbytes", 0)

        return size((self.exact, self.short, self.cores, self.letters, self.units, self.words, self.told))


def _distinct(texts: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[list[tuple[str, str]]]]:
    """Return the texts without those that are there already, and of each whose it is."""
    first: dict[tuple[bytes, bool], int] = {}
    kept: list[dict[str, Any]] = []
    owners: list[list[tuple[str, str]]] = []
    for text in texts:
        at = first.setdefault((text["symbols"], text["role"] == "whole"), len(kept))
        if at == len(kept):
            kept.append(text)
            owners.append([])
        who = (text["benchmark"], text["task"])
        if who not in owners[at]:
            owners[at].append(who)
    return kept, owners


def _joined(texts: Iterable[bytes]) -> tuple[np.ndarray, np.ndarray]:
    pieces = [*texts]
    bounds = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=bounds[1:])
    return np.frombuffer(b"".join(pieces), np.uint8).copy(), bounds


def _cores(texts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of each text in squashed form what its letters are in any text that has it, each once."""
    found: dict[bytes, dict[str, Any]] = {}
    for text in texts:
        core, places = forms.core(text["symbols"])
        weights = np.frombuffer(text["weights"], np.uint8)[places].tobytes() if places else b""
        found.setdefault(core, {**text, "symbols": core, "weights": weights})
    return [*found.values()]


def _likeliest(weights: bytes, window: int, step: int) -> range:
    """Return where the windows begin, `step` of them in a row, that have most bits."""
    sums = np.concatenate([[0], np.cumsum(np.frombuffer(weights, np.uint8).astype(np.int64))])
    span = window + step - 1
    best = int(np.argmax(sums[span:] - sums[:-span]))
    return range(best, best + step)


def _needles(texts: Sequence[dict[str, Any]], window: int, step: int) -> tuple[Any, list[list[tuple[str, str]]]]:
    kept, owners = _distinct(texts)
    symbols, bounds = _joined(text["symbols"] for text in kept)
    which: list[int] = []
    shifts: list[int] = []
    for n, text in enumerate(kept):
        which += [n] * step
        shifts += _likeliest(text["weights"], window, step)
    table = _windows(symbols, bounds, np.array(which, np.int32), np.array(shifts, np.int32), window)
    state = (np.full(len(kept), -1, np.int64), np.zeros(len(kept), np.int64))
    return (table, (symbols, bounds), state), owners


def _units(texts: Sequence[dict[str, Any]], cores: Sequence[dict[str, Any]], on: Matchers) -> tuple[Any, Any]:
    symbols, bounds = _joined(text["symbols"] for text in [*texts, *cores])
    weights, _ = _joined(text["weights"] for text in texts)
    names, name_bounds = _joined(text["entry"] for text in texts)
    whole = np.zeros(len(texts), np.uint8)
    edited, ported = np.full(len(texts), NEVER, np.int64), np.full(len(texts), NEVER, np.int64)
    which: list[int] = []
    shifts: list[int] = []
    for n, text in enumerate(texts):
        weight = np.frombuffer(text["weights"], np.uint8).astype(np.int64)
        total = int(weight.sum())
        whole[n] = on.hidden and text["role"] != "whole"
        if text["role"] != "tests" and total >= on.bits * UNIT:
            if on.edited:
                edited[n] = max(on.edited_bits * UNIT, round(on.coverage * total))
            if on.ports and len(text["entry"]) >= GRAM and text["role"] != "solution":
                ported[n] = max(on.port_bits * UNIT, round(on.port_coverage * total))
        sums = np.concatenate([[0], np.cumsum(weight)])
        strength = sums[WINDOW:] - sums[:-WINDOW]
        starts = [*range(0, len(weight) - LONG, STEP), len(weight) - LONG]
        runs = sorted((-int(strength[s : s + STEP].min()), s) for s in starts)
        good = [s for least, s in runs if -least >= RUN_BITS * UNIT][:LIKELIEST] or [runs[0][1]]
        chosen = sorted({s + k for s in good for k in range(STEP)})
        which += [n] * len(chosen)
        shifts += chosen
    for n, core in enumerate(cores, len(texts)):
        which += [n] * STEP
        shifts += _likeliest(core["weights"], WINDOW, STEP)
    table = _windows(symbols, bounds, np.array(which, np.int32), np.array(shifts, np.int32), WINDOW)
    count = len(texts)
    state = (np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64))
    return (table, state), (symbols, bounds, weights, whole, edited, ported, names, name_bounds)


def _windows(symbols: np.ndarray, bounds: np.ndarray, which: np.ndarray, shifts: np.ndarray, window: int) -> Any:
    """Return the tables by which windows are looked up: those that begin at `shifts` of the texts `which`."""
    eights = np.zeros(len(symbols) + 1, np.uint64)
    padded = np.concatenate([symbols, np.zeros(8, np.uint8)]).astype(np.uint64)
    for k in range(min(8, window)):
        eights[: len(symbols)] |= padded[k : k + len(symbols)] << np.uint64(8 * k)
    at = bounds[which] + shifts
    second = eights[at + 8] if len(at) and window > 8 else np.zeros(len(at), np.uint64)
    with np.errstate(over="ignore"):
        hashes = lookup.mixed(eights[at], second) if len(at) else np.zeros(0, np.uint64)
    return lookup.table(hashes, which, shifts)
