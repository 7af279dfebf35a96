"""Secrets that only their surroundings tell: what a name for a secret is given, passwords in URLs, and headers that authorise.

A value goes when its name says that it is a secret and it looks drawn at random: by its entropy, by the characters that follow each other
(keys_gibberish.py), and by what else it could be. Hashes, UUIDs, placeholders, references, paths and names stay. Where the name of an
issuer stands before a value of that issuer's shape (data/shapes.toml, `near`), the shape decides.
"""

import functools
import re
from itertools import pairwise
from typing import NamedTuple

from starmill.transforms.clean.redact.keys_checks import decoded
from starmill.transforms.clean.redact.keys_gibberish import entropy, is_placeholder, surprise
from starmill.transforms.clean.redact.keys_shapes import assigned

Span = tuple[int, int]

# Of these words one is in the name of what holds a secret; the issuers of shapes come to them.
WORDS = rb"key|token|secret|passw|passphrase|pwd|credential|auth|bearer|webhook|salt"
# Between a name and its value: a closing quote or bracket, a type; then a sign, white space, an attribute or an element; perhaps a call.
# The counts are for Python's pattern; the anchor does without them, and may match too much.
TYPED = rb"(?=[ \t]{1,4}=|=[ \t]{0,4}[\"'`])"
LINK = (
    rb"\\{0,3}[\"'`]?[\])}]?(?:[?!]?:[ \t]?[\w.<>\[\]|&*]{1,30}" + TYPED + rb")?[ \t]{0,40}"
    rb"(?P<sign>[=:><,(|?]{1,3}|\+=|->|[ \t]|,?\s{0,30}[\"']?[vV]alue[\"']?\s{0,4}[=:]|</[A-Za-z]{0,20}>\s{0,30}<[A-Za-z]{0,20}>)\s{0,30}"
    rb"(?:[A-Za-z_][\w.:]{0,30}\(\s{0,10})?"
)
REACH = 320  # bytes from a word to the end of its anchor: the longest word and rest, the longest link, and a digit's place in the value
QUOTED = rb"[^\s\"'`<>\\]"  # of a value in quotes
BARE = rb"[^\s\"'`,;<>(){}\[\]\\|]"  # of a value without
LONGEST = 512  # bytes of a value
DIGIT = 64  # of them at most stand before its first digit
# A password in a URL; credentials in a header.
URL = re.compile(rb"://[A-Za-z0-9_.~%+-]{0,64}:(?P<value>[^\s/\"'<>@]{3,256})@(?=[A-Za-z0-9_\[-])")
HEADER = re.compile(rb"[bB](?i:asic|earer)[ \t]{1,4}(?P<value>[A-Za-z0-9+/=_.~-]{8,4096}+)")
URL_ANCHOR = rb"://[A-Za-z0-9_.~%+-]*:[^\s/\"'<>@]+@[A-Za-z0-9_\[-]"
HEADER_ANCHOR = rb"(?i)(?:basic|bearer)[ \t]+[A-Za-z0-9+/=_.~-]{8}"

STRONG = re.compile(
    rb"passw|pwd|passphrase|secret|token|credential|bearer|webhook|_auth\b"
    rb"|(?:api|app|access|auth|private|priv|enc|encrypt|encryption|crypt|sign|signing|master|account|client|shared|service|session"
    rb"|admin|storage|jwt|hmac|ssh|deploy|consumer|oauth|subscription|secure|security|server|write|read)[_. -]?key"
)
# Of a list whose pages are asked for one after another, such a token says where it goes on.
GOES_ON = rb"page|next|continuation|starting|sync"
# Names of what is no secret, though a word for secrets is in them.
OTHER = re.compile(
    rb"public|pub_?key|key_?(?:words?|names?|types?|size|id|code|path|file|board|map|press|down|up|frame|value|hash|ring|space|stroke|point)\b"
    rb"|token(?:_?(?:type|name|ur[li]|id|count|len|length|kind|endpoint|index|class)\b|iz|s_)|author|foreign|primary|partition|sort_?key|cache"
    rb"|hash|sha\d|md5|digest|checksum|fingerprint|integrity|commit|thumbprint|public|_(?:url|uri|path|file|name|dir|type|version)$|site_?key"
    rb"|idempotency|resource_?key|licen[cs]e|publishable|measurement|tracking|analytics|recaptcha|nonce|cursor|continuation"
    rb"|(?:product|" + GOES_ON + rb")[_-]?token"
    rb"|traffic|exporter|master_?secret|expected|vector|identity"
)
# What speaks of hashes on the line before a value.
HASHES = re.compile(
    rb"(?i)\bsha(?:-?\d+)?\b|sha-?\d|md5|hash|digest|checksum|fingerprint|integrity|commit|thumbprint|etag|revision|\bpublic"
)
GOES_ON_IN_PROSE = re.compile(rb"(?i)(?:" + GOES_ON + rb")[ \t]token\Z")  # in OTHER no name has white space
# A name with a sign of a calculation behind it.
TERM = re.compile(rb"[A-Za-z_]\w*[ \t]{1,4}(?:[+*?]|\|\||&&)[ \t]")
UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
HEX = re.compile(rb"(?:0[xX])?[0-9a-fA-F]+")
PLAIN = re.compile(rb"[A-Za-z0-9+/=_.~-]+")  # an alphabet of secrets, without what passwords have beside it
REFERENCE = re.compile(rb"\$[\w{(].*|%\w+%|&\w+;?|.*\$\{.*|.*\{\{.*|.*%\(?[a-z_]*\)[sd]\b.*|.*%[sd]\b.*")
NEXT = re.compile(rb"&(?:[\w.-]+=|quot;|lt;|gt;|amp;)")  # the next part of a query, an escaped character
COMMAND = re.compile(
    rb"(?i)(?:^|\n)[ \t]*(?:env|arg|set|setx|export|setenv)[ \t]+(?:-\w[ \t]+)?[\w.-]*\Z|--[\w.-]*\Z|#[ \t]*define[ \t]+\w*\Z"
    rb"|\bconfigure[ \t]+set[ \t]+[\w.-]*\Z|\blogin[ \t]+\S{1,64}[ \t]+password\Z"  # aws's command, .netrc
)
CALLED = re.compile(rb"\([\s\\]*[\"'`]?[\w.-]*\Z")  # the beginning of a first argument
CONTEXT = 160  # bytes before a value on its line that are looked at for words
MASKED = re.compile(
    rb"(?i)pass|pwd|user|secret|token|key|admin|guest|root|test|foo|bar|login|xxx|cred|auth|name|postgres|rabbit|mysql|redis|none|null"
)


class Values(NamedTuple):
    """What finds the values that some words are given."""

    words: tuple[bytes, ...]  # of which each match begins with one, in either case
    pattern: re.Pattern[bytes]
    anchor: bytes


@functools.cache
def assignment() -> Values:
    """Return the pattern and the anchor of what names are given that say what it is."""
    return _values(WORDS.split(b"|"), _with_a_digit(QUOTED), _with_a_digit(BARE), b"{0,%d}[0-9]" % DIGIT)


@functools.cache
def issued() -> Values:
    """Return the pattern and the anchor of what names are given that say whose it is."""
    names = {name for s in assigned() if s.near for name in s.near.pattern.removeprefix(b"(?i)").split(b"|")}
    least = b"{%d}" % min(s.shortest for s in assigned())
    return _values(sorted(names), QUOTED + least, BARE + least, least)


def _values(words: list[bytes], quoted: bytes, bare: bytes, ahead: bytes) -> Values:
    """Return what finds values of words: `quoted` and `bare` are their beginnings for the anchor, `ahead` says the same for the pattern."""
    link = re.sub(rb"\{[01],\d\d?\}", b"*", LINK.replace(TYPED, b"")).replace(b"?P<sign>", b"?:")
    anchor = b"(?i)(?:" + b"|".join(words) + rb")[\w.-]*" + link + rb"(?:[A-Za-z@$]*\\*[\"'`]" + quoted + b"|" + bare + b")"
    # Python looks for a first letter quickly where the pattern says both cases of it.
    either = b"|".join(letter + b"(?i:" + word[1:] + b")" for word in words for letter in (word[:1], word[:1].upper()))
    pattern = (
        b"(?P<word>" + either + rb")(?P<rest>[\w.-]{0,40}?)(?P<link>" + LINK + rb")"
        rb"(?:[A-Za-z@$]{0,2}\\{0,3}(?P<quote>[\"'`])(?=" + QUOTED + ahead + rb")(?P<value>"
        + QUOTED + rb"{8,%d}+)(?=\\{0,3}(?P=quote))" % LONGEST
        + rb"|(?=" + BARE + ahead + rb")(?P<bare>" + BARE + rb"{8,%d}+)(?![\"'`(\[{]))" % LONGEST
    )  # fmt: skip
    return Values(tuple(words), re.compile(pattern), anchor)


def _with_a_digit(chars: bytes) -> bytes:
    # A value of eight characters or more with a digit in it has one with four characters on one of its sides.
    return b"(?:" + chars + b"{4}" + chars + b"*[0-9]|" + chars + b"*[0-9]" + chars + b"{4})"


def judge_assignment(data: bytes, match: re.Match[bytes]) -> Span | None:
    """Return the (start, end) of the value of an assignment, if it is a secret."""
    start, end = _value(data, match)
    before = _before(data, match.start())
    value = data[start:end]
    if end - start < 8 or is_placeholder(value) or not _is_linked(match, match["quote"] is None, before):
        return None
    if GOES_ON_IN_PROSE.search(before + match["word"]) or (match["quote"] is None and TERM.match(data, start)):
        return None
    name = _name(before) + match["word"].lower() + match["rest"].lower()
    line = before + data[match.start() : start + 10]
    return (start, end) if _is_secret(value, name, line, match["quote"] is None) else None


def judge_issued(data: bytes, match: re.Match[bytes]) -> Span | None:
    """Return the (start, end) of what a name with an issuer's in it is given, if it has a shape of that issuer's secrets."""
    start, end = _value(data, match)
    value, name = data[start:end], match["word"] + match["rest"]
    shapes = (s for s in assigned() if s.near and s.near.search(name) and s.pattern.fullmatch(value))
    if not _is_linked(match, match["quote"] is None, _before(data, match.start())) or not (found := next(shapes, None)):
        return None
    if is_placeholder(value) or HASHES.search(name) or entropy(value) < 2.5 or surprise(value) < (5 if found.mixed else 0):
        return None
    return start, end


def _value(data: bytes, match: re.Match[bytes]) -> Span:
    """Return where the value of a match lies, without what ends a sentence."""
    start, end = match.span("bare" if match["quote"] is None else "value")
    if match["quote"]:
        return start, end
    following = NEXT.search(data, start, end)
    return start, start + len(data[start : following.start() if following else end].rstrip(b".:!?"))


def _before(data: bytes, at: int) -> bytes:
    """Return what stands before a place on its line, as far as it counts."""
    first = max(0, at - CONTEXT)
    return data[max(first, data.rfind(b"\n", first, at) + 1) : at]


def _is_linked(match: re.Match[bytes], bare: bool, before: bytes) -> bool:
    """Say whether the sign between a name and its value assigns: some only do before a quote, some only on one line."""
    sign, link = match["sign"], match["link"]
    if b"--" in match["rest"]:
        return False  # a line of PEM
    if sign in b" \t" and bare:
        return COMMAND.search(before + match["word"] + match["rest"]) is not None
    if b"\n" in link and len(sign) <= 3 and (bare or b"," in sign):
        return False
    if sign == b"," and not CALLED.search(before):
        return False  # a list of names
    return not bare or sign[:1] in b"=:>+" or len(sign) > 3


def _name(before: bytes) -> bytes:
    """Return the beginning, in lower case, of the name that the text before ends in."""
    return before[len(before.rstrip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")) :].lower()


@functools.lru_cache(maxsize=1 << 10)  # a file that names a secret once often does so many times
def _is_secret(value: bytes, name: bytes, line: bytes, bare: bool) -> bool:
    strong = STRONG.search(name) is not None
    if OTHER.search(name) or UUID.search(value) or HASHES.search(line) or REFERENCE.fullmatch(value) or b"://" in value:
        return False
    if HEX.fullmatch(value):
        strong = strong and STRONG.search(name.replace(b"webhook", b"")) is not None  # a webhook itself has an id
        return strong and len(value) >= 24 and entropy(value) >= 3 and any(c in b"abcdefABCDEF" for c in value)
    if value.startswith((b"MII", b"MFkw", b"AAAA")) and b"priv" not in name:
        return False  # what encodings of certificates and public keys begin with
    if not PLAIN.fullmatch(value):
        return _is_password(value, name)
    if len(value) < 16:
        return _is_password(value, name)
    return _is_random(value, 0.0 if strong else 1.0)


def _is_random(value: bytes, more: float) -> bool:
    """Say whether a value of letters, digits and a few signs looks drawn; `more` bits are asked of what little else speaks for."""
    lower, upper, digit = (any(a <= c <= b for c in value) for a, b in (b"az", b"AZ", b"09"))
    if lower + upper + digit < 2 or len(value) < (16 if not more else 20):
        return False
    changes = sum({_kind(a), _kind(b)} <= {0, 1, 2} and _kind(a) != _kind(b) for a, b in pairwise(value)) / len(value)
    if lower and upper:
        return surprise(value) >= 6.4 + more / 2 and entropy(value) >= 3.2 and changes >= 0.3
    return surprise(value) >= 5.2 + more and entropy(value) >= 3.1 and (changes >= 0.2 or surprise(value) >= 6.6)


def _kind(char: int) -> int:
    return 0 if 48 <= char < 58 else 1 if 97 <= char < 123 else 2 if 65 <= char < 91 else 3


def _is_password(value: bytes, name: bytes) -> bool:
    """Say whether a short value, or one with other signs, is a password: by its name, three kinds of characters and what follows what."""
    if not re.search(rb"passw|pwd|passphrase|secret", name) or len(value) > 64 or re.search(rb"[(){}\[\]]|%[sd]|^[/.$]", value):
        return False
    kinds = len({_kind(c) for c in value})
    return kinds >= 3 and surprise(value) >= 5.4 and entropy(value) >= 2.8


def judge_url(data: bytes, match: re.Match[bytes]) -> Span | None:
    """Return the (start, end) of the password in a URL, if it is one: no word for a password, no reference, no port."""
    value = match["value"]
    user = data[match.start() + 3 : match.start("value") - 1]
    if (
        (not user and b":" in value)  # CVS: a method of access and a user
        or is_reference(value)
        or value.isdigit()
        or value == user
        or MASKED.search(value)
        or (value.isalpha() and surprise(value) < 7)
    ):
        return None
    if len(set(value)) < 4 or is_placeholder(value + b"QzWvKp"):
        return None
    return match.span("value")


def is_reference(value: bytes) -> bool:
    """Say whether a value names another: a variable, a template, a format."""
    return any(c in b"${}<>|()[]\\,;" for c in value)


def judge_header(data: bytes, match: re.Match[bytes]) -> Span | None:
    """Return the (start, end) of the credentials in a header: `name:password` in base64, or a token that looks drawn."""
    start, end = match.span("value")
    value = data[start:end].rstrip(b".")
    end = start + len(value)
    if is_placeholder(value) or data[match.start() - 1 : match.start()].isalpha():
        return None
    if match.group()[:5].lower() == b"basic":
        user, colon, password = decoded(value).partition(b":")
        if (
            not colon
            or not (user + password).isascii()
            or not (user + password).decode().isprintable()
            or MASKED.search(password)
        ):
            return None
        return (start, end) if len(password) >= 4 and not is_placeholder(password + b"QzWvKp") else None
    if len(value) < 16 or UUID.fullmatch(value):
        return None
    random = bool(HEX.fullmatch(value) and len(value) >= 32) or _is_random(value, 0.0)
    return (start, end) if random else None
