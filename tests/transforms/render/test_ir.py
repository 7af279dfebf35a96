"""StarCoder2's two forms of a pair, written out, and parsed back to what they were made of."""

from typing import Any

import pyarrow as pa
import pytest

from starmill.core.document import Document, Special
from starmill.transforms.render import ir
from starmill.transforms.render.code import Format, text

CODE = "int twice(int x) {\n\treturn 2 * x; // <intermediate_to_code>\n}\n"
IR = "define i32 @twice(i32 %x) {\nentry:\n  %mul = shl nsw i32 %x, 1\n  ret i32 %mul\n}\n"


def row(path: str, content: str = CODE + IR, segments: Any = ..., redactions: Any = ()) -> dict[str, Any]:
    if segments is ...:
        segments = [
            {"role": "code", "name": "C", "start": 0, "end": len(CODE)},
            {"role": "ir", "name": "size", "start": len(CODE), "end": len(CODE + IR)},
        ]
    names = {"kind": "ir", "repo_name": "programs", "path": path, "content_id": "00" * 20, "language": "C"}
    return {**names, "content": content, "segments": segments, "redactions": [*redactions]}


def rendered(*rows: dict[str, Any], seed: int = 0) -> list[Document]:
    return list(ir.documents([pa.RecordBatch.from_pylist([*rows])], Format(seed=seed)))


def parsed(document: Document) -> dict[str, str]:
    """Parse a document's text: its one sentinel that is a token says which of the two comes first."""
    [mark] = [piece for piece in document.pieces if isinstance(piece, Special)]
    at = document.pieces.index(mark)
    sides = ["".join(map(str, side)) for side in (document.pieces[:at], document.pieces[at + 1 :])]
    order = {"<code_to_intermediate>": ("code", "ir"), "<intermediate_to_code>": ("ir", "code")}[mark.token]
    return dict(zip(order, sides, strict=True))


def test_both_directions_are_the_papers() -> None:
    documents = rendered(*(row(f"/{k}.c") for k in range(40)))
    assert {text(d) for d in documents} == {
        "int twice(int x) {\n\treturn 2 * x; // <intermediate_to_code>\n}\n<code_to_intermediate>"
        "define i32 @twice(i32 %x) {\nentry:\n  %mul = shl nsw i32 %x, 1\n  ret i32 %mul\n}\n",
        "define i32 @twice(i32 %x) {\nentry:\n  %mul = shl nsw i32 %x, 1\n  ret i32 %mul\n}\n<intermediate_to_code>"
        "int twice(int x) {\n\treturn 2 * x; // <intermediate_to_code>\n}\n",
    }
    assert all(parsed(d) == {"code": CODE, "ir": IR} for d in documents)
    assert {(d.kind, d.language, d.repo_name, d.files[0].path) for d in documents[:1]} == {("ir", "C", "programs", "0.c")}


def test_half_go_each_way_by_a_hash() -> None:
    rows = [row(f"/{k}.c") for k in range(2000)]
    forward = [ir.TO_IR in d.pieces for d in rendered(*rows)]
    assert 900 < sum(forward) < 1100
    assert forward == [ir.TO_IR in d.pieces for d in rendered(*rows)] != [ir.TO_IR in d.pieces for d in rendered(*rows, seed=1)]


@pytest.mark.parametrize("mark", ["<code_to_intermediate>", "<intermediate_to_code>"])
def test_a_pair_that_is_one_text_is_divided_by_its_sentinel(mark: str) -> None:
    [document] = rendered(row("/1", f"by <EMAIL> {mark}ret <EMAIL>", None, [
        {"kind": "EMAIL", "start": 3, "end": 10},
        {"kind": "EMAIL", "start": 15 + len(mark), "end": 22 + len(mark)},
    ]))  # fmt: skip
    mail = Special("<EMAIL>")
    assert document.pieces == ("by ", mail, " ", Special(mark), "ret ", mail)


@pytest.mark.parametrize(
    "content",
    ["int x;\n", "a<code_to_intermediate>b<code_to_intermediate>c", "a<code_to_intermediate>b<intermediate_to_code>c"],
    ids=["none", "twice", "both"],
)
def test_a_text_that_no_sentinel_divides_is_text(content: str) -> None:
    [document] = rendered(row("/1", content, None))
    assert document.pieces == (content,)
