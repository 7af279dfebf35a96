"""The lines of a text in pieces are those of the text, however it is cut; a long line of small pieces takes no square of their number."""

import gzip
import random
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.pipelines.sources.lines import blocks, lines
from starmill.pipelines.sources.tables import lines as tables_lines


def test_pieces_do_not_show() -> None:
    chance = random.Random(1)
    for _ in range(300):
        text = bytes(chance.choices(b"ab\n", (6, 3, 2), k=chance.randrange(40)))
        cuts = sorted(chance.choices(range(len(text) + 1), k=chance.randrange(12)))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        wanted = text.split(b"\n") if not text.endswith(b"\n") and text else text.split(b"\n")[:-1]
        assert list(lines(pieces, 4)) == [(line if len(line) <= 4 else None, len(line)) for line in wanted], pieces
        held = [found for found in blocks(pieces, 1 << 10) if isinstance(found, bytes)]
        assert b"".join(held) == text and len(held) <= len(pieces) + 1, pieces
        assert all(isinstance(found, int) or found.endswith(b"\n") for found in [*blocks(pieces, 4)][:-1]), pieces


@pytest.mark.timeout(60)
def test_small_pieces_of_a_long_line() -> None:
    assert list(lines((b"x" for _ in range(1_000_000)), 1 << 20)) == [(b"x" * 1_000_000, 1_000_000)]


@pytest.mark.timeout(60)
def test_a_stream_that_is_cut_off_in_a_long_line(tmp_path: Path) -> None:
    data = b"{}\n" + random.Random(1).randbytes(125_000).hex().encode()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(data, mtime=0)[:-9])
    first, last = tables_lines.lines(lambda: pa.OSFile(str(tmp_path / "cut.gz")), "gzip", 1 << 20)
    assert first.data == b"{}" and last.number == 2 and last.error and 240_000 < last.size <= 250_000
