"""The model of characters: it tells drawn values from names, its table can be made again, and placeholders are known."""

import random
import string
import subprocess
import sys
from pathlib import Path

import pytest

from starmill.transforms.clean.redact import keys_gibberish
from starmill.transforms.clean.redact.keys_gibberish import SYMBOLS, TABLE, entropy, is_placeholder, surprise, train

RNG = random.Random(4)
WORDS = (
    "get_element_by_name", "AbstractSingletonProxyFactoryBean", "max_position_embeddings", "READ_ONLY_MEMORY_BIT", "application-json-patch",
    "numberOfActiveConnections", "test_keys_checks.py", "starmill.transforms.clean", "setUpClassForTesting", "https-proxy-server-name",
)  # fmt: skip


@pytest.mark.parametrize("alphabet", [string.ascii_letters + string.digits, string.ascii_lowercase + string.digits], ids=len)
def test_drawn_values_cost_more_than_names(alphabet: str) -> None:
    highest = max(surprise(word.encode()) for word in WORDS)
    drawn = [surprise("".join(RNG.choices(alphabet, k=32)).encode()) for _ in range(1000)]
    assert sum(d > highest for d in drawn) > 950, (highest, min(drawn))


def test_short_values() -> None:
    assert surprise(b"") == surprise(b"a") == 0


def test_entropy_is_that_of_the_counts() -> None:
    assert (
        entropy(b"") == entropy(b"aaaa") == 0 and entropy(b"abcd") == 2 and entropy(b"aab") == pytest.approx(0.9183, abs=1e-4)
    )


@pytest.mark.parametrize(
    "value",
    ["", "aaaaaaaaaaaa", "0123456789abcdef", "fedcba9876543210", "abcabcabcabc", "gX9qLw3Kgx9qlw3k", "your-token-here", 
     "AKIAIOSFODNN7EXAMPLE",
     "xxxxxxxxGq72Lp", "${SECRET_OF_MINE}", "{{ secret_of_mine }}", "changeme-Gq72Lp"],
)  # fmt: skip
def test_placeholders(value: str) -> None:
    assert is_placeholder(value.encode())


def test_drawn_values_are_no_placeholders() -> None:
    for alphabet in (string.ascii_letters + string.digits, "0123456789abcdef", string.ascii_uppercase + "234567"):
        for length in (16, 24, 40):
            drawn = ("".join(RNG.choices(alphabet, k=length)).encode() for _ in range(2000))
            assert sum(map(is_placeholder, drawn)) <= 4, (alphabet, length)


@pytest.mark.parametrize("word", ["fAke", "yOUR", "tOdo", "XXxX"])
def test_four_letters_are_chance_in_a_long_value_that_is_drawn(word: str) -> None:
    alphabet = string.ascii_letters + string.digits + "-_"
    for _ in range(300):
        drawn = "".join(RNG.choices(alphabet, k=90))
        assert not is_placeholder((drawn[:40] + word + drawn[40:]).encode()), drawn
    assert is_placeholder(f"{word}-api-key-of-this-account-goes-in-here".encode())
    assert is_placeholder(f"{word * 20}".encode()) and is_placeholder(f"gX9qLw3K{word}zT7vPb2N".encode())


def test_the_table_is_made_again_by_its_command(tmp_path: Path) -> None:
    made = tmp_path / "bigrams.txt"
    subprocess.run([sys.executable, "-m", keys_gibberish.__name__, str(made)], check=True)
    ours, theirs = (
        [ord(c) for line in text.split("\n") if not line.startswith("#") for c in line]
        for text in (TABLE.read_text(), made.read_text())
    )
    assert len(ours) == len(theirs) == len(SYMBOLS) ** 2
    # Another Python's library and newer files of ours move a few cells; rare pairs most.
    assert sum(abs(a - b) <= 4 for a, b in zip(ours, theirs, strict=True)) > 0.97 * len(ours)


def test_training_counts_each_word_once_in_any_order() -> None:
    texts = [b"get_name get_name set_name", b"get_name value_of"]
    assert train(texts) == train(texts[::-1]) == train([b" ".join(texts)])
    rows = train(texts).split("\n")[1:]
    g, e, z = (SYMBOLS.index(c) for c in "gez")
    assert rows[g][e] < rows[g][z], "what follows often costs less"
