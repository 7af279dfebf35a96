"""Code completion by a trained model, left to right or fill-in-the-middle; `starmill complete` on the command line.

PyTorch takes seconds to import: a folder that is no model is refused before.
"""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starmill.core.errors import InputError, UsageError
from starmill.core.tokenizer import Tokenizer
from starmill.model import devices
from starmill.model.code_blocks import block_end, without_blank_end
from starmill.model.config import ModelConfig
from starmill.model.exchange import folders
from starmill.model.prompts import refuse_prompts

if TYPE_CHECKING:
    from starmill.model.decoder import Decoder

# A completion ends with its document or file: without the stop <file_sep> a model goes on to the next file. StarCoder has <filename>
# and <reponame> instead, SantaCoder neither.
STOPS = "<|endoftext|> <file_sep> <repo_name> <fim_prefix> <fim_middle> <fim_suffix> <fim_pad> <filename> <reponame>".split()


def complete(
    decoder: "Decoder",
    tokenizer: Tokenizer,
    prompts: Sequence[str | tuple[str, str]],
    max_new_tokens: int = 64,
    **settings: Any,
) -> list[str]:
    """Return the completion of each prompt, or the middle of each (prefix, suffix): all at once, with the settings of `completions`."""
    texts = [""] * len(prompts)
    for at, text in completions(decoder, tokenizer, prompts, max_new_tokens, rows=max(1, len(prompts)), **settings):
        texts[at] = text
    return texts


def completions(
    decoder: "Decoder",
    tokenizer: Tokenizer,
    prompts: Sequence[str | tuple[str, str]],
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    stops: Sequence[str] = (),
    seed: int = 0,
    file_start: bool = True,
    stop_at_block: bool = False,
    names: Sequence[str] | None = None,
    sentinels: Sequence[str] = (),
    rows: int = 16,
    count: Callable[[int, int], None] = lambda at, tokens: None,
) -> Iterator[tuple[int, str]]:
    """Yield the number and the completion of each prompt as it ends, at the first of `stops` or the file's end; `rows` are written at once.

    `stop_at_block` also ends a completion with its block, such as the body of a function (model/code_blocks.py).
    `file_start` begins a prompt with <file_sep>, as StarCoder2's files begin in training. `names` identify prompts for the seed.
    `count` is told how many tokens a prompt's completion took, before it is yielded.
    `sentinels` name special tokens that count as such where a prompt has their text; all else is plain text. Raises UsageError for
    values out of range, for a prompt that does not fit and for an empty stop string, InputError for a tokenizer with more ids than the
    model.
    """
    from starmill.model.ask import Ask
    from starmill.model.engine import Engine

    refuse_other_tokenizer(tokenizer, decoder.config)
    if not all(stops):
        raise UsageError("a stop string is empty; leave it out")
    stop_ids = frozenset({decoder.config.eos_id, *(tokenizer.special(token) for token in STOPS if tokenizer.has(token))})
    ends = [stop.encode() for stop in stops]
    longest = max(map(len, ends), default=0)

    def written(new: Sequence[int]) -> bytes:
        return tokenizer.decode_bytes(i for i in new if i < tokenizer.vocab_size)  # the ids that pad a vocabulary have no text

    def text_of(new: Sequence[int]) -> str:
        return written(new).decode("utf-8", "replace")

    def stopped(above: str, new: list[int]) -> bool:
        tail = written(new[-longest:]) if longest else b""  # a token is at least a byte
        if any(end in tail for end in ends):
            return True
        # The last line of a block counts once that line is whole.
        return stop_at_block and b"\n" in written(new[-1:]) and block_end(above, text_of(new)) is not None

    engine, above = Engine(decoder, rows), [prompt if isinstance(prompt, str) else prompt[0] for prompt in prompts]
    places = {}
    for at, ids in enumerate(prompt_ids(tokenizer, prompts, file_start, sentinels)):
        until = functools.partial(stopped, above[at]) if ends or stop_at_block else None
        name = at if names is None else names[at]
        places[engine.add(Ask(ids, max_new_tokens, temperature, top_p, top_k, stop_ids, seed, name, until))] = at
    training = decoder.training
    try:
        while engine.busy:
            for ticket, new, last in engine.step():
                if last:
                    text, at = text_of(new), places[ticket]
                    count(at, len(new))
                    text = text[: min((cut for end in stops if (cut := text.find(end)) >= 0), default=len(text))]
                    yield at, text[: block_end(above[at], text, finished=True)] if stop_at_block else text
    finally:
        decoder.train(training)


def prompt_ids(
    tokenizer: Tokenizer, prompts: Sequence[str | tuple[str, str]], file_start: bool, sentinels: Sequence[str] = ()
) -> list[list[int]]:
    """Return the ids of each prompt, or of each (prefix, suffix) as the prompt of its middle."""
    start = [tokenizer.special("<file_sep>")] if file_start and tokenizer.has("<file_sep>") else []
    special = [token for token in sentinels if tokenizer.has(token)]
    pattern = f"({'|'.join(map(re.escape, special))})"

    def ids(text: str) -> list[int]:
        pieces = re.split(pattern, text) if special else [text]
        return [i for p in pieces for i in ([tokenizer.special(p)] if p in special else tokenizer.encode(p).tolist())]

    return [start + (ids(p) if isinstance(p, str) else fill_in_the_middle(tokenizer, *p)) for p in prompts]


def complete_one(
    folder: str,
    prompt: str | tuple[str, str],
    dtype: str = "stored",
    device: str | None = None,
    **settings: Any,
) -> str:
    """Return the completion of one prompt or (prefix, suffix) by the model in `folder`, without blank lines at its end.

    The folder holds config.json, model.safetensors and tokenizer.json; `settings` are the options of `complete`. Raises InputError or
    UsageError, which name the folder.
    """
    place = Path(folder)
    config = folders.shape(place)
    folders.places_of(place, config)
    tokenizer = Tokenizer.load(place / "tokenizer.json", any_family=True)
    try:
        refuse_other_tokenizer(tokenizer, config)
        refuse_prompts(prompt_ids(tokenizer, [prompt], settings.get("file_start", True)), config.max_positions)
    except (InputError, UsageError) as error:
        raise type(error)(f"{folder}: {error}") from None
    if device:
        devices.refuse("--device ", device)
    import torch

    from starmill.model.exchange.huggingface import load

    where = devices.usable(device)
    decoder = load(folder, None if dtype == "stored" else getattr(torch, dtype), where)
    try:
        (completion,) = complete(decoder, tokenizer, [prompt], **settings)
    except (InputError, UsageError) as error:
        raise type(error)(f"{folder}: {error}") from None
    return without_blank_end(completion)


def refuse_other_tokenizer(tokenizer: Tokenizer, config: ModelConfig) -> None:
    """Raise InputError for a tokenizer with more ids than the model."""
    if config.vocab_size < tokenizer.vocab_size:
        raise InputError(
            f"the model has {config.vocab_size} ids and tokenizer.json {tokenizer.vocab_size}; "
            "put the tokenizer.json of its training there"
        )


def fill_in_the_middle(tokenizer: Tokenizer, prefix: str, suffix: str) -> list[int]:
    """Return the PSM prompt: sentinels by id, the texts as plain text."""
    pieces = (("<fim_prefix>", prefix), ("<fim_suffix>", suffix), ("<fim_middle>", ""))
    return [i for sentinel, text in pieces for i in (tokenizer.special(sentinel), *tokenizer.encode(text).tolist())]
