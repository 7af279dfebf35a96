"""Tokens to text as they come: no character is cut, and what may be the beginning of a stop is held back until it is none.

What is given, put together, is what `model/complete.py` returns for the same tokens.
"""

import codecs
from collections.abc import Iterable, Sequence

from starmill.core.tokenizer import Tokenizer


class Writer:
    """The text of one answer, up to the first of its stops.

    >>> from starmill.core.tokenizer import train
    >>> tokenizer = Tokenizer(train(["x"], 300))
    >>> writer, given = Writer(tokenizer, ["\\n\\n"]), []
    >>> for number in tokenizer.encode("é = 1\\n2\\n\\n3").tolist():
    ...     writer.push([number])
    ...     given.append(writer.take())
    >>> given, writer.stopped
    (['', 'é', ' ', '=', ' ', '1', '', '\\n2', '', '', ''], True)
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        """Begin with nothing."""
        self._tokenizer, self._stops = tokenizer, [*stops]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.written = 0  # characters so far, those that are held back among them
        self.stopped = False

    def push(self, ids: Iterable[int], last: bool = False) -> None:
        """Take ids; after the `last` ones a character that is not whole is U+FFFD."""
        if self.stopped:
            return
        data = self._tokenizer.decode_bytes(
            i for i in ids if i < self._tokenizer.vocab_size
        )  # what pads a vocabulary has no text
        text = self._decoder.decode(data, last)
        self._held += text
        self.written += len(text)
        cut = min((at for stop in self._stops if (at := self._held.find(stop)) >= 0), default=-1)
        if cut >= 0:
            self.written -= len(self._held) - cut
            self._held, self.stopped = self._held[:cut], True

    def take(self, last: bool = False) -> str:
        """Return what no stop can begin in any more, or at the `last` all that is left."""
        keep = 0 if last or self.stopped else max((_begun(self._held, stop) for stop in self._stops), default=0)
        given = self._held[: len(self._held) - keep]
        self._held = self._held[len(given) :]
        return given


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
