"""The order of a repository's files in its document: random, by path, by depth, or what is imported before what imports it.

Imports are found by patterns and resolved inside the repository, for the largest languages of The Stack; what a pattern does not see, or
what lies outside, is no edge. A package that is imported as a whole (Go, Java, C#, PHP...) is a node of its own, so that the number
of edges grows with the imports and not with their product by files. A cycle is cut where the fewest imports wait, as in DeepSeek-Coder
(its paper, algorithm 1; cut there over the whole repository, where what needs a cycle may come before the cycle). The time is linear.
"""

import posixpath
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

ANCESTORS = 8  # folders above a file in which a module is looked for
NAMES = 2_000  # imports of a file that are followed
NAME_CHARS = 512  # of an import
PATH_CHARS = 512  # of a file whose imports are followed: each is looked for at some hundred paths below its folders
PARTS = 16  # of an import of Rust that may be a module
MEMBERS = 32  # names of one import
# By language: each match is an import, in the first group that took part; what is taken of it is in the next.
PATTERNS = {
    name: re.compile(pattern, re.MULTILINE)
    for name, pattern in {
        "Python": r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b[ \t]*(\([^)]{0,500}|[^\n]{0,500})|import[ \t]+([^\n]{1,500}))",
        "JavaScript": r"""(?:\bfrom|\bimport|\brequire[ \t]*\(|\bimport[ \t]*\()[ \t]*["'](\.[^"'\n]*)["']""",
        "C": r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"',
        "Java": r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+(?:\.\*)?)",
        "C#": r"^[ \t]*(?:global[ \t]+)?using[ \t]+(?:static[ \t]+)?(?:\w+[ \t]*=[ \t]*)?([\w.]+)[ \t]*;",
        "Go": r'^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([\w./~-]+)"[ \t]*(?://.*)?$',
        "PHP": r"^[ \t]*use[ \t]+(?:function[ \t]+|const[ \t]+)?\\?([\w\\]+)(?:\{([^}]{0,500}))?"
        r"""|(?:require|include)(?:_once)?[^'"\n]{0,40}["']/?([^"'\n]+\.php)["']""",
        "Ruby": r"""^[ \t]*require(?:_relative)?[ \t(]*["']([^"'\n]+)["']""",
        "Rust": r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?"
        r"(?:mod[ \t]+(\w+)[ \t]*;|use[ \t]+((?:crate|super|self)(?:::\w+)*)(?:::\{([^;]{0,500}))?)",
    }.items()
}
PATTERNS |= {
    "TypeScript": PATTERNS["JavaScript"],
    "TSX": PATTERNS["JavaScript"],
    "C++": PATTERNS["C"],
    "Kotlin": PATTERNS["Java"],
}
PATTERNS |= {"Scala": PATTERNS["Java"]}
# What package a file says that it is of.
PACKAGE = {
    **dict.fromkeys(("Java", "Kotlin", "Scala"), re.compile(r"^[ \t]*package[ \t]+([\w.]+)", re.MULTILINE)),
    **dict.fromkeys(("C#", "PHP"), re.compile(r"^[ \t]*namespace[ \t]+([\w.\\]+)", re.MULTILINE)),
}
SCRIPTS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".vue", "/index.ts", "/index.tsx", "/index.js")
Node = Hashable
Needs = Mapping[Node, Sequence[Node]]


def by_dependency(files: Sequence[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], Any]) -> list[Mapping[str, Any]]:
    """Return rows with `path`, `content` and `language`: what a file imports comes before the file; `key` decides who comes first.

    >>> files = [{"path": f"/{n}.py", "content": t, "language": "Python"} for n, t in (("a", "import b"), ("b", ""), ("c", ""))]
    >>> [file["path"] for file in by_dependency(files, lambda file: file["path"])]
    ['/b.py', '/a.py', '/c.py']
    """
    ordered = sorted(files, key=key)
    repository = _Repository.of(ordered)
    needs: dict[Node, Sequence[Node]] = {n: repository.imports(n) for n in range(len(ordered))}
    needs.update(repository.packages)
    place = {node: n for n, node in enumerate(needs)}
    circles = (sorted(circle, key=place.__getitem__) for circle in _circles(needs))
    return [ordered[n] for circle in circles for n in _cut(circle, needs) if isinstance(n, int)]


def _circles(needs: Needs) -> Iterator[list[Node]]:
    """Yield the strongly connected components, after those that they need: Tarjan's algorithm, without recursion."""
    number: dict[Node, int] = {}
    lowest: dict[Node, int] = {}
    open_: dict[Node, None] = {}
    for start in needs:
        path = [] if start in number else [(start, iter(needs[start]))]
        while path:
            node, others = path[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                open_[node] = None
            for other in others:
                if other not in number:
                    path.append((other, iter(needs[other])))
                    break
                if other in open_:
                    lowest[node] = min(lowest[node], number[other])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == number[node]:
                    circle: list[Node] = []
                    while not circle or circle[-1] != node:
                        circle.append(open_.popitem()[0])
                    yield circle


def _cut(circle: Iterable[Node], needs: Needs) -> Iterator[Node]:
    """Yield the nodes of a cycle: each time the one that waits for the fewest of the others, and of such the first."""
    nodes = [*circle]
    wanted: dict[Node, list[Node]] = {node: [] for node in nodes}
    waits = dict.fromkeys(nodes, 0)
    for node in nodes:
        for other in dict.fromkeys(needs[node]):
            if other != node and other in wanted:
                wanted[other].append(node)
                waits[node] += 1
    rank = {node: place for place, node in enumerate(nodes)}
    heap = [(waits[node], rank[node]) for node in nodes]
    heapify(heap)
    done: set[Node] = set()
    while heap:
        waiting, place = heappop(heap)
        node = nodes[place]
        if node in done or waiting != waits[node]:
            continue  # said again since, with fewer
        done.add(node)
        yield node
        for other in wanted[node]:
            waits[other] -= 1
            if other not in done:
                heappush(heap, (waits[other], rank[other]))


@dataclass
class _Repository:
    """Files by path without a leading slash, packages with their members, where each file name lies, and all parts of paths."""

    files: Sequence[Mapping[str, Any]]
    paths: dict[str, int] = field(default_factory=dict)
    packages: dict[Node, list[int]] = field(default_factory=dict)
    named: dict[str, list[int]] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, files: Sequence[Mapping[str, Any]]) -> "_Repository":
        made = cls(files)
        for n, file in enumerate(files):
            path, language = file["path"].lstrip("/"), file["language"]
            made.paths.setdefault(path, n)
            made.named.setdefault(posixpath.basename(path), []).append(n)
            made.parts.update(path.rpartition(".")[0].split("/"), posixpath.dirname(path).split("/"))
            if language == "Go":
                made.packages.setdefault(("Go", posixpath.dirname(path)), []).append(n)
            elif (pattern := PACKAGE.get(language)) and (said := pattern.search(file["content"])):
                name = said[1].replace("\\", ".")[:NAME_CHARS]
                made.packages.setdefault(name, []).append(n)
                made.packages.setdefault(f"{name}.{posixpath.basename(path).partition('.')[0]}", []).append(n)
        return made

    def imports(self, n: int) -> Sequence[Node]:
        """Return the nodes that a file imports."""
        file = self.files[n]
        pattern, resolve = PATTERNS.get(file["language"]), RESOLVE.get(file["language"])
        path = file["path"].lstrip("/")
        if pattern is None or resolve is None or len(path) > PATH_CHARS:
            return []
        imports: dict[tuple[str, ...], None] = {}
        for match, _ in zip(pattern.finditer(file["content"]), range(NAMES), strict=False):
            said = tuple(part for part in match.groups() if part)
            if said and all(len(part) <= NAME_CHARS for part in said):
                imports[said] = None
        return [node for said in imports for node in resolve(self, path, [*said])]

    def first(self, candidates: Iterable[str]) -> Sequence[Node]:
        """Return the first of the paths that is there."""
        found = (self.paths.get(posixpath.normpath(path) if "./" in path or "//" in path else path) for path in candidates)
        return [n for n in found if n is not None][:1]


def _above(path: str) -> Iterator[str]:
    """Yield the folder of a file, those above it, and the top."""
    folder = posixpath.dirname(path)
    for _ in range(ANCESTORS):
        yield f"{folder}/" if folder else ""
        if not folder:
            return
        folder = posixpath.dirname(folder)
    yield ""


def _python(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    names = _names(said[-1])
    if said[1:]:
        return _module(repository, path, said[0], names)
    return [node for module in names for node in _module(repository, path, module, [])]


def _names(said: str) -> list[str]:
    """Return the names of a list that may be in brackets, on several lines, and with other names behind `as`."""
    lines = (line.partition("#")[0].partition(";")[0] for line in said.lstrip("(").split("\n"))
    return [name.split()[0] for name in " ".join(lines).split(",")[:MEMBERS] if name.strip()]


def _module(repository: _Repository, path: str, module: str, names: list[str]) -> Sequence[Node]:
    dots = len(module) - len(module.lstrip("."))
    folders = [*_above(path)]
    roots = folders[dots - 1 : dots] if dots else [root + below for root in folders for below in ("", "src/")]
    inside = module.lstrip(".").replace(".", "/")

    def first(tried: str) -> Sequence[Node]:
        if posixpath.basename(tried) not in repository.parts:  # most modules are no repository's own
            return []
        return repository.first(f"{root}{tried}{end}" for root in roots for end in (".py", "/__init__.py", ".pyi"))

    found = [first(f"{inside}/{name}".lstrip("/")) for name in names]
    whole = [] if found and all(found) else first(inside) if inside else []  # a name that is no module is of the package
    return [node for nodes in [*found, whole] for node in nodes]


def _script(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    folder = posixpath.dirname(path)
    to, bare = posixpath.join(folder, said[0]), posixpath.join(folder, re.sub(r"\.jsx?$", "", said[0]))
    return repository.first([to + end for end in SCRIPTS] + [bare + end for end in SCRIPTS])


def _header(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    near = repository.first(root + said[0] for root in _above(path))
    if near:
        return near
    ending = "/" + posixpath.normpath(said[0]).lstrip("./")
    same = repository.named.get(posixpath.basename(ending), [])[:ANCESTORS]  # an include path that the build alone knows
    return [n for n in same if repository.files[n]["path"].endswith(ending)][:1]


def _package(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    name = said[0].replace("\\", ".").removesuffix(".*")
    for _ in range(3):  # an import may name a member of a class, or a nested one
        if name in repository.packages:
            return [name]
        name = name.rpartition(".")[0]
    return []


def _php(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    if said[0].endswith(".php"):
        return repository.first(root + said[0] for root in _above(path))
    return [node for name in (_names(said[1]) if said[1:] else [""]) for node in _package(repository, path, [said[0] + name])]


def _go(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    parts = said[0].split("/")  # the module's own name, which only go.mod says, comes first
    found = (("Go", "/".join(parts[k:])) for k in range(min(len(parts), ANCESTORS)))
    return [package for package in found if package in repository.packages][:1]


def _ruby(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    return repository.first(f"{root}{below}{said[0].removesuffix('.rb')}.rb" for root in _above(path) for below in ("", "lib/"))


def _rust(repository: _Repository, path: str, said: list[str]) -> Sequence[Node]:
    folder, stem = posixpath.split(path.removesuffix(".rs"))
    own = folder if stem in ("mod", "lib", "main") else posixpath.join(folder, stem)  # where the module's children lie
    found: list[Node] = []
    for parts in _nested(said[0].split("::"), said[1]) if said[1:] else [said[0].split("::")]:
        root = own
        if parts[0] == "crate":
            root = next((f for f in _above(path) if f"{f}lib.rs" in repository.paths or f"{f}main.rs" in repository.paths), "")
        while parts and parts[0] in ("crate", "self", "super"):
            root = posixpath.dirname(root) if parts[0] == "super" else root
            parts = parts[1:]
        ends = range(min(len(parts), PARTS), 0, -1)  # the last may be an item of a module
        found += repository.first(posixpath.join(root, *parts[:k]) + end for k in ends for end in (".rs", "/mod.rs"))
    return found


def _nested(root: list[str], said: str) -> list[list[str]]:
    """Return the paths of `a, b::{c, d}`, each below the root."""
    found: list[list[str]] = []
    above, own = [root], root
    for token in re.findall(r"\w+|[{},]", said):
        if token == "{":
            above.append(own)
        elif token in ",}":
            if own is not above[-1] and len(found) < MEMBERS:
                found.append(own)
            if token == "}":
                if len(above) == 1:
                    break
                above.pop()
            own = above[-1]
        elif len(own) <= PARTS:
            own = [*own, token]
    return found


RESOLVE: dict[str, Callable[[_Repository, str, list[str]], Sequence[Node]]] = {
    "Python": _python,
    **dict.fromkeys(("JavaScript", "TypeScript", "TSX"), _script),
    **dict.fromkeys(("C", "C++"), _header),
    **dict.fromkeys(("Java", "Kotlin", "Scala", "C#"), _package),
    "PHP": _php,
    "Go": _go,
    "Ruby": _ruby,
    "Rust": _rust,
}
