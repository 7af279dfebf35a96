"""Makes one program of a response in another language than Python: its code, its tests, and behind the last of them the nonce.

What runs the tests is renamed, so that the program's own main function runs them and says the nonce only then: neither an exit nor a
`return` in the middle does. In one file there is one module: exports, imports of the file itself, and second imports of the same go.
"""

import re

from starmill.alignment import braces
from starmill.alignment.braces import Braces
from starmill.evaluation.sandbox import golang
from starmill.evaluation.sandbox.languages import LANGUAGES, NONCE

DECLARED = r"(?:async\s+)?(?:function|class|const|let|var|interface|type|enum|abstract)\b"
EXPORT = re.compile(rf"^export[ \t]+(?:default[ \t]+)?(?={DECLARED})|^export\b[^\n]*\n?", re.MULTILINE)
# `import a from "b"`, `import * as a`, `import { a as b }`, and the same by `require`.
IMPORT = re.compile(
    r"^(?:import[ \t]+(?:\*[ \t]*as[ \t]+)?(?P<what>[\w$]+|\{[^{}]*\})[ \t]+from[ \t]+(?P<whence>['\"][^'\"\n]+['\"])"
    r"|(?:const|let|var)[ \t]+(?P<name>[\w$]+|\{[^{}]*\})[ \t]*=[ \t]*require\((?P<place>['\"][^'\"\n]+['\"])\)"
    r"(?P<member>\.\w+)?)[ \t]*;?[ \t]*$",
    re.MULTILINE,
)
OWN_ASSERT = re.compile(r"\b(?:const|let|var|function|class)\s+assert\b")
FAILS = '{ if (!ok) throw new Error("an assertion failed: " + said.join(" ")); };'
NODE = f'globalThis.assert = require("assert");\nconsole.assert = (ok, ...said) => {FAILS}\n'
TSC = (
    "declare var require: any, module: any, exports: any, process: any;\n"
    f"(console as any).assert = (ok: any, ...said: any[]) => {FAILS}\n"
)
TSC_ASSERT = 'var assert: any = require("assert");\n'
SCRIPT_SAYS = f'\nprocess.once("beforeExit", () => {{ console.log("\\n{NONCE}"); }});\n'
GO_MAIN = re.compile(r"^func[ \t]+main[ \t]*\(", re.MULTILINE)
RUST_MAIN = re.compile(r"\bfn\s+main\s*\(")
RUST_USE = re.compile(r"^(?:use [^;]+;|#!\[[^\n]*\])[ \t]*\n?", re.MULTILINE)
RUST_TEST = re.compile(
    r"#\[test\](?P<more>(?:\s*#\[[^\]\n]{0,200}\]){0,8})\s*(?:pub(?:\([^)]*\))?\s+)?(?P<fn>fn\s+(?P<name>\w+))"
)
NESTED = 20  # modules around a test
RUST_MODULE = re.compile(r"\bmod\s+(\w+)\s*\{")
RUST_ENDED = """
fn starmill_ended<T: std::process::Termination>(ended: T) {
    if format!("{:?}", ended.report()) != format!("{:?}", std::process::ExitCode::SUCCESS) { std::process::exit(101); }
}
"""
JAVA_IMPORT = re.compile(r"^[ \t]*import\s+(?:static\s+)?[\w.*]+\s*;[ \t]*$", re.MULTILINE)
JAVA_PACKAGE = re.compile(r"^[ \t]*package\s+[\w.]+\s*;[ \t]*$", re.MULTILINE)
JAVA_PUBLIC = re.compile(
    r"\bpublic\s+(?=(?:(?:abstract|final|sealed|non-sealed|strictfp)\s+)*(?:class|interface|enum|record)\b)"
)
JAVA_TYPE = re.compile(r"\b(?:class|interface|enum|record)\s+(\w+)[^{};]*\{")
JAVA_MAIN = re.compile(r"\bstatic\s+(?:final\s+)?void\s+main\s*\(")
CPP_MAIN = re.compile(r"\b(?:int|signed|auto)\s+main\s*\(([^()]*)\)[^{};]*\{")


def script(code: str, tests: str, syntax: Braces, typed: bool = False) -> str:
    """Return a program of JavaScript, or of TypeScript.

    `assert` is Node's own where the program has no other, and `console.assert` throws. The nonce is said when nothing is left to be
    done, which process.exit never lets happen; a promise that is never settled is not noticed.
    """
    text = _one_module(EXPORT.sub("", f"{code}\n{tests}"))
    before = NODE if not typed else TSC + ("" if OWN_ASSERT.search(syntax.masked(text)) else TSC_ASSERT)
    return f"{before}{text}{SCRIPT_SAYS}"


def typescript(code: str, tests: str, syntax: Braces) -> str:
    """Return a program of TypeScript."""
    return script(code, tests, syntax, True)


def _one_module(text: str) -> str:
    seen: set[str] = set()

    def replaced(found: re.Match[str]) -> str:
        what, whence = found["what"] or found["name"], found["whence"] or found["place"]
        if whence[1] == "." or what in seen:  # the file itself, or once more
            return ""
        seen.add(what)
        return f"const {re.sub(r' as ', ': ', what)} = require({whence}){found['member'] or ''};"

    return IMPORT.sub(replaced, text)


def go(code: str, tests: str, syntax: Braces) -> str:
    """Return a program of Go, whose tests are functions of `testing`, or else a main function."""
    tests, code = golang.PACKAGE.sub("", tests), golang.PACKAGE.sub("", code)
    code = GO_MAIN.sub("func starmillUnused(", code)
    if golang.TESTS.search(syntax.masked(tests)):
        tests = golang.ended(GO_MAIN.sub("func starmillSecond(", tests))
    else:
        tests = GO_MAIN.sub("func starmillMain(", tests) + f"\nfunc main() {{\n\tstarmillMain()\n\t{_says('go')}\n}}\n"
    return golang.imported(golang.head(f"\n{code}\n{tests}"), 'import "testing"')


def rust(code: str, tests: str, syntax: Braces) -> str:
    """Return a program of Rust, whose tests are functions with #[test], called one after another, or else a main function."""
    tests = RUST_USE.sub(lambda found: "" if "super::" in found[0] or "#!" in found[0] or found[0] in code else found[0], tests)
    code = RUST_MAIN.sub("fn starmill_unused(", code)
    masked = syntax.masked(tests)
    ends = braces.closed(masked)
    modules = [(one[1], one.start(), ends.get(one.end() - 1, len(masked))) for one in RUST_MODULE.finditer(masked)][::-1]
    around: list[tuple[str, int, int]] = []
    calls, made, at = [], [], 0
    for one in RUST_TEST.finditer(masked):
        while modules and modules[-1][1] < one.start():
            around.append(modules.pop())
        around = [module for module in around if one.start() < module[2]][:NESTED]
        name = "::".join([*(module[0] for module in around), one["name"]])
        panics = f"if std::panic::catch_unwind(|| {{ {name}(); }}).is_ok() {{ std::process::exit(101); }}"
        calls.append(panics if "should_panic" in one["more"] else f"starmill_ended({name}());")
        made += [tests[at : one.start()], "pub ", tests[one.start("fn") : one.end()]]
        at = one.end()
    tests = "".join([*made, tests[at:]]).replace("#[cfg(test)]", "")
    tests = RUST_MAIN.sub("fn starmill_main(", tests)
    body = "\n    ".join([*(calls or ["starmill_ended(starmill_main());"]), f'println!("\\n{NONCE}");'])
    return f"{code}\n{tests}\n{RUST_ENDED}\nfn main() {{\n    {body}\n}}\n"


def java(code: str, tests: str, syntax: Braces) -> str:
    """Return a file of Java: its public class has a main function that calls the tests' own."""
    imports = [one.strip() for text in (code, tests) for one in JAVA_IMPORT.findall(text)]
    code, tests = (JAVA_PACKAGE.sub("", JAVA_IMPORT.sub("", text)) for text in (code, tests))
    masked = syntax.masked(tests)
    main, ends = JAVA_MAIN.search(masked), braces.closed(masked)
    types = [(one[1], one.start(), ends.get(one.end() - 1, len(masked))) for one in JAVA_TYPE.finditer(masked)]
    tested = next((name for name, begin, end in types if main and begin < main.start() < end), "Main")
    text = f"{code}\n{tests}"
    text = _replaced(text, syntax, JAVA_PUBLIC, "", outside=True)
    text = _replaced(text, syntax, re.compile(r"\bMain\b"), "StarmillTests")
    called = "StarmillTests" if tested == "Main" else tested
    return (
        "\n".join(dict.fromkeys(imports))
        + f"\n{text}\npublic class Main {{\n    public static void main(String[] arguments) throws Throwable {{\n"
        + f"        {called}.main(arguments);\n        System.out.println();\n        {_says('java')}\n    }}\n}}\n"
    )


def cpp(code: str, tests: str, syntax: Braces) -> str:
    """Return a program of C++, whose tests are a main function; assertions are on, whatever the code says."""
    code = CPP_MAIN.sub(lambda found: found[0].replace("main", "starmill_unused", 1), code)
    found = CPP_MAIN.search(masked := syntax.masked(tests))
    given = ""
    if found is not None and (end := braces.closed(masked).get(found.end() - 1)):
        head = tests[found.start() : found.end()].replace("main", "starmill_main", 1)
        tests = f"{tests[: found.start()]}{head}{tests[found.end() : end]}\nreturn 0;\n{tests[end:]}"
        given = "" if found[1].strip() in ("", "void") else "arguments, texts"
    return (
        f"#include <cstdio>\n{code}\n#undef NDEBUG\n#include <cassert>\n{tests}\n"
        f"int main(int arguments, char** texts) {{\n    if (int status = starmill_main({given})) return status;\n"
        f"    {_says('cpp')}\n    return 0;\n}}\n"
    )


def _says(sandbox: str) -> str:
    return LANGUAGES[sandbox].says


def _replaced(text: str, syntax: Braces, what: re.Pattern[str], by: str, outside: bool = False) -> str:
    """Replace what is neither in a comment nor in quotes, with `outside` nor within braces."""
    masked = syntax.masked(text)
    made, at, depth, counted = [], 0, 0, 0
    for one in what.finditer(masked):
        depth += masked.count("{", counted, one.start()) - masked.count("}", counted, one.start())
        counted = one.start()
        if not outside or not depth:
            made += [text[at : one.start()], by]
            at = one.end()
    return "".join([*made, text[at:]])
