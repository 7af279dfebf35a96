"""How near a completion is to the text that is wanted: edit similarity, and identifiers that both use (Ding et al. 2023)."""

import keyword
import re

WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`")
REMARK = {"python": re.compile(r"#[^\n]*")}
SLASHES = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
C_LIKE = (
    "abstract break case catch class const continue default do else enum extends false final finally for if implements import in "
    "instanceof int interface new null package private protected public return static super switch this throw throws true try void while"
)
KEYWORDS = {
    "python": frozenset(keyword.kwlist),
    "java": frozenset(
        f"{C_LIKE} assert boolean byte char double float goto long native short strictfp synchronized transient volatile".split()
    ),
    "typescript": frozenset(
        f"{C_LIKE} any as async await boolean debugger declare delete export from function get let module never number of readonly set "
        "string symbol type typeof undefined unknown var with yield".split()
    ),
    "csharp": frozenset(
        f"{C_LIKE} as async await base bool byte char checked decimal delegate double event explicit extern fixed float foreach get "
        "goto implicit internal is lock long namespace object operator out override params readonly ref sbyte sealed set short sizeof "
        "stackalloc string struct typeof uint ulong unchecked unsafe ushort using var virtual volatile where yield".split()
    ),
}


def edit_similarity(one: str, other: str) -> float:
    """Return 2 L / (a + b) of two texts of a and b characters whose longest common subsequence has L; of two empty ones 1.

    It is `ratio` of rapidfuzz and of fuzzywuzzy with Levenshtein, over 100. The subsequence is found by words of bits (Hyyrö 2004).

    >>> edit_similarity("kitten", "sitting")
    0.6153846153846154
    """
    if not one and not other:
        return 1.0
    places: dict[str, int] = {}
    for at, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << at
    every = (1 << len(one)) - 1
    row = every
    for character in other:
        matched = row & places.get(character, 0)
        row = (row + matched | row - matched) & every
    return 2 * (len(one) - row.bit_count()) / (len(one) + len(other))


def identifiers(code: str, language: str) -> set[str]:
    """Return the names in a text of python, java, typescript or csharp: no keywords, and none in strings or remarks.

    >>> sorted(identifiers("for name in rows: print('other', name)  # all", "python"))
    ['name', 'print', 'rows']
    """
    bare = REMARK.get(language, SLASHES).sub(" ", STRING.sub(" ", code))
    return set(WORD.findall(bare)) - KEYWORDS[language]


def identifier_f1(one: set[str], other: set[str]) -> float:
    """Return F1 of two sets of names; of two empty ones 1.

    >>> identifier_f1({"a", "b"}, {"b"})
    0.6666666666666666
    """
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0
