"""Kinds of git repositories that nobody made by accident, of raw objects or by git itself; a kind is one line of a table.

COUNTED: git lists what is at HEAD, and each line of its list must be a row. REFUSED: git follows what it should not, lists more than
any disk holds, or nothing at all; at least one row says so. `private`: a repository outside of the input, which the kinds try to reach.
"""

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from hostile_files import code, noise, write
from repositories import commit, git, nest

WHO = b"a <a@b.c> 1700000000 +0000"
FILE, FOLDER, LINK, MODULE = b"100644", b"40000", b"120000", b"160000"
Entry = tuple[bytes, bytes, str]


def bare(folder: Path) -> Path:
    """Make a bare repository without objects, whose HEAD is the branch main."""
    for name in ("objects", "refs/heads"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


def put(folder: Path, kind: str, data: bytes, raw: bytes | None = None, named: str | None = None) -> str:
    """Store an object loose and return its id; `raw`: the bytes of its file, `named`: the id that it is to have, whatever is in it."""
    whole = f"{kind} {len(data)}\0".encode() + data
    name = named or hashlib.sha1(whole).hexdigest()
    write(folder / "objects" / name[:2], name[2:].encode(), zlib.compress(whole, 9) if raw is None else raw)
    return name


def tree(folder: Path, entries: Iterable[Entry]) -> str:
    """Store a tree and return its id."""
    return put(folder, "tree", b"".join(mode + b" " + name + b"\0" + bytes.fromhex(i) for mode, name, i in entries))


def one(folder: Path, header: bytes = b"", who: bytes = WHO) -> Path:
    """A bare repository of one file, with this in its commit."""
    return at(bare(folder), tree(folder, [(FILE, b"a.py", blob(folder))]), header, who)


def at(folder: Path, root: str, header: bytes = b"", who: bytes = WHO) -> Path:
    """Store a commit of this tree, which main becomes."""
    said = b"tree " + root.encode() + b"\nauthor " + who + b"\ncommitter " + who + b"\n" + header + b"\nsaid\n"
    (folder / "refs/heads/main").write_text(put(folder, "commit", said) + "\n")
    return folder


def blob(folder: Path, n: object = "") -> str:
    """Store a harmless file, another for each n, and return its id."""
    return put(folder, "blob", code(f"{folder.name}{n}"))


def of(folder: Path, *entries: tuple[bytes, bytes]) -> Path:
    """A bare repository with these modes and names, each of one harmless file."""
    held = blob(bare(folder))
    return at(folder, tree(folder, [(mode, name, held) for mode, name in entries]))


def whole(folder: Path) -> Path:
    """A bare repository of two files, to be damaged: /a.py and /b.py."""
    bare(folder)
    return at(folder, tree(folder, [(FILE, b"a.py", blob(folder, 1)), (FILE, b"b.py", blob(folder, 2))]))


def first(folder: Path) -> Path:
    """A repository of two files, to be damaged: the file of the object of /a.py."""
    return stored(whole(folder), 1)


def stored(folder: Path, n: object) -> Path:
    """Return where the object of the n-th file lies."""
    name = hashlib.sha1(b"blob %d\0" % len(data := code(f"{folder.name}{n}")) + data).hexdigest()
    return folder / "objects" / name[:2] / name[2:]


def linked(place: Path, target: str | Path) -> None:
    """Put a link in the place of a file."""
    place.unlink()
    place.symlink_to(target)


def branch(folder: Path, name: str) -> None:
    """A repository whose branch has this name."""
    (whole(folder) / "refs/heads/main").rename(folder / "refs/heads" / name)
    (folder / "HEAD").write_text(f"ref: refs/heads/{name}\n")


def packed(folder: Path) -> tuple[Path, Path]:
    """A repository in one pack; return its pack and its index, which may be written."""
    work = commit(folder, {f"{i}.py": code(f"{folder.name}{i}") for i in range(3)})
    git(work, "gc", "-q")
    found = next((work / ".git/objects/pack").glob("*.pack"))
    for place in (found, found.with_suffix(".idx")):
        place.chmod(0o644)
    return found, found.with_suffix(".idx")


def changed(place: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of a file."""
    place.write_bytes(change(place.read_bytes()))


def hooks(folder: Path, private: Path) -> None:
    """Everything that git itself would run or include."""
    work = commit(
        folder,
        {"a.py": code("hooks"), ".gitattributes": b"*.py filter=x diff=x\n", ".gitmodules": b'[submodule "x"]\n\tpath=-x\n'},
    )
    script = work / ".git/hooks/post-checkout"
    write(script.parent, b"post-checkout", f"#!/bin/sh\ntouch {private}/hook-ran\n".encode())
    script.chmod(0o755)
    run = f"touch {private}/command-ran"
    (work / ".git/config").write_text(
        f'[core]\n\trepositoryformatversion = 0\n\tfsmonitor = "{run}"\n\tsshCommand = "{run}"\n'
        f'[filter "x"]\n\tsmudge = "{run}"\n\tclean = "{run}"\n'
        f'[diff "x"]\n\ttextconv = "{run}"\n[include]\n\tpath = {private}/gitconfig\n'
    )


def worktree(folder: Path) -> None:
    """A work tree that is linked to the repository beside it."""
    work = commit(folder / "main", {"a.py": code("worktree")})
    git(work, "worktree", "add", "-q", "--detach", "../linked")
    for place in (folder / "linked/.git", work / ".git/worktrees/linked/gitdir"):
        changed(place, lambda data: data.replace(os.fsencode(folder), b".."))


def nested(folder: Path) -> None:
    """A checkout in a checkout, and a folder that looks bare in it."""
    commit(folder, {"a.py": code("outer"), "bare/HEAD": b"x", "bare/objects/x": b"x", "bare/refs/x": b"x"})
    commit(folder / "inner", {"b.py": code("inner")})


def names(folder: Path) -> None:
    """A tree with names that no file system takes."""
    said = [
        b"..",
        b".git",
        b".GIT",
        b"a\nb",
        b"\x1b[31m",
        b"dup",
        b"dup",
        b"\xff",
        b"x" * 5000,
        "\u202e".encode(),
        b"[red]x",
        b".",
        b"a\\b",
    ]
    held = blob(bare(folder))
    inner = tree(folder, [(FILE, b"a.py", held)])
    at(folder, tree(folder, [*((FILE, name, held) for name in said), (FOLDER, b"..", inner), (FOLDER, b".git ", inner)]))


def modules(folder: Path) -> None:
    """Submodules and links, with targets that are commands of a terminal."""
    bare(folder)
    targets = [put(folder, "blob", text) for text in (b"/etc/passwd", b"\x1b]0;owned\x07", b"../" * 2000, b"\xff\0")]
    rows = [
        *((LINK, b"l%d" % i, t) for i, t in enumerate(targets)),
        (MODULE, b"module", "1" * 40),
        (FILE, b"a.py", blob(folder)),
    ]
    at(folder, tree(folder, sorted(rows, key=lambda row: row[1])))


def spaces(folder: Path, size: int = 500_000) -> None:
    """One large text of a few kilobytes, named 200 times."""
    held = put(bare(folder), "blob", code("spaces") + b" " * size)
    at(folder, tree(folder, [(FILE, b"%03d.py" % i, held) for i in range(200)]))


def too_deep(folder: Path) -> None:
    """A hundred folders within each other, each with a file."""
    held = blob(bare(folder))
    below = tree(folder, [(FILE, b"a.py", held)])
    for _ in range(100):
        below = tree(folder, [(FILE, b"a.py", held), (FOLDER, b"d", below)])
    at(folder, below)


def tree_bomb(folder: Path) -> None:
    """A million million files in 13 objects."""
    below = tree(folder, [(FILE, b"a.py", blob(bare(folder)))])
    for _ in range(12):
        below = tree(folder, [(FOLDER, b"%d" % i, below) for i in range(10)])
    at(folder, below)


def name_bomb(folder: Path) -> None:
    """Forty thousand paths of 4,000 bytes."""
    held = blob(bare(folder))
    below = tree(folder, [(FILE, b"%04d.py" % i, held) for i in range(1000)])
    below = tree(folder, [(FOLDER, b"%04d" % i, below) for i in range(40)])
    for _ in range(15):
        below = tree(folder, [(FOLDER, b"n" * 250, below)])
    at(folder, below)


def loose_bomb(folder: Path) -> None:
    """A file whose object says 9 bytes and holds 64 MB, and one that says so."""
    bare(folder)
    lies = put(folder, "blob", b"", zlib.compress(b"blob 9\0" + bytes(64 << 20)), "ab" * 20)
    large = put(folder, "blob", bytes(64 << 20))
    at(folder, tree(folder, [(FILE, b"a", lies), (FILE, b"b", large)]))


def reach(folder: Path, private: Path, link: Callable[[Path, Path], None], said: str | None = None) -> None:
    """A bare repository whose HEAD is the private one's commit, and whose objects `link` takes from there."""
    (folder / "refs").mkdir(parents=True)
    (folder / "objects").mkdir()
    (folder / "HEAD").write_text(said or git(private, "rev-parse", "HEAD"))
    link(folder, private / ".git")


def fan(folder: Path, other: Path) -> None:
    """Link the folders of loose objects."""
    for found in (other / "objects").glob("[0-9a-f]?"):
        (folder / "objects" / found.name).symlink_to(found)


def loose(folder: Path, other: Path) -> None:
    """Link each loose object."""
    for found in (other / "objects").glob("[0-9a-f]?/*"):
        (folder / "objects" / found.parent.name).mkdir(exist_ok=True)
        (folder / "objects" / found.parent.name / found.name).symlink_to(found)


def objects(folder: Path, other: Path) -> None:
    """Link the folder of objects."""
    (folder / "objects").rmdir()
    (folder / "objects").symlink_to(other / "objects")


def alternates(folder: Path, other: Path) -> None:
    """Name the private objects as alternates, by a path and by one that climbs."""
    climbs = os.path.relpath(other / "objects", folder / "objects")
    write(folder / "objects/info", b"alternates", f"{other}/objects\n{climbs}\n".encode())


def common(folder: Path, other: Path) -> None:
    """Name the private repository as the common folder."""
    (folder / "commondir").write_text(f"{other}\n")


def packed_references(folder: Path, other: Path) -> None:
    """Take the references from there too."""
    fan(folder, other)
    git(other, "pack-refs", "--all")
    (folder / "packed-refs").symlink_to(other / "packed-refs")


def named(folder: Path, said: bytes) -> None:
    """A checkout whose `.git` is a file that says this, and a file beside it."""
    write(folder, b".git", said)
    write(folder, b"a.py", code(folder.name))


def headed(folder: Path, said: bytes | None) -> None:
    """A whole repository whose HEAD says something else, or is a pipe."""
    head = (folder if folder.exists() else whole(folder)) / "HEAD"
    head.unlink()
    os.mkfifo(head) if said is None else head.write_bytes(said)


def delta_cycle(folder: Path) -> None:
    """A pack whose every entry is a delta to the one at its own place."""
    pack, _ = packed(folder)
    changed(pack, lambda data: data[:12] + (b"\x74" + noise(20)) * (len(data) // 21))


Make = Callable[[Path, Path], object]
COUNTED: dict[str, Make] = {
    "git_hooks": hooks,
    "git_work_tree": lambda folder, private: worktree(folder),
    "git_nested": lambda folder, private: nested(folder),
    "git_names": lambda folder, private: names(folder),
    "git_modules": lambda folder, private: modules(folder),
    "git_bare": lambda folder, private: whole(folder),
    "git_packed": lambda folder, private: packed(folder),
    "git_spaces": lambda folder, private: spaces(folder),
    "git_loose_bomb": lambda folder, private: loose_bomb(folder),
    "git_empty_tree": lambda folder, private: at(bare(folder), tree(folder, ())),
    "git_odd_modes": lambda folder, private: of(folder, (b"100777", b"a.py"), (b"0", b"b.py"), (b"100600", b"c.py"), (b"170000", b"d")),
    "git_unsorted": lambda folder, private: of(folder, (FILE, b"z.py"), (FILE, b"a.py"), (FILE, b"m.py")),
    "git_odd_dates": lambda folder, private: one(folder, who=b"a <> 99999999999999999999 +9999"),
    "git_odd_people": lambda folder, private: one(folder, who=b"\x1b[31m\xff <a>> <b> -1 x"),
    "git_long_commit": lambda folder, private: one(folder, b"gpgsig " + b"x\n " * 300_000 + b"\n"),
    "git_detached": lambda folder, private: shutil.copy(whole(folder) / "refs/heads/main", folder / "HEAD"),
    "git_branch_of_markup": lambda folder, private: branch(folder, "{red}a<b>%s'"),
    "git_deep_objects": lambda folder, private: nest(whole(folder) / "objects", 1500),
    "git_blob_missing": lambda folder, private: first(folder).unlink(),
    "git_blob_empty": lambda folder, private: first(folder).write_bytes(b""),
    "git_blob_noise": lambda folder, private: first(folder).write_bytes(noise(99)),
    "git_blob_cut": lambda folder, private: changed(first(folder), lambda data: data[:40]),
    "git_blob_of_another": lambda folder, private: shutil.copy(first(folder), stored(folder, 2)),
    "git_blob_is_a_link": lambda folder, private: linked(first(folder), private / "secret.py"),
}  # fmt: skip
REFUSED: dict[str, Make] = {
    "git_too_deep": lambda folder, private: too_deep(folder),
    "git_tree_bomb": lambda folder, private: tree_bomb(folder),
    "git_name_bomb": lambda folder, private: name_bomb(folder),
    "git_reach_fan": lambda folder, private: reach(folder, private, fan),
    "git_reach_loose": lambda folder, private: reach(folder, private, loose),
    "git_reach_objects": lambda folder, private: reach(folder, private, objects),
    "git_reach_alternates": lambda folder, private: reach(folder, private, alternates),
    "git_reach_common": lambda folder, private: reach(folder, private, common),
    "git_reach_packed_refs": lambda folder, private: reach(folder, private, packed_references, "ref: refs/heads/main\n"),
    "git_file_to_private": lambda folder, private: named(folder, f"gitdir: {private}/.git\n".encode()),
    "git_file_climbs": lambda folder, private: named(folder, b"gitdir: ../../private/.git\n"),
    "git_file_to_itself": lambda folder, private: named(folder, b"gitdir: .git\n"),
    "git_file_of_no_text": lambda folder, private: named(folder, b"gitdir: ../gone-\xff\xfe\xed\xa0\x80"),
    "git_file_of_nul": lambda folder, private: named(folder, b"gitdir: a\0b"),
    "git_head_pipe": lambda folder, private: headed(folder, None),
    "git_head_noise": lambda folder, private: headed(folder, noise(100)),
    "git_head_large": lambda folder, private: headed(folder, b"ref: " + b"a" * 5_000_000),
    "git_head_loop": lambda folder, private: headed(folder, b"ref: HEAD\n"),
    "git_head_climbs": lambda folder, private: headed(folder, b"ref: refs/../../../private/secret.py\n"),
    "git_head_escape": lambda folder, private: headed(folder, b"ref: refs/heads/\x1b[31mx\n"),
    "git_head_of_a_tree": lambda folder, private: headed(folder, hashlib.sha1(b"x").hexdigest().encode()),
    "git_reftable": lambda folder, private: (whole(folder) / "reftable").mkdir() or headed(folder, b"ref: refs/heads/.invalid\n"),
    "git_sha256": lambda folder, private: headed(folder, b"a" * 64),
    "git_no_commit_yet": lambda folder, private: bare(folder),
    "git_commit_without_tree": lambda folder, private: headed(folder, put(bare(folder), "commit", b"author x\n\n").encode()),
    "git_tree_cut": lambda folder, private: at(bare(folder), put(folder, "tree", b"100644 a\0short")),
    "git_tree_noise": lambda folder, private: at(bare(folder), put(folder, "tree", noise(400))),
    "git_tree_missing": lambda folder, private: at(bare(folder), "12" * 20),
    "git_tree_is_a_blob": lambda folder, private: at(bare(folder), blob(folder)),
    "git_tree_in_itself": lambda folder, private: at(bare(folder), put(folder, "tree", FOLDER + b" a\0" + b"\xab" * 20, None, "ab" * 20)),
    "git_pack_cut": lambda folder, private: changed(packed(folder)[0], lambda data: data[: len(data) // 2]),
    "git_pack_noise": lambda folder, private: changed(packed(folder)[0], lambda data: noise(len(data))),
    "git_pack_empty": lambda folder, private: packed(folder)[0].write_bytes(b""),
    "git_pack_of_cycles": lambda folder, private: delta_cycle(folder),
    "git_index_noise": lambda folder, private: changed(packed(folder)[1], lambda data: noise(len(data))),
    "git_index_cut": lambda folder, private: changed(packed(folder)[1], lambda data: data[:1100]),
    "git_index_of_many": lambda folder, private: changed(packed(folder)[1], lambda data: data[:8] + b"\xff" * 1024 + data[1032:]),
    "git_index_is_a_link": lambda folder, private: linked(packed(folder)[1], "/proc/self/mem"),
}  # fmt: skip


def repositories(root: Path, private: Path) -> tuple[list[str], list[str]]:
    """Make every kind in a folder of its own below `root`; return the names of those that git counts, and of those that it does not."""
    commit(private, {"secret.py": b"PRIVATE = 'PRIVATE-CANARY-7f3a'\n" + code("private")})
    for kind, make in {**COUNTED, **REFUSED}.items():
        make(root / kind, private)
    return [*COUNTED], [*REFUSED]
