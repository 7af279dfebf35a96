"""Programs and the LLVM IR that the compilers of this machine make of them: the pairs of StarCoder2 (paper, section 2.6).

Each file of a folder is one program. A compiler reads what a program includes, and so it runs in a sandbox (core/sandbox.py), in a folder
that holds the program alone, by a name that is the same for all. What the pair depends on is in the fingerprint: the program, the
compilers with their versions, and the options.
"""

import functools
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from starmill.core import recipe, seeds, skips, swhid
from starmill.core.errors import MachineError
from starmill.core.names import AtLeast1, BytesAtOnce, Place, Seconds, Seed, Share
from starmill.core.sandbox import NAMESPACES, Bounds, Isolation, NotIsolated, Ran, Sandbox
from starmill.pipelines.sources import encoding
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.ir import compilers as ir_compilers
from starmill.pipelines.sources.ir import text as ir_text
from starmill.pipelines.sources.ir.compilers import NAMES, Compiler, CompilerName, Level
from starmill.pipelines.sources.source import Counted, Entry, Limits, Options, Repository, Snapshot

IR = "ir"
CRASHED = b"frontend command failed"  # what clang says of itself, with the status of a wrong program
TRIALS = {
    ir_compilers.C: b'#include <stdio.h>\nint main(void) { return puts(""); }\n',
    ir_compilers.CPP: b'#include <cstdio>\nint main() { return std::puts(""); }\n',
    ir_compilers.RUST: b'fn main() { println!(""); }\n',
}


@dataclass(frozen=True, kw_only=True)
class Programs(Options):
    """A folder of programs in C, C++ and Rust, each file one, and the LLVM IR that this machine's compilers make of them, in a sandbox."""

    kind: Literal["ir"] = "ir"  # always given
    folder: Place  # of folders of programs, each a repository
    compilers: tuple[CompilerName, ...] = (
        "clang",
        "ziglang",
        "rustc",
    )  # for each language the first of these that the machine has: clang and PyPI's ziglang compile C and C++, rustc Rust
    size_rate: Share = 0.8  # of the programs that are compiled for size (-Oz), as StarCoder2's were; the others for speed (-O3)
    seed: Seed = 0  # of the choice by size_rate
    max_ir_ratio: AtLeast1 = 16  # the IR has at most so many times the bytes of its program
    max_ir_bytes: BytesAtOnce = 32 << 10  # and at most so many bytes
    library: Literal["declared", "whole"] = (
        "declared"  # functions of the standard library in the IR: only `declared`, or `whole`
    )
    max_compile_seconds: Seconds = 20  # seconds of the processor for one program
    sandbox: Isolation = NAMESPACES  # `limits` hides no file: for programs that you trust, on a machine without namespaces

    gives: ClassVar[tuple[str, ...]] = (IR,)

    def __post_init__(self) -> None:
        """Raise ValueError for a list without a compiler, by which nothing would be a program."""
        if not self.compilers:
            raise ValueError("compilers=[]: name at least one of clang, ziglang, rustc")

    def places(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)

    def inventory(self) -> list[Repository]:
        """Return the folders of programs. Raises MachineError where a compiler or the sandbox is missing, and OSError for the folder."""
        self._check()
        return [
            replace(r, place={**r.place, "tree": r.fingerprint}, fingerprint=self._with_compilers(r.fingerprint))
            for r in self._tree.plan()
        ]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return a pair for each program; what is none is an entry with a reason. Raises MachineError as `plan` does."""
        self._check()
        snapshot, entries = self._tree.read(_of_tree(repository), limits)
        return snapshot, self._pairs(entries, limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the programs have now, with the compilers of now."""
        return self._with_compilers(self._tree.fingerprint(_of_tree(repository)))

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files there are."""
        return self._tree.count(_of_tree(repository), limits)

    def notes(self) -> tuple[str, ...]:
        """Say what compiles each language, and where LLVM does not read what it writes."""
        said = []
        for language, compiler in sorted(self._compilers.items()):
            unread = f", which LLVM {ir_text.parser()} of llvmlite does not read: its IR is looked at and not parsed"
            about = compiler.identity.splitlines()[0]
            said.append(f"{language} is compiled by {about}{'' if ir_text.reads(compiler.llvm) else unread}")
        if self.sandbox != NAMESPACES:
            said.append("without a sandbox: a program may include any file that this user may read")
        return tuple(said)

    @property
    def _tree(self) -> Folders:
        return Folders(roots=(self.folder,))

    @property
    def _compilers(self) -> dict[str, Compiler]:
        return ir_compilers.found(self.compilers)

    def _check(self) -> None:
        """Raise MachineError where this machine cannot compile in a sandbox what the options ask for."""
        for compiler in self._compilers.values():
            _check(compiler, self.sandbox)

    def _with_compilers(self, fingerprint: str) -> str:
        of = {language: [c.identity, c.options] for language, c in sorted(self._compilers.items())}
        lengths = [self.max_ir_ratio, self.max_ir_bytes, self.max_compile_seconds]
        options = [self.size_rate, self.seed, self.library, lengths, self.sandbox]
        return recipe.digest([fingerprint, of, options])

    def _pairs(self, entries: Iterator[Entry], limits: Limits) -> Iterator[Entry]:
        compilers = self._compilers
        for entry in entries:
            if entry.data is None:
                yield replace(entry, kind=IR)
                continue
            compiler = compilers.get(ir_compilers.language_of(entry.path) or "")
            lost = replace(entry, kind=IR, data=None, size=len(entry.data))
            if compiler is None:
                yield replace(lost, reason="not_a_program")
                continue
            made = self._pair(compiler, entry.data, limits)
            yield replace(lost, reason=made[0], detail=made[1]) if isinstance(made, tuple) else replace(made, path=entry.path)
            skips.go_on()  # what max_repository_seconds bounds here is one program

    def _pair(self, compiler: Compiler, data: bytes, limits: Limits) -> Entry | tuple[str, str | None]:
        """Return the record of a program, without its path, or the reason why there is none, and its detail."""
        reason = encoding.judge(data, limits.max_file_bytes)
        decoded = None if reason else encoding.decode(data)
        if decoded is None:
            return reason or "undecodable", None
        level = level_of(data, self.size_rate, self.seed)
        ran = self._compiled(compiler, level, data)
        if reason := _reason(ran):
            return reason, _detail(ran, compiler)
        text = ran.output.decode("ascii", "replace")
        keep = (ir_text.LIBRARY,) if self.library == "whole" else ()
        made = ir_text.normalised(text, keep)
        if too_long := self._too_long(made, data):
            return "ir_too_long", too_long
        if not made.strip():
            return "empty_ir", None
        whole = ir_text.verified(text, compiler.llvm, keep)
        if whole is None:
            return "unparseable_ir", f"LLVM {ir_text.parser()} reads no form of it"
        if too_long := self._too_long(whole, data):
            return "ir_too_long", too_long
        code = decoded[0]
        start = len(code) + (not code.endswith("\n"))
        segments: list[dict[str, Any]] = [
            {"role": "code", "name": compiler.language, "start": 0, "end": len(code)},
            {"role": "ir", "name": level, "start": start, "end": start + len(whole)},
        ]
        glue = "\n" * (start - len(code))
        return Entry(b"", f"{code}{glue}{whole}".encode(), kind=IR, segments=segments, origin=data)

    def _compiled(self, compiler: Compiler, level: Level, data: bytes) -> Ran:
        bounds = Bounds(
            cpu_seconds=self.max_compile_seconds,
            seconds=10.0 * self.max_compile_seconds,
            output_bytes=(8 << 20) + 8 * self.max_ir_bytes,
        )
        return _run(compiler, level, data, self.sandbox, bounds)

    def _too_long(self, made: str, data: bytes) -> str:
        most = min(self.max_ir_bytes, self.max_ir_ratio * len(data))
        return f"{len(made):,} bytes of a program of {len(data):,}" if len(made) > most else ""


def level_of(data: bytes, size_rate: float, seed: int) -> Level:
    """Return the level at which a program is compiled: a hash of its content, so that copies of it give one pair."""
    return "size" if seeds.uniform(seed, "ir_level", swhid.content_id(data)) < size_rate else "performance"


def _of_tree(repository: Repository) -> Repository:
    return replace(repository, fingerprint=repository.place["tree"])


def _run(compiler: Compiler, level: Level, data: bytes, isolation: Isolation, bounds: Bounds) -> Ran:
    box = Sandbox(dict(compiler.reads), bounds, isolation=isolation)
    try:
        return box.run(compiler.command(level), {NAMES[compiler.language]: data})
    except NotIsolated as error:
        raise MachineError(f"{error}; or set the source's `sandbox: limits`, for programs that you trust") from error


@functools.cache
def _check(compiler: Compiler, isolation: Isolation) -> None:
    ran = _run(compiler, "size", TRIALS[compiler.language], isolation, Bounds())
    if ran.status or not ran.output:
        said = ran.errors[:300].decode("utf-8", "replace").strip() or f"status {ran.status}"
        raise MachineError(
            f"{compiler.name} compiles no {compiler.language} here: {said}; mend it, or leave it out of `compilers`"
        )


def _reason(ran: Ran) -> str:
    """Return why there is no IR, or nothing. Raises MachineError where the machine's loader did not start the compiler."""
    if ran.status == 127:
        raise MachineError(f"a compiler did not start: {ran.errors[:300].decode('utf-8', 'replace').strip()}")
    if ran.stopped:
        return "ir_too_long" if ran.stopped == "output_bytes" else "compiles_too_long"
    if ran.status == 0:
        return ""
    return "does_not_compile" if ran.status == 1 and CRASHED not in ran.errors else "compiler_failed"


def _detail(ran: Ran, compiler: Compiler) -> str | None:
    """Return what a compiler said first, as one line, in which no path is this machine's; or how it ended."""
    if ran.stopped:
        return None
    if ran.status < 0:
        return signal.Signals(-ran.status).name
    if ran.status != 1:
        return f"exit status {ran.status}"
    text = ran.errors.decode("utf-8", "replace")
    for inside, outside in compiler.reads:
        text = text.replace(outside, inside)
    line = next((line for line in text.splitlines() if "error" in line), "")
    return "".join(c if c.isprintable() else "?" for c in line)[:300] or None
