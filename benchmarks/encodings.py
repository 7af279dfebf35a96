"""How often the encoding of a text is found: ours beside chardet, charset-normalizer, chardetng and cchardet, over one corpus.

    python3 -m venv /tmp/detectors && /tmp/detectors/bin/pip install chardet charset-normalizer chardetng-py faust-cchardet
    .venv/bin/python benchmarks/encodings.py [--peers /tmp/detectors] [--each 300] [--show 0]

The texts are translated messages of this machine's programs (/usr/share/locale, Debian's packages), of which nothing of ours was made,
written as people write into code: as comments, as strings, as prose, among lines of the standard library. They are encoded in what their
language was written in before UTF-8, in two classes: 20 bytes beyond ASCII or more (to 400), and fewer, of which each number is as likely.
Two kinds of real files stand beside them: the non-ASCII UTF-8 files of /usr/share/doc, the standard library and packages that
Windows-1252 can write, and the pages of chardet's own tests, which the folders' names label. Right: the text comes back. Garbled:
another one does. Dropped: none does. The peers' guess is decoded strictly; "cchardet, guarded" refuses texts with controls as well.
"""

import argparse
import codecs
import gettext
import importlib
import os
import random
import re
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from starmill.pipelines.sources import encoding

WESTERN = ("cp1252", "iso-8859-1", "iso-8859-15")
ENCODINGS = {  # of the languages that wrote in it
    "cp1252": "de fr es it pt pt_BR sv da nb nl fi ca is",
    "iso-8859-1": "de fr es it pt pt_BR sv da nb nl fi ca is",
    "iso-8859-15": "de fr es it pt pt_BR sv da nb nl fi ca is",
    "cp1250": "cs pl hu hr sl sk sr@latin",
    "iso-8859-2": "cs pl hu hr sl sk sr@latin",
    "cp1251": "ru uk bg be sr",
    "iso-8859-5": "ru bg sr",
    "koi8-r": "ru",
    "koi8-u": "uk",
    "cp1253": "el",
    "iso-8859-7": "el",
    "cp1254": "tr",
    "iso-8859-9": "tr",
    "cp1255": "he",
    "iso-8859-8": "he",
    "cp1256": "ar fa",
    "iso-8859-6": "ar",
    "cp1257": "lt lv et",
    "iso-8859-13": "lt lv",
    "cp874": "th",
    "gb18030": "zh_CN",
    "big5": "zh_TW zh_HK",
    "shift_jis": "ja",
    "euc_jp": "ja",
    "euc_kr": "ko",
    "utf-8": "de cs ru el tr he ar th zh_CN zh_TW ja ko",
    "utf-16-le": "de cs ru el tr he ar th zh_CN zh_TW ja ko",
    "utf-16-be": "de cs ru el tr he ar th zh_CN zh_TW ja ko",
    "utf-16": "de cs ru el tr he ar th zh_CN zh_TW ja ko",
    "utf-32-le": "de ru ja",
    "utf-32": "de ru ja",
}
PAGES = Path("/usr/lib/google-cloud-sdk/platform/gsutil/third_party/chardet/tests")  # of Google's Debian package of its SDK
SIZES = ("long", "short")
FRAMES = (
    "# {}\n",
    "// {}\n",
    "/* {} */\n",
    '    print("{}")\n',
    "; {}\n",
    "{}\n",
    "<p>{}</p>\n",
    "-- {}\n",
    "name={}\n",
    "REM {}\n",
)
# A file that was garbled before: by Latin-1's reading of UTF-8, which leaves "\xc2" before a blank, and "\xef\xbf\xbd" for what was lost.
GARBLED = re.compile("[\ufeff\ufffd\x7f-\x9f]|[\xc2-\xdf][\x80-\xbf]|\xc2(?=\\s)|\xef\xbf\xbd")
CONTROL = re.compile("[\0-\x08\x0e-\x19\x1c-\x1f\x7f-\x9f]")
BACKWARDS = re.compile(r"\b[ךםןףץ]\w")  # Hebrew whose words begin with their last letters
Case = tuple[str, str, str, bytes]  # encoding, class, text, bytes
Detector = Callable[[bytes], str | None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--peers", type=Path, help="an environment with the other detectors")
    parser.add_argument("--each", type=int, default=300, help="texts of an encoding and class (default: 300)")
    parser.add_argument("--show", type=int, default=0, help="garbled texts of ours to print, of each encoding")
    parser.add_argument("--labelled", type=Path, default=PAGES, help=f"chardet's tests (default: {PAGES})")
    parser.add_argument("--seed", default="0", help="of the corpus (default: 0)")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    corpus = [*cases(options.each, options.seed), *real(options.each, options.seed), *labelled(options.labelled)]
    sides = {"starmill": ours} | (peers(options.peers) if options.peers else {})
    found = {name: judged(side, corpus) for name, side in sides.items()}
    show(found, corpus)
    garbled = Counter[str]()
    for (name, size, text, data), verdict in zip(corpus, found["starmill"][0], strict=True):
        if verdict == "garbled" and (garbled.update([name + size]) or garbled[name + size] <= options.show):
            print(name, size, encoding.decode(data)[1], repr([x for x in text.splitlines() if not x.isascii()][:4]))  # type: ignore[index]


def cases(each: int, seed: str) -> Iterator[Case]:
    """Yield the corpus of translations."""
    lines = code()
    known = {language: messages(language) for language in {x for of in ENCODINGS.values() for x in of.split()}}
    for name, of in ENCODINGS.items():
        draw = random.Random(f"{seed} {name}")
        fits = {x: [m for m in known[x] if encodable(m, name)] for x in of.split()}
        languages = [x for x in of.split() if fits[x]]
        if not languages:
            print(f"NOT MEASURED: {name}, as no translation of {of} lies in /usr/share/locale")
            continue
        for size in SIZES:
            for _ in range(each):
                text = written(draw, fits[draw.choice(languages)], name, size, lines)
                yield name, size, text, text.encode(name)


def written(draw: random.Random, texts: list[str], name: str, size: str, lines: list[str]) -> str:
    """Return a text with so many bytes beyond ASCII as its class says: messages in frames, and lines of code around them."""
    low, high = (20, draw.randrange(20, 400) + 20) if size == "long" else (1, 19)
    aim = draw.randrange(low, high + 1)
    plain = draw.random() < 0.3
    frame = draw.choice(FRAMES)
    made, held = list[str](), 0
    while held < aim:
        text = draw.choice(texts)
        if size == "short" and held + beyond(text, name) > 19:
            parts = [w for w in text.split(" ") if not w.isascii() and beyond(w, name) + held <= 19]
            if not parts and made:
                break
            if not parts:
                continue
            text = draw.choice(parts)
        made.append(frame.format(text))
        held += beyond(text, name)
        if not plain:
            at = draw.randrange(len(lines) - 8)
            made.extend(lines[at : at + draw.randrange(8)])
    return "".join(made)


def beyond(text: str, name: str) -> int:
    """Return the bytes beyond ASCII; of the Unicode encodings the characters."""
    return sum(not c.isascii() for c in text) if name.startswith("utf") else sum(b > 127 for b in text.encode(name))


def encodable(text: str, name: str) -> bool:
    """Say whether an encoding can write a text."""
    try:
        return text.encode(name).decode(name) == text
    except UnicodeError:
        return False


def messages(language: str) -> list[str]:
    """Return the translated messages with a letter beyond ASCII."""
    found = set[str]()
    for path in sorted(Path(f"/usr/share/locale/{language}/LC_MESSAGES").glob("*.mo")):
        if path.name.startswith("iso_"):  # places and languages, whose names mostly are of other languages
            continue
        try:
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, UnicodeDecodeError):
            continue
        found.update(
            text.strip().replace("\n", " ")
            for key, text in catalog.items()
            if key and isinstance(text, str) and not text.isascii() and len(text) < 400
        )
    return sorted(text for text in found if text.isprintable() and not BACKWARDS.search(text))


def code() -> list[str]:
    """Return ASCII lines of the standard library."""
    found = list[str]()
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[::4]:
        text = path.read_text(encoding="utf-8")
        found += text.splitlines(keepends=True) if text.isascii() else []
    return found


def real(each: int, seed: str) -> Iterator[Case]:
    """Yield files of this machine that Windows-1252 can write."""
    roots = [Path("/usr/share/doc"), Path("/usr/share/perl"), *(Path(sysconfig.get_paths()[n]) for n in ("stdlib", "purelib"))]
    texts = set[str]()
    for path in sorted(p for root in roots for p in root.rglob("*")):
        try:
            data = path.read_bytes() if path.is_file() and path.suffix not in (".pyc", ".so", ".gz") else b""
            text = data.decode() if len(data) < 1_000_000 and not data.isascii() and b"\0" not in data else ""
        except (OSError, UnicodeDecodeError):
            continue
        if text and not GARBLED.search(text):
            texts.add(text)
    for name in WESTERN[:2]:
        fits = {
            size: sorted(t for t in texts if encodable(t, name) and (beyond(t, name) >= 20) == (size == "long"))
            for size in SIZES
        }
        for size, of in fits.items():
            draw = random.Random(f"{seed} real {name} {size}")
            for text in draw.sample(of, min(each, len(of))):
                yield f"real files, {name}", size, text, text.encode(name)


def labelled(folder: Path) -> Iterator[Case]:
    """Yield the files of chardet's own tests: pages of the web in folders that name their encoding."""
    for path in sorted(folder.glob("*/*")):
        words = path.parent.name.replace("MacCyrillic", "mac_cyrillic").split("-")
        names = ["-".join(words[:n]) for n in range(len(words), 0, -1)]
        name = next((n for n in names if known(n)), None)
        name = {"GB2312": "gb18030", "TIS-620": "cp874"}.get(str(name), name)  # which have the dashes and blanks of today
        data = path.read_bytes()
        try:
            text = data.decode(name or "undefined")
        except UnicodeError:
            continue
        if not data.isascii():
            size = SIZES[beyond(text, str(name)) < 20]
            yield f"pages, {codecs.lookup(str(name)).name}", size, text.removeprefix("\ufeff"), data


def known(name: str) -> bool:
    """Say whether Python has an encoding."""
    try:
        return bool(codecs.lookup(name))
    except LookupError:
        return False


def ours(data: bytes) -> str | None:
    """Return the text."""
    if encoding.judge(data, 1 << 30):
        return None
    found = encoding.decode(data)
    return found and found[0]


def peers(where: Path) -> dict[str, Detector]:
    """Return the other detectors that an environment has."""
    sys.path += map(str, where.glob("lib/python3*/site-packages"))
    found = dict[str, Detector]()
    for name, module, guess in (
        ("cchardet", "cchardet", lambda m: lambda d: m.detect(d)["encoding"]),
        ("chardet", "chardet", lambda m: lambda d: m.detect(d)["encoding"]),
        ("charset-normalizer", "charset_normalizer", lambda m: lambda d: (b := m.from_bytes(d).best()) and b.encoding),
        ("chardetng", "chardetng_py", lambda m: lambda d: m.detect(d)),
    ):
        try:
            found[name] = decoded_by(guess(importlib.import_module(module)))
        except ImportError:
            print(f"NOT MEASURED: {name}, which {where} does not have")
    if "cchardet" in found:
        found["cchardet, guarded"] = lambda d, of=found["cchardet"]: guarded(d, of)  # type: ignore[misc]
    return found


def decoded_by(guess: Detector) -> Detector:
    """Return what decodes strictly by a guess, UTF-8 before it."""

    def decode(data: bytes) -> str | None:
        for name in ("utf-8-sig", None):
            try:
                return data.decode(name or guess(data) or "undefined")
            except (UnicodeError, LookupError):
                continue
        return None

    return decode


def guarded(data: bytes, of: Detector) -> str | None:
    """Return a detector's text, unless it has controls."""
    text = of(data)
    return None if text is None or CONTROL.search(text) else text


def judged(side: Detector, corpus: list[Case]) -> tuple[list[str], float]:
    """Return the verdict on each case, and the MB/s of them all."""
    verdicts, used = [], time.process_time()
    for _, _, text, data in corpus:
        found = side(data)
        verdicts.append("dropped" if found is None else "right" if found.removeprefix("\ufeff") == text else "garbled")
    return verdicts, sum(len(c[3]) for c in corpus) / 1e6 / (time.process_time() - used)


def show(found: dict[str, tuple[list[str], float]], corpus: list[Case]) -> None:
    """Print the table, in per cent: right / garbled of each class, the rest is dropped."""
    print("| encoding | class | texts | " + " | ".join(found) + " |\n|---|---|--:|" + "--:|" * len(found))
    of = [(name, size) for name, size, _, _ in corpus]
    for group in dict.fromkeys([*of, *(("all", size) for size in SIZES)]):
        at = [i for i, one in enumerate(of) if one == group or (group[0] == "all" and one[1] == group[1])]
        shares = (Counter(verdicts[i] for i in at) for verdicts, _ in found.values())
        cells = (f"{100 * s['right'] / len(at):.1f} / {100 * s['garbled'] / len(at):.1f}" for s in shares)
        print(f"| {group[0]} | {group[1]} | {len(at)} | " + " | ".join(cells) + " |")
    print("| MB/s | | | " + " | ".join(f"{speed:.2g}" for _, speed in found.values()) + " |")


if __name__ == "__main__":
    main()
