"""LLVM IR as a text to learn from: without what says where, when and for which machine it was made; what is left is parsed by LLVM.

Dropped are the module's name, the target, attribute groups, metadata, comdats and comments, as StarCoder2 strips headers, platform and
memory layout (paper, section 2.6), each with what refers to it. A text that LLVM does not read without one of these keeps it.
"""

import re
from collections.abc import Iterable
from itertools import chain, combinations

STRING = re.compile(r'"[^"]*"')
MASKED = re.compile(r'"(\d+)"')
DROPPABLE = ("target", "attributes", "metadata", "comdat")
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
    for line in text.split("\n"):
        strings = STRING.findall(line)
        counted = iter(range(len(strings)))
        shown = STRING.sub(lambda _: f'"{next(counted)}"', line) if strings else line  # noqa: B023
        shown = shown.partition(";")[0].rstrip()
        if shown.startswith("source_filename =") or any(LINES[name].match(shown) for name in drop):
            continue
        for name in drop:
            if name in WORDS and (name != "comdat" or shown.startswith(HAS_COMDAT)):
                shown = WORDS[name].sub("", shown)
        shown = MASKED.sub(lambda number: strings[int(number[1])], shown) if strings else shown  # noqa: B023
        if shown or (line == "" and lines and lines[-1]):  # a line that was a comment leaves none
            lines.append(shown)
    return "\n".join(lines).strip("\n") + "\n"


def verified(text: str, llvm: int) -> str | None:
    """Return the shortest normalised text that LLVM reads, or None. `llvm`: the version that wrote it.

    Where the parser here is older than that, what is written must be whole: its brackets, and nothing that refers to what is gone.
    """
    for keep in chain.from_iterable(combinations(DROPPABLE, count) for count in (0, 1, len(DROPPABLE))):
        made = normalised(text, keep)
        if is_whole(made, keep) and (not reads(llvm) or _parses(made)):
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
