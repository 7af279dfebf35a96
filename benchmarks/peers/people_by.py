"""Names, user names and passwords by patterns: what one writes without a model, to measure one by.

BigCode had no patterns for these three: theirs find e-mail and IP addresses, and detect-secrets keys. These look for words that people
write before a value, in all syntaxes at once, and refuse what is no value: references, calls, placeholders. Who wrote them knew the
formats that are held out.
"""

import re
from collections.abc import Iterator

Find = tuple[int, int, str]
UPPER = r"(?:(?![\d_a-zß-öø-ÿа-я])\w)"  # a first letter that is no small one
PERSON = rf"{UPPER}[\w'’-]*(?:\.?[ ]{UPPER}[\w'’-]*\.?){{1,3}}"
ROLE = (
    r"author(?:s|ed)?|maintain(?:er|ers|ed)|owner|creator|developer|contributors?|credits?|reviewer|editor|contact|committer|"
    r"(?:full|display|real|contact)[_ -]?name|name|copyright|\(c\)|©|by|thanks to|signed-off|reported|acked|reviewed|from|cc"
)
GAP = r"(?:[\w.-]{0,12}[\s\"'`:=>,;({\[<@/|*-]|\d{4}|\(c\)|content=|person\(){1,12}?"
NAMES = (
    rf"(?i:\b(?:{ROLE})){GAP}(?P<v>{PERSON})",
    rf"\b(?:Hi|Hello|Hey|Dear|Cheers|Thanks|Regards|regards|I am|name is|I'm)[,]?\s+(?P<v>{PERSON})",
    rf"(?P<v>{PERSON})\s*[<(]\s*[\w.+-]+@[\w-]+\.",
    rf"(?P<v>{PERSON}) (?:wrote|said|commented|proposed)\b",
)
VALUE = r"(?P<v>[^\s\"'`<>,;(){}\[\]]{3,64})"
QUOTED = r"(?:=>|:=|[:=,(>]|\bvalue=|\bcontent=)\s*[\"'`](?P<v>[^\s\"'`<>{}]{3,64})[\"'`]"
BARE = rf"(?:\s*[:=>]\s*|\s+is\s+){VALUE}"
PASS = r"(?i:[\w.-]{0,20}(?:pass(?:word|wd|phrase|code)?|pwd|passwort)[\w.-]{0,8}|\bpw)"
USER = r"(?i:[\w.-]{0,12}(?:user(?:[_-]?name)?|login(?:[_-]?name)?|account(?:[_-]?name)?|nick(?:name)?|uid)[\w.-]{0,4})"
PASSWORDS = (
    rf"{PASS}[\"'`]?\s*{QUOTED}",
    rf"{PASS}[\"'`]?{BARE}",
    r"(?i:password|passwd|passphrase|with)\s+[`'\"]?(?P<v>(?=\S*\d)[^\s\"'`<>,;()]{5,64})",
    r"://[^\s/:@]{2,32}:(?P<v>[^\s/:@]{3,64})@",
    r"(?i:identified by|set_password\(|with password)\s*['\"](?P<v>[^'\"\s]{3,64})['\"]",
    r"\s-u\s+[\w.-]+:(?P<v>\S{3,64})",
    r"\s-p\s?(?P<v>(?=\S*\d)[^\s'\"]{5,64})",
)
USERS = (
    rf"{USER}[\"'`]?\s*{QUOTED}",
    rf"{USER}[\"'`]?{BARE}",
    r"(?<![\w@/.`])@(?P<v>[A-Za-z0-9][\w-]{2,38})",
    r"(?:/home/|/Users/|Users\\\\?)(?P<v>[\w.-]{2,32})",
    r"(?:github|gitlab)\.com/(?P<v>[\w.-]{2,39})/",
    r"(?:TODO|FIXME|XXX)[( \[]+(?P<v>[a-z][\w.-]{2,32})\b",
    r"\b(?:ssh|scp|rsync)\b[^\n@]*?\s(?P<v>[\w.-]{2,32})@",
    r"://(?P<v>[^\s/:@]{2,32}):[^\s/:@]+@",
    r"\s-u\s+(?P<v>[\w.-]{2,32})",
    r"(?i:create user|to|user|login of|log in as|assigned to|(?:closed|merged|reported) by)\s+['\"]?(?P<v>(?=\w*[\d_.-])[a-z][\w.-]{3,32})",
)
RULES = [
    (kind, re.compile(pattern))
    for kind, patterns in (("NAME", NAMES), ("PASSWORD", PASSWORDS), ("USERNAME", USERS))
    for pattern in patterns
]
NO_VALUE = re.compile(
    r"(?i)(?:none|null|nil|true|false|str(?:ing)?|int|optional|self|this|user(?:name)?|pass(?:word|wd)?|root|admin|\*+|x+|your[_-]?\w*|"
    r"varchar\w*|text|required|[$%<{].*|.*[({\[].*|[a-z_]+(?:\.[a-z_]+)+)\Z"
)
NO_PERSON = re.compile(
    r"(?i)\b(?:the|apache|foundation|inc|license|version|project|team|linux|windows|google|software|all|visual|server|version)\b"
)


def find(text: str) -> list[Find]:
    """Return the (start, end, kind) of what the patterns find, the first of two that overlap."""
    found: list[Find] = []
    for start, end, kind in sorted(_all(text), key=lambda one: (one[0], -one[1])):
        if not found or start >= found[-1][1]:
            found.append((start, end, kind))
    return found


def _all(text: str) -> Iterator[Find]:
    for kind, rule in RULES:
        for match in rule.finditer(text):
            start, end = match.span("v")
            value = match["v"]
            if kind == "NAME":
                if NO_PERSON.search(value):
                    continue
            elif NO_VALUE.match(value) or (kind == "PASSWORD" and not re.search(r"[\d\W]", value)):
                continue
            end -= len(value) - len(value.rstrip(".,;:" if kind != "PASSWORD" else ",;"))
            yield start, end, kind
