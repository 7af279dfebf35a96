"""Checksums and inner forms: known tokens, what is made passes, and one changed character does not."""

import base64
import json
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.clean.redact.keys_checks import BASE62, CHECKS, base62, decoded, der_length
from starmill.transforms.clean.redact.keys_shapes import draw, shapes


def test_known_tokens() -> None:
    # A revoked token in articles on GitHub's format, the example of Grafana's documentation, and that of RFC 7519's introduction.
    assert CHECKS["crc32_base62"].holds(b"gh" + b"p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17")
    assert CHECKS["grafana"].holds(b"gl" + b"sa_HOruNAb7SOiCdshU9algkrq7FDsNSLAa_54e2f8be")
    assert CHECKS["jwt"].holds(b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x")
    assert not CHECKS["jwt"].holds(b"eyJhbGciOiJIUzI1Ni.eyJ.x")


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_made_passes_and_what_is_changed_does_not(name: str) -> None:
    rng = random.Random(2)
    mine = [shape for shape in shapes() if shape.check is CHECKS[name]]
    assert mine, "no shape has this check"
    for shape in mine:
        for _ in range(50):
            secret = draw(shape, rng)
            assert CHECKS[name].holds(secret), secret
            at = secret.index(b"_") + 2 if b"_" in secret else 4
            changed = secret[:at] + (b"a" if secret[at : at + 1] != b"a" else b"b") + secret[at + 1 :]
            assert name in ("jwt", "base64_json") or not CHECKS[name].holds(changed)
            cut = secret[:3] + b"!" + secret[4:]
            assert name not in ("jwt",) or not CHECKS[name].holds(cut)


@given(st.integers(0, 2**32 - 1))
def test_base62(number: int) -> None:
    digits = base62(number)
    assert len(digits) == 6 and sum(BASE62.index(c) * 62**at for at, c in enumerate(reversed(digits))) == number
    assert sorted(BASE62.decode()) == sorted(string.ascii_letters + string.digits)


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_decoded_is_what_base64_decodes(data: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert decoded(encode(data)) == decoded(encode(data).rstrip(b"=")) == data


def test_decoded_of_anything_else_is_nothing() -> None:
    assert decoded(b"no base64!") == decoded(b"") == decoded(b"\xff\xff") == b""
    assert json.loads(decoded(b"eyJhIjoxfQ")) == {"a": 1}


def test_der() -> None:
    assert der_length(b"0\x03abc") == 5 and der_length(b"0\x81\x80") == 131 and der_length(b"0\x82\x01\x00") == 260
    assert der_length(b"") is der_length(b"1\x03") is der_length(b"0\x84\x01\x00\x00\x00") is der_length(b"0\x82\x01") is None
