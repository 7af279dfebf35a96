"""The file of a task's samples: a JSON line each, appended as soon as it is there, so that a killed run continues at the sample."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from starmill.core.errors import InputError
from starmill.evaluation.run.lines import Lines


@dataclass(frozen=True)
class Sample:
    """What a model answered to a problem: the sample's number, the turn (of two, the first is an intermediate text), and why not, if so."""

    problem: str
    number: int
    text: str
    turn: int = 0
    refused: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """What no other sample of a file has."""
        return self.problem, self.number, self.turn


class Samples:
    """The samples of one file, which one process holds. Raises InputError where another does, or a line that is whole is no sample."""

    def __init__(self, place: Path) -> None:
        """Open the file, or make it; what follows the last whole line is dropped: a run was killed while it wrote."""
        self._lines = Lines(place, "sample", "evaluation", "give another --output")
        self.found = dict[tuple[str, int, int], Sample]()
        for number, row in enumerate(self._lines.taken(), 1):
            try:
                sample = Sample(**row)
            except TypeError:
                self._lines.close()
                raise InputError(
                    f"{place}: line {number} is no sample; remove the file, and its samples are made again"
                ) from None
            self.found[sample.key] = sample

    def __enter__(self) -> Self:
        """Return the samples."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and let others have it."""
        self._lines.close()

    def add(self, sample: Sample) -> None:
        """Append a sample, in one write."""
        self._lines.append(asdict(sample))
        self.found[sample.key] = sample

    def order(self, keys: list[tuple[str, int, int]]) -> None:
        """Write the file anew: these samples first, in this order, and then the others, so that how they came about leaves no trace."""
        ranks = {key: rank for rank, key in enumerate(keys)}
        kept = sorted(self.found.values(), key=lambda sample: (ranks.get(sample.key, len(ranks)), sample.key))
        self._lines.replace(asdict(sample) for sample in kept)
