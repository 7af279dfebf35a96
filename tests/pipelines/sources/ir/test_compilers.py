"""The compilers of this machine: what they are is found by asking them, and what they write holds nothing of the machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import toolchains

from starmill.core.errors import MachineError
from starmill.core.sandbox import LIMITS, NAMESPACES, Sandbox
from starmill.pipelines.sources.ir import compilers as ir_compilers
from starmill.pipelines.sources.ir.compilers import CPP, LANGUAGES, NAMES, RUST, C, Compiler, CompilerName

WHERE = {C: b"const char *f(void) { return __FILE__; }\n", CPP: b"auto f() { return __FILE__; }\n"}
WHERE |= {RUST: b'fn main() { println!("{} {}", file!(), std::env::args().nth(7).unwrap()); }\n'}


VERSION: dict[str, list[str]] = {
    "clang": ["clang", "-dumpversion"],
    "ziglang": [sys.executable, "-m", "ziglang", "clang", "-dumpversion"],
    "rustc": ["rustc", "-V"],
}


@pytest.fixture
def asked_anew() -> None:
    ir_compilers._installed.cache_clear()


@pytest.mark.parametrize("name", LANGUAGES)
def test_what_a_compiler_says_of_itself(name: CompilerName) -> None:
    if name not in toolchains.here():
        pytest.skip(f"NOT RUN: no {name}")
    for language, compiler in ir_compilers.found([name]).items():
        assert language in LANGUAGES[name] and compiler.name == name and compiler.llvm > 10
        version = {
            "rustc": ["rustc", "-V"],
            "clang": ["clang", "-dumpversion"],
            "ziglang": [sys.executable, "-m", "ziglang", "clang", "-dumpversion"],
        }
        said = subprocess.run(version[name], capture_output=True, text=True, check=True).stdout.split()
        assert (said[1] if name == "rustc" else said[0]) in compiler.identity
        assert all(os.path.exists(outside) for _, outside in compiler.reads)
        inside = [path for path, _ in compiler.reads]
        assert not [(a, b) for a in inside for b in inside if a != b and b.startswith(f"{a}/")], "none lies in another"


@pytest.mark.parametrize("language", NAMES)
def test_no_place_and_no_mode_is_in_what_it_writes(language: str) -> None:
    compiler = toolchains.compiler(language)
    isolations = [LIMITS] if toolchains.isolation() == LIMITS else [NAMESPACES, LIMITS]
    written = set()
    for isolation in isolations:
        ran = Sandbox(dict(compiler.reads), isolation=isolation).run(
            compiler.command("size"), {NAMES[language]: WHERE[language]}
        )
        assert ran.status == 0, ran.errors
        written.add(ran.output)
    [one] = written
    assert NAMES[language].encode() in one
    machine = {
        os.getcwd(),
        str(Path.home()),
        str(Path(ir_compilers.__file__).parent),
        *(out for _, out in compiler.reads if out.count("/") > 2),
    }
    assert not [place for place in machine if place.encode() in one]


@pytest.mark.parametrize("language", NAMES)
def test_a_level_is_the_compilers(language: str) -> None:
    compiler = toolchains.compiler(language)
    box = Sandbox(dict(compiler.reads), isolation=toolchains.isolation())
    written = {
        level: box.run(compiler.command(level), {NAMES[language]: WHERE[language]}).output for level in ("size", "performance")
    }
    assert b"minsize" in written["size"] and b"minsize" not in written["performance"]


def test_the_first_that_is_there_compiles_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(name: CompilerName) -> tuple[Compiler, ...]:
        languages = {"clang": (C,), "ziglang": (C, CPP), "rustc": ()}[name]
        return tuple(Compiler(name, language, "1", 20, "/opt/x", (), ()) for language in languages)

    monkeypatch.setattr(ir_compilers, "_installed", of)
    assert {language: c.name for language, c in ir_compilers.found(["clang", "ziglang"]).items()} == {
        C: "clang",
        CPP: "ziglang",
    }
    assert {c.name for c in ir_compilers.found(["ziglang", "clang"]).values()} == {"ziglang"} and ir_compilers.found([]) == {}
    with pytest.raises(
        MachineError,
        match=r"^this machine has no clang, to compile C\+\+: install clang, or `pip install ziglang` and name it in the source's "
        r"`compilers`, or leave clang out there$",
    ):
        ir_compilers.found(["clang"])
    with pytest.raises(MachineError, match=r"^this machine has no rustc, to compile Rust: install Rust \(https"):
        ir_compilers.found(["ziglang", "rustc"])


def test_a_machine_without_compilers(asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=r"^this machine has no rustc"):
        ir_compilers.found(["rustc"])
    with pytest.raises(MachineError, match=r"^this machine has no clang"):
        ir_compilers.found(["clang"])
    monkeypatch.setattr(ir_compilers, "_installed", lambda name: ())
    with pytest.raises(MachineError, match=r"^this machine has neither clang nor ziglang, to .* leave clang and ziglang out"):
        ir_compilers.found(["clang", "ziglang"])


def test_a_broken_compiler_is_named(asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rustc").write_text("#!/bin/sh\necho it has no toolchain >&2\nexit 1\n")
    (tmp_path / "rustc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MachineError, match=rf"^{re.escape(str(tmp_path))}/rustc --print sysroot: it has no toolchain; mend it, or leave"
    ):
        ir_compilers.found(["rustc"])
    ir_compilers._installed.cache_clear()
