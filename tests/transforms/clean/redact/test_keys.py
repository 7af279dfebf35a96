"""Secrets by shape and by assignment; hashes, identifiers and templates stay. Every key here is put together at run time."""

import random
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.clean.redact.keys import entropy, find

RNG = random.Random(3)


def noise(n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RNG.choice(alphabet) for _ in range(n))


UPPER = string.ascii_uppercase + string.digits
SECRETS = [
    "AK" + "IA" + noise(16, UPPER),
    "gh" + "p_" + noise(36),
    "github" + "_pat_" + noise(60),
    "gl" + "pat-" + noise(20),
    "xo" + "xb-" + noise(30),
    "sk" + "_live_" + noise(24),
    "AI" + "za" + noise(35),
    "s" + "k-" + noise(48),
    "h" + "f_" + noise(34, string.ascii_letters),
    "S" + "G." + noise(22) + "." + noise(43),
    "np" + "m_" + noise(36),
    "ey" + "J" + noise(20) + ".ey" + "J" + noise(40) + "." + noise(43),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda s: s[:4])
def test_shapes(secret: str) -> None:
    text = f"x = '{secret}'  # keep\n"
    assert [text[a:b] for a, b in find(text)][:1] == [secret]


def test_private_keys() -> None:
    block = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "\n".join(noise(64) for _ in range(10)) + "\n-----END"
    assert [block[a:b] for a, b in find(block + " RSA...")] == [block]


def test_assignments() -> None:
    value = noise(40)
    for text in (f'api_key = "{value}"', f"client-secret: '{value}'", f'ACCESS_TOKEN := "{value}"', f'"auth_token": "{value}"'):
        assert [text[a:b] for a, b in find(text)] == [value], text


@pytest.mark.parametrize(
    "text",
    [
        'secret_key = "changeme-please-now-1"',
        'api_key = "your_api_key_goes_here"',
        'access_token = "0123456789abcdef0123456789abcdef"',
        f'sha256_key = "{noise(64, "0123456789abcdef")}"',
        'client_id = "123e4567-e89b-12d3-a456-426614174000"',
        'private_key = "${PRIVATE_KEY_FROM_ENV}"',
        "sk-" + "x" * 48,
        f"commit {noise(40, '0123456789abcdef')}",
        "def get_secret_token(secret_name): ...",
    ],
)
def test_what_stays(text: str) -> None:
    assert list(find(text)) == []


def test_entropy() -> None:
    assert entropy("") == 0 and entropy("aaaa") == 0
    assert entropy("abcd") == 2


# The pattern of a whole private key, which takes too long over many beginnings; and what a line of assignments is judged by.
PEM = re.compile(r"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.\\n-]{64,20000}?-----END")
BOUNDS = (
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "BEGIN A PRIVATE KEY BLOCK-----",
    "-----END",
    "-----",
)
PARTS = st.sampled_from([*BOUNDS, *"\n; \u00e9", "\\n", "Ab1/" * 16, "Ab1/" * 5, "Ab1/" * 2500])


@settings(max_examples=500, deadline=None)
@given(st.lists(PARTS, max_size=14).map("".join))
def test_private_keys_are_those_of_one_pattern(text: str) -> None:
    assert [*find(text)] == [m.span() for m in PEM.finditer(text)]


def test_a_line_speaks_of_hashes_up_to_each_assignment() -> None:
    secret = "Aq1Zx9Lm3Po7" + "Vb2Nk"
    key = f"api_key = '{secret}' "
    for text, kept in {
        key * 3: 3,
        f"{key}sha {key}{key}": 1,
        f"sha\n{key}": 1,
        f"{key}sha\n{key}": 2,
        f"sha {key}\n{key}": 1,
    }.items():
        assert [text[a:b] for a, b in find(text)] == [secret] * kept, text
