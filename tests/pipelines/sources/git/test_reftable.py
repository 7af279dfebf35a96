"""Reftables that git 2.55 wrote, kept here as they were, and those of the git at hand where it can: each reference has git's value."""

import base64
import contextlib
import random
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from repositories import git, listed, read, told

from starmill.core import swhid
from starmill.pipelines.sources.git.reftable import CorruptTable, lookup, records
from starmill.pipelines.sources.source import Snapshot

# Of `git init --ref-format=reftable`: a commit, an annotated tag, 200 branches of which the seventh was removed; then another commit, a
# symbolic reference, and the ninth removed. Two blocks, padded, and an index.
TABLES = {
    "0x000000000001-0x000000000005-756d5a26.ref": (
        "c-"
        "jkcbqir+5MY1;Mkvi%#K8ZLLD|FA(S?D(C^fBEKO;3UrC2{VF*A>$5>0^7@V(CO3%l3Gz56_4+ob#@cUrz)@#JnuEY8nO)z8V#OV`g!1hVqe^b_@yiW2jZGj"
        "t7^vFTCgG{7pZfm7TNhqw_Aabq0fCOE`RafqAY5I4smZh=GG5=S@~k`xXMjh;wRf-"
        "l$&hiiZt4T*$9d_)=1I>3xaa~e1tOel;flaUr+rh_Ws5Fb&d0~KIqqd5&6QI14Ll=*0Qfzyq}fP@3_8Oma?1(@ZCN;t$vlqL3nQN!U;Qd{A;TC3_f%{L~gF2"
        "+^m;3`?waRel;9EB_4sNr-cY2iS0$!9#&!^?y!;Wbd{hUj=Qp;maA(lopn7-"
        "Se2j2Re@GBD>cu!=LV9bn+dWZ)8H;NHc+o6Nw^&A`pTP{hDGm1vKf4wZyxHl!0Gu5chap3F!LFG2H>R<c{rHs=u=Q5Hibyevm{hO#6ryjZPD64Q(I%M6+7p6"
        "O{GW$$?$A7fcPb*?V&TjgYR>}53z1LGP7=1>NfzYHuvI0j`Ihy)9mclH1PM$nO&"
    ),
    "0x000000000006-0x000000000008-54697207.ref": (
        "c-jkcbqir+5MY1;HYm+e#K6$N(7;@jnpUizk(!uNte=>ZnOMxok0g?tn3>0|2qGC`-"
        "d^3WxR00Xhf;aK*UVM?{<AOfa5p3r=jW#C=j7+5>*pl`S@~)DiTX)JiFwHxx|U1~3^ELiK{)JZAQEKmvbqBRVGt;s"
    ),
}
FIRST, SECOND = "31ef2cfbd0bbad5eeef398b6926fa4dc84f5d449", "5cedd5bf21be0d0af8227750f569aa0f4f9bd20c"
BRANCH = "refs/heads/some/long/name/of/a/branch-{}"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "r/.git/reftable"
    folder.mkdir(parents=True)
    (folder.parent / "HEAD").write_text("ref: refs/heads/.invalid\n")
    for name, text in TABLES.items():
        (folder / name).write_bytes(zlib.decompress(base64.b85decode(text)))
    (folder / "tables.list").write_text("".join(f"{name}\n" for name in TABLES))
    return folder


def test_each_reference_has_the_value_that_git_wrote(tables: Path) -> None:
    old, new = ([*records((tables / name).read_bytes())] for name in TABLES)
    branches = {BRANCH.format(n).encode(): FIRST for n in range(1, 201) if n != 7}
    said = {name: value for name, value in old if name != b"refs/tags/v1"}
    assert said == {b"HEAD": "ref: refs/heads/main", b"refs/heads/main": FIRST} | branches
    assert [name for name, _ in old] == sorted(name for name, _ in old) and len(old) == 202
    assert dict(new) == {b"refs/heads/alias": "ref: refs/heads/main", b"refs/heads/main": SECOND, BRANCH.format(9).encode(): ""}
    wanted = {
        "HEAD": "ref: refs/heads/main",
        "refs/heads/main": SECOND,
        "refs/heads/alias": "ref: refs/heads/main",
        "refs/heads/none": "",
    }
    wanted |= {BRANCH.format(n): "" if n in (7, 9) else FIRST for n in (1, 7, 8, 9, 100, 200)}
    assert {name: lookup(tables, name, tables) for name in wanted} == wanted
    assert (
        re.fullmatch("[0-9a-f]{40}", lookup(tables, "refs/tags/v1", tables)) and lookup(tables, "refs/tags/v1", tables) != FIRST
    )


def test_the_commit_of_a_repository_is_named_though_its_objects_are_not_there(tables: Path) -> None:
    for folder in ("objects", "refs"):
        (tables.parent / folder).mkdir()
    _, [entry] = read(tables.parent.parent)
    assert (entry.reason, entry.detail) == ("unreadable_repository", f"MissingObject: {SECOND}")


def test_bytes_changed_anywhere_never_raise_anything_else(tables: Path) -> None:
    rng = random.Random(3)
    for whole in [(tables / name).read_bytes() for name in TABLES]:
        for _ in range(300):
            data = bytearray(whole[: rng.choice([len(whole), rng.randrange(len(whole))])])
            for at in rng.sample(range(len(data)), min(4, len(data))):
                data[at] = rng.choice([0, 255, rng.randrange(256)])
            with contextlib.suppress(CorruptTable):
                assert len([*records(bytes(data))]) < 5000


def test_names_that_grow_with_each_record_end_in_an_error() -> None:
    def varint(value: int) -> bytes:
        made = [value & 127]
        while value := value >> 7:
            value -= 1
            made.insert(0, 128 | value & 127)
        return bytes(made)

    # Each record repeats all of the name before: 16 MB would be a thousand times a gigabyte.
    block = b"".join(varint(n) + bytes([1 << 3]) + b"A\0" for n in range(10_000))
    head = b"REFT\1" + bytes(19) + b"r" + (24 + 4 + len(block) + 2).to_bytes(3)
    found = records(head + block + bytes(2 + 68))
    with pytest.raises(CorruptTable):
        assert len(max(record.name for record in found)) < 5000


@pytest.mark.parametrize(
    "listed",
    [
        b"../../secret.ref\n",
        b"/etc/passwd\n",
        b"none.ref\n",
        b"link.ref\n",
        b"a.ref\n" * 2000,
        b"\xff\n",
        b"a\0.ref\n",
        b"tables.list\n",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_list_that_leads_elsewhere_is_a_row(tables: Path, listed: bytes, tmp_path: Path) -> None:
    (tmp_path / "outside.ref").write_bytes((tables / next(iter(TABLES))).read_bytes())
    (tables / "link.ref").symlink_to(tmp_path / "outside.ref")
    (tables / "tables.list").write_bytes(listed)
    assert told(read(tables.parent.parent)[1]) == {"/": "unreadable_repository"}


def test_what_is_said_of_head(tables: Path) -> None:
    (tables / "tables.list").write_bytes(b"")
    _, [entry] = read(tables.parent.parent)
    assert (entry.reason, entry.detail) == ("unreadable_repository", "its reftables have no HEAD")
    first = next(iter(TABLES))
    data = bytearray((tables / first).read_bytes())
    (tables / first).write_bytes(data[:4] + b"\2" + data[5:24] + b"s256" + data[24:])
    (tables / "tables.list").write_text(f"{first}\n")
    _, [entry] = read(tables.parent.parent)
    assert entry.reason == "unsupported_format" and "SHA-256" in str(entry.detail)
    shutil.rmtree(tables)
    assert told(read(tables.parent.parent)[1]) == {"/": "no_revision"}


def test_a_repository_of_the_git_at_hand(tmp_path: Path) -> None:
    version = re.search(r"(\d+)\.(\d+)", subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout)
    if version is None or (int(version[1]), int(version[2])) < (2, 45):
        pytest.skip("NOT RUN: git 2.45 is the first that writes reftables")
    folder = tmp_path / "in/r"
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", "--ref-format=reftable")
    for n in range(3):
        (folder / "a.py").write_text(f"x = {n}\n")
        git(folder, "add", "a.py")
        git(folder, "commit", "-q", "-m", f"commit {n}")
    git(folder, "update-ref", "--stdin", given=b"".join(b"create refs/heads/b%d HEAD\n" % n for n in range(2000)))

    def equals_git(place: Path, branch: str | None) -> Snapshot:
        snapshot, entries = read(place, tmp_path / "in")
        assert snapshot.revision_id == git(place, "rev-parse", "HEAD").strip() and snapshot.branch_name == branch
        assert {e.path: swhid.content_id(e.data or b"") for e in entries} == {p: own for p, (_, own) in listed(place).items()}
        return snapshot

    first = equals_git(folder, "refs/heads/main")
    git(folder, "worktree", "add", "-q", "-b", "other", str(tmp_path / "in/linked"), "HEAD~1")
    assert equals_git(tmp_path / "in/linked", "refs/heads/other") != first
    git(folder, "symbolic-ref", "HEAD", "refs/heads/b1999")
    equals_git(folder, "refs/heads/b1999")
    git(folder, "checkout", "-q", "--detach", "HEAD~2")
    equals_git(folder, None)
    git(folder, "pack-refs", "--all")
    equals_git(folder, None)
    git(tmp_path / "in", "clone", "-q", "--mirror", "--ref-format=reftable", "r", "mirror.git")
    assert read(tmp_path / "in/mirror.git", tmp_path / "in")[0].revision_id == git(folder, "rev-parse", "HEAD").strip()
