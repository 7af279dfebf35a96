"""The escapes of roff, which manual pages are written in, as the characters that they stand for (groff_char(7), groff(7)).

No macro is run: a page is a program for troff, and of that language only what writers of manual pages use is understood.
"""

import re
import unicodedata
from collections.abc import Mapping

MAX_STRING = 80  # characters that a string of a page may stand for
ESCAPE = re.compile(
    r"""\\(?:
      \((?P<two>..)                                 # \(em
    | \[(?P<long>[^\]\n]{1,60})\]                   # \[u2014]
    | \*(?:\((?P<s2>..)|\[(?P<sn>[^\]\n]{0,60})\]|(?P<s1>.))  # \*(lq
    | C'(?P<named>[^'\n]{0,60})'
    | [fFmMnkgVYO](?:\(..|\[[^\]\n]{0,60}\]|[+-]?.)?       # fonts, colours, numbers
    | s(?:\[[^\]\n]{0,20}\]|'[^'\n]{0,20}'|\([+-]?\d\d|[+-]?\(\d\d|[+-]?[1-3]\d|[+-]?\d)?  # sizes
    | [bhvwlLoxXZRSHDNAB](?:'(?P<drawn>[^'\n]{0,200})')?   # movements and drawings
    | (?P<one>.)
    )?""",
    re.VERBOSE,
)
COMMENT = re.compile(r"(?<!\\)(?:\\\\)*(\\[\"#].*)")
ONE = {
    **dict.fromkeys("-", "-"),
    **dict.fromkeys("&|^/,)%:{}zpurda!?c", ""),
    **{
        "e": "\\",
        "\\": "\\",
        "'": "'",
        "`": "`",
        "0": " ",
        "~": "\N{NO-BREAK SPACE}",
        " ": "\N{NO-BREAK SPACE}",
        "t": "\t",
        "_": "_",
    },
}
CHARACTERS: Mapping[str, str] = {
    **{"em": "—", "en": "–", "hy": "-", "bu": "•", "co": "©", "rg": "®", "tm": "™", "aq": "'", "dq": '"', "lq": "“", "rq": "”"},
    **{
        "oq": "‘",
        "cq": "’",
        "ga": "`",
        "ha": "^",
        "ti": "~",
        "rs": "\\",
        "sl": "/",
        "ba": "|",
        "br": "|",
        "bv": "|",
        "at": "@",
    },
    **{"sh": "#", "Do": "$", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "⟨", "ra": "⟩", "Fo": "«", "Fc": "»", "fo": "‹"},
    **{"fc": "›", "->": "→", "<-": "←", "ua": "↑", "da": "↓", "<>": "↔", "rA": "⇒", "lA": "⇐", "hA": "⇔", ">=": "≥"},
    **{"<=": "≤", "!=": "≠", "==": "≡", "~~": "≈", "~=": "≈", "mu": "×", "di": "÷", "+-": "±", "mi": "−", "pl": "+", "eq": "="},
    **{"if": "∞", "mo": "∈", "sr": "√", "pd": "∂", "is": "∫", "de": "°", "fm": "′", "sd": "″", "sc": "§", "ps": "¶"},
    **{"dg": "†", "dd": "‡", "ct": "¢", "Eu": "€", "Po": "£", "Ye": "¥", "12": "½", "14": "¼", "34": "¾", "S1": "¹", "S2": "²"},
    **{"S3": "³", "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "/o": "ø", "/O": "Ø", "oA": "Å", "oa": "å", "/l": "ł"},
    **{"/L": "Ł", "-D": "Ð", "Sd": "ð", "TP": "Þ", "Tp": "þ", ".i": "ı", "r!": "¡", "r?": "¿", "ci": "○", "sq": "□", "OK": "✓"},
    **{"Bq": "„", "bq": "‚", "ul": "_", "ru": "_", "rn": "‾", "a^": "^", "aa": "´", "a~": "~", "ad": "¨", "a-": "¯", "no": "¬"},
    **{
        "tno": "¬",
        "or": "|",
        "OR": "∨",
        "AN": "∧",
        "te": "∃",
        "fa": "∀",
        "es": "∅",
        "nb": "⊄",
        "sb": "⊂",
        "sp": "⊃",
        "ib": "⊆",
    },
    **{"ip": "⊇", "ca": "∩", "cu": "∪", "Cs": "¤", "%0": "‰", "bb": "¦", "dA": "⇓", "uA": "⇑", "md": "⋅", "pc": "·", "lh": "☜"},
    **{"rh": "☞", "CR": "↵", "-": "-", "c*": "⊗", "c+": "⊕", "**": "∗", "pp": "⊥"},
}
ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    ":": "\u0308",
    "~": "\u0303",
    ",": "\u0327",
    "v": "\u030c",
    "o": "\u030a",
}
GREEK = dict(zip("ABGDEZYHIKLMNCOPRSTUFXQWabgdezyhiklmncopr", "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρ", strict=True))
GREEK |= dict(zip("tsufxqw", "ςσυφχψω", strict=True)) | {"s": "σ", "t": "τ", "u": "υ", "f": "ϕ", "x": "χ", "q": "ψ", "w": "ω"}
# Strings that man(7), mdoc(7) and pod2man define.
STRINGS = {
    "R": "®",
    "Tm": "™",
    "lq": "“",
    "rq": "”",
    "S": "",
    'L"': '"',
    'R"': '"',
    "C'": "'",
    "Aq": "'",
    "C`": '"',
    "C+": "C++",
}
STRINGS |= {
    "--": "--",
    "PI": "π",
    "Ba": "|",
    "Le": "≤",
    "Ge": "≥",
    "Ne": "≠",
    "Lt": "<",
    "Gt": ">",
    "Pm": "±",
    "If": "∞",
    "Na": "NaN",
}
STRINGS |= {"Am": "&", "q": '"', "Pi": "π", "Rq": "”", "Lq": "“", "ua": "↑", "aa": "´", "ga": "`", "<=": "≤", ">=": "≥"}


def plain(text: str, strings: Mapping[str, str] = STRINGS) -> str:
    r"""Return a text with its escapes as characters.

    >>> plain(r"\fB\-a\fR \(em na\[:i]ve, caf\('e \*(lqall\*(rq \s-1BSD\s0 \[u2713]")
    '-a — naïve, café “all” BSD ✓'
    """
    if "\\" not in text:
        return text
    return ESCAPE.sub(lambda found: _character(found, strings), text).replace("\N{NO-BREAK SPACE}", " ")


def uncommented(line: str) -> str:
    r"""Return a line without the comment at its end.

    >>> uncommented('.B a \\" not said')
    '.B a '
    """
    found = COMMENT.search(line) if '\\"' in line or "\\#" in line else None
    return line[: found.start(1)] if found else line


def _character(found: re.Match[str], strings: Mapping[str, str]) -> str:
    groups = found.groupdict()
    if name := groups["two"] or groups["long"] or groups["named"]:
        return _named(name)
    if (name := groups["s2"] or groups["sn"] or groups["s1"]) is not None:
        return strings.get(name.split(" ")[0], "")
    if groups["drawn"] is not None:
        kind = found[0][1]
        if kind == "N":
            return chr(int(groups["drawn"])) if groups["drawn"].isdigit() and 31 < int(groups["drawn"][:7]) < 0xD800 else ""
        return groups["drawn"][:1] if kind in "ob" else plain(groups["drawn"]) if kind == "Z" else ""
    if (one := groups["one"]) is not None:
        return ONE.get(one, one)
    return ""


def _named(name: str) -> str:
    if (known := CHARACTERS.get(name)) is not None:
        return known
    if re.fullmatch(r"u[0-9A-F]{4,6}(?:_[0-9A-F]{4,6})*", name):
        points = [int(point, 16) for point in name[1:].split("_")]
        return unicodedata.normalize("NFC", "".join(chr(p) for p in points if 31 < p < 0x110000 and not 0xD800 <= p < 0xE000))
    if re.fullmatch(r"char\d{1,6}", name):
        return chr(int(name[4:])) if 31 < int(name[4:]) < 0xD800 else ""
    if len(name) == 2 and name[0] in ACCENTS and name[1].isalpha():
        return unicodedata.normalize("NFC", name[1] + ACCENTS[name[0]])
    if len(name) == 2 and name[0] == "*":
        return GREEK.get(name[1], "")
    return name[0] if len(name) == 2 and name[1] == "v" else ""
