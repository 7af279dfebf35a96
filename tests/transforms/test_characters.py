"""The classes of characters are those of the installed library, every one; one that is wrong is seen."""

import pytest

from starmill.core.tokenizer import untrained
from starmill.transforms import characters

PRE = untrained().pre_tokenizer


@pytest.mark.slow
def test_the_file_has_what_the_library_does() -> None:
    found = characters.derived(PRE)
    assert characters.written(found) == characters.CLASSES.read_text(), "another tokenizers? write characters.txt anew"


def test_the_file_agrees_with_the_library() -> None:
    kept = characters.read(characters.CLASSES.read_text())
    assert characters.agree(PRE, kept) and characters.written(kept) == characters.CLASSES.read_text()
    assert characters.classes(PRE) is not None


@pytest.mark.parametrize(
    ("character", "other"),
    [
        ("½", characters.LETTER),
        ("a", characters.NUMBER),
        (" ", characters.OTHER),
        ("x", characters.SPACE),
        (".", characters.NUMBER),
    ],
)
def test_one_wrong_class_is_seen(character: str, other: int) -> None:
    wrong = characters.read(characters.CLASSES.read_text())
    wrong[ord(character)] = other
    assert not characters.agree(PRE, wrong)
