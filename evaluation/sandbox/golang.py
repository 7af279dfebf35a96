"""Tests of Go as a program: `go test` would build the package's main function itself, and needs what no sandbox has (a module, a cache).

The program's last test says NONCE; that of a benchmark that fails ends it with another status.
"""

import re

from starmill.evaluation.sandbox.languages import LANGUAGES

PACKAGE = re.compile(r"^[ \t]*package[ \t]+\w+[ \t]*$", re.MULTILINE)
TESTS = re.compile(r"^func (Test\w*)\(\w+ \*testing\.T\)", re.MULTILINE)
IMPORTS = re.compile(r"^import[ \t]*(?:\([^()]*\)|\"[\w./]+\")", re.MULTILINE)
PATHS = re.compile(r'"([\w./-]+)"')
FUNCTIONS = re.compile(r"^func (\w+)\(.*?^\}", re.MULTILINE | re.DOTALL)


def functions(text: str) -> list[tuple[str, str]]:
    """Return the names and texts of the functions that stand whole in a text."""
    return [(found[1], found[0]) for found in FUNCTIONS.finditer(text)]


def head(text: str) -> str:
    """Return a file whose package is `main`, which imports what the last test needs.

    >>> head("package add_test\\nfunc f() {}")
    'package main\\nimport starmill "os"\\nfunc f() {}'
    """
    return 'package main\nimport starmill "os"' + PACKAGE.sub("", text, count=1)


def ended(tests: str) -> str:
    """Return tests with a main function that runs them, and then says NONCE."""
    named = "".join(f'{{"{name}", {name}}}, ' for name in TESTS.findall(tests))
    says = f'{{"", func(*testing.T) {{ {LANGUAGES["go"].says} }}}}'
    always = "func(string, string) (bool, error) { return true, nil }"
    return f"{tests}\nfunc main() {{\n\ttesting.Main({always}, []testing.InternalTest{{{named}{says}}}, nil, nil)\n}}\n"


def imported(text: str, known: str) -> str:
    """Return a program with one import of each package that it uses: of those that it or `known` imports.

    Go compiles nothing that imports what it does not use, and an answer may need what a prompt does not import.
    """
    paths = [path for found in IMPORTS.findall(f"{known}\n{text}") for path in PATHS.findall(found)]
    rest = IMPORTS.sub("", text)
    used = [path for path in dict.fromkeys(paths) if re.search(rf"\b{path.rpartition('/')[2]}\.", rest)]
    where = PACKAGE.search(rest)
    at = where.end() if where else 0
    return f"{rest[:at]}\n{''.join(f'import {chr(34)}{path}{chr(34)}' + chr(10) for path in used)}{rest[at:]}"
