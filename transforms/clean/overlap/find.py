"""What of a column of texts is a benchmark's: a find names benchmark, task, matcher and the characters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from starmill.transforms.buffers import text_buffers
from starmill.transforms.clean.overlap import forms
from starmill.transforms.clean.overlap.index import COLUMNS, EXACT, NAMES, RETOLD, ROW, SLOTS, Matchers, Tables
from starmill.transforms.clean.overlap.search import search
from starmill.transforms.clean.overlap.words import within

ROOM = 4096  # finds of a search; one with more is made again


@dataclass(frozen=True, order=True)
class Find:
    """One find: characters `start` to `end` of a text are those of a task, or nearly, as `matcher` says.

    `owners`: (benchmark, task) of all tasks that have the text; the first stands for them.
    """

    matcher: int
    start: int
    end: int
    owners: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return what a dropped row's detail says.

        >>> str(Find(1, 4, 90, (("HumanEval", "HumanEval/7"),)))
        'HumanEval HumanEval/7: hidden, characters 4 to 90'
        """
        benchmark, task = self.owners[0]
        return f"{benchmark} {task}: {NAMES[self.matcher]}, characters {self.start} to {self.end}"


class Finder:
    """Searches texts for the benchmarks of a blob (index.compiled).

    >>> from starmill.transforms.clean.overlap.index import compiled
    >>> from starmill.transforms.clean.overlap.tasks import Task
    >>> told = "Return the widest gap between two neighbours of the sorted values, or zero where there are fewer than two."
    >>> finder = Finder(compiled([Task("own", "3", docstring=told)]), Matchers())
    >>> [str(find) for find in finder.of("# " + told.replace(" of", " of\\n# "))]
    ['own 3: hidden, characters 2 to 110', 'own 3: retold, characters 2 to 106']
    """

    def __init__(self, blob: str, matchers: Matchers) -> None:
        """Build the tables. Raises InputError for what is no blob."""
        self.tables = Tables(blob, matchers)
        self._scratch = (
            np.zeros(SLOTS, np.uint64),
            np.zeros(SLOTS, np.int64),
            np.zeros(SLOTS, np.int32),
            np.zeros(SLOTS, np.uint8),
            np.zeros(1, np.int64),
        )

    def of(self, text: str, every: bool = False) -> list[Find]:
        """Return the finds of one text, the surest matcher first."""
        return self.finds(pa.array([text], pa.string()), every)[0]

    def finds(self, texts: pa.Array, every: bool = False) -> list[list[Find]]:
        """Return the finds of each text: of each text of a benchmark one, or with `every` all."""
        raw = self.raw(texts, every)
        found: list[list[Find]] = [[] for _ in range(len(texts))]
        for row in sorted({int(r) for r in raw[:, ROW]}):
            text = texts[row].as_py()
            squashed = letters = data = None
            for _, matcher, which, start, end in raw[raw[:, ROW] == row].tolist():
                if matcher == RETOLD:  # by bytes
                    data = data or text.encode()
                    first = len(data[:start].decode())
                    last = first + len(data[start:end].decode())
                    found[row].append(Find(matcher, first, last, tuple(self.tables.told_owners[which])))
                    continue
                if matcher == EXACT:
                    squashed = squashed or forms.squashed(text)[1]
                    places, owners = squashed, self._exact_owners(which)
                else:
                    letters = letters or forms.letters(text)[1]
                    places, owners = letters, self.tables.owners[which]
                found[row].append(Find(matcher, places[start], places[end - 1] + 1, tuple(owners)))
            found[row].sort()
        return found

    def _exact_owners(self, which: int) -> Sequence[tuple[str, str]]:
        tables = self.tables
        return (
            tables.exact_owners[which]
            if which < len(tables.exact_owners)
            else tables.short_owners[which - len(tables.exact_owners)]
        )

    def raw(self, texts: pa.Array, every: bool = False) -> np.ndarray:
        """Return the finds as int64[n, COLUMNS], their places in symbols of the normal forms."""
        data, offsets = text_buffers(texts)
        longest = int((offsets[1:] - offsets[:-1]).max()) if len(texts) else 0
        made = np.empty((2 * longest + 2 * forms.ROUND) // 8 * 8, np.uint8)
        edges, prose, tokens = (np.empty(longest // part + 2, np.int64) for part in (1, 2, 2))
        tables, room = self.tables, ROOM
        both = (made, made.view(np.uint32), made.view(np.uint64), edges, prose, tokens.view(np.uint64))
        kinds, lower = forms.kinds()
        while True:
            for part in (tables.exact, tables.short, tables.letters, tables.words):
                part[-1][0].fill(-1)  # no row has been searched
            finds = np.empty((room, COLUMNS), np.int64)
            count = search(
                data, offsets, (kinds, lower, forms.folded(), forms.lowers(), within()), both,
                (tables.exact, tables.short, tables.cores, tables.each), tables.units, tables.letters, tables.told, tables.words,
                tables.stops, self._scratch, every, finds,
            )  # fmt: skip
            if count <= room:
                return finds[:count]
            room = count
