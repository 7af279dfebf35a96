"""A conversation with a model in this process: `starmill chat`. A model is asked by its chat template, a base model as an assistant."""

from collections.abc import Iterator

from starmill.core.errors import InputError, UsageError
from starmill.model import devices
from starmill.model.complete import STOPS
from starmill.serving import checks, prompts
from starmill.serving.bodies import Refused
from starmill.serving.text import Writer


class Talk:
    """What was said so far, and the model. Raises InputError or UsageError for a folder that is none."""

    def __init__(self, folder: str, system: str = "", dtype: str = "stored", device: str | None = None) -> None:
        """Load the model; `system` stands above the conversation."""
        self.found = checks.folder(folder, device)
        import torch

        from starmill.model.exchange.huggingface import load

        self.decoder = load(folder, None if dtype == "stored" else getattr(torch, dtype), devices.usable(device))
        self.said = [{"role": "system", "content": system}] if system else []
        tokenizer = self.found.tokenizer
        self.ends = frozenset({self.decoder.config.eos_id, *(tokenizer.special(t) for t in STOPS if tokenizer.has(t))})
        template = self.found.template
        if template and (end := template.tokens.get("eos_token", "")) and tokenizer.has(end):
            self.ends |= {tokenizer.special(end)}

    def reply(self, text: str, most: int, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0) -> Iterator[str]:
        """Yield the answer as it comes, of at most `most` tokens; both turns are remembered at its end, and neither if it is stopped.

        Raises UsageError where the conversation is longer than the model's positions, InputError for what its template refuses.
        """
        from starmill.model.ask import Ask
        from starmill.model.engine import Engine

        asked = [*self.said, {"role": "user", "content": text}]
        try:
            ids = prompts.of_chat(self.found.tokenizer, self.found.template, asked)
        except Refused as error:
            raise InputError(str(error)) from None
        room = self.decoder.config.max_positions
        if len(ids) >= room:
            raise UsageError(f"the conversation has {len(ids):,} tokens, and the model {room:,} positions; begin another one")
        writer = Writer(self.found.tokenizer, () if self.found.template else prompts.ASSISTANT_STOPS)
        engine, seen, told = Engine(self.decoder, 1), 0, ""

        def stopped(new: list[int]) -> bool:
            nonlocal seen
            writer.push(new[seen:])
            seen = len(new)
            return writer.stopped

        engine.add(Ask(ids, most, temperature, top_p, 0, self.ends, seed, len(asked), stopped))
        training = self.decoder.training
        try:
            while engine.busy:
                for _, new, last in engine.step():
                    if last:
                        writer.push(new[seen:], last=True)
                if piece := writer.take():
                    told += piece
                    yield piece
        finally:
            self.decoder.train(training)
        if piece := writer.take(last=True):
            told += piece
            yield piece
        self.said = [*asked, {"role": "assistant", "content": told.strip()}]
