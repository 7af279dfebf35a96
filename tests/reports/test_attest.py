"""What an attestation says of a folder, file by file, and what is none."""

import hashlib
import json
from typing import Any

import pytest

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.reports.attest import attest, data, lines, read


def said(text: str | None) -> dict[str, Any] | None:
    return None if text is None else {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}


FILES = {"d/a": ("old", "new"), "d/b": ("same", "same"), "e/c": ("gone", None), "e/f": ("rest", "rest")}
DATA = {"format": 1, "files": [{"path": p, "before": said(b), "after": said(a)} for p, (b, a) in FILES.items()]}


def folder(name: str, **files: str) -> Workspace:
    place = Workspace(f"memory://attest-{name}")
    for path, text in files.items():
        place.publish(path.replace("_", "/"), text.encode())
    return place


def test_each_file_is_compared() -> None:
    attestation = read(json.dumps(DATA).encode(), "a.json")
    good = attest(attestation, folder("good", d_a="new", d_b="same", e_f="rest", g="mine"))
    assert (good.files, good.changed, good.wrong, good.absent) == (4, 2, (), ()) and data(good)["holds"]
    part = attest(attestation, folder("part", d_a="new", d_b="same"))
    assert (part.files, part.wrong, part.absent) == (2, (), ("e",)) and "not here, so not compared: e/" in lines(part, "x")[-1]
    bad = attest(attestation, folder("bad", d_a="old", e_c="gone", e_f="rest", g="old"))
    assert bad.wrong == (
        "d/a: has another sha256",
        "d/b: is not there",
        "e/c: is there, and was taken out",
        "d/a: has the bytes of d/a before the withdrawal",
        "e/c: has the bytes of e/c before the withdrawal",
        "g: has the bytes of d/a before the withdrawal",
    )
    assert not data(bad)["holds"] and lines(bad, "x")[0] == "x: not as attested:"


def test_what_is_none() -> None:
    attestation = read(json.dumps(DATA).encode(), "a.json")
    with pytest.raises(InputError, match="has none of the files of the attestation"):
        attest(attestation, folder("other", x_y="z"))
    with pytest.raises(InputError, match="has none of the files of the attestation"):
        attest(attestation, Workspace("memory://attest-empty"))
    for wrong in (
        b"",
        b"\0\xff",
        b"[" * 100_000,
        b"{}",
        b'{"format": 2, "files": []}',
        b'{"format": 1, "files": [{"path": 1}]}',
    ):
        with pytest.raises(InputError, match=r"a\.json: not an attestation of a withdrawal"):
            read(wrong, "a.json")
