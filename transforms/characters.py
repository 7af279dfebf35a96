"""The class of each character where a tokenizer cuts text: letter, number, white space or other, as the installed `tokenizers` has them.

Its version of Unicode decides, and not Python's. characters.txt has the classes of one version; they are compared with the library's as a
whole, which takes a fifth of a second, and made anew where they differ, which takes three.
"""

from pathlib import Path
from typing import Any

import numpy as np

CLASSES = Path(__file__).parent / "characters.txt"
OTHER, LETTER, NUMBER, SPACE = range(4)
ASSIGNED = 0x40000  # no character from here on is a letter, number or white space


def classes(pre: Any) -> np.ndarray | None:
    """Return the class of each code point, uint8[0x110000], as a pre-tokenizer has it; None where it has others than these four."""
    kept = read(CLASSES.read_text())
    if agree(pre, kept):
        return kept
    found = derived(pre)
    return found if agree(pre, found) else None


def read(text: str) -> np.ndarray:
    """Return the classes that lines of "class first last" give, in hexadecimal numbers."""
    found = np.zeros(0x110000, np.uint8)
    for line in text.splitlines():
        kind, first, last = line.split(" ")
        found[int(first, 16) : int(last, 16) + 1] = " LNS".index(kind)
    return found


def written(classes: np.ndarray) -> str:
    """Return the lines that `read` reads."""
    starts = np.flatnonzero(np.diff(classes, prepend=np.uint8(255)))
    ends = np.append(starts[1:], len(classes)) - 1
    rows = zip(starts.tolist(), ends.tolist(), strict=True)
    return "".join(f"{' LNS'[classes[start]]} {start:x} {end:x}\n" for start, end in rows if classes[start])


def agree(pre: Any, classes: np.ndarray) -> bool:
    """Say whether a pre-tokenizer has these classes: whether all characters of a class are one pre-token, and each number one twice."""
    for kind in (LETTER, NUMBER, SPACE, OTHER):
        text = "".join(chr(c) for c in np.flatnonzero(classes[:ASSIGNED] == kind).tolist() if not 0xD800 <= c < 0xE000)
        if kind == NUMBER:
            text = "".join(2 * c for c in text)
        if len(pre.pre_tokenize_str(text)) != (len(text) if kind == NUMBER else 1):
            return False
    return True


def derived(pre: Any) -> np.ndarray:
    """Return the classes by trying each code point, which takes seconds."""

    def is_one(text: str) -> bool:
        return len(pre.pre_tokenize_str(text)) == 1

    classes = np.zeros(0x110000, np.uint8)
    for c in range(ASSIGNED):
        if not 0xD800 <= c < 0xE000:
            character = chr(c)
            if is_one(f"a{character}a"):
                classes[c] = LETTER
            elif not is_one(2 * character):
                classes[c] = NUMBER
            elif not is_one(f".{character}"):
                classes[c] = SPACE
    return classes
