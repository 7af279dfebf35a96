"""What a part of a licence file is about, where it is not about the whole: files, a folder, what somebody else wrote, the documentation.

A licence file of a package often has the texts of what the package bundles, under a heading that names it ("Following applies to:
./etc/roots.pem"), and LICENSE.zlib beside LICENSE is the licence of zlib. Such a part holds for the files that it names. Nothing is a part
that no word says so of: not what stands first in a file, not what comes behind a bare separator, and not what its heading calls the
software itself. A name is taken for a folder's and for a file's: a part rather holds for too many files than for too few.
"""

import bisect
import fnmatch
import functools
import re
from collections.abc import Iterable, Sequence

from starmill.transforms.measure.declared import spdx

Names = tuple[str, ...]  # of what a part is about, lower-cased, in the order of the alphabet; none: it is about the whole
LONGEST_LINE = 400  # characters of a line that are looked at
LONGEST_TITLE = 8  # words
MOST_NAMES = 64  # of a part
PARAGRAPH = 8  # lines before a match in which its sentence may begin
APPLIES_LINES = 40  # lines of a list of files

THIRD_PARTIES = frozenset(
    "third_party thirdparty 3rdparty vendor vendored external externals extern bundled contrib deps dependencies".split()
)
# What a project has beside its program, each with the folders where people keep it.
BESIDE = (
    "doc docs documentation manual manuals handbook",
    "data dataset datasets corpus corpora",
    "font fonts typeface typefaces",
    "image images img icon icons logo logos artwork art graphics picture pictures photo photos media assets",
    "sound sounds music video videos",
    "model models weights",
    "example examples sample samples demo demos",
    "test tests testdata fixtures benchmark benchmarks",
    "website site",
)
_BESIDE = {name: tuple(sorted(names.split())) for names in BESIDE for name in names.split()}

# Words of a heading that name nothing: of licences and their parts, of editions and formats; and of the software itself.
OF_LICENSES = frozenset(
    "license licenses licence licences licensing licensed lisence copying copyright copyrights copyleft notice notices "
    "terms conditions agreement general public version gnu lesser affero mozilla creative commons free open linking "
    "warranty disclaimer exception exceptions permission grant patent patents preamble definitions appendix exhibit "
    "schedule section article addendum additional supplement amendment rider summary introduction faq index contents "
    "footnotes credits authors contributors acknowledgements acknowledgments legal info information readme full short "
    "header template preferred dual old new original orig copy bak legacy commercial enterprise business ee pro paid "
    "proprietary txt text md markdown rst adoc org html htm rtf doc docx pdf tex utf en us gb de fr es pt br ru ja jp zh "
    "cn tw ko".split()
)
OF_ALL = frozenset(
    "all any every everything whole entire other others rest remaining remainder code source sources src main core this "
    "our itself".split()
)
OF_THE_PACKAGE = frozenset(
    "software program project package packages library libraries lib product work works application app repository repo "
    "tree distribution".split()
)
ARTICLES = frozenset("all any the our this".split())
SMALL = frozenset(
    "a an the and or of for in to by with from under is are on at as be it its that these those which see also no not".split()
)

SOMETHING = (
    r"(?:software|librar\w+|components?|packages?|files?|projects?|code|works?|products?|fonts?|modules?|dependenc\w+|licen[cs]es?"
    r"|notices?|material)"
)
# A line of a licence file by which it turns to what somebody else wrote.
CHAPTER = re.compile(
    rf"\b(?:third|3rd)[- ]part(?:y|ies)[ '](?:\w+ ){{0,2}}{SOMETHING}\b|\bbundled {SOMETHING}\b"
    r"|\b(?:bundles?|includes?|incorporates?|contains?|redistributes?|embeds?) (?:\w+ ){0,4}(?:following|external) "
    rf"(?:\w+ ){{0,2}}{SOMETHING}\b",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"\s{0,8}(?:\d+|[ivx]+|[a-z])[.):]", re.IGNORECASE)
VERSION = re.compile(r"v?\d+")
OTHERS = re.compile(
    r"\b(?:third|3rd)[- _.]?part(?:y|ies)\b|\b(?:bundled|vendored|external)\b", re.IGNORECASE
)  # in a name or a title
# ... and by which it comes back to all of it.
WHOLE = re.compile(
    r"\b(?:everything|(?:all|any) (?:of )?(?:the )?(?:other|remaining|source|code|files)|(?:rest|remainder) of|otherwise|as a whole"
    r"|(?:the|this) (?:whole|entire|combined) \w+)\b"
    r"|\b(?:this|the) (?:software|project|program|package|library|repository|code|source code)(?: itself)? (?:is|are) "
    r"(?!provided (?:by|as|['\"])|free software)|^\s*files?:\s*\*\s*$",
    re.IGNORECASE,
)
APPLIES = re.compile(r"\b(?:appl(?:y|ies)(?: only)?|pertains?) to\b(.*)", re.IGNORECASE | re.DOTALL)
FIELD = re.compile(r"\s{0,8}[-*]?\s?(name|files?|location|path|component|library|dependency)\s?:\s*(\S.*)", re.IGNORECASE)
FILE = re.compile(r"[\w.*+!@-]*(?:/[\w.*+!@-]*)+|[\w*+-]+\.[a-z]\w{0,7}\b", re.IGNORECASE)
WORD = re.compile(r"[^\W_][^\W_+]*\+{0,2}")
TITLE = re.compile(r"\s{0,3}#{1,6}\s+(\S.*)")
RULE = re.compile(r"[ \t/*#]{0,4}([-=~*_#+])\1{2,}[ \t]*")
# What a sentence is about: `The documentation is under ...`, `The files in fonts/ are under ...`.
SUBJECT = re.compile(
    rf"[^\w]{{0,8}}((?:[\w'-]+ ){{0,3}}?)({'|'.join(sorted(_BESIDE, key=len, reverse=True))})"
    r"(?: (?:portions?|parts?|files?|sets?|suites?|texts?|pages|contents?|directory|folder))?(?: (?:of|for|in) [\w/.`'\"-]{1,80})?"
    r"(?: \([^)]{0,200}\))?"
    r",? (?:is|are|was|were|has|have|may|licensed|released|distributed|available|under|provided|supplied)\b",
    re.IGNORECASE,
)
PLACE = re.compile(
    r"[^\w]{0,8}(?:the |all |any )?(?:\w+ )?(?:files?|contents?|code|scripts?|sources?|everything|software) "
    r"(?:contained |found )?(?:in|under|within|below) "
    r"(?:the )?(?:(?:directory|folder) )?[`\"']?([\w.@-]*(?:/[\w.*@-]*)+)",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"[.!?]['\")]?\s+(?=[A-Z\"'(`])|;\s+")
GOES_ON = re.compile(r"(?:all|each|both|they|these|it|which) (?:is|are|may|has|have)\b", re.IGNORECASE)
OF_THE_PROGRAM = re.compile(
    r"\b(?:the|this|all|our|its) (?:\w+ )?(?:software|code|programs?|library|sources?|project|package)\b", re.IGNORECASE
)
ITEM = re.compile(r"\s*(?:[-*\u2022]|\d{1,3}[.)])\s")


def of_name(path: str, project: frozenset[str] = frozenset()) -> Names:
    """Return what a licence file is about by its own name; nothing where that names a licence, the project or the whole.

    >>> of_name("/LICENSE.zeromq.txt"), of_name("/LICENSE-GPL-3.0"), of_name("/LICENSE"), "vendor" in of_name("/LICENSE-3RD-PARTY.txt")
    (('zeromq',), (), (), True)
    """
    name = path.rsplit("/", 1)[-1]
    return _names_of(re.sub(r"[_.-]", " ", name), project)


def words_of(repo_name: str) -> frozenset[str]:
    """Return the words of a repository's name, its owner's aside: a part is not called like the whole."""
    return frozenset(word.lower() for word in WORD.findall(repo_name.rpartition("/")[2]))


class Portions:
    """The parts of one licence file, whose main text ends in line `main`.

    `covered`: first and last lines of texts, in which nothing is a heading. `project`: words of its name.
    """

    def __init__(self, lines: Sequence[str], main: int, covered: Iterable[tuple[int, int]], project: frozenset[str]) -> None:
        """Find the headings. Lines count from 1."""
        self._lines, self._main, self._project = [line[:LONGEST_LINE].rstrip("\r") for line in lines], main, project
        inside = {number for first, last in covered for number in range(first + 1, last + 1)}
        self._at: list[int] = []
        self._names: list[tuple[Names, Names]] = []  # of the chapter and of the section that hold from that line on
        chapter: Names = ()
        section: Names = ()
        for number in range(main + 1, len(self._lines) + 1):
            if number in inside:
                continue
            found = self._heading(number, inside)
            if found is None:
                continue
            kind, names = found
            if kind == "whole":
                chapter, section = (), ()
            elif kind == "chapter":
                chapter, section = tuple(sorted(THIRD_PARTIES)), names
            elif kind == "more":
                section = _joined(section, names)
            else:
                section = names
            self._at.append(number)
            self._names.append((chapter, section))

    def at(self, first: int, last: int) -> Names:
        """Return what the lines from `first` to `last` are about, where something before them or in them says so."""
        if first <= self._main:
            return ()
        where = bisect.bisect_right(self._at, first) - 1
        chapter, section = self._names[where] if where >= 0 else ((), ())
        return _joined(chapter, section) if chapter or section else subject(self._lines, first)

    def _heading(self, number: int, inside: set[int]) -> tuple[str, Names] | None:
        """Return what begins in a line: "whole", "chapter", "section" or "more" of a section, and its names."""
        line = self._line(number)
        if not line.strip():
            return None
        if WHOLE.search(line):
            return "whole", ()
        if RULE.fullmatch(line):
            if self._underlined(number - 1):
                return None
            below = next((n for n in range(number + 1, number + 4) if self._line(n).strip()), 0)
            title = self._line(below)
            framed = RULE.fullmatch(self._line(below + 1)) is not None
            if below and below not in inside and (framed or not self._line(below + 1).strip()) and not RULE.fullmatch(title):
                return "section", self._title(title)
            return "section", ()
        if found := APPLIES.search(line):
            listed = [found.group(1)]
            for below in range(number + 1, min(number + APPLIES_LINES, len(self._lines)) + 1):
                if below in inside or not self._line(below).strip():
                    break
                listed.append(self._line(below))
            return ("section", names) if (names := _files(" ".join(listed))) else None
        if CHAPTER.search(line):
            return "chapter", ()
        if found := FIELD.fullmatch(line):
            field, said = found.groups()
            names = _files(said) or _names_of(said, self._project)
            if field.lower().startswith("file"):
                return ("more", names) if names else ("whole", ())
            return ("section", names) if names else None
        if found := TITLE.fullmatch(line):
            return self._titled(found.group(1))
        return self._titled(line) if self._underlined(number) else None

    def _underlined(self, number: int) -> bool:
        """Return whether a line is a title with a rule below it."""
        line, above = self._line(number), self._line(number - 1)
        is_title = bool(line.strip()) and len(line.split()) <= LONGEST_TITLE and not RULE.fullmatch(line)
        alone = number == self._main + 1 or not above.strip() or RULE.fullmatch(above) is not None
        return is_title and alone and RULE.fullmatch(self._line(number + 1)) is not None

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def _titled(self, title: str) -> tuple[str, Names] | None:
        """Return the section of a title; one that speaks of licences alone is none, and ends none."""
        words = {word.lower() for word in WORD.findall(title)}
        names = self._title(title)
        if names:
            return "section", names
        return ("whole", ()) if words & (OF_ALL | OF_THE_PACKAGE | self._project) else None

    def _title(self, title: str) -> Names:
        return _names_of(title, self._project) if len(title.split()) <= LONGEST_TITLE else ()


def subject(lines: Sequence[str], first: int) -> Names:
    """Return what the sentence is about in which something is said in line `first`, where it is not about the program.

    >>> subject(["The code is free.", "", "- Our documentation is under", "  CC-BY-SA-4.0"], 4)[:2], subject(["Docs and code are free."], 1)
    (('doc', 'docs'), ())
    """
    begin = first
    while begin > 1 and first - begin < PARAGRAPH and not ITEM.match(lines[begin - 1]) and lines[begin - 2].strip():
        begin -= 1
    before = "".join(f"{line[:LONGEST_LINE].strip()} " for line in lines[begin - 1 : first - 1])
    names, known = set[str](), False
    # Each sentence that has words in the line must be about something else than the program.
    for end, sentence in _sentences(before + lines[first - 1][:LONGEST_LINE].strip()):
        if end <= len(before):
            known = bool(_of_sentence(sentence))
            names = {*_of_sentence(sentence)}
        elif found := _of_sentence(sentence):
            names, known = {*names, *found}, True
        elif not known or not GOES_ON.match(sentence):
            return ()
    return tuple(sorted(names))


def _sentences(text: str) -> Iterable[tuple[int, str]]:
    """Yield the sentences of a text, each after the place of its end."""
    begin = 0
    for stop in SENTENCE.finditer(text):
        yield stop.end(), text[begin : stop.start()]
        begin = stop.end()
    yield len(text) + 1, text[begin:]


def _of_sentence(sentence: str) -> Names:
    if found := PLACE.match(sentence):
        return _files(found.group(1))
    found = SUBJECT.match(sentence)
    if (
        found is None
        or OF_THE_PROGRAM.search(sentence)
        or {w.lower() for w in WORD.findall(found.group(1))} & (OF_THE_PACKAGE | OF_ALL - ARTICLES)
    ):
        return ()
    return _BESIDE[found.group(2).lower()]


@functools.lru_cache(maxsize=1 << 14)
def holds(names: Names, path: str) -> bool:
    """Return whether a part is about the file at `path`: one of its folders, or its name with its ending or without, is so called.

    >>> holds(("roots.pem",), "/etc/roots.pem"), holds(("geos",), "/src/libgeos-3.11/a.c"), holds(("docs",), "/src/a.py")
    (True, True, False)
    """
    places = {place for one in path.lower().split("/") for place in (one, _plain(one), _plain(one.rpartition(".")[0]))}
    return any(place and fnmatch.fnmatchcase(place, name) for name in names for place in places)


@functools.lru_cache(maxsize=1)
def _of_identifiers() -> frozenset[str]:
    """Return the words of SPDX's identifiers: a file or a heading called so has that licence's text."""
    return frozenset(
        word for key in spdx().known_symbols if "LicenseRef" not in key for word in re.split(r"[-.+]", key.lower())
    )


def _names_of(title: str, project: frozenset[str]) -> Names:
    """Return the names in a title; none where it has a word for a licence, the project or the whole."""
    if OTHERS.search(title):
        return tuple(sorted(THIRD_PARTIES))
    if NUMBERED.match(title):
        return ()  # a section of a text
    words = [word.lower() for word in WORD.findall(title)]
    names = {_plain(word) for word in words if word not in SMALL | OF_THE_PACKAGE} - OF_LICENSES
    names = {name for name in names if len(name) >= 2 and not VERSION.fullmatch(name)}
    if OF_ALL & {*words}:
        return ()
    if beside := names & _BESIDE.keys():
        return _some(beside)
    return () if names & (project | _of_identifiers()) else _some(names)


def _files(said: str) -> Names:
    """Return the names of the files and folders in a text: the last of a path, or the one before its stars."""
    names = set()
    for path in FILE.findall(said):
        if path.lower().startswith(("http", "//")) or "://" in path:
            continue
        told = [name for name in path.lower().split("/") if name.strip(".*")]
        if not told or told[-1] in OF_ALL | OF_THE_PACKAGE:
            return ()
        names.add(told[-1])
    return _some(names)


def _some(names: Iterable[str]) -> Names:
    found = {one for name in names for one in (_BESIDE.get(name) or (name,))}
    return tuple(sorted(found)) if len(found) <= MOST_NAMES else ()


def _joined(some: Names, others: Names) -> Names:
    return tuple(sorted({*some, *others}))


@functools.lru_cache(maxsize=1 << 14)
def _plain(name: str) -> str:
    """Return a name without `lib` before it and its version behind.

    >>> _plain("libgeos-3.11.2"), _plain("zlib"), _plain("lib")
    ('geos', 'zlib', 'lib')
    """
    bare = re.sub(r"[-_. ]?v?\d[\d.]*$", "", name)
    return bare[3:].lstrip("-_") if bare.startswith("lib") and len(bare) > 5 else bare or name
