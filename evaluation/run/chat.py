"""Asks a model that chats: a prompt becomes a message, and the program of the reply's block is the answer."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from starmill.evaluation.run.generate import Decoding, Model, Request

OPEN = re.compile(r"^[ \t]*```[^\n`]*\n", re.MULTILINE)
CLOSE = re.compile(r"^[ \t]*```", re.MULTILINE)
ASK = "Complete this program. Answer with the whole program, its first lines included, in one block between ``` and ```.\n\n```\n{}\n```"
MOST = 2048  # tokens, where neither the task nor the user says more: a reply has words beside its program


def program(reply: str) -> str:
    """Return what stands in the first block of a reply, or to the end where that is not closed; without a block, the reply.

    >>> program("Here:\\n```python\\nx = 1\\n```\\nDone.")
    'x = 1\\n'
    """
    if not (begins := OPEN.search(reply)):
        return reply
    rest = reply[begins.end() :]
    ends = CLOSE.search(rest)
    return rest[: ends.start()] if ends else rest


@dataclass(frozen=True)
class Chat:
    """A model asked by messages. `render` writes a message as the model's template has it; a server does so itself.

    `sentinels` are texts of the template that are special tokens; `stops` end a reply.
    """

    model: Model
    render: Callable[[str], str] = str
    sentinels: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """What tells it from another model, and from the same one asked without messages."""
        return {**self.model.identity, "chat": self.render("{}")}

    def answers(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, str, str]]:
        """Yield the programs of replies; a first turn is asked as it is, and its reply kept whole."""
        asked = []
        for request in requests:
            prompt = request.prompt if isinstance(request.prompt, str) else "".join(request.prompt)
            asked.append(replace(request, prompt=self.render(prompt if _is_first(request) else ASK.format(prompt))))
        how = replace(decoding, stops=self.stops, sentinels=self.sentinels)
        for index, text, refused in self.model.answers(asked, how):
            yield index, text if _is_first(requests[index]) else program(text), refused

    def likelihoods(self, requests: Sequence[Request]) -> Iterator[tuple[int, str, str]]:
        """Yield what the model finds likely: of texts alone, without messages."""
        return self.model.likelihoods(requests)


def _is_first(request: Request) -> bool:
    return request.name.endswith("/first")
