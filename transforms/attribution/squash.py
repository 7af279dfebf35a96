"""Texts as they are compared: white space squashed, as data-portraits does it, and where each byte of that stood.

Source: ruyimarone/data-portraits (Marone and Van Durme 2023, Data Portraits), whose rules are four substitutions in a row:
`[\\r\\n]+` by one LF, `[^\\S\\n]+` by one space, `\\n\\s` by one LF, and both ends stripped. Letters keep their case.
"""

import functools
from dataclasses import dataclass

import numpy as np

from starmill.transforms.attribution import kernel


@dataclass(frozen=True)
class Squashed:
    """A squashed text: its bytes, where each stood in `raw`, and the offsets of its characters and of its end."""

    raw: bytes
    data: np.ndarray  # uint8
    where: np.ndarray  # int64
    starts: np.ndarray  # int64[characters + 1]

    @classmethod
    def of(cls, text: str) -> "Squashed":
        """Squash a text.

        >>> bytes(Squashed.of(" a \\r\\n\\tb  c").data)
        b'a \\nb c'
        """
        raw = text.encode("utf-8", "replace")
        given = np.frombuffer(raw, np.uint8)
        data, where = np.empty(len(raw) + 1, np.uint8), np.empty(len(raw) + 1, np.int64)
        size = kernel.squash(given, 0, len(raw), kernel.TURNS, kernel.WRITTEN, data, where)
        starts = np.empty(size + 1, np.int64)
        characters = kernel.starts_of(data, size, starts)
        return cls(raw, data[:size], where[:size], starts[: characters + 1])

    @property
    def characters(self) -> int:
        """Its length."""
        return len(self.starts) - 1

    @functools.cached_property
    def grams(self) -> np.ndarray:
        """The hash of the gram at each character, uint64."""
        sums, out = np.empty(len(self.data) + 1, np.uint64), np.empty(max(0, self.characters - kernel.WIDTH + 1), np.uint64)
        kernel.grams(self.data, self.starts, self.characters, kernel.POWERS, sums, out)
        return out

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the bytes of `raw` that the squashed bytes [start, end), whole characters, were made of."""
        last = int(self.where[end - 1]) + 1
        while last < len(self.raw) and self.raw[last] & 0xC0 == 0x80:  # white space of several bytes
            last += 1
        return int(self.where[start]), last

    def characters_of(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of `raw` that the squashed bytes [start, end) were made of."""
        first, last = self.span(start, end)
        before = len(self.raw[:first].decode())
        return before, before + len(self.raw[first:last].decode())
