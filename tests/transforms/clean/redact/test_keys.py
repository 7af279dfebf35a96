"""Secrets by shape and by surroundings; hashes, identifiers and templates stay; the same with anchors and without; each goes whole."""

import random
import re
import string
import sys
from pathlib import Path

import planted
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tedious_texts import tedious

from starmill.transforms.clean.redact import Redact, keys, scan
from starmill.transforms.clean.redact.keys import find, finders, judge
from starmill.transforms.clean.redact.redact import DETECTORS

RNG = random.Random(3)
CASES = planted.everything(7, 2)


def noise(n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RNG.choice(alphabet) for _ in range(n))


def found(text: str) -> set[str]:
    return {text[start:end] for start, end in find(text)}


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
    for text in (f"x = '{secret}'  # keep\n", f"(see {secret}.)", secret, f"old_{secret}_é", f"漢{secret}漢"):
        assert any(secret in whole for whole in found(text)), text
    assert found(f"x{secret}") == set() or not found(f"x{secret}") & {secret}, "not inside of a word"


@pytest.mark.parametrize("family", ["shape", "assignment", "call", "block"])
def test_what_is_planted_is_found_whole(family: str) -> None:
    cases = [case for case in CASES if case.family.startswith(family)]
    missed = [c for c in cases if not any(start <= c.start and end >= c.end for start, end in find(c.text))]
    assert len(missed) <= (0.02 if family != "assignment" else 0.05) * len(cases), missed[:5]
    for case in cases:
        for start, end in find(case.text):
            cut = start < case.start < end < case.end or case.start < start < case.end
            assert not cut or any(a <= case.start and b >= case.end for a, b in find(case.text)), f"only a part goes: {case}"


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
        '"downward_api": "V1DownwardAPIProjection", "secret": "V1SecretKeySelector2Projection"',
        "AWS_SECRET_ACCESS_KEY=${{ secrets.AWS_SECRET_ACCESS_KEY_1 }}",
        f'"integrity": "sha512-{noise(86)}=="',
        f"github.com/a/keys v1.2.3 h1:{noise(43)}=",
        f'"public_key": "{noise(44)}"',
        f"site-packages/auth.py,sha256={noise(43)},1062",
        "AKIAIOSFODNN7" + "EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY is no secret_key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'",
        "http://user:password@host.com http://joe:$PASS@host http://a:8080/b@c http://[::1]:80/x@y",
        "Authorization: Basic dXNlcjpwYXNzd29yZA== is user and password",
        "Authorization: Bearer <token> or Bearer authentication_token_of_yours",
        "key = object.method_name_2(argument)",
        "tokens = tokenizer.encode(text1234567890)",
        'license_key: "lgpl-2.1-nokia-qt-1.0"',
        '["Qwen2_5OmniToken2WavDiTModel", "Qwen2_5OmniToken2WavBigVGANModel"]',
        f"key: {noise(32, '0123456789abcdef')}",
        "password = os.environ['DB_PASSWORD_2']",
        "<password>********1</password>",
        f'clientEarlyTrafficSecret := fromHex("{noise(64, "0123456789ABCDEF")}")',
        f'"NextToken": "{noise(40)}", "--starting-token {noise(40)}"',
    ],
)
def test_what_stays(text: str) -> None:
    assert found(text) == set()


def test_a_line_speaks_of_hashes_before_an_assignment() -> None:
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


PIECES = [case.text for case in CASES] + [
    *("é漢 ", " ", "\n", "api_key = '", "'", '"', ":", "=", "@", ".", "-----BEGIN PRIVATE KEY-----", "-----END", "Ab1/" * 16),
    *("key: ", "sha256 ", "://a:", "Basic ", "Bearer ", "-", "_", "eyJ", "AKIA", "<KEY>", "value=", "\\n"),
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([10, 30, 300])), max_size=9))
def test_anchors_find_what_is_found_without_them(pieces: list[tuple[str, int]]) -> None:
    text = "".join(piece[:most] for piece, most in pieces)
    data = text.encode()
    rows = dict(scan.rows_with_hits(pa.array([text]), [DETECTORS["keys"]]))
    with_anchors = {(len(data[:a].decode()), len(data[:b].decode())) for a, b in judge(data, rows[0][0] if rows else ())}
    assert with_anchors == set(find(text))


def test_anchors_see_code_as_the_whole_search_does() -> None:
    for module in (sys.modules["re"], sys.modules["random"], sys.modules["string"]):
        text = Path(str(module.__file__)).read_text()
        assert found(text) == set()
        rows = dict(scan.rows_with_hits(pa.array([text]), [DETECTORS["keys"]]))
        assert not rows or not list(judge(text.encode(), rows[0][0]))


def test_each_finder_names_what_each_match_has() -> None:
    for case in CASES:
        data = case.text.encode()
        for finder in finders():
            for match in finder.pattern.finditer(data):
                assert finder.literal in match.group(), finder
                assert len(match.group()) <= finder.longest, finder
                hit = re.compile(finder.anchor, re.DOTALL).search(data, match.start())
                assert hit and hit.start() >= match.start(), finder


def test_time_is_linear() -> None:
    step = Redact(emails=False, ip_addresses=False)
    assert tedious(lambda text: [*find(text)], 20_000) == []
    assert tedious(lambda text: step.redact(text, "f")) == []


def test_characters_are_counted_not_bytes() -> None:
    secret = SECRETS[1]
    text = f"é漢 x = '{secret}'"
    assert next(find(text)) == (text.index(secret), text.index(secret) + len(secret))
    assert keys.find("\udc80") is not None and found("\udc80 " + secret) == {secret}, "names of files may hold lone surrogates"
