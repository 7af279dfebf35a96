"""Kinds of files and folders that no reader should choke on: texts, bytes, names, links, and what is no file at all.

FILES, NAMES and FOLDERS are what a hostile tree has of plain ones; a kind is one line. Each ends as a row: git and links aside,
`os.walk` counts them. `code(n)` is a harmless file, another for each n.
"""

import gzip
import json
import os
import pickle
import socket
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import tedious_texts
from repositories import nest

from starmill.core import seeds

SIZE = 200_000  # bytes of a text that repeats one thing
CANARY = "PRIVATE-CANARY-7f3a"  # what lies outside of every input; nothing may ever hold it


def code(n: object) -> bytes:
    """Return a harmless file in Python that is like no other one's."""
    words = [f"{w}_{seeds.uint64(0, 'code', str(n), i) % 10_000}" for i, w in enumerate(("width", "height", "total", "rows"))]
    body = "".join(f"    {w} = {w} + {i}  # what is added at step {i}\n" for i, w in enumerate(words * 4))
    return f"def work_{words[0]}({', '.join(words)}):\n{body}    return {words[2]}\n".encode()


def noise(size: int) -> bytes:
    """Return bytes that no codec likes."""
    return seeds.generator(0, "noise").bytes(size)


def often(unit: str | bytes, size: int = SIZE) -> bytes:
    """Return about `size` bytes of one thing again and again."""
    data = unit if isinstance(unit, bytes) else unit.encode()
    return data * max(1, size // len(data))


def zipped() -> bytes:
    """Return a zip archive of a kilobyte that holds a megabyte, and names that lead out."""
    held = BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../out.py", code("zip"))
        archive.writestr("zeros", bytes(1 << 20))
    return held.getvalue()


class _Opens:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("pickle-was-loaded", "w")


# name of the kind -> (name of the file, its bytes)
FILES: dict[str, tuple[str, bytes]] = {
    "empty": ("a.py", b""),
    "bom_alone": ("a.py", b"\xef\xbb\xbf"),
    "bom": ("a.py", b"\xef\xbb\xbf" + code("bom")),
    "nul": ("a.py", b"a = 1\0\n"),
    "utf_16": ("a.cs", code("utf16").decode().encode("utf-16")),
    "utf_16_without_bom": ("a.cs", code("utf16").decode().encode("utf-16-le")),
    "utf_32": ("a.py", code("utf32").decode().encode("utf-32")),
    "utf_7": ("a.py", "x = 'é漢字'\n".encode("utf-7") * 20),
    "latin_1": ("a.py", code("latin") + "# déjà vu, ça va, naïve\n".encode("latin-1") * 9),
    "shift_jis": ("a.py", code("sjis") + "# 日本語の説明を書く\n".encode("shift_jis") * 9),
    "invalid_utf_8": ("a.py", code("invalid") + b"\xc3\x28\xff\xfe\n"),
    "overlong_utf_8": ("a.py", code("overlong") + b"\xc0\xaf\xe0\x80\xaf\n"),
    "surrogates_as_utf_8": ("a.py", code("surrogates") + b"\xed\xa0\x80\xed\xbf\xbf\n"),
    "noise": ("a.py", noise(4000)),
    "noise_without_nul": ("a.py", noise(4000).replace(b"\0", b"\1")),
    "spaces": ("a.py", b" " * 1_000_000),
    "one_letter": ("a.py", b"a" * 1_000_000),
    "one_line": ("a.json", b"[" + often("1,", 2_000_000) + b"1]"),
    "line_ends": ("a.py", b"\n" * 500_000),
    "carriage_returns": ("a.py", code("cr").replace(b"\n", b"\r")),
    "form_feeds": ("a.py", code("ff").replace(b"\n", b"\n\f\v")),
    "line_separators": ("a.js", code("ls").replace(b"\n", "\u2028\u2029\x85".encode())),
    "escapes": ("a.py", code("esc") + b"# \x1b[2J\x1b]0;owned\x07\x1b[31m\x9b31m\x08\x7f\n"),
    "trojan_source": ("a.py", code("bidi") + "# \u202e } \u2066if admin\u2069 \u2066\n".encode()),
    "zalgo": ("a.py", code("zalgo") + b"# e" + "\u0301".encode() * 20_000),
    "joiners": ("a.py", "\u200d".encode() * 60_000),
    "emoji": ("a.md", often("\U0001f600\U0001f468\u200d\U0001f469")),
    "private_use": ("a.md", often("\ue000\U0010ffff\ufdd0")),
    "long_words": ("README.md", b"# title\n\n" + often("\u0436" * 49_990 + ".\n")),
    "long_runs": ("README.md", often("\u2014" * 9_990 + "a ")),
    "sentinels": ("a.py", code("sentinels") + b"S = '<fim_prefix><file_sep><|endoftext|><EMAIL><repo_name>'\n"),
    "open_elements": ("index.html", b"<html><body>\n" + often("<div>hello\n", 1_000_000)),
    "open_comments": ("index.html", often("<!--<script>")),
    "attributes": ("index.html", b"<a " + b" ".join(b"a%d=1" % i for i in range(30_000))),
    "entities": ("index.html", often("&#1&amp&CounterClockwiseContourIntegra")),
    "tables": ("index.html", often("<table><b><a><p>\n")),
    "svg": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script>' + often("<g>") + b"</svg>"),
    "keys_that_begin": ("keys.py", b"import x\n" + often("-----BEGIN PRIVATE KEY-----\n", 1_000_000)),
    "key_without_end": ("key.pem", b"-----BEGIN PRIVATE KEY-----" + b"A" * SIZE),
    "tokens": ("a.py", often("AKIA ghp_ sk- -xoxb- eyJ- token='Aq1Zx9Lm3Po7Vb2N' ")),
    "mail_like": ("a.py", often("a" * 63 + "@" + "a.a." * 10 + "1\n")),
    "address_like": ("a.py", often("a:a:" + "a" * 30 + "\n")),
    "hex": ("a.c", b"int a[] = {" + often("0x12, ", 100_000) + b"};"),
    "base64": ("a.txt", often("Ab1+/Zz9" * 9 + "\n")),
    "backslashes": ("a.h", b'"' + b"\\" * SIZE),
    "quotes": ("a.py", often('"""')),
    "open_c_comments": ("a.m", often("/* ")),
    "includes": ("a.h", often("#include <a>\n")),
    "modelines": ("a", often("vim: ft")),
    "shebang": ("a", b"#!" + b" " * SIZE),
    "brackets": ("a.json", b"[" * SIZE),
    "yaml_bomb": (
        "a.yaml",
        b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b"*a%d," % (i - 1) * 9) for i in range(1, 40)),
    ),
    "xml_bomb": (
        "a.xml",
        b"<!DOCTYPE l [<!ENTITY l0 'l'>"
        + b"".join(b"<!ENTITY l%d '%s'>" % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 30))
        + b"]><l>&l29;</l>",
    ),
    "xml_that_reads_files": ("a.xml", b"<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>\n"),
    "notebook": ("a.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": ["x"] * 5}] * 50, "nbformat": 4}).encode()),
    "broken_notebook": ("a.ipynb", b'{"cells": [{"cell_type": "code", "source": ['),
    "zip_bomb": ("a.zip", zipped()),
    "gzip_bomb": ("a.gz", gzip.compress(bytes(1 << 20), mtime=0)),
    "gzip_as_python": ("a.py", gzip.compress(code("gz"), mtime=0)),
    "pickle": ("a.pkl", pickle.dumps(_Opens(), 0)),
    "elf": ("a.py", b"\x7fELF\x02\x01\x01" + noise(500).replace(b"\0", b"\1")),
    # ScanCode takes time quadratic in such a text.
    "licence_like": ("a.py", often("licensed under the copyright licence of MIT GPL BSD \n", 2000)),
    "licence_again_and_again": ("LICENSE", often("Permission is hereby granted, free of charge, to any person\n", 2000)),
    "generated": ("a.py", b"# autogenerated by a tool, do not edit\n" + code("generated")),
    "conflict_markers": ("a.py", b"<<<<<<< HEAD\n" + code("ours") + b"=======\n" + code("theirs") + b">>>>>>> x\n"),
    "large_file_pointer": (
        "a.bin",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99999999999\n",
    ),
    "contacts": ("a.py", code("contacts") + b"A = 'jane.roe@somewhere-real.org'  # at 93.184.216.34\n"),
    "deflated": ("a.js", zlib.compress(code("deflated"))),
}

# name of the kind -> the bytes of a file's name
NAMES: dict[str, bytes] = {
    "name_newline": b"a\nb.py",
    "name_carriage_return": b"good.py\rbad.py",
    "name_escape": b"\x1b[2J\x1b]0;owned\x07.py",
    "name_csi_of_8_bits": b"\xc2\x9b31m.py",
    "name_no_utf_8": b"\xff\xfe.py",
    "name_surrogate": b"\xed\xa0\x80.py",
    "name_right_to_left": "\u202eyp.exe".encode(),
    "name_zero_width": "a\u200b\ufeff.py".encode(),
    "name_markup": b"[bold red]a[slash bold].py",
    "name_markup_link": b"[link=file:etc]a[@click=quit].py",
    "name_option": b"--workspace=x.py",
    "name_spaces": b"  .py ",
    "name_tilde": b"~root.py",
    "name_backslash": b"..\\..\\a.py",
    "name_windows": b"CON.py",
    "name_braces": b"{0.__class__} %s%n $(id) `id`.py",
    "name_quotes": b"a'\"b.py",
    "name_glob": b"[!a]*?.py",
    "name_longest": b"n" * 252 + b".py",
    "name_dots": b"...",
    "name_sentinel": b"<fim_prefix><file_sep>.py",
    "name_mail": b"jane.roe@somewhere-real.org.py",
    "name_token": b"ghp_" + b"Ab1Cd2Ef3G" * 4 + b".py",
    "name_part": b"part-00000.json",
    "name_temporary": b".tmp-0-part-00000.parquet",
    "name_emoji": "\U0001f600\u0301.py".encode(),
    "name_url": b"https:%2F%2Fexample.org.py",
    "name_of_no_ending": b".py",
}


def write(folder: Path, name: bytes, data: bytes) -> None:
    """Write one file, whatever its name."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(data)


def texts(folder: Path) -> None:
    """Every family of texts that a pattern may take long over."""
    for i, (_, text) in enumerate(tedious_texts.texts(2000)):
        write(folder, b"%d.py" % i, text.encode("utf-8", "surrogatepass"))


def twins(folder: Path) -> None:
    """Names that look alike: composed and not, escaped and not, numbered and not."""
    for name in ("é.py", "e\u0301.py", "a\\n.py", "a\n.py", "a\\n.py~2", "A.py", "a.py"):
        write(folder, name.encode(), code(name))


def bare_look(folder: Path) -> None:
    """Files called as what is in a bare repository, but for one."""
    for name in (b"HEAD", b"refs", b"config"):
        write(folder, name, b"ref: refs/heads/main\n")


def odd_folders(folder: Path) -> None:
    """Folders with the names of hostile files."""
    for i, name in enumerate(NAMES.values()):
        below = os.path.join(os.fsencode(folder), name)
        os.makedirs(below)
        write(Path(os.fsdecode(below)), b"a.py", code(f"folder{i}"))


def many(folder: Path) -> None:
    """A folder of a thousand files without content."""
    for i in range(1000):
        write(folder, b"%d" % i, b"")


def long_path(folder: Path) -> None:
    """Folders of long names, so that a path has nearly as many bytes as Linux allows."""
    for i in range(12):
        write(folder.joinpath(*["n" * 250] * i), b"a.py", code(f"long{i}"))


def deep(folder: Path) -> None:
    """More folders within each other than a path may name."""
    write(folder, b"a.py", code("deep"))
    nest(folder, 1500)


def links(folder: Path, *targets: str | bytes) -> None:
    """Links to these."""
    folder.mkdir(parents=True)
    for i, target in enumerate(targets):
        os.symlink(os.fsencode(target), os.path.join(os.fsencode(folder), b"l%d.py" % i))


def pipe(folder: Path) -> None:
    """A pipe that nobody writes to, and a link to it."""
    folder.mkdir()
    os.mkfifo(folder / "a.py")
    (folder / "b.py").symlink_to("a.py")


def listening(folder: Path) -> None:
    """A socket in the place of a file."""
    folder.mkdir()
    here = os.getcwd()
    os.chdir(folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("a.py")
    os.chdir(here)


def hard_links(folder: Path) -> None:
    """One file of three names."""
    write(folder, b"a.py", code("hard"))
    for name in ("b.py", "c.py"):
        os.link(folder / "a.py", folder / name)


def holes(folder: Path) -> None:
    """A file of a terabyte that takes no room."""
    write(folder, b"a.py", b"")
    os.truncate(folder / "a.py", 1 << 40)


def closed(folder: Path) -> None:
    """A file and a folder that only root may read."""
    write(folder, b"a.py", code("closed"))
    write(folder / "below", b"a.py", code("closed below"))
    for name in ("a.py", "below"):
        os.chmod(folder / name, 0)


def bytecode(folder: Path) -> None:
    """Bytecode that does something when it is imported, and a package that does."""
    write(folder / "__pycache__", b"a.cpython-311.pyc", noise(200))
    write(folder, b"__init__.py", b"open('package-was-imported', 'w')\n")
    write(folder, b"conftest.py", b"open('package-was-imported', 'w')\n")
    write(folder, b"setup.py", b"open('package-was-imported', 'w')\n")


def a_workspace(folder: Path) -> None:
    """What looks like one of our own workspaces."""
    for name in ("records/manifest.json", "stages.json", ".lock", "records/part-00000.json", "skips.json", "timings.json"):
        write(folder / Path(name).parent, Path(name).name.encode(), b'{"format": 1, "outputs": [{"path": "../../victim"}]}')


# name of the kind -> what makes it in a folder, which is not there yet; `private` is a folder outside of the input
FOLDERS: dict[str, Callable[[Path, Path], None]] = {
    "tedious_texts": lambda folder, private: texts(folder),
    "twins": lambda folder, private: twins(folder),
    "bare_look": lambda folder, private: bare_look(folder),
    "odd_folders": lambda folder, private: odd_folders(folder),
    "many": lambda folder, private: many(folder),
    "long_path": lambda folder, private: long_path(folder),
    "deep": lambda folder, private: deep(folder),
    "pipe": lambda folder, private: pipe(folder),
    "socket": lambda folder, private: listening(folder),
    "hard_links": lambda folder, private: hard_links(folder),
    "holes": lambda folder, private: holes(folder),
    "closed": lambda folder, private: closed(folder),
    "bytecode": lambda folder, private: bytecode(folder),
    "a_workspace": lambda folder, private: a_workspace(folder),
    "link_to_private_file": lambda folder, private: links(folder, f"{private}/secret.py"),
    "link_to_private_folder": lambda folder, private: links(folder, str(private)),
    "link_upwards": lambda folder, private: links(folder, "../../private/secret.py", "..", "/", "."),
    "link_to_nothing": lambda folder, private: links(folder, "/no/such/file", "l1.py", b"\x1b[31m\n\xff"),
    "link_to_devices": lambda folder, private: links(folder, "/dev/zero", "/dev/random", "/dev/stdin"),
    "link_to_processes": lambda folder, private: links(folder, "/proc/self/mem", "/proc/self/environ", "/proc/kmsg"),
    "git_that_is_a_link": lambda folder, private: (
        write(folder, b"a.py", code("linked git")),
        (folder / ".git").symlink_to(private / ".git"),
    ),
    "git_file_that_is_empty": lambda folder, private: (write(folder, b".git", b""), write(folder, b"a.py", code("empty git"))),
    "git_folder_that_is_empty": lambda folder, private: ((folder / ".git").mkdir(parents=True), write(folder, b"a.py", code("no git"))),
}  # fmt: skip


def plain(root: Path, private: Path) -> list[str]:
    """Make every plain kind in a folder of its own below `root`, and return their names."""
    for kind, (name, data) in FILES.items():
        write(root / kind, name.encode(), data)
    for kind, raw in NAMES.items():
        write(root / kind, raw, code(kind))
    for kind, make in FOLDERS.items():
        make(root / kind, private)
    return [*FILES, *NAMES, *FOLDERS]
