"""Byte-level BPE with StarCoder2's special tokens, and others behind them, on both sides of the shard contract.

`encode` is Hugging Face's tokenizer with sentinels read as plain text: a literal `<fim_prefix>` in a source file can never become the
sentinel. What has many texts to encode does it by transforms/bpe.py, with the same ids.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from starmill.core import seeds
from starmill.core.errors import InputError, NotThere, UsageError, one_line

# StarCoder2's special tokens, ids 0..37 in this order (paper, table 5, and the published special_tokens_map).
SPECIAL_TOKENS = (
    "<|endoftext|> <fim_prefix> <fim_middle> <fim_suffix> <fim_pad> <repo_name> <file_sep> <issue_start> <issue_comment> "
    "<issue_closed> <jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <jupyter_script> <empty_output> "
    "<code_to_intermediate> <intermediate_to_code> <pr> <pr_status> <pr_is_merged> <pr_base> <pr_file> <pr_base_code> <pr_diff> "
    "<pr_diff_hunk> <pr_comment> <pr_event_id> <pr_review> <pr_review_state> <pr_review_comment> <pr_in_reply_to_review_id> "
    "<pr_in_reply_to_comment_id> <pr_diff_hunk_comment_line> <NAME> <EMAIL> <KEY> <PASSWORD>"
).split(" ")
END_OF_TEXT = SPECIAL_TOKENS[0]
MOST_TOKENS = 1 << 20  # of a vocabulary

# The trainer takes time quadratic in a word: longer runs, of which no piece goes over a digit, or from white space to anything else but
# that one space may lead it, are cut.
LONG_RUN = re.compile(r"[^ \t\n\r\d]{256}|\s{256}")


class NoSuchToken(InputError, KeyError):
    """A special token that a tokenizer has not."""

    __str__ = Exception.__str__  # KeyError's would quote the message


class Tokenizer:
    """A loaded tokenizer.json. Picklable: it travels as its bytes.

    >>> tokenizer = Tokenizer(train(["def area(width, height):", "    return width * height"] * 9, vocab_size=300))
    >>> tokenizer.decode(tokenizer.encode("return height")), tokenizer.special("<fim_prefix>")
    ('return height', 1)
    """

    def __init__(self, data: bytes, any_family: bool = False) -> None:
        """Read the bytes of a tokenizer.json. Raises InputError if it is none, or has more ids than a shard may.

        Shards need StarCoder2's special tokens; `any_family` takes others too, to complete with StarCoder's and SantaCoder's models.
        """
        self.data, self.any_family = data, any_family
        self.sha256 = hashlib.sha256(data).hexdigest()
        try:
            self._slow = tokenizers.Tokenizer.from_str(data.decode())
        except Exception as error:  # the library raises bare Exception
            raise InputError(f"not a tokenizer.json: {error}") from None
        self._slow.encode_special_tokens = True
        self.vocab_size: int = self._slow.get_vocab_size()
        if self.vocab_size > MOST_TOKENS:
            raise InputError(f"a vocabulary of {self.vocab_size} does not fit a shard; train one of at most {MOST_TOKENS:,}")
        self.dtype: np.dtype[Any] = np.dtype(np.uint16 if self.vocab_size <= 65_536 else np.uint32)  # of ids
        self._special = {t.content: number for number, t in self._slow.get_added_tokens_decoder().items() if t.special}
        self.eod = self.special(END_OF_TEXT)
        numbers = {*self._special.values()}
        self._specials = next(number for number in range(len(numbers) + 1) if number not in numbers)
        if not any_family and [self._slow.token_to_id(t) for t in SPECIAL_TOKENS] != list(range(len(SPECIAL_TOKENS))):
            raise InputError("its special tokens are not StarCoder2's 38 at ids 0 to 37; train one with starmill")

    @classmethod
    def load(cls, source: "bytes | str | PathLike[str]", any_family: bool = False, where: str = "") -> "Tokenizer":
        """Load from a local path, or from the bytes of the file `where`. Raises NotThere or InputError, naming the file."""
        place = where or ("tokenizer" if isinstance(source, bytes) else source)
        try:
            return cls(source if isinstance(source, bytes) else Path(source).read_bytes(), any_family)
        except FileNotFoundError:
            raise NotThere(f"{place}: no such file; give the tokenizer.json of the model or of the shards") from None
        except InputError as error:
            raise InputError(f"{place}: {error}") from None

    def __reduce__(self) -> tuple[type["Tokenizer"], tuple[bytes, bool]]:
        """Pickle as bytes."""
        return Tokenizer, (self.data, self.any_family)

    @property
    def specials(self) -> int:
        """The number of special tokens: ids below it are special, all others are text. Others than StarCoder2's follow these."""
        return self._specials

    def has(self, token: str) -> bool:
        """Say whether this is a special token here."""
        return token in self._special or token.replace("_", "-") in self._special

    def special(self, token: str) -> int:
        """Return the id of a special token, which SantaCoder writes with hyphens. Raises NoSuchToken naming it."""
        number = self._special.get(token, self._special.get(token.replace("_", "-")))
        if number is None:
            raise NoSuchToken(f"{token}: not a special token of this tokenizer")
        return int(number)

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of plain text, in the tokenizer's `dtype`; never a special id."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return `encode` of each text."""
        return [np.array(e.ids, self.dtype) for e in self._slow.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the exact bytes of ids; special tokens as their text. Raises IndexError for an id out of range."""
        table = self._bytes
        return b"".join([table[i] for i in ids])

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids, with U+FFFD where the bytes are not UTF-8 (a cut character)."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def check_lossless(self) -> None:
        """Raise InputError, naming the field, unless every text comes back from its ids: what the fields say, then by trying."""
        found = json.loads(self.data)
        model, added = found["model"], found.get("added_tokens") or []
        plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
        taken: dict[int, str] = {}
        wrong = [(f, found[f], "null") for f in ("normalizer", "truncation", "padding") if found.get(f) is not None]
        if model.get("type", "BPE") != "BPE":
            raise InputError(f"model.type: {model['type']}: shards need a byte-level BPE")
        wrong += [
            (f"model.{f}", model[f], "null")
            for f in ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
            if model.get(f)
        ]
        wrong += [
            (
                f"added_tokens: {token['content']}",
                token,
                f"one of the special tokens at ids 0 to {self.specials - 1}, which strip nothing",
            )
            for token in added
            if not token["id"] < self.specials or plain != {flag: token.get(flag) for flag in plain}
        ]
        for token, number in [*model["vocab"].items(), *((t["content"], t["id"]) for t in added)]:
            if taken.setdefault(number, token) != token:
                wrong.append((f"model.vocab: {token}", number, f"an id of its own; {taken[number]} has it"))
            if number >= self.vocab_size:
                wrong.append(
                    (f"model.vocab: {token}", number, f"an id below {self.vocab_size}, which is how many tokens there are")
                )
            if not number < self.specials and not BYTES.keys() >= {*token}:
                wrong.append((f"model.vocab: {token}", number, "of the characters that stand for bytes"))
        wrong += [
            (f"model.vocab: {c}", None, f"there: it is byte {byte}") for c, byte in BYTES.items() if c not in model["vocab"]
        ]
        if wrong:
            field, value, wanted = wrong[0]
            raise InputError(f"{field}: {json.dumps(value)[:200]} changes text; it must be {wanted}")
        for text in (*PROBES, *_random_texts(1000)):
            if self.decode_bytes(self.encode(text).tolist()) != text.encode():
                raise InputError(
                    f"pre_tokenizer or model: {text!r} does not come back from its ids; use a byte-level BPE as starmill trains"
                )

    @functools.cached_property
    def _bytes(self) -> list[bytes]:
        table = [b""] * self.vocab_size
        for token, number in self._slow.get_vocab(with_added_tokens=True).items():
            table[number] = token.encode() if token in self._special else bytes(BYTES[c] for c in token)
        return table


PROBES = (
    "def f(x):\n    return x  # it's 3.14\n",
    "a  12   34\t5\r\n\r\n  \n x",
    "naïve 漢字 ½ ²x ٣ e\u0301 \u200d \x00\x7f",
    "<fim_prefix>'ll 'LL _a__b--> \u00a0 1",
)


def _random_texts(count: int) -> Iterator[str]:
    # Half of the characters are ASCII, the others anything that UTF-8 writes, in equal shares of its lengths.
    draw = seeds.generator(0, "tokenizer_check")
    for size in draw.integers(1, 40, count):
        ends = draw.choice([0x80, 0x80, 0x80, 0x800, 0xD800, 0x110000], size)
        yield "".join(chr(c) for c in draw.integers(0, ends) if not 0xD800 <= c < 0xE000)


def _byte_alphabet() -> dict[str, int]:
    # GPT-2's printable stand-ins: a byte that prints stands for itself, the others take the characters from U+0100 on.
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in printing]
    return {chr(b): b for b in printing} | {chr(256 + i): b for i, b in enumerate(hidden)}


BYTES = _byte_alphabet()


def untrained() -> tokenizers.Tokenizer:
    """Return a tokenizer that splits text as StarCoder2's does, and merges nothing."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(texts: Iterable[str], vocab_size: int, more: Sequence[str] = ()) -> bytes:
    """Train a byte-level BPE on texts and return its tokenizer.json; the same texts in the same order give the same bytes.

    `vocab_size` includes the special tokens, which are StarCoder2's 38 and `more` behind them, and the 256 bytes. Raises UsageError below
    that, or above 2^20. A run of 256 characters without a digit or white space, or of white space, is cut: the trainer sees no longer
    words.
    """
    least = len(SPECIAL_TOKENS) + len(more) + 256
    if not least <= vocab_size <= MOST_TOKENS:
        raise UsageError(f"vocab_size={vocab_size}: must be from {least} to {MOST_TOKENS}")
    tokenizer = untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *more],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece for text in texts for piece in _cut(text)), trainer)
    return str(tokenizer.to_str(pretty=True)).encode()


def _cut(text: str) -> Iterator[str]:
    """Yield a text cut behind every long run: the trainer's time is quadratic in the length of a word."""
    start = 0
    for run in LONG_RUN.finditer(text):
        yield text[start : run.end()]
        start = run.end()
    yield text[start:]


def difference(place: Path, data: bytes) -> str:
    """Return how the tokenizer.json at `place` differs from these bytes of one in what ids mean: tokens, merges; "" where it does not.

    Layout, and what is done around a text, may differ. A file that is not there differs in nothing. Raises InputError for what is none.
    """
    try:
        theirs = place.read_bytes()
    except FileNotFoundError:
        return ""
    if theirs == data:
        return ""
    here, there = json.loads(data), _parsed(theirs, place)
    ours, other = (
        {**file["model"]["vocab"], **{t["content"]: t["id"] for t in file["added_tokens"]}} for file in (here, there)
    )
    if ours != other:
        first = min((key for key in {**ours, **other} if ours.get(key) != other.get(key)), key=lambda k: ours.get(k, len(ours)))
        return f"{len(other):,} tokens and {len(ours):,}, first {first!r:.60}: {other.get(first, 'none')} and {ours.get(first, 'none')}"
    merges = [[tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in f["model"]["merges"]] for f in (here, there)]
    return "" if merges[0] == merges[1] else "merges"


def _parsed(data: bytes, place: Path) -> dict[str, Any]:
    try:
        tokenizers.Tokenizer.from_str(data.decode())  # the shape of what is read below
        found: dict[str, Any] = json.loads(data)
        found["model"]["merges"], found["added_tokens"]
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{place}: not a tokenizer.json of BPE: {one_line(error)}") from None
    return found


def huggingface_files(data: bytes, longest: int = 16_384) -> dict[str, bytes]:
    """Return the files that make a folder loadable by transformers' AutoTokenizer; `longest` is a model's context, in tokens."""
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    config = {
        **ends,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,  # True would alter spacing in code
        "model_max_length": longest,
    }
    added = json.loads(data).get("added_tokens") or []
    special = {
        **ends,
        "additional_special_tokens": [
            token["content"] for token in sorted(added, key=lambda token: token["id"]) if token["special"]
        ],
    }
    return {
        "tokenizer.json": data,
        "tokenizer_config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "special_tokens_map.json": (json.dumps(special, indent=2) + "\n").encode(),
    }
