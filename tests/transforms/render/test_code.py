"""StarCoder2's repository format, as a person would write it down."""

import re
from collections import Counter

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.document import Special
from starmill.transforms.render.code import Format, documents, sentinels, text


def rows(*files: tuple[str, str, str], redactions: list | None = None) -> pa.RecordBatch:
    values = [
        {
            "repo_name": r,
            "path": p,
            "content": c,
            "content_id": f"id{p}",
            "language": "C",
            "length_bytes": len(c),
            "redactions": redactions,
        }
        for r, p, c in files
    ]
    return pa.RecordBatch.from_pylist(values, schema=schema.DATASET)


def test_with_and_without_names() -> None:
    block = rows(("o/r", "/a.c", "int a;\n"), ("o/r", "/b/c.c", "int b;\n"))
    (named,), (bare,) = (list(documents([block], Format(metadata_rate=rate))) for rate in (1.0, 0.0))
    first, second = (f.path for f in named.files)
    code = {"a.c": "int a;\n", "b/c.c": "int b;\n"}
    assert text(named) == f"<repo_name>o/r<file_sep>{first}\n{code[first]}<file_sep>{second}\n{code[second]}"
    assert text(bare) == f"<file_sep>{code[first]}<file_sep>{code[second]}"
    for document in (named, bare):
        for span in document.files:
            inside = "".join(str(p) for p in document.pieces[span.start : span.end])
            assert inside.endswith(code[span.path]) and span.content_id == f"id/{span.path}"


def test_a_repository_over_several_blocks_is_one_document() -> None:
    blocks = [rows(("r", "/a", "1"), ("r", "/b", "2")), rows(("r", "/c", "3"), ("s", "/a", "4"))]
    assert [(d.repo_name, len(d.files)) for d in documents(blocks, Format())] == [("r", 3), ("s", 1)]


def test_order_and_names_are_random_and_fixed() -> None:
    blocks = [rows(*((f"r{i}", f"/{n}", n) for n in "abc")) for i in range(300)]
    made = list(documents(blocks, Format()))
    assert made == list(documents(blocks, Format())) != list(documents(blocks, Format(seed=1)))
    assert 110 < sum(d.pieces[0] == Special("<repo_name>") for d in made) < 190
    orders = Counter("".join(f.path for f in d.files) for d in made)
    assert len(orders) == 6 and min(orders.values()) > 25


def test_redactions_become_sentinels_and_typed_ones_stay_text() -> None:
    content = "a <EMAIL> b <EMAIL> c"
    block = rows(
        ("r", "/a", content),
        redactions=[{"kind": "EMAIL", "start": 12, "end": 19}, {"kind": "IP_ADDRESS", "start": 20, "end": 21}],
    )
    (document,) = documents([block], Format(metadata_rate=0))
    assert document.pieces == (Special("<file_sep>"), "a <EMAIL> b ", Special("<EMAIL>"), " c")
    assert text(document) == f"<file_sep>{content}"


def test_redacted_names_are_sentinels_in_the_text_and_whole_in_the_spans() -> None:
    name = "<EMAIL-0123456789ab>"
    (document,) = documents([rows((f"{name}/r", f"/a_{name}.c", "int a;\n"))], Format(metadata_rate=1))
    mail = Special("<EMAIL>")
    assert document.pieces == (Special("<repo_name>"), mail, "/r", Special("<file_sep>"), "a_", mail, ".c\nint a;\n")
    assert (document.repo_name, document.files[0].path) == (f"{name}/r", f"a_{name}.c")
    (typed,) = documents([rows(("<EMAIL>", "/<KEY>", "x"))], Format(metadata_rate=1))
    assert typed.pieces == (Special("<repo_name>"), "<EMAIL>", Special("<file_sep>"), "<KEY>\nx"), "typed ones stay text"


def test_starcoders_files_with_some_of_their_metadata() -> None:
    block = rows(*(("o/r", f"/src/f{n}.c", f"int f{n};\n") for n in range(1000)))
    stars = [0, 1, 10, 11, 1001] * 200
    at = block.schema.get_field_index("star_events_count")
    block = block.set_column(at, block.schema.field(at), pa.array(stars, pa.int64()))
    made = list(documents([block], Format(unit="file")))
    shape = re.compile(r"(<reponame>o/r)?(<filename>src/f(\d+)\.c)?(<gh_stars>(0|1-10|10-100|1000\+))?(\n)?int f(\d+);\n")
    found = [shape.fullmatch(text(document)) for document in made]
    assert all(found) and made == list(documents([block], Format(unit="file")))
    for n, (match, document) in enumerate(zip(found, made, strict=True)):
        assert match and match[7] == str(n) and match[3] in (None, str(n)), "fields come back"
        assert (match[6] is not None) == any(match[k] for k in (1, 2, 4)), "a line break where anything stands before it"
        assert match[5] in (None, ["0", "1-10", "1-10", "10-100", "1000+"][n % 5])
        assert [(span.path, span.start, span.end) for span in document.files] == [(f"src/f{n}.c", 0, len(document.pieces))]
    assert all(140 < sum(match is not None and match[k] is not None for match in found) < 260 for k in (1, 2, 4))
    assert sum(match is not None and match[6] is not None for match in found) == pytest.approx(488, abs=80), "each for itself"
    tokens = {piece.token for document in made for piece in document.pieces if isinstance(piece, Special)}
    assert tokens == {*sentinels(Format(unit="file"))} and sentinels(Format()) == ()
