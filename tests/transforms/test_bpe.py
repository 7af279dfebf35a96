"""The compiled encoder's ids are Hugging Face's: code, every character, random and adversarial text; other tokenizers get none."""

import json
import random
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tedious_texts
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tedious_texts import tedious

from starmill.core.tokenizer import SPECIAL_TOKENS, Tokenizer, train
from starmill.transforms import bpe, characters

TEXTS = [p.read_text(errors="ignore") for p in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:40]]
DATA = train(TEXTS, 2000)
TOKENIZER = Tokenizer(DATA)
ORACLE = tokenizers.Tokenizer.from_str(DATA.decode())
ORACLE.encode_special_tokens = True
NEW = characters.read(characters.CLASSES.read_text())


def made(tokenizer: Tokenizer = TOKENIZER) -> bpe.Encoder:
    encoder = bpe.encoder(tokenizer)
    assert encoder is not None
    return encoder


def oracle(text: str) -> list[int]:
    return ORACLE.encode(text, add_special_tokens=False).ids


def test_real_code_twice_so_that_all_is_known() -> None:
    for _ in range(2):
        for text, ids in zip(TEXTS, made()(TEXTS), strict=True):
            assert ids.dtype == np.uint16 and ids.tolist() == oracle(text)


def test_every_edge_of_a_class_where_it_may_decide() -> None:
    # Behind and before a letter, a digit, white space and others, twice, and behind the space that may lead.
    edges = np.flatnonzero(np.diff(characters.read(characters.CLASSES.read_text())))
    text = "".join(f"a{c}a {c}{c}1{c}.{c}\t{c}\n" for edge in edges.tolist() for c in (chr(edge), chr(edge + 1)))
    assert len(edges) > 1500 and made()([text])[0].tolist() == oracle(text)


RUNS = st.builds(
    lambda unit, times: unit * times,
    st.sampled_from([*" \t\nx_-\u00e9\u6f22\u0301\x1c", "\r\n", "-_", "a\u0301", "'s"]),
    st.integers(1, 700),
)
SHORT = st.text(st.sampled_from(" \n\r\t09'<>_aslvedmrt\u00e9\u6f22\u0301\u00bd\u0663\x1c\x85\u3000"), max_size=9)
ANY = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=700, deadline=None)
@given(st.lists(RUNS | SHORT | ANY).map("".join))
def test_random_text_and_runs_that_are_merged_elsewhere(text: str) -> None:
    assert made()([text])[0].tolist() == oracle(text)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_texts_are_apart_even_where_they_are_empty_or_have_long_runs(count: int) -> None:
    texts = ["", "'", "s", "a" * 600, " ", " b", "=" * 999 + " " + "x" * 513, "", "1"] * count
    assert [ids.tolist() for ids in made()(texts)] == [oracle(text) for text in texts]


def test_text_that_names_sentinels_is_text() -> None:
    text = "".join(SPECIAL_TOKENS)
    assert made()([text])[0].tolist() == oracle(text) and made()([text])[0].min() >= len(SPECIAL_TOKENS)


def test_ids_above_uint16() -> None:
    values = json.loads(DATA)
    moved = {token: number if number < 294 else number + 68_000 for token, number in values["model"]["vocab"].items()}
    values["model"]["vocab"] = moved | {f"ĀāĂă{number:x}": number for number in range(294, 68_294)}
    wide = Tokenizer(json.dumps(values).encode())
    for text, ids in zip(TEXTS[:9], made(wide)(TEXTS[:9]), strict=True):
        assert ids.dtype == np.uint32
        assert [number - 68_000 * (number >= 294) for number in ids.tolist()] == oracle(text)


def test_threads_may_share_one() -> None:
    with ThreadPoolExecutor(4) as pool:
        for text, (ids,) in zip(TEXTS, pool.map(lambda text: made()([text]), TEXTS), strict=True):
            assert ids.tolist() == oracle(text)


def test_no_text_takes_long() -> None:
    for name, text in tedious_texts.texts(20_000):
        assert made()([text])[0].tolist() == oracle(text), name
    assert tedious(lambda text: made()([text])) == []


OTHERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a normalizer": lambda t: t.update(normalizer={"type": "Lowercase"}),
    "digits together": lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(individual_digits=False),
    "whole words first": lambda t: t["model"].update(ignore_merges=True),
    "a dropout": lambda t: t["model"].update(dropout=0.5),
    "a byte less": lambda t: t["model"]["vocab"].pop("Ā"),
    "a token that is text": lambda t: t["added_tokens"].append(
        {**t["added_tokens"][0], "id": 2000, "content": "x", "special": False}
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_tokenizer_that_works_in_another_way_has_none(name: str) -> None:
    values = json.loads(DATA)
    OTHERS[name](values)
    assert bpe.encoder(Tokenizer(json.dumps(values).encode(), any_family=True)) is None


def test_classes_that_differ_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "agree", lambda pre, classes: classes is NEW)
    monkeypatch.setattr(characters, "derived", lambda pre: NEW)
    encoder = bpe.encoder.__wrapped__(TOKENIZER)
    assert encoder is not None and encoder._tables.classes is NEW
    monkeypatch.setattr(characters, "derived", lambda pre: NEW.copy())
    assert bpe.encoder.__wrapped__(TOKENIZER) is None


@pytest.mark.slow
def test_full_tables_are_emptied() -> None:
    draw = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    for size in (5, 12):
        words = [" " + "".join(draw.choices(letters, k=size)) for _ in range(bpe.ENTRIES + 9000)]
        for _ in range(2):
            text = "".join(words)
            assert made()([text])[0].tolist() == oracle(text)
