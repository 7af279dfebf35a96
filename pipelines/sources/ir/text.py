"""LLVM IR as a text to learn from: without what says where, when and for which machine it was made; what is left is parsed by LLVM.

Dropped are the module's name, the target, attribute groups, metadata, comdats and comments, as StarCoder2 strips headers, platform and
memory layout (paper, section 2.6), each with what refers to it. Functions of a standard library that were compiled with a program are
declared, as if they had been linked. A text that LLVM does not read without one of these keeps it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, combinations

STRING = re.compile(r'"[^"]*"')
MASKED = re.compile(r'"(\d+)"')
LIBRARY = "library"
DROPPABLE = ("target", "attributes", "metadata", "comdat", LIBRARY)
# Lines of each; the strings in a line are numbers when it is looked at.
LINES = {
    "target": re.compile(r"target (?:datalayout|triple) ="),
    "attributes": re.compile(r"attributes #\d+ ="),
    "metadata": re.compile(
        r"!|\s*#dbg_|(?:declare|\s+(?:tail )?call) void @llvm\.(?:experimental\.noalias\.scope\.decl|dbg\.\w+)\("
    ),
    "comdat": re.compile(r"\$[^ ]+ = comdat "),
}
# What in other lines refers to them.
WORDS = {
    "attributes": re.compile(r" #\d+(?![\w.$-])"),
    "metadata": re.compile(r",? ![-a-zA-Z$._\\][-\w$.\\]* !\d+"),
    "comdat": re.compile(r",? comdat(?:\(\$[^ )]+\))?(?=[ ,]|$)"),
}
HAS_COMDAT = ("define ", "@")
# By their mangled names: std and __gnu_cxx of C++; core, alloc, std and the hashbrown in it of Rust, and what is theirs of a trait.
OF_LIBRARY = re.compile(
    r"_ZN?[rVK]*[RO]?(?:S[tabsiod]|9__gnu_cxx)|_ZN(?:\d+_\$LT\$)?(?:(?:core|alloc|std|hashbrown)\.\.|4core|5alloc|3std|9hashbrown)"
)
DEFINED = re.compile(r'define .*?@(?:"([^"]*)"|([-\w.$]+))\(')
# What is said of a definition alone.
OF_DEFINITION = re.compile(
    r"^define|(?<= )(?:private|internal|available_externally|linkonce|weak|linkonce_odr|weak_odr|dso_local) | personality ptr @[\w.$]+| {$"
)
NAME = re.compile(r'@(?:"[^"]*"|[-\w.$]+)')
UNNEEDED = re.compile(r"declare |@[^=]+ = (?:private|internal|linkonce_odr|linkonce|available_externally|external) ")
OPEN, CLOSED = "([{<", ")]}>"
MAX_DEPTH = 256  # of brackets: LLVM's parser calls itself for each
OLDEST = 15  # LLVM before it wrote pointers with their types, which no parser of today reads


def normalised(text: str, keep: Iterable[str] = ()) -> str:
    r"""Return the IR without the classes of DROPPABLE that are not kept, and without comments, in lines that end with LF.

    >>> made = '; ModuleID = \'a.c\'\nsource_filename = "a.c"\n\n; Function Attrs: nounwind\ndefine i32 @f(ptr %p) #0 {\nentry:  ; preds\n'
    >>> made += '  %v = load i32, ptr %p, align 4, !tbaa !5\n  ret i32 %v\n}\n\nattributes #0 = { nounwind }\n!5 = !{i32 1}\n'
    >>> print(normalised(made), end="")
    define i32 @f(ptr %p) {
    entry:
      %v = load i32, ptr %p, align 4
      ret i32 %v
    }
    """
    drop = [name for name in DROPPABLE if name not in {*keep}]
    lines: list[str] = []
    inside = False  # a function that is only declared
    for line in text.split("\n"):
        if inside:
            inside = line != "}"
            continue
        strings = STRING.findall(line)
        counted = iter(range(len(strings)))
        shown = STRING.sub(lambda _: f'"{next(counted)}"', line) if strings else line  # noqa: B023
        shown = shown.partition(";")[0].rstrip()
        if shown.startswith("source_filename =") or any(LINES[name].match(shown) for name in drop if name in LINES):
            continue
        for name in drop:
            if name in WORDS and (name != "comdat" or shown.startswith(HAS_COMDAT)):
                shown = WORDS[name].sub("", shown)
        shown = MASKED.sub(lambda number: strings[int(number[1])], shown) if strings else shown  # noqa: B023
        if LIBRARY in drop and (name_of := DEFINED.match(shown)) and OF_LIBRARY.match(name_of[1] or name_of[2]):
            shown, inside = f"declare{OF_DEFINITION.sub('', shown)}", True
        if shown or line == "":  # a line that was a comment leaves none
            lines.append(shown)
    kept = _needed(lines) if LIBRARY in drop else lines
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n") + "\n"


def _needed(lines: Sequence[str]) -> list[str]:
    """Return the lines without the declarations and the constants that nothing names, and those that only they name."""
    names = [NAME.findall(line) if "@" in line else [] for line in lines]
    uses = Counter(name for found in names for name in found)
    at = {names[k][0]: k for k, line in enumerate(lines) if names[k] and UNNEEDED.match(line)}
    own = {name: names[k].count(name) for name, k in at.items()}
    due, gone = [name for name in at if uses[name] == own[name]], set[int]()
    while due:
        k = at[due.pop()]
        gone.add(k)
        for name in names[k][1:]:
            uses[name] -= 1
            if name in at and at[name] not in gone and uses[name] == own[name]:
                due.append(name)
    return [line for k, line in enumerate(lines) if k not in gone]


def verified(text: str, llvm: int, keep: Iterable[str] = ()) -> str | None:
    """Return the shortest normalised text that LLVM reads, or None. `llvm`: the version that wrote it, `keep`: what stays anyway.

    Where the parser here is older than that, what is written must be whole: its brackets, and nothing that refers to what is gone.
    """
    for more in chain.from_iterable(combinations(DROPPABLE, count) for count in (0, 1, len(DROPPABLE))):
        kept = {*keep, *more}
        made = normalised(text, kept)
        if is_whole(made, kept) and (not reads(llvm) or _parses(made)):
            return made
    return None


def is_whole(text: str, keep: Iterable[str] = ()) -> bool:
    """Say whether the brackets of a normalised text are balanced and not too deep, and nothing in it refers to what was dropped."""
    due: list[str] = []
    for line in text.split("\n"):
        bare = STRING.sub("", line)
        for bracket in re.findall(r"[][(){}<>]", bare):
            if bracket in OPEN:
                due.append(CLOSED[OPEN.index(bracket)])
                if len(due) > MAX_DEPTH:
                    return False
            elif not due or due.pop() != bracket:
                return False
        if ("metadata" not in keep and re.search(r"!\d", bare)) or ("attributes" not in keep and re.search(r" #\d", bare)):
            return False
    return not due and re.search(r"^(?:define|@)", text, re.MULTILINE) is not None


def parser() -> int:
    """Return the major version of the LLVM that parses here, 0 where llvmlite is not installed."""
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return 0
    return int(llvm.llvm_version_info[0])


def reads(llvm: int) -> bool:
    """Say whether the parser here reads what that version of LLVM writes."""
    return OLDEST <= llvm <= parser()


def _parses(text: str) -> bool:
    import llvmlite.binding as llvm
    from llvmlite.binding.context import create_context

    try:
        module = llvm.parse_assembly(text, context=create_context())  # of its own: the global one would keep every constant
        module.verify()
    except RuntimeError:
        return False
    module.close()
    return True
