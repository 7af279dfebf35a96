"""Secrets by shape and by assignment; hashes, identifiers and templates stay. Every key here is put together at run time."""

import random
import string

import pytest

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
