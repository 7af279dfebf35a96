"""What is remembered of a module is what parsing it gives, by its content, in the user's cache; nothing depends on its being there."""

import hashlib
import json
from pathlib import Path

import pytest

from starmill.pipelines.run import syntax

CODE = b'"""Doc."""\nfrom starmill.core import files  # a remark\nimport json\n\n\ndef f():\n    """More."""\n    return json\n'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_remarks_and_docstrings_say_nothing_and_code_does() -> None:
    imports, digest = syntax.understood(CODE)
    assert {*imports} == {"starmill.core.files", "json"}
    bare = CODE.replace(b'"""Doc."""\n', b"").replace(b"  # a remark", b"").replace(b"More", b"Other")
    assert syntax.understood(bare) == (imports, digest)
    assert syntax.understood(CODE.replace(b"return json", b"return files"))[1] != digest


def test_another_process_reads_what_was_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = syntax.understood(CODE)
    syntax.remember()
    [place] = (cache / "starmill").iterdir()
    assert place == syntax.place() and [*json.loads(place.read_bytes())] == [hashlib.sha256(CODE).hexdigest()]
    syntax._read.cache_clear()  # as a new process begins
    monkeypatch.setattr(syntax.ast, "parse", lambda code: pytest.fail("parses what is known"))
    assert syntax.understood(CODE) == first
    written = place.stat().st_mtime_ns
    syntax.remember()
    assert place.stat().st_mtime_ns == written, "nothing new, nothing written"


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"a": 3}'])
def test_a_damaged_file_is_no_file(damage: bytes) -> None:
    first = syntax.understood(CODE)
    syntax.remember()
    syntax.place().write_bytes(damage)
    syntax._read.cache_clear()
    assert syntax.understood(CODE) == first
    syntax.remember()
    assert len(json.loads(syntax.place().read_bytes())) == 1


def test_without_a_cache_that_can_be_written_all_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/none")
    assert syntax.understood(CODE)[0]
    syntax.remember()
