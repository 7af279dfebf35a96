"""How programs of each language are compiled and run, and what is said at their end: LANGUAGES is the table, a row a language.

A toolchain is this machine's own, seen read-only. `present` runs a program of two lines: a language whose toolchain is absent, or does
not work in a sandbox, is named and never scored.
"""

import functools
import glob
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from starmill.core.sandbox import Bounds, Sandbox

NONCE = "@NONCE@"  # where a program says that its tests came to their end
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/dev/null", "/dev/urandom")
BUILD = Bounds(cpu_seconds=120, seconds=1200.0, memory_bytes=64 << 30, written_bytes=512 << 20, processes=256)


@dataclass(frozen=True)
class Language:
    """A language. `compiles`, `runs`: commands in a folder that holds `file`; `says`: a statement that prints NONCE.

    `closes`: what ends the blocks that the last test may stand in, as a pattern. `debian`: packages that have its toolchain; `other`:
    who else has it.
    """

    name: str
    file: str
    runs: tuple[str, ...]
    says: str
    smallest: str  # a program that says NONCE, and needs what programs of benchmarks do
    debian: str = ""
    compiles: tuple[str, ...] = ()
    closes: str = r"\}"
    reads: tuple[str, ...] = ()  # beside SYSTEM; patterns of shell
    other: str = ""
    prepared: bool = False  # whether prepare.py makes something for it

    def ended(self, tests: str, blocks: int) -> str:
        """Return tests that say NONCE at their end: before the ends of so many blocks that they stand in, or behind all.

        >>> LANGUAGES["cpp"].ended("int main() { check(); }", 1).count(NONCE)
        1
        """
        ends = [match.start() for match in re.finditer(self.closes, tests)]
        at = ends[-blocks] if blocks and len(ends) >= blocks else len(tests)
        return f"{tests[:at]}\n{self.says}\n{tests[at:]}\n"

    @property
    def install(self) -> str:
        """What a machine needs for it, in words that follow "install"."""
        by_us = f"run `make languages LANGUAGES={self.name}`" if self.prepared or self.debian else ""
        return ", then ".join(filter(None, (self.debian or self.other, by_us)))


def _script(name: str, file: str, program: str, says: str, debian: str, before: str = "", **more: str) -> Language:
    return Language(name, file, (program, file), says, before + says, debian, **more)  # type: ignore[arg-type]


def folder() -> Path:
    """Return where prepare.py keeps what it made, a folder a language: `starmill/languages` of the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "starmill/languages"


# Rust's own linker asks /proc where it lies, and a sandbox has none.
RUSTC = ("rustc", "--edition=2021", "-Cdebuginfo=0", "-Clinker-features=-lld", "main.rs", "-o", "main")
CRATES = [f"--extern={name}=/opt/prepared/rust/lib/lib{name}.rlib" for name in ("rand", "regex", "md5")]
RUSTUP = "Rust (https://rustup.rs)"
JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
JAVAC = ("javac", *(f"-J{word}" for word in JVM))
TUPLES = "/opt/prepared/java_problem/javatuples.jar"
JAVA = "{}public class {} {{ public static void main(String[] args) {{ {} }} }}"
PRINT = f'System.out.println("{NONCE}");'
LANGUAGES: dict[str, Language] = {
    one.name: one
    for one in (
        Language(
            "cpp", "main.cpp", ("./main",), f'fputs("\\n{NONCE}\\n", stdout);',
            f'#include <cstdio>\nint main() {{ fputs("{NONCE}\\n", stdout); }}', "g++ libssl-dev libboost-dev",
            ("g++", "-std=c++17", "main.cpp", "-o", "main", "-lcrypto"),
        ),
        Language(
            "java", "Main.java", ("java", "-ea", "-Xmx512m", *JVM, "Main"), PRINT, JAVA.format("", "Main", PRINT),
            "openjdk-17-jdk-headless", (*JAVAC, "Main.java"), reads=("/etc/java-*",),
        ),
        Language(
            "java_problem", "Problem.java", ("java", "-ea", "-Xmx512m", *JVM, "-cp", f".:{TUPLES}", "Problem"), PRINT,
            JAVA.format("import org.javatuples.*;\n", "Problem", f"Pair.with(1, 2); {PRINT}"), "openjdk-17-jdk-headless maven",
            (*JAVAC, "-cp", TUPLES, "Problem.java"), reads=("/etc/java-*",), prepared=True,
        ),
        Language(
            "rust", "main.rs", ("./main", "--nocapture"), f'println!("{NONCE}");',
            f'use rand as _; use regex as _; use md5 as _;\n#[test]\nfn t() {{ println!("{NONCE}"); }}', "",
            (*RUSTC, "--test", "-Ldependency=/opt/prepared/rust/lib", *CRATES), other=RUSTUP, prepared=True,
        ),
        Language(
            "rs", "main.rs", ("./main",), f'println!("{NONCE}");', f'fn main() {{ println!("{NONCE}"); }}', "", RUSTC, other=RUSTUP,
        ),
        Language(
            "go", "main.go", ("./main",), f'starmill.Stdout.WriteString("\\n{NONCE}\\n")',
            'package main\nimport starmill "os"\nimport _ "github.com/stretchr/testify/assert"\n'
            f'func main() {{ starmill.Stdout.WriteString("\\n{NONCE}\\n") }}', "",
            ("go-program", "main.go"), other="Go (https://go.dev/dl)", prepared=True,
        ),
        Language(
            "ts", "main.ts", ("node", "main.js"), f'console.log("\\n{NONCE}");', f'console.log("\\n{NONCE}");', "",
            ("node", "/opt/prepared/ts/node_modules/typescript/bin/tsc", "--target", "es2020", "--lib", "es2020,dom", "main.ts"),
            other="nodejs and npm", prepared=True,
        ),
        Language(
            "d", "main.d", ("./main",), f'{{ import std.stdio : writeln; writeln("\\n{NONCE}"); }}',
            f'unittest {{ import std.stdio : writeln; writeln("{NONCE}"); }}\nvoid main() {{}}', "ldc",
            ("ldc2", "-unittest", "main.d", "-of=main"), reads=("/etc/ldc2.conf",),
        ),
        Language(
            "scala", "main.scala", ("scala", *(f"-J{word}" for word in JVM), "Problem"), f'println("\\n{NONCE}")',
            f'object Problem {{ def main(args: Array[String]) = {{ println("{NONCE}") }} }}', "scala",
            ("scalac", *(f"-J{word}" for word in JVM), "main.scala"), reads=("/etc/java-*",),
        ),
        Language(
            "swift", "main.swift", ("./main",), f'print("\\n{NONCE}")', f'print("{NONCE}")', "", ("swiftc", "main.swift", "-o", "main"),
            other="Swift (https://swift.org/install)",
        ),
        _script("js", "main.js", "node", f'console.log("\\n{NONCE}");', "nodejs"),
        _script("jl", "main.jl", "julia", f'println("\\n{NONCE}")', "", other="Julia (https://julialang.org/downloads)"),
        _script("lua", "main.lua", "lua", f'print("{NONCE}")', "lua5.4 lua-unit", "require('luaunit')\n", closes=r"\bend\b"),
        Language(
            "php", "main.php", ("php", "main.php"),
            f'echo "\\n{NONCE}\\n";', f'<?php\necho "\\n{NONCE}\\n";', "php-cli", reads=("/etc/php",)
        ),
        _script("pl", "main.pl", "perl", f'print "\\n{NONCE}\\n";', "perl libtest-deep-perl", "use Test::Deep;\n"),
        _script("rb", "main.rb", "ruby", f'puts "{NONCE}"', "ruby", "require 'test/unit'\n", closes=r"\bend\b"),
        Language(
            "rkt", "main.rkt", ("racket", "main.rkt"), f'(displayln "\\n{NONCE}")',
            f'#lang racket\n(require rackunit)\n(displayln "{NONCE}")',
            "racket", closes=r"\)", reads=("/etc/racket",),
        ),
        _script("sh", "main.sh", "bash", f"echo {NONCE}", "bash"),
        _script("r", "main.R", "Rscript", f'cat("\\n{NONCE}\\n")', "r-base-core"),
    )
}  # fmt: skip


@functools.cache
def sandbox(name: str) -> Sandbox:
    """Return where programs of a language run, with the bounds of compiling."""
    language = LANGUAGES[name]
    places = [place for pattern in (*SYSTEM, *language.reads) for place in glob.glob(pattern)]
    reads, path = {place: os.path.realpath(place) for place in places}, ["/usr/bin", "/bin"]
    libraries = [os.path.dirname(place) for place in glob.glob("/usr/lib/jvm/*/lib/libjli.so")]
    if language.prepared and (made := folder() / name).is_dir():
        reads[f"/opt/prepared/{name}"] = str(made)
        path.append(f"/opt/prepared/{name}/bin")
    if language.other == RUSTUP and (root := _rust()):
        reads["/opt/rust"], libraries = root, ["/opt/rust/lib"]
        path.append("/opt/rust/bin")
    own = {
        "PATH": ":".join(path),
        "LC_ALL": "C.UTF-8",
        "HOME": "/work",
        "TMPDIR": "/work",
        "LD_LIBRARY_PATH": ":".join(libraries),
    }
    return Sandbox(reads, BUILD, own, may_kill=True)


def program(name: str, command: str) -> str | None:
    """Return the path of a command inside the sandbox of a language, or None."""
    if command.startswith("./"):
        return command
    for inside in sandbox(name).environment["PATH"].split(":"):
        outside = next(
            (out + inside[len(at) :] for at, out in sandbox(name).reads.items() if f"{inside}/".startswith(f"{at}/")), inside
        )
        if os.access(f"{outside}/{command}", os.X_OK):
            return f"{inside}/{command}"
    return None


def _rust() -> str | None:
    """Return the folder of the Rust toolchain that `rustc` stands for."""
    if shutil.which("rustc") is None:
        return None
    try:
        said = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, timeout=60, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None
