"""The compilers of this machine that write LLVM IR, and how each is called in a sandbox: clang, PyPI's ziglang (a clang), rustc.

A compiler sees its own files, its headers and the libraries that it is linked with, at paths that are the same on every machine. The
flags are StarCoder2's (its released scripts), but that a file with __DATE__ or __TIME__ in it does not compile: its bytes would change.
"""

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from starmill.core.errors import MachineError
from starmill.core.sandbox import libraries

CompilerName = Literal["clang", "ziglang", "rustc"]
Level = Literal["size", "performance"]
C, CPP, RUST = "C", "C++", "Rust"
EXTENSIONS = {"c": C, "cc": CPP, "cpp": CPP, "cxx": CPP, "c++": CPP, "rs": RUST}
NAMES = {C: "program.c", CPP: "program.cpp", RUST: "program.rs"}  # what a program is called when it is compiled
LANGUAGES: Mapping[CompilerName, tuple[str, ...]] = {"clang": (C, CPP), "ziglang": (C, CPP), "rustc": (RUST,)}
INSTALL = {
    C: "install clang, or `pip install ziglang`",
    CPP: "install clang, or `pip install ziglang`",
    RUST: "install Rust (https://rustup.rs)",
}
ZIG, RUST_ROOT = "/opt/zig", "/opt/rust"  # inside
TARGET = "x86_64-linux-gnu"
OF_CLANG = ("-S", "-emit-llvm", "-fno-discard-value-names", "-fstandalone-debug", "-Werror=date-time", "-nostdinc")
OF_RUSTC = (
    "--emit=llvm-ir=-",
    "--crate-name=program",
    "--crate-type=bin",
    "--edition=2021",
    "-Cstrip=symbols",
    "-Cdebuginfo=0",
    "-Ccodegen-units=1",
    "-Cllvm-args=-inline-threshold=0",
    "-Cembed-bitcode=no",
    "-Cforce-unwind-tables=off",
)
# How ziglang's own libc++ is configured, which has no header of its own for it.
OF_LIBCXX = (
    "-D_LIBCPP_ABI_VERSION=1",
    "-D_LIBCPP_ABI_NAMESPACE=__1",
    "-D_LIBCPP_HAS_THREADS=1",
    "-D_LIBCPP_HAS_MUSL_LIBC=0",
    "-D_LIBCPP_HAS_MONOTONIC_CLOCK",
    "-D_LIBCPP_HAS_TERMINAL",
    "-D_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "-D_LIBCPP_HAS_FILESYSTEM=1",
    "-D_LIBCPP_HAS_RANDOM_DEVICE",
    "-D_LIBCPP_HAS_LOCALIZATION",
    "-D_LIBCPP_HAS_UNICODE",
    "-D_LIBCPP_HAS_WIDE_CHARACTERS",
    "-D_LIBCPP_HAS_TIME_ZONE_DATABASE",
    "-D_LIBCPP_PSTL_BACKEND_SERIAL",
    "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE",
    "-D_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE",
)


@dataclass(frozen=True)
class Compiler:
    """How one language is compiled. `identity` is all that its bytes depend on, `llvm` the major version of the LLVM in it.

    `reads`: what it sees in a sandbox, by the path inside. `options`: what follows `program`, without the level and the file.
    """

    name: CompilerName
    language: str
    identity: str
    llvm: int
    program: str
    options: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]

    def command(self, level: Level) -> list[str]:
        """Return the command that writes the IR of the language's file in NAMES to its standard output."""
        if self.language == RUST:
            how: tuple[str, ...] = ("-Copt-level=z",) if level == "size" else ("-Copt-level=3",)
        else:
            how = ("-Oz", "-o", "-") if level == "size" else ("-O3", "-o", "-")
        return [self.program, *self.options, *how, NAMES[self.language]]


def language_of(path: bytes) -> str | None:
    """Return the language of a program by its extension, or None.

    >>> language_of(b"sort/quick.CPP"), language_of(b"sort/quick.C"), language_of(b"README")
    ('C++', 'C++', None)
    """
    name, dot, extension = os.path.basename(path).decode("utf-8", "replace").rpartition(".")
    if not (name and dot):
        return None
    return CPP if extension == "C" else EXTENSIONS.get(extension.lower())


def found(names: Sequence[CompilerName]) -> dict[str, Compiler]:
    """Return the compiler of each language: the first of the names that this machine has. Raises MachineError where it has none."""
    made: dict[str, Compiler] = {}
    for name in names:
        for compiler in _installed(name):
            made.setdefault(compiler.language, compiler)
    for language in (language for name in names for language in LANGUAGES[name]):
        if language not in made:
            others = [n for n in names if language in LANGUAGES[n]]
            lacks = f"neither {' nor '.join(others)}" if others[1:] else f"no {others[0]}"
            raise MachineError(
                f"this machine has {lacks}, to compile {language}: {INSTALL[language]} and name it in the source's `compilers`, "
                f"or leave {' and '.join(others)} out there"
            )
    return made


@functools.cache
def _installed(name: CompilerName) -> tuple[Compiler, ...]:
    finders: dict[str, Callable[[], tuple[Compiler, ...]]] = {"clang": _clang, "ziglang": _ziglang, "rustc": _rustc}
    return finders[name]()


def _clang() -> tuple[Compiler, ...]:
    """Return the machine's own clang with its own headers, found by asking it."""
    made = []
    for language, name, kind in ((C, "clang", "c"), (CPP, "clang++", "c++")):
        if (program := shutil.which(name)) is None:
            continue
        said = _said([program, "-E", "-v", "-x", kind, "-"])
        folders = said.partition("#include <...> search starts here:")[2].partition("End of search list")[0]
        headers = [os.path.realpath(line.strip()) for line in folders.splitlines() if line.strip()]
        real = os.path.realpath(program)
        reads = _outermost([real, *libraries(real), *headers])
        about = _said([program, "--version"]).splitlines()[0]
        macros = _said([program, "-E", "-dM", "-x", kind, "-"], "#include <stddef.h>\n#include <stdio.h>\n")
        target = _said([program, "-dumpmachine"]).strip()
        mode = ("--driver-mode=g++", "-nostdinc++") if language == CPP else ()  # by its real name it would be a compiler of C
        where = [word for folder in headers for word in ("-isystem", folder)]
        identity = f"{about}, {target}, {hashlib.sha256(macros.encode()).hexdigest()[:16]}"
        options = (*mode, "-target", target, *OF_CLANG, *where)
        made.append(Compiler("clang", language, identity, _major(about), real, options, tuple((p, p) for p in reads)))
    return tuple(made)


def _ziglang() -> tuple[Compiler, ...]:
    """Return the clang of PyPI's ziglang, with its glibc and libc++. `zig cc` would replace the level and add debug information."""
    place = importlib.util.find_spec("ziglang")
    if place is None or place.origin is None:
        return ()
    root = os.path.dirname(os.path.realpath(place.origin))
    about = _said([f"{root}/zig", "clang", "--version"]).splitlines()[0]
    lib = f"{ZIG}/lib"
    headers = [
        f"{lib}/include",
        *(f"{lib}/libc/include/{n}" for n in ("x86-linux-gnu", "generic-glibc", "x86-linux-any", "any-linux-any")),
    ]
    for_cpp = [f"{lib}/libcxx/include", f"{lib}/libcxxabi/include"]
    made = []
    for language, folders, more in (
        (C, headers, ()),
        (CPP, for_cpp + headers, ("--driver-mode=g++", "-nostdinc++", *OF_LIBCXX)),
    ):
        where = [word for folder in folders for word in ("-isystem", folder)]
        options = ("clang", *more, "--no-default-config", "-target", TARGET, *OF_CLANG, *where)
        identity = f"{about}, ziglang {version('ziglang')}"
        made.append(Compiler("ziglang", language, identity, _major(about), f"{ZIG}/zig", options, ((ZIG, root),)))
    return tuple(made)


def _rustc() -> tuple[Compiler, ...]:
    """Return the Rust compiler behind `rustc`, which may be rustup's; of its files those that compiling reads, and no sources."""
    program = shutil.which("rustc")
    if program is None:
        return ()
    root = _said([program, "--print", "sysroot"]).strip()
    about = _said([f"{root}/bin/rustc", "-vV"])
    host = re.search(r"^host: (\S+)$", about, re.MULTILINE)
    llvm = re.search(r"^LLVM version: (\d+)", about, re.MULTILINE)
    if host is None or llvm is None:
        raise MachineError(f"{root}/bin/rustc -vV says neither its host nor its LLVM: it said {about!r:.300}")
    own = [
        "bin/rustc",
        f"lib/rustlib/{host[1]}",
        *(f"lib/{p.name}" for p in sorted(Path(root, "lib").iterdir()) if p.is_file()),
    ]
    reads = [(f"{RUST_ROOT}/{name}", f"{root}/{name}") for name in own]
    reads += [(p, p) for p in libraries(f"{root}/bin/rustc") if not Path(p).resolve().is_relative_to(Path(root).resolve())]
    return (Compiler("rustc", RUST, about, int(llvm[1]), f"{RUST_ROOT}/bin/rustc", OF_RUSTC, tuple(reads)),)


def _said(command: Sequence[str], given: str = "") -> str:
    """Return what a compiler of this machine says of itself. Raises MachineError where it does not."""
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineError(f"{command[0]}: {error}; mend it, or leave it out of the source's `compilers`") from error
    if done.returncode:
        raise MachineError(
            f"{' '.join(command)}: {done.stderr.strip()[:300]}; mend it, or leave it out of the source's `compilers`"
        )
    return done.stdout + (done.stderr if "-v" in command else "")


def _outermost(paths: Sequence[str]) -> list[str]:
    """Return the paths that are there and lie in no other of them.

    >>> _outermost(["/usr/lib/none", "/usr/lib", "/usr", "/usr"])
    ['/usr']
    """
    there = sorted({path for path in paths if os.path.exists(path)})
    return [path for path in there if not any(path != other and path.startswith(f"{other}/") for other in there)]


def _major(about: str) -> int:
    stated = re.search(r"version (\d+)", about)
    return int(stated[1]) if stated else 0
