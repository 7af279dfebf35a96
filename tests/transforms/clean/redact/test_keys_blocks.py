"""Private keys in every dress go whole, and nothing behind them; lines that only begin one stay."""

import base64
import random

import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.clean.redact.keys import find
from starmill.transforms.clean.redact.keys_blocks import BEGIN, FEWEST, MOST_BYTES, block

RNG = random.Random(6)
BODY = base64.b64encode(RNG.randbytes(610)).decode()
LINES = [BODY[at : at + 64] for at in range(0, len(BODY), 64)]
BEHIND = "\nrest = some_function_of_the_program_behind_the_key(argument)\n"


@pytest.mark.parametrize("dress", planted.BLOCKS)
def test_dresses(dress: str) -> None:
    first, last = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
    text = planted.BLOCKS[dress]([first, *LINES, last]) + BEHIND
    [(start, end)] = {*find(text)}
    assert text[start:].startswith(first) and not any(line in text[:start] + text[end:] for line in LINES)
    assert BEHIND in text[end:] and (last not in text or text[:end].endswith(last))


@pytest.mark.parametrize(
    ("first", "headers", "last"),
    [
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", ["Version: GnuPG v2", "Comment: a, b", ""], "=a\n-----END PGP PRIVATE KEY BLOCK-----"),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", ['Comment: "rsa-key-2020"'], "---- END SSH2 ENCRYPTED PRIVATE KEY ----"),
        ("-----BEGIN RSA PRIVATE KEY-----", ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0A1B", ""], "-----END RSA PRIVATE KEY-----"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", [], "-----END OPENSSH PRIVATE KEY-----"),
    ],
)  # fmt: skip
def test_forms(first: str, headers: list[str], last: str) -> None:
    text = "\n".join(["a", first, *headers, *LINES, last]) + BEHIND
    assert [text[a:b] for a, b in find(text)] == ["\n".join([first, *headers, *LINES, last])]


def test_putty() -> None:
    text = "\n".join(
        [
            "PuTTY-User-Key-File-3: ssh-rsa",
            "Public-Lines: 1",
            LINES[0],
            f"Private-Lines: {len(LINES)}",
            *LINES,
            "Private-MAC: ab12",
        ]
    )
    assert [text[a:b] for a, b in find(text)] == ["\n".join(LINES)]


@pytest.mark.parametrize(
    "behind",
    [
        "", "\n...\n-----END PRIVATE KEY-----", "\nMIIE...\n-----END PRIVATE KEY-----", "' in text: raise ValueError('no key')",
        "\n" + "A" * 64 + "\n" + "A" * 64 + "\n-----END PRIVATE KEY-----", " and a word about it in a longer sentence",
        "\n" + LINES[0][: FEWEST - 4],
    ],
)  # fmt: skip
def test_what_stays(behind: str) -> None:
    assert list(find(f"x = '-----BEGIN PRIVATE KEY-----{behind}")) == []


def test_public_keys_and_certificates_stay() -> None:
    for kind in ("PUBLIC KEY", "CERTIFICATE", "PGP PUBLIC KEY BLOCK", "PGP MESSAGE"):
        assert list(find("\n".join([f"-----BEGIN {kind}-----", *LINES, f"-----END {kind}-----"]))) == []


def test_a_key_without_end_has_one() -> None:
    text = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(LINES * 100)
    [(start, end)] = find(text)
    assert start == 0 and end <= MOST_BYTES + 100


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*LINES[:3], "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\n", "\\n", '" +\n"', "x", "="]
        ),
        max_size=14,
    )
)
def test_a_block_begins_where_it_begins_and_ends_in_the_text(pieces: list[str]) -> None:
    data = "".join(pieces).encode()
    for begin in BEGIN.finditer(data):
        found = block(data, begin)
        assert found is None or (found[0] == begin.start() and begin.end() + FEWEST <= found[1] <= len(data))
