"""Files of documentation as texts: descriptions beside the email package's reading of them, and what gives none."""

import email
import gzip
import importlib.metadata
from importlib.metadata import PackageNotFoundError

import pytest

from starmill.pipelines.sources.documentation.files import MANUAL, METADATA, PAGE, PDF, Form
from starmill.pipelines.sources.documentation.text import Text, description, text_of

LIMIT = 10_000
HEAD = "Metadata-Version: 2.1\nName: toy\n"


def made(data: bytes, form: str = "Markdown", is_packed: bool = False) -> Text | None:
    return text_of(data, Form(form, is_packed), LIMIT)


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        (
            f"{HEAD}Description-Content-Type: text/markdown; charset=UTF-8\n\n# Toy\n\nPlays.\n",
            ("# Toy\n\nPlays.\n", "Markdown"),
        ),
        (f"{HEAD}Description-Content-Type: text/plain\r\n\r\nToy\r\n", ("Toy\n", "Text")),
        (f"{HEAD}description-content-type:text/x-rst\n\nToy\n", ("Toy\n", "reStructuredText")),
        (f"{HEAD}\nToy\n===\n", ("Toy\n===\n", "reStructuredText")),
        (
            f"{HEAD}Description: Toy\n       |===\n       |\n       |   x\nKeywords: a\n",
            ("Toy\n===\n\n  x\n", "reStructuredText"),
        ),
        (f"{HEAD}Description: one\n        two\n", ("one\ntwo\n", "reStructuredText")),
        (HEAD, ("\n", "reStructuredText")),
        ("Name: toy\n\nno metadata\n", None),
        ("", None),
        ("  \n:\n", None),
    ],
    ids=["markdown", "plain", "rst", "none", "bars", "folded", "nothing", "nameless", "empty", "spaces"],
)
def test_the_description_of_a_package(metadata: str, wanted: tuple[str, str] | None) -> None:
    assert description(metadata) == wanted


def test_descriptions_of_installed_packages_are_what_email_reads() -> None:
    compared = 0
    for found in importlib.metadata.distributions():
        try:
            metadata = found.read_text("METADATA")
        except (UnicodeDecodeError, PackageNotFoundError):
            continue
        if metadata:
            message = email.message_from_string(metadata)
            said = description(metadata)
            assert said, found.name
            wanted = message.get_payload()
            assert said[0].strip() == (wanted if wanted.strip() else message["Description"] or "").strip()
            kind = (message["Description-Content-Type"] or "").partition(";")[0]
            assert said[1] == {"text/markdown": "Markdown", "text/plain": "Text"}.get(kind, "reStructuredText")
            compared += 1
    assert compared > 30


def test_text_stays_as_it_is() -> None:
    said = "# Toy\r\n\r\n<b>x</b>\té\n"
    assert made(said.encode()) == (said, "Markdown", None, None) == made(gzip.compress(said.encode()), is_packed=True)
    latin = "Un café, déjà vu à la fête du Noël, où l'été était naïf\n"
    assert made(latin.encode("latin-1"), "Text") == (latin, "Text", None, None), "another encoding is UTF-8 then"
    assert made("\ufeff# Toy\n".encode()) == ("# Toy\n", "Markdown", None, None)


def test_what_has_no_text_has_a_reason() -> None:
    reasons = {
        "pdf": made(b"%PDF-1.4\n", PDF),
        "no_text": made(f"{HEAD}\nUNKNOWN\n".encode(), METADATA),
        "unreadable_document": made(b"# Toy\n", METADATA),
        "not_a_manual_page": made(b"\x7fELF of a sort\n", MANUAL),
        "too_deep": made(b"<div>" * 1000, PAGE),
        "too_large": made(gzip.compress(b"x" * LIMIT), is_packed=True),
        "corrupt_gzip": made(gzip.compress(b"x" * 100)[:-5], is_packed=True),
    }
    assert {name: text and text.reason for name, text in reasons.items()} == {name: name for name in reasons}
    assert made(b"# not packed\n", is_packed=True) == made(b"# not packed\n"), (
        "a name that ends in .gz says nothing of the bytes"
    )
    long = made(b"<blockquote>" * 30 + b"<p>x</p>" * 900, PAGE)
    assert long and long.reason == "too_large" and long.detail == f"as Markdown it has more than max_file_bytes={LIMIT}"


def test_bytes_that_are_no_text_are_the_callers_to_name() -> None:
    assert made(b"a\0b") is made(b"") is made(b"\xff\xfe\x81 \x00") is None
    packed = made(gzip.compress(b"a\0b"), is_packed=True)
    assert packed and packed.reason == "no_text"


def test_a_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(b"\n" * (20 << 20), 9)
    found = text_of(bomb, Form("Text", True), LIMIT)
    assert found and found.reason == "too_large"
