"""Pieces of text put together are the text of `starmill complete`, whatever the tokens, the cuts and the stops."""

import random

import pytest

from starmill.core.tokenizer import Tokenizer, train
from starmill.serving.text import Writer

TOKENIZER = Tokenizer(train(["def é(x): 漢字\n"], 320))


def offline(ids: list[int], stops: list[str]) -> str:
    """model/complete.py's rule: a row ends with the token that completes a stop, and is cut at the first stop."""
    for size in range(len(ids) + 1):
        data = TOKENIZER.decode_bytes(ids[:size])
        if any(stop.encode() in data for stop in stops):
            break
    text = data.decode("utf-8", "replace")
    return text[: min((cut for stop in stops if (cut := text.find(stop)) >= 0), default=len(text))]


@pytest.mark.parametrize("seed", range(40))
def test_pieces_are_the_text(seed: int) -> None:
    draw = random.Random(seed)
    alphabet = ["a", "aa", "ab", "é", "漢", "\n", "😀"]
    text = "".join(draw.choices(alphabet, k=draw.randrange(1, 40)))
    ids = TOKENIZER.encode(text).tolist()
    if seed % 4 == 0:  # a model may write any bytes
        draw.shuffle(ids)
    stops = ["".join(draw.choices(alphabet, k=draw.randrange(1, 5))) for _ in range(draw.randrange(4))]
    writer, given = Writer(TOKENIZER, stops), ""
    for number in ids:
        writer.push([number])
        piece = writer.take(writer.stopped)
        given += piece
        assert not any(stop in given for stop in stops)
        if writer.stopped:
            break
    writer.push([], last=True)
    given += writer.take(last=True)
    assert given == offline(ids, stops) and writer.written == len(given)


def test_no_character_is_cut_and_no_more_is_held_than_needed() -> None:
    writer = Writer(TOKENIZER, ["xyz"])
    given = []
    for byte in "a😀xyxyq".encode():
        writer.push(TOKENIZER.encode(chr(byte)).tolist() if byte < 128 else [byte_id(byte)])
        given.append(writer.take())
    assert given == ["a", "", "", "", "😀", "", "", "xy", "", "xyq"]


def byte_id(byte: int) -> int:
    return next(number for number in range(TOKENIZER.vocab_size) if TOKENIZER.decode_bytes([number]) == bytes([byte]))


def test_ids_that_pad_a_vocabulary_have_no_text() -> None:
    writer = Writer(TOKENIZER)
    writer.push([TOKENIZER.vocab_size, TOKENIZER.vocab_size + 9])
    assert writer.take(last=True) == ""
