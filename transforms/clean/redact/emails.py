r"""E-mail addresses: every `@` is found first, and what stands on both sides of it is judged, so a text without one costs nothing.

A domain ends in a top-level domain that exists (tlds.txt). Where that is a word of programs too (`.py`, `.name`, `.target`), and where a
side has capitals, the neighbours decide: quotes, `<>`, `mailto:`, a comment or prose around it make an address; operators, calls and
keywords make code (a matrix product `A@B.c`, Kotlin's `this@Screen.show()`). What is written around an address stays: escapes (`\njane@`,
`%3Cjane@`, roff's `\fBjane@`, POD's `E<lt>`), Chinese without spaces, a password behind a colon. An `@` may be written `\@` (Perl),
`@@` (Texinfo) or `%40` (URLs), and a dot `\.` or `\&.` (roff).

Left are addresses of domains reserved for examples (RFC 2606), logins of URLs and of git, ids of messages, and names of SSH's algorithms.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

# One of them matches in each text with a find (scan.py).
ANCHORS = (rb"[0-9A-Za-z_+}\\@\x80-\xff-]@[0-9A-Za-z\x80-\xff]", rb"[0-9A-Za-z_+}\\@\x80-\xff-]%40[0-9A-Za-z\x80-\xff]")
LONGEST_LOCAL = 64  # RFC 5321, 4.5.3.1.1
CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-")
DOMAIN = re.compile(r"[^\W_]++(?:(?:\\?-)++[^\W_]++)*+(?:(?:\\&?)?\.[^\W_]++(?:(?:\\?-)++[^\W_]++)*+){1,10}+")
ROFF = re.compile(r"\\&?(?=[.-])")  # what roff writes before a dot or a hyphen
GENERAL = frozenset(("com", "org", "net", "edu", "gov", "mil"))  # RFC 920 and RFC 1591: no program calls an attribute so
RESERVED = ("example.com", "example.org", "example.net")
BELOW_RESERVED = tuple(f".{name}" for name in RESERVED)
# RFC 4251, section 6: who adds an algorithm to SSH names it `name@domain`, with his own domain.
NAMES_ALGORITHMS = ("openssh.com", "libssh.org")
ESCAPED = re.compile(r"u\{?[0-9A-Fa-f]{4,6}\}?|x[0-9A-Fa-f]{2}|f[BIRP]|f\(?[A-Z0-9]{1,2}|[0-7]{3}|[abefnrtv0]")
ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
LENGTH = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|[0-7]{3})\Z")
GROUP = re.compile(r"\{[\w.-]+(?:[,;|][ \w.\\-]+)+\Z")
MESSAGE_ID = re.compile(r"(?:message-id|in-reply-to|references|msgid)\W[^\n]*\Z|lore\.kernel\.org/\S*\Z", re.IGNORECASE)
REMOTE = re.compile(r":(?:[\w.~+-]*(?:/[\w.~+-]*)+|[\w.-]+\.git)(?![^\s\"'`,;)\]}>])")
COMMENTS = ("#", "//", "/*", "*", "--", ";", "%", '"""', "'''", "@author")
IN_A_LINE = (" #", " //", "/*", "<!--", "\t#", "\t//")
PERSON = re.compile(r"mail|address|user|login|author|contact|sender|recipient|account|maintainer|from|owner", re.IGNORECASE)
BEFORE_VALUES = frozenset(("return", "yield", "await", "assert", "lambda", "elif", "print"))
OPERATORS = tuple("-*/%&|^!~[.@")
ENTITIES = ("e<lt>", "&lt;", "u003c", "x3c", "%3c")  # of <
SCHEMES = ("mailto:", "sip:", "xmpp:")
CODE = re.compile(r"[=;{}\[\]+*|&^]|->|::|\w\(|\)\.\w")
FONT = re.compile(r"\\f(?:[BIRP]|\(..)\Z")
ENDS_FONT = re.compile(r"\\f[BIRP]")
ASIDE = re.compile(r"(?:^|[^\w.)\]])\(\Z")  # a parenthesis behind a word of prose, and not of a call
NAMED = re.compile(r"[\w\"'.)]\s+<\Z")
NUMBER = re.compile(r"\d{3,6}\.\d{1,4}")  # CompuServe's names
OPENS = {'"': '"', "'": "'", "`": "`", "<": ">", "\u2018": "\u2019", "\u201c": "\u201d", "\u00ab": "\u00bb"}
LABELS_OF_KOTLIN = frozenset(("this", "super", "return", "break", "continue"))
ENDS_LOGIN = re.compile(r"[\s/?#\"'<>(),;]")
OF_HOSTS = re.compile(r"^(?:[\w.:@-]+,)+(?=[\w.-]+:\Z)")  # `kafka://one:9092,user:` before `password@two`
NO_DOMAIN = re.compile(r"\d+(?:\.\d+)+\.|\d+x\.")
NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))
BESIDE = 16  # characters on each side that tell code from prose
LINE = 120  # characters around an address that are looked at


@functools.cache
def _top_level() -> dict[str, bool]:
    """Return the top-level domains, and whether each is a word of programs as well."""
    lines = Path(__file__).with_name("tlds.txt").read_text(encoding="utf-8").splitlines()
    return {name: bool(mark) for name, _, mark in (line.partition(" ") for line in lines if line and line[0] != "#")}


def is_extension(word: str) -> bool:
    """Say whether a word is a top-level domain that is also an extension of files.

    >>> is_extension("py"), is_extension("de")
    (True, False)
    """
    return _top_level().get(word.lower(), False) and len(word) < 5


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each e-mail address, in order.

    >>> text = r"x = A@B.T; mail = '\\njane@corp.io'"
    >>> [text[a:b] for a, b in find(text)]
    ['jane@corp.io']
    """
    finds = [*_find(text, "@")]
    if "%40" in text:
        finds = sorted([*finds, *_find(text, "%40")])
    before = 0
    for start, end in finds:
        if start >= before:
            yield start, end
            before = end


def _find(text: str, sign: str) -> Iterator[tuple[int, int]]:
    at, before = text.find(sign), 0  # the end of the address before: no other begins ahead of it
    while at != -1:
        after = at + len(sign)
        if after < len(text) and text[after].isalnum() and (found := _around(text, before, at, after)):
            yield found
            before = after = found[1]
        at = text.find(sign, after)


def _around(text: str, least: int, at: int, after: int) -> tuple[int, int] | None:
    """Return the bounds of the address whose sign stands from `at` to `after`, if it is one."""
    domain = DOMAIN.match(text, after)
    end = _end(text, domain) if domain else None
    if end is None:
        return None
    local = at - (at > least and text[at - 1] in "\\@")
    start = _local(text, least, local)
    if start is None:
        return None
    host = text[after:end].lower()
    if "\\" in host:
        host = ROFF.sub("", host)
    if host.endswith(RESERVED) and (host in RESERVED or host.endswith(BELOW_RESERVED)):
        return None
    if len(host) > 63 and any(len(part) > 63 for part in host.split(".")):
        return None
    tld = host.rsplit(".", 1)[-1]
    if (text[end : end + 1] == "@" and tld not in GENERAL) or _is_no_mailbox(text, start, local, end, host):
        return None
    if tld in GENERAL and text[end : end + 1] != "(":
        return start, end
    head = text[max(0, start - LINE) : start].rpartition("\n")[2]
    if local == at and _is_address(head, text[start:at], text[after:end], text[end : end + BESIDE], tld):
        return start, end
    return None


def _local(text: str, least: int, at: int) -> int | None:
    """Return where the local part begins that ends at `at`, or None where there is none."""
    if at > least and text[at - 1] == "}":  # {jane,john}@: the authors of a paper
        group = GROUP.search(text, max(least, at - LINE), at - 1)
        return group.start() if group else None
    floor = max(least, at - LONGEST_LOCAL - 8)
    start = at
    while start > floor:
        letter = text[start - 1]
        if (
            letter in CHARS
            or (letter > "\x7f" and letter.isalnum())
            or (start < at and text[start] in ".-" and ROFF.match(text, start - 1))
        ):
            start -= 1
        elif start < at and text[start] == "." and ROFF.match(text, max(floor, start - 2)):
            start -= 2
        else:
            break
    word = text[start:at]
    if not word.isascii() and (ascii_at := _last_ascii(word)):
        start += ascii_at  # Chinese, Japanese and Korean prose, written up to the address
    if start > least and text[start - 1] == "\\" and (escape := ESCAPED.match(text, start, at)):
        backslashes = start - len(text[max(0, start - LINE) : start].rstrip("\\"))
        if start - backslashes >= 0 and _is_odd(text, start):
            start = escape.end()
    if text[start] == "%" and (encoded := ENCODED.match(text, start, at)):
        start = encoded.end()
    while start < at and text[start] in "._%+-\\&":
        start += 1
    return start if start < at <= start + LONGEST_LOCAL and text[at - 1] not in ".%" else None


def _is_odd(text: str, end: int) -> bool:
    """Say whether the run of backslashes before `end` escapes what follows."""
    run = text[max(0, end - LINE) : end]
    return (len(run) - len(run.rstrip("\\"))) % 2 == 1


def _last_ascii(word: str) -> int:
    """Return where the last ASCII piece of a word begins, if East Asian letters stand right before it; 0 for none."""
    place = len(word)
    while place and word[place - 1] < "\x80":
        place -= 1
    return place if place < len(word) and word[place - 1] >= "\u2e80" else 0


def _end(text: str, domain: re.Match[str]) -> int | None:
    """Return where the domain ends: in a top-level domain that exists, and not within a word. None for no domain."""
    end = domain.end()
    last = text.rfind(".", domain.start(), end) + 1
    name = text[last:end]
    if not name.isascii() and name.lower() not in _top_level():
        short = next((k for k, letter in enumerate(name) if letter >= "\u2e80"), 0)
        name, end = name[:short], last + short
    if name.endswith("E") and text.startswith("<gt>", end):  # POD's E<gt>
        name, end = name[:-1], end - 1
    following = text[end : end + 2]
    if following[:1] == ">" and name.isalpha() and name.isascii() and _is_named(text, domain.start()):
        return end  # of a machine without a name in the Internet's: `Jane <jane@laptop.local>`
    if name.lower() not in _top_level() and not name.lower().startswith("xn--"):
        before = text.rfind(".", domain.start(), last - 1) + 1  # a sentence that begins without a space
        if not before or not name[:1].isupper() or text[before : last - 1] not in GENERAL:
            return None
        return last - 1
    if len(following) == 2 and (
        (following[0] == "_" and following[1].isalnum())
        or (following[0] == "." and following[1].isascii() and following[1].isalnum())
    ):
        return None
    return end if text[end : end + 1] != "_" or not following[1:].isalnum() else None


def _is_named(text: str, domain: int) -> bool:
    """Say whether the address that has its domain at `domain` stands in angle brackets behind a name."""
    opened = text.rfind("<", max(0, domain - LONGEST_LOCAL - 2), domain)
    return opened != -1 and NAMED.search(text, max(0, opened - 4), opened + 1) is not None


def _is_no_mailbox(text: str, start: int, local: int, end: int, host: str) -> bool:
    """Say whether it has the shape of an address and is the login of a machine, the id of a message or the name of an algorithm."""
    before = text[max(0, start - LINE) : start]
    if "://" in before and _is_login(before):
        return not before.lower().endswith("mailto://")
    name, following = text[start:local], text[end : end + 1]
    if (name == "git" and following and following in ":/\"'`") or (following == ":" and REMOTE.match(text, end)):
        return True
    if (host in NAMES_ALGORITHMS and name != host.partition(".")[0]) or (name.endswith("-cbc") and host == "lysator.liu.se"):
        return True
    if (
        name.endswith(".fsf")
        or (before[-1:] == "$" and before[-2:-1].isalnum())
        or (len(name) == 1 and LENGTH.search(before[-4:]))
    ):
        return True  # ids of messages by Gnus and Outlook; the length of a string in a program's bytes
    digits = len(name) - len(name.translate(NO_DIGITS))
    if digits >= 8 and 2 * digits >= len(name) and "+" not in name and ("." in name or name.count("-") > 1):
        return not NUMBER.fullmatch(name)
    return digits > 0 and MESSAGE_ID.search(before[-100:].rpartition("\n")[2]) is not None


def _is_login(before: str) -> bool:
    """Say whether a text ends within the user information of a URL: `https://user:` before `password@host`, of several hosts too."""
    authority = before[before.rfind("://") + 3 :]
    return not ENDS_LOGIN.search(OF_HOSTS.sub("", authority))


@functools.lru_cache(maxsize=1024)  # lists and logs repeat themselves
def _is_address(head: str, local: str, domain: str, tail: str, tld: str) -> bool:
    """Judge by its neighbours what may be code as well: the top-level domain is a country's, or a word."""
    following = tail[:1]
    if head.endswith(":") and head.lower().endswith(SCHEMES):
        return True
    if following in ("(", "[", "@") or local in LABELS_OF_KOTLIN or tld == "target" or NO_DOMAIN.match(domain):
        return False  # a call, a label, a unit of systemd, a version, an icon of another size
    if following == "\\" and ENDS_FONT.match(tail):  # roff's italics
        following = tail[3:4]
        head = FONT.sub("", head)
    if head and (OPENS.get(head[-1]) == following or (head[-1] == "<" and following in ("|", ">", " "))):
        return True
    if head[-1:] == "[" and not (head[-2:-1].isalnum() or head[-2:-1] in (")", "]", "_")):  # of a list
        return True
    if (
        head.lower().endswith(ENTITIES)
        or following == ">"
        or (following == ")" and ASIDE.search(head[-2:]))
        or _is_comment(head)
    ):
        return True
    is_word = _top_level().get(tld, True) or (len(tld) > 2 and tld.isascii() and not tld.startswith("xn--"))
    is_plain = (not is_word and (domain[:1].islower() or "-" in domain)) or not domain.isascii() or not local.isascii()
    left = head.rstrip()
    if left.lstrip() in ("-", "+"):  # an item of a list, in YAML and Markdown
        return True
    is_value = left[-1:] in ("=", "+") or left[-7:].rpartition(" ")[2] in BEFORE_VALUES
    if is_plain and not is_value:
        return True
    if PERSON.search(head):
        return True
    if is_plain or is_value or left[-1:] in OPERATORS:
        return False
    if head.count('"') % 2 or head.count("'") % 2:
        return True
    return not CODE.search(head[-BESIDE:]) and not CODE.search(tail.partition("\n")[0])


def _is_comment(head: str) -> bool:
    """Say whether the line up to an address has begun a comment, in most languages."""
    left = head.lstrip()
    return left.startswith(COMMENTS) or left[:4].lower() in ("rem ", "dnl ") or any(sign in head for sign in IN_A_LINE)
