"""Write pipelines/sources/letters.txt: how often letters beyond ASCII stand beside each other in each language.

    python3 -m venv /tmp/letters && /tmp/letters/bin/pip install babel==2.19.0 django==5.2.19 sphinx==9.0.4 wagtail==8.0.1 \\
        djangorestframework==3.18.3 django-allauth==65.22.1 \\
        jupyterlab-language-pack-{ar-SA,cs-CZ,el-GR,he-IL,hu-HU,ja-JP,ko-KR,pl-PL,ru-RU,tr-TR,uk-UA,zh-CN,zh-TW}==4.5.post3
    /tmp/letters/bin/pip install --no-deps horizon==27.0.0 trac==1.6 apache-superset==6.1.0 reviewboard==8.1 \\
        django-cms==5.1.3 django-oscar==4.2.1
    .venv/bin/python benchmarks/letters.py /tmp/letters

Counted are the translated messages of these packages and of what they depend on (BSD, MIT and Apache licences), and the names in
babel's copy of CLDR (Unicode licence). The file has counts alone. A line is a language; then, for each count as a power of the square
root of two (a letter from A on), what was seen so often: pairs of characters, and characters of the scripts of East Asia. Letters are
lower case, a blank stands for white space and for what is neither letter nor digit, 0 for digits; with | behind it a character stood
alone. The same packages give the same file.
"""

import argparse
import gettext
import itertools
import math
import pickle  # babel's own data
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from starmill.pipelines.sources.letters import EAST, FILE, LONE, folded

LANGUAGES = (  # and what else their catalogues are called
    "de fr es it pt,pt_BR,pt_PT sv da nb,no nl fi ca is sq cs,cs_CZ pl,pl_PL hu,hu_HU hr sl sk ro sr_Latn,sr@latin,bs "
    "ru,ru_RU uk,uk_UA bg be sr,sr_Cyrl mk el,el_GR "
    "tr,tr_TR he,he_IL ar,ar_SA fa lt lv et th zh_Hans,zh_CN,zh-hans zh_Hant,zh_TW,zh-hant ja,ja_JP ko,ko_KR"
).split()
LEAST = {True: 1, False: 2}  # times that a character of East Asia was seen, and that a pair was
MOST_PAIRS = 900  # of a language
CEDILLAS = str.maketrans("ȘșȚț", "ŞşŢţ")  # no encoding before Unicode but one had Romanian's commas


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("environment", type=Path, help="where the packages are installed")
    [packages] = parser.parse_args().environment.glob("lib/python3*/site-packages")
    sys.path.append(str(packages))
    lines = []
    for names in LANGUAGES:
        seen = counted(texts(packages, names.split(",")))
        levels: dict[int, list[str]] = {}
        for what, n in sorted(seen.items()):
            levels.setdefault(round(2 * math.log2(n)), []).append(what)
        written = "\t".join(chr(65 + level) + "".join(of) for level, of in sorted(levels.items()))
        lines.append(f"{names.split(',')[0]}\t{written}\n")
        print(f"{names.split(',')[0]}: {sum(seen.values()):,} of {len(seen):,} kinds")
    FILE.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


def counted(found: Iterator[str]) -> Counter[str]:
    """Return how often pairs, and characters of East Asia, are seen; the rarest are left out."""
    seen, east = Counter[str](), Counter[str]()
    for text in sorted(set(found)):
        line = f" {text} "
        east.update(EAST.findall(line))
        for run in EAST.split(line):
            plain = folded(run)
            seen.update(a + b for a, b in itertools.pairwise(plain) if not (a + b).isascii())
            seen.update(c + LONE for c in re.findall(r"(?<= )[^\0-\x7f](?= )", plain))
    pairs = [(n, pair) for pair, n in seen.items() if n >= LEAST[False]]
    kept = {pair: n for n, pair in sorted(pairs, key=lambda p: (-p[0], p[1]))[:MOST_PAIRS]}
    return Counter(kept) + Counter({c: n for c, n in east.items() if n >= LEAST[True]})


def texts(packages: Path, names: list[str]) -> Iterator[str]:
    """Yield messages and names."""
    from babel.messages.pofile import read_po  # of the same environment

    for path in sorted(p for name in names for p in packages.glob(f"**/{name}/LC_MESSAGES/*.[mp]o")):
        with path.open("rb") as file:
            if path.suffix == ".mo":
                found = gettext.GNUTranslations(file)._catalog.items()  # type: ignore[attr-defined]
            elif path.with_suffix(".mo").exists():
                continue
            else:
                found = ((m.id, m.string) for m in read_po(file, ignore_obsolete=True))
        yield from (
            re.sub(r"%\(\w+\)\w|\{\w*\}|<[^>]*>", " ", t).translate(CEDILLAS) for k, t in found if k and isinstance(t, str)
        )
    data = packages / "babel/locale-data" / f"{names[0]}.dat"
    if data.exists():
        yield from (text.translate(CEDILLAS) for text in strings(pickle.loads(data.read_bytes()), 0))


def strings(value: object, depth: int) -> Iterator[str]:
    """Yield the strings in babel's nested data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one, depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one, depth + 1)


if __name__ == "__main__":
    main()
