"""The languages in which responses are asked for and verified: LANGUAGES is the table, a row a language, by linguist's name.

Python is read by its own parser (invoked.py, trim.py), the others by their braces (braces.py). What another language needs: a row here,
of a language that evaluation/sandbox/languages.py runs, and alignment/data/shots-<fence>.jsonl.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starmill.alignment import programs
from starmill.alignment.braces import LETTER, NO_FUNCTION, TEXT, TYPES, Braces
from starmill.core.errors import UsageError
from starmill.core.sandbox import NotIsolated
from starmill.evaluation.sandbox import programs as sandbox

PYTHON = "Python"
PLAIN = ("", "text", "console", "output")  # blocks that are no code


@dataclass(frozen=True)
class Language:
    """A language. `fences`: names of its blocks, the first as prompts write it; `sandbox`: its row of the sandbox's languages.

    `tests`: how tests stand beside the code, in the words of a prompt; `syntax`: null for Python; `program`: makes one of code and tests.
    """

    name: str
    fences: tuple[str, ...]
    sandbox: str
    tests: str
    syntax: Braces | None = None
    program: Callable[[str, str, Braces], str] | None = None

    @property
    def fence(self) -> str:
        """The name of its blocks."""
        return self.fences[0]


_SCRIPT = {
    "function": (
        r"\b(?:async\s+)?function\s*\*?\s*([\w$]+)\s*(?:<[^(){}]{0,200}>)?\("
        r"|\b(?:const|let|var)\s+([\w$]+)\s*(?::[^=;\n]{0,200})?=\s*(?:async\s*)?(?:function\s*\*?\s*[\w$]*\s*\(|\(|[\w$]+\s*(?==>))"
    ),
    "between": r"\s*(?::[^;{}=]{0,200})?(?:=>)?\s*\{",
    "bound": TYPES + r"|^(?:export\s+)?(?:const|let|var)\s+([\w$]+)",
    "asserts": r"\bassert\b|\bthrow\b",
    "line": r"^[ \t]*((?:console\.)?assert(?:\.\w+)*\(.*\);?)[ \t]*$",
    "words": (
        "assert console true false null undefined new typeof instanceof NaN Infinity Array Object Map Set Math JSON Number String "
        "Boolean BigInt Date RegExp Symbol"
    ),
}
_SCRIPTED = (
    rf"{TEXT}|'(?:[^'\\\n]|\\.)*'?|`(?:[^`\\]|\\(?s:.))*(?:`|\Z)|(?<=[(,=:!&|?{{}};\[])[ \t]*/(?![/*])(?:[^/\\\n]|\\.)+/?"
)
LANGUAGES: dict[str, Language] = {
    one.name: one
    for one in (
        Language(PYTHON, ("python", "py", "python3"), "python", "assertions that are executed when the block is"),
        Language(
            "JavaScript", ("javascript", "js", "node", "nodejs"), "js",
            "calls of Node's assert at its top level, which run behind the implementation in the same file",
            Braces(_SCRIPTED, **_SCRIPT), programs.script,
        ),
        Language(
            "TypeScript", ("typescript", "ts"), "ts",
            "calls of console.assert at its top level, which run behind the implementation in the same file",
            Braces(_SCRIPTED, **_SCRIPT), programs.typescript,
        ),
        Language(
            "Go", ("go", "golang"), "go",
            "functions of the package testing with their imports, in the same package as the implementation",
            Braces(
                rf"{TEXT}|{LETTER}|`[^`]*(?:`|\Z)",
                r"\bfunc\s+(?:\([^()]{0,200}\)\s*)?(\w+)\s*(?:\[[^\[\]]{0,200}\])?\(", r"[^;{}\n]{0,400}\{",
                r"\bpanic\(|\.(?:Fatal|Error|Fail)\w*\(|\b(?:assert|require)\.\w+\(|\bos\.Exit\(", r"\bfunc\s+(?:main|Test\w*)\s*\(",
                bound=r"\btype\s+(\w+)|^(?:var|const)\s+(\w+)",
            ),
            programs.go,
        ),
        Language(
            "Rust", ("rust", "rs"), "rs",
            "functions with #[test] that use assert! and assert_eq!, in the same file as the implementation",
            Braces(
                rf'\bb?r(?P<marks>\#*)"(?s:.*?(?:"(?P=marks)|\Z))|b?{TEXT}|{LETTER}',
                r"(?:\#\[test\][^{};]{0,200}?)?\bfn\s+(\w+)\s*(?:<[^(){}]{0,200}>)?\(", r"[^;{}]{0,400}\{",
                r"\b(?:debug_)?assert(?:_eq|_ne)?!|\bpanic!", r"\#\[test\]|\bfn\s+main\s*\(",
                line=r"^[ \t]*((?:debug_)?assert(?:_eq|_ne)?!\(.*\);)[ \t]*$",
                words=(
                    "assert assert_eq assert_ne debug_assert debug_assert_eq vec true false Some None Ok Err String Vec str "
                    "HashMap HashSet Box format mut as i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 usize isize f32 f64 bool char"
                ),
            ),
            programs.rust,
        ),
        Language(
            "Java", ("java",), "java",
            "one class whose main method has assert statements, in the same file as the implementation",
            Braces(
                rf'"""(?s:.*?(?:"""|\Z))|{TEXT}|{LETTER}', rf"{NO_FUNCTION}(\w+)\s*\(", r"\s*(?:throws\s[\w.,\s]{1,400})?\{",
                r"\bassert\b|\bthrow\b", r"^main\b", line=r"^[ \t]*(assert\b.*;)[ \t]*$",
                words=(
                    "assert true false null new int long double float char byte short boolean String List Map Set Arrays Integer Long "
                    "Double Boolean Character Math Objects Optional Collections instanceof"
                ),
            ),
            programs.java,
        ),
        Language(
            "C++", ("cpp", "c++", "cc", "cxx"), "cpp",
            "a main function that uses assert, in the same file as the implementation",
            Braces(
                rf'\bR"(?P<marks>\w*)\((?s:.*?(?:\)(?P=marks)"|\Z))|{TEXT}|{LETTER}', rf"{NO_FUNCTION}(\w+)\s*\(",
                r"\s*(?:const\b|noexcept\b|override\b|->[^;{}()]{0,200}|:\s[^;{}]{0,400})?\s*\{",
                r"\bassert\s*\(|\bthrow\b|\babort\s*\(|\bexit\s*\(", r"^main\b", line=r"^[ \t]*(assert\(.*\);)[ \t]*$",
                words=(
                    "assert std true false nullptr string vector map set pair tuple make_pair make_tuple optional nullopt int long double "
                    "float char bool unsigned size_t abs fabs unordered_map unordered_set"
                ),
            ),
            programs.cpp,
        ),
    )
}  # fmt: skip


def absent(names: Sequence[str]) -> list[str]:
    """Return what is said of those of these languages whose programs cannot be judged on this machine, with the fix.

    No language but Python is judged where a machine gives no namespaces.
    """
    found = []
    for row in (LANGUAGES[name] for name in names if name != PYTHON):
        try:
            said = sandbox.absent(row.sandbox)
        except NotIsolated as error:
            said = str(error)
        found += [f"{row.name}: {said}"] if said else []
    return found


def refuse_absent(names: Sequence[str]) -> None:
    """Raise UsageError where one of these languages cannot be judged: before a model is asked for what nobody could verify."""
    if found := absent(names):
        raise UsageError(f"languages: {'; '.join(found)}; or leave out of `languages` what this machine cannot verify")
