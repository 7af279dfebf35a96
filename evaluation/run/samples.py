"""The file of a task's samples: a JSON line each, appended as soon as it is there, so that a killed run continues at the sample."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from starmill.core.errors import InputError
from starmill.core.files import open_lock, write


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
        place.parent.mkdir(parents=True, exist_ok=True)
        self.place, self.found = place, dict[tuple[str, int, int], Sample]()
        self._lock = open_lock(place.with_name(f"{place.name}.lock"))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InputError(f"{place}: another evaluation writes it; wait for that, or give another --output") from None
        data = place.read_bytes() if place.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                sample = Sample(**json.loads(line))
            except (ValueError, TypeError):
                raise InputError(
                    f"{place}: line {number} is no sample; remove the file, and its samples are made again"
                ) from None
            self.found[sample.key] = sample
        self._file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(self._file, len(whole))
        os.lseek(self._file, 0, os.SEEK_END)

    def __enter__(self) -> Self:
        """Return the samples."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and let others have it."""
        os.close(self._file)
        self._lock.close()

    def add(self, sample: Sample) -> None:
        """Append a sample, in one write."""
        line = f"{json.dumps(asdict(sample))}\n".encode()
        while line:
            line = line[os.write(self._file, line) :]
        self.found[sample.key] = sample

    def order(self, keys: list[tuple[str, int, int]]) -> None:
        """Write the file anew: these samples first, in this order, and then the others, so that how they came about leaves no trace."""
        ranks = {key: rank for rank, key in enumerate(keys)}
        kept = sorted(self.found.values(), key=lambda sample: (ranks.get(sample.key, len(ranks)), sample.key))
        data = "".join(f"{json.dumps(asdict(sample))}\n" for sample in kept).encode()
        if data != self.place.read_bytes():
            write(self.place, data)
            os.close(self._file)
            self._file = os.open(self.place, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
