"""What a secret proves by itself: checksums and inner forms, and how to make a secret that passes (for tests and benchmarks).

Each check is a row of CHECKS: `holds(secret)`, and `made(drawn, draw)`, which turns a drawn text of the shape into one that passes;
`draw(n)` gives n letters or digits. A secret that fails its check is judged as one without a check, since a copy may have lost its end.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Callable
from typing import NamedTuple

BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Draw = Callable[[int], bytes]


class Check(NamedTuple):
    """What a secret of a shape keeps."""

    holds: Callable[[bytes], bool]
    made: Callable[[bytes, Draw], bytes]


def base62(number: int, digits: int = 6) -> bytes:
    """Return a number in base 62, filled up with zeros.

    >>> base62(zlib.crc32(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"))  # a revoked token that GitHub's users check implementations by
    b'0mLq17'
    """
    found = bytearray()
    while number or len(found) < digits:
        number, digit = divmod(number, 62)
        found.append(BASE62[digit])
    return bytes(reversed(found))


def decoded(text: bytes) -> bytes:
    """Return what base64 of either alphabet stands for, without caring for its padding; nothing if it stands for nothing."""
    text = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + b"=" * (-len(text) % 4 % 3), validate=True)
    except binascii.Error:
        return b""


def der_length(data: bytes) -> int | None:
    """Return how many bytes the sequence (ITU-T X.690, 8.9) at the start of some bytes has with its head, or None if there is none."""
    if len(data) < 2 or data[0] != 0x30:
        return None
    if data[1] < 0x80:
        return 2 + data[1]
    size = data[1] & 0x7F
    return 2 + size + int.from_bytes(data[2 : 2 + size], "big") if 1 <= size <= 3 and len(data) >= 2 + size else None


def _object(text: bytes) -> dict[str, object]:
    try:
        found = json.loads(decoded(text))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _crc_made(secret: bytes, draw: Draw) -> bytes:
    start = secret.index(b"_") + 1
    return secret[:-6] + base62(zlib.crc32(secret[start:-6]))


def _grafana_made(secret: bytes, draw: Draw) -> bytes:
    body = secret[: secret.rindex(b"_")]
    return body + b"_" + zlib.crc32(body).to_bytes(4, "little").hex().encode()


def _json_part(secret: bytes) -> bytes:
    start = secret.find(b"eyJ")
    return secret[max(start, 0) :].partition(b"_")[0]


def _json_made(secret: bytes, draw: Draw) -> bytes:
    start = secret.find(b"eyJ")
    head, _, tail = secret[max(start, 0) :].partition(b"_") if start >= 0 else (b"", b"", b"")
    prefix = secret[:start] if start >= 0 else secret[: secret.index(b"_") + 1]
    body = base64.b64encode(json.dumps({"k": draw(max(40, len(head))).decode()}, separators=(",", ":")).encode())
    return prefix + body.rstrip(b"=") + (b"_" + tail if tail else b"")


def _jwt_made(secret: bytes, draw: Draw) -> bytes:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": draw(10).decode(), "name": draw(12).decode(), "iat": 1516239022})
    return b".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts), draw(43)])


CHECKS: dict[str, Check] = {
    # GitHub and npm: six digits in base 62 of the CRC-32 of the thirty characters before them.
    "crc32_base62": Check(lambda s: base62(zlib.crc32(s[s.index(b"_") + 1 : -6])) == s[-6:], _crc_made),
    # Grafana: the CRC-32 of all that stands before the last underscore, its lowest byte first.
    "grafana": Check(lambda s: _grafana_made(s, lambda n: b"") == s, _grafana_made),
    # An object of JSON, encoded.
    "base64_json": Check(lambda s: bool(_object(_json_part(s))), _json_made),
    "jwt": Check(lambda s: bool({"alg", "typ", "kid", "enc"} & {*_object(s.partition(b".")[0])}), _jwt_made),
}
