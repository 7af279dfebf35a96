"""Answers by a model of ours: a request joins the batch when another has ended; samples of one prompt read it once."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from starmill.core.errors import InputError
from starmill.core.tokenizer import NoSuchToken, Tokenizer
from starmill.evaluation.run.generate import Decoding, Reply, Request
from starmill.model import devices
from starmill.model.complete import completions, prompt_ids
from starmill.model.exchange import folders
from starmill.model.likelihood import log_likelihood

if TYPE_CHECKING:
    from starmill.model.decoder import Decoder


def digest(folder: Path) -> str:
    """Return a digest of a model's configuration, tokenizer and weights."""
    h = hashlib.sha256()
    for place in sorted(folder.iterdir()):
        if place.name in ("config.json", "tokenizer.json") or place.suffix == ".safetensors":
            with open(place, "rb") as file:
                h.update(f"{place.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return h.hexdigest()[:16]


class Ours:
    """A folder with config.json, model.safetensors and tokenizer.json. Raises InputError naming what is wrong with it."""

    def __init__(
        self, folder: Path, batch: int = 16, dtype: str = "stored", device: str | None = None, chat: bool = False
    ) -> None:
        """Load the model; `batch` rows are written at once. `chat`: prompts are a template's, and no files."""
        self.file_start = not chat
        config = folders.shape(folder)
        folders.places_of(folder, config)
        self.tokenizer, self.batch = Tokenizer.load(folder / "tokenizer.json", any_family=True), batch
        import torch

        from starmill.model.exchange.huggingface import load

        where = devices.usable(device)
        self.decoder: Decoder = load(folder, None if dtype == "stored" else getattr(torch, dtype), where)
        self.identity = {"model": digest(folder), "dtype": dtype, "by": "starmill"}

    def answers(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, str, str]]:
        """Yield answers as they end, the longest prompts first: memory that is too small is told at once."""
        for index, reply in self.replies(requests, decoding):
            yield index, reply.text, reply.refused

    def replies(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, Reply]]:
        """Yield answers with why they end and what they took: one that has as many tokens as it may have was cut."""
        room, lengths = self.decoder.config.max_positions, [0] * len(requests)
        for index, request in enumerate(requests):
            try:
                (ids,) = prompt_ids(self.tokenizer, [request.prompt], self.file_start, decoding.sentinels)
            except NoSuchToken as error:
                raise InputError(f"{request.name}: {error}; leave this task out") from None
            lengths[index] = len(ids)
            if not 0 < len(ids) < room:
                yield index, Reply("", f"a prompt of {len(ids):,} tokens, and the model has {room:,} positions")
        order = sorted((i for i, n in enumerate(lengths) if 0 < n < room), key=lambda i: (-lengths[i], i))
        counts: dict[int, int] = {}
        made = completions(
            self.decoder,
            self.tokenizer,
            [requests[i].prompt for i in order],
            decoding.max_new_tokens,
            decoding.temperature,
            decoding.top_p,
            stops=decoding.stops,
            file_start=self.file_start,
            seed=decoding.seed,
            names=[requests[i].name for i in order],
            sentinels=decoding.sentinels,
            rows=self.batch,
            count=counts.__setitem__,
        )
        for at, text in made:
            asked, told = lengths[order[at]], counts.pop(at)
            cut = told >= min(decoding.max_new_tokens, room - asked)
            yield order[at], Reply(text, "", "length" if cut else "stop", asked, told)

    def likelihoods(self, requests: Sequence[Request]) -> Iterator[tuple[int, str, str]]:
        """Yield log-likelihoods of texts behind <|endoftext|>, so that the first token has one too."""
        first = self.tokenizer.special("<|endoftext|>")
        for index, request in enumerate(requests):
            ids = [self.tokenizer.encode(text).tolist() for text in request.choices]
            yield index, json.dumps([log_likelihood(self.decoder, [first, *one]) for one in ids]), ""
