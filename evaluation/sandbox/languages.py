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

from starmill.core.sandbox import Bounds, Sandbox

NONCE = "@NONCE@"  # where a program says that its tests came to their end
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/dev/null", "/dev/urandom")
BUILD = Bounds(cpu_seconds=120, seconds=1200.0, memory_bytes=64 << 30, written_bytes=512 << 20, processes=256)


@dataclass(frozen=True)
class Language:
    """A language. `compiles`, `runs`: commands in a folder that holds `file`; `says`: a statement that prints NONCE.

    `closes`: what ends the blocks that the last test may stand in, as a pattern. `install`: Debian's packages, or who else has it.
    """

    name: str
    file: str
    runs: tuple[str, ...]
    says: str
    smallest: str  # a program that says NONCE, and needs of libraries what tests need
    install: str
    compiles: tuple[str, ...] = ()
    closes: str = r"\}"
    reads: tuple[str, ...] = ()  # beside SYSTEM; patterns of shell

    def ended(self, tests: str, blocks: int) -> str:
        """Return tests that say NONCE at their end: before the ends of so many blocks that they stand in, or behind all.

        >>> LANGUAGES["cpp"].ended("int main() { check(); }", 1).count(NONCE)
        1
        """
        ends = [match.start() for match in re.finditer(self.closes, tests)]
        at = ends[-blocks] if blocks and len(ends) >= blocks else len(tests)
        return f"{tests[:at]}\n{self.says}\n{tests[at:]}\n"


def _script(name: str, file: str, program: str, says: str, install: str, before: str = "", **more: str) -> Language:
    return Language(name, file, (program, file), says, before + says, install, **more)  # type: ignore[arg-type]


# Rust's own linker asks /proc where it lies, and a sandbox has none.
RUSTC = ("rustc", "--edition=2021", "-Cdebuginfo=0", "-Clinker-features=-lld", "main.rs", "-o", "main")
JAVA = "public class Main {{ public static void main(String[] args) {{ {} }} }}"
LANGUAGES: dict[str, Language] = {
    one.name: one
    for one in (
        Language(
            "cpp", "main.cpp", ("./main",), f'fputs("\\n{NONCE}\\n", stdout);',
            f'#include <cstdio>\nint main() {{ fputs("{NONCE}\\n", stdout); }}', "g++ libssl-dev",
            ("g++", "-std=c++17", "main.cpp", "-o", "main", "-lcrypto"),
        ),
        Language(
            "java", "Main.java", ("java", "-ea", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "Main"),
            f'System.out.println("{NONCE}");', JAVA.format(f'System.out.println("{NONCE}");'), "openjdk-17-jdk-headless",
            ("javac", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "Main.java"), reads=("/etc/java-*",),
        ),
        Language(
            "rust", "main.rs", ("./main", "--nocapture"), f'println!("{NONCE}");', f'#[test]\nfn t() {{ println!("{NONCE}"); }}',
            "Rust (https://rustup.rs)", (*RUSTC, "--test"),
        ),
        Language(
            "rs", "main.rs", ("./main",), f'println!("{NONCE}");', f'fn main() {{ println!("{NONCE}"); }}', "Rust (https://rustup.rs)",
            RUSTC,
        ),
        _script("js", "main.js", "node", f'console.log("\\n{NONCE}");', "nodejs"),
        _script("lua", "main.lua", "lua", f'print("{NONCE}")', "lua5.4 lua-unit", "require('luaunit')\n", closes=r"\bend\b"),
        _script("php", "main.php", "php", f'echo "\\n{NONCE}\\n";', "php-cli", "<?php "),
        _script("pl", "main.pl", "perl", f'print "\\n{NONCE}\\n";', "perl libtest-deep-perl", "use Test::Deep;\n"),
        _script("rb", "main.rb", "ruby", f'puts "{NONCE}"', "ruby", "require 'test/unit'\n", closes=r"\bend\b"),
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
    if language.install.startswith("Rust") and (root := _rust()):
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
