"""Programs become pairs by real compilers, and nothing that a program asks a compiler to read comes into a record."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import toolchains

from starmill.core.dataset import Workspace
from starmill.core.document import Special
from starmill.core.errors import MachineError
from starmill.core.sandbox import Ran
from starmill.pipelines.kinds import KINDS
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.ir import compilers as ir_compilers
from starmill.pipelines.sources.ir import reader as ir
from starmill.pipelines.sources.ir import text as ir_text
from starmill.pipelines.sources.ir.compilers import CPP, NAMES, RUST, C, Compiler
from starmill.pipelines.sources.ir.reader import Programs, level_of
from starmill.pipelines.sources.source import Entry, Limits
from starmill.pipelines.stages import ingest
from starmill.transforms.step import Split

GOOD = {
    "sort/middle.c": b"/* The middle of three. */\nint middle(int a, int b, int c) {\n    return a < b ? (b < c ? b : c) : a;\n}\n",
    "sort/middle.cpp": b"template <class T> T middle(T a, T b) { return (a + b) / 2; }\nint both(int a, int b) { return middle(a, b); }",
    "sort/middle.rs": b"// The middle of two numbers, which must not overflow.\nfn main() {\n"
    b"    let words: Vec<u32> = vec![1, 2];\n    std::process::exit((words[0] / 2 + words[1] / 2) as i32)\n}\n" + b"//\n" * 300,
}
LANGUAGE = {"c": C, "cpp": CPP, "rs": RUST}


def source(folder: Path, **options: object) -> Programs:
    return Programs(folder=str(folder), compilers=toolchains.compilers(), sandbox=toolchains.isolation(), **options)  # type: ignore[arg-type]


def entries(programs: Programs) -> dict[str, Entry]:
    return {
        f"{repository.name}/{entry.path.decode()}": entry
        for repository in programs.plan()
        for entry in programs.read(repository, Limits(max_file_bytes=100_000))[1]
    }


def put(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files whose language this machine compiles, and those of none."""
    has = {language for name in toolchains.compilers() for language in ir_compilers.LANGUAGES[name]}
    for name, data in files.items():
        if LANGUAGE.get(name.rpartition(".")[2], C if "rustc" not in has else RUST) in has:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def test_a_program_is_a_pair(tmp_path: Path) -> None:
    programs = source(put(tmp_path / "in", GOOD))
    found = entries(programs)
    assert found and entries(programs) == found, "twice gives the same bytes"
    for name, entry in found.items():
        language = LANGUAGE[name.rpartition(".")[2]]
        assert entry.reason is None and entry.data is not None and entry.segments, entry
        code, made = entry.segments
        text = entry.data.decode()
        assert (code["role"], code["name"], made["role"]) == ("code", language, "ir") and entry.kind == "ir"
        assert text[code["start"] : code["end"]].encode() == GOOD[name] == entry.origin
        written = text[made["start"] : made["end"]]
        assert made["name"] == level_of(GOOD[name], 0.8, 0) and made["start"] - code["end"] == (GOOD[name][-1:] != b"\n")
        assert ir_text.is_whole(written) and "define " in written and len(text) == made["end"]


def test_what_is_no_pair_has_a_reason(tmp_path: Path) -> None:
    files = {
        "a/README.md": b"Programs.\n",
        "a/empty.c": b"",
        "a/nul.c": b"int x;\0\n",
        "a/wrong.c": b"int main(void) {\n    return x;\n}\n",
        "a/wrong.rs": b"fn main() {\n    x\n}\n",
        "a/nothing.c": b"/* no code */\n",
        "a/today.c": b"const char *when = __DATE__;\n",
        "a/crash.c": b"#pragma clang __debug crash\nint x;\n",
        "a/long.c": b"int x[99999] = {1};\nint y[] = {" + b"1,2,3,4," * 3000 + b"};\n",
        "a/many.c": b"#define A(n) int a##n(int x){return x*n;}\n#define B(n) A(n##1)A(n##2)A(n##3)A(n##4)A(n##5)\nB(1)B(2)B(3)B(4)\n",
        "a/more.c": b"int x[1 << 21] = {[0 ... 2097151] = 77};\n",
        "a/short.rs": b"fn main() {}\n",
    }
    wanted = {
        "a/README.md": ("not_a_program", None),
        "a/empty.c": ("empty", None),
        "a/nul.c": ("nul_bytes", None),
        "a/wrong.c": ("does_not_compile", "program.c:2:12: error: use of undeclared identifier 'x'"),
        "a/wrong.rs": ("does_not_compile", "error[E0425]: cannot find value `x` in this scope"),
        "a/nothing.c": ("empty_ir", None),
        "a/today.c": (
            "does_not_compile",
            "program.c:1:20: error: expansion of date or time macro is not reproducible [-Werror,-Wdate-time]",
        ),
    }
    reasons = {"a/crash.c": "compiler_failed", "a/long.c": "ir_too_long", "a/many.c": "ir_too_long", "a/more.c": "ir_too_long"}
    reasons |= {"a/short.rs": "ir_too_long"}
    found = entries(source(put(tmp_path, files)))
    assert all(e.data is None and e.kind == "ir" and e.size == len(files[name]) for name, e in found.items())
    assert {n: (e.reason, e.detail) for n, e in found.items() if n in wanted} == {n: wanted[n] for n in found if n in wanted}
    assert {n: e.reason for n, e in found.items() if n not in wanted} == {n: reasons[n] for n in found if n not in wanted}


SECRET = "the-secret-of-this-user"
READS = {
    "include.c": b'#include "%s"\nint x;\n',
    "quoted.c": b'const char *x =\n#include "%s"\n;\n',
    "again.c": b'#if __has_include("%s")\nint there_is_one;\n#endif\nint x;\n',
    "embed.c": b'const unsigned char x[] = {\n#embed "%s"\n};\n',
    "incbin.c": b'__asm__(".incbin \\"%s\\"");\nint x;\n',
    "climb.cpp": b'#include "../../../../../../../../..%s"\nint x;\n',
    "text.rs": b'const X: &str = include_str!("%s");\nfn main() { println!("{}", X) }\n',
    "bytes.rs": b'static X: &[u8] = include_bytes!("%s");\nfn main() { println!("{:?}", X) }\n',
    "path.rs": b'#[path = "%s"]\nmod x;\nfn main() {}\n',
    "include.rs": b'fn main() { include!("%s"); }\n',
    "asm.rs": b'use std::arch::global_asm;\nglobal_asm!(".incbin \\"%s\\"");\nfn main() {}\n' + b"//\n" * 300,
    "env.rs": b'// %s\nfn main() { println!("{:?} {:?}", option_env!("HOME"), option_env!("SECRET")) }\n' + b"//\n" * 300,
}


def test_nothing_that_a_program_includes_is_in_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc/passwd, the environment, and a file of the user: none of them is there, in text or in a diagnostic."""
    toolchains.namespaces()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.token").write_text(f'"{SECRET}"\n')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SECRET", SECRET)
    ir_compilers.found(toolchains.compilers())  # rustup looks for its toolchains in the user's true home
    places = {"passwd": "/etc/passwd", "environ": "/proc/self/environ", "home": str(tmp_path / "home/.token")}
    known = [SECRET, Path("/etc/passwd").read_text().split("\n")[0].partition(":")[2], "SECRET=", "there_is_one"]
    for name, place in places.items():
        tried = READS if name == "passwd" else {file: READS[file] for file in ("quoted.c", "text.rs")}
        put(tmp_path / "in" / name, {file: text.replace(b"%s", os.fsencode(place)) for file, text in tried.items()})
    found = entries(source(tmp_path / "in", max_ir_ratio=1000))
    assert len(found) >= 8
    for name, entry in found.items():
        code = Path(tmp_path / "in" / name).read_bytes()
        said = (entry.detail or "") if entry.data is None else entry.data.decode()[len(code) :]
        assert not [text for text in known if text and text in said], (name, said)
        kept = name.split("/")[1] in ("again.c", "incbin.c", "asm.rs", "env.rs")
        assert (entry.reason is None) == kept and (kept or entry.reason == "does_not_compile"), (
            name,
            entry.reason,
            entry.detail,
        )


BOMBS = {
    "self.c": b"#include __FILE__\n#include __FILE__\n",
    "template.cpp": b"template <class T, int N> struct P {};\n"
    b"template <int D, class T> struct B { B<D - 1, P<T, 0>> a; B<D - 1, P<T, 1>> b; };\n"
    b"template <class T> struct B<0, T> {};\nint main() { B<40, int> x; }\n",
    "const.rs": b"#![allow(long_running_const_eval)]\nconst fn f() -> u64 { let mut i = 0; while i < 1 << 60 { i += 1 } i }\n"
    b'const X: u64 = f();\nfn main() { println!("{}", X) }\n',
}


def test_a_bomb_ends_in_time(tmp_path: Path) -> None:
    found = entries(source(put(tmp_path / "in", {f"a/{name}": text for name, text in BOMBS.items()}), max_compile_seconds=1))
    assert found and {e.reason for e in found.values()} <= {"does_not_compile", "compiles_too_long", "compiler_failed"}
    assert all(found[n].reason == "compiles_too_long" for n in ("a/const.rs", "a/template.cpp") if n in found)


def test_so_many_are_compiled_for_size() -> None:
    levels = [level_of(b"%d" % k, 0.8, 0) for k in range(5000)]
    assert 0.78 < levels.count("size") / 5000 < 0.82
    assert levels == [level_of(b"%d" % k, 0.8, 0) for k in range(5000)] != [level_of(b"%d" % k, 0.8, 1) for k in range(5000)]
    assert {level_of(b"%d" % k, 1.0, 0) for k in range(99)} == {"size"} and {level_of(b"1", 0.0, 0)} == {"performance"}


def test_a_fingerprint_is_of_the_compiler_and_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = source(put(tmp_path, GOOD))
    [one] = programs.plan()
    assert programs.fingerprint(one) == one.fingerprint
    changes = {"size_rate": 0.5, "seed": 1, "max_ir_ratio": 8, "max_ir_bytes": 999, "max_compile_seconds": 7}
    others = {replace(programs, **{name: value}).plan()[0].fingerprint for name, value in changes.items()}  # type: ignore[arg-type]
    assert len(others | {one.fingerprint}) == len(changes) + 1
    newer = {
        language: replace(c, identity=f"newer {c.identity}") for language, c in ir_compilers.found(programs.compilers).items()
    }
    monkeypatch.setattr(ir_compilers, "found", lambda names: newer)
    assert programs.fingerprint(one) != one.fingerprint, "a program read by another compiler than planned is told"
    assert any("newer" in note for note in programs.notes())


def test_trouble_of_the_machine_is_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = replace(source(put(tmp_path, GOOD)), compilers=("rustc",))
    gone = Compiler("rustc", RUST, "1", 22, "/opt/none", (), ())
    monkeypatch.setattr(ir_compilers, "found", lambda names: {RUST: gone})
    with pytest.raises(MachineError, match=r"^a sandbox: starting /opt/none: No such file or directory"):
        programs.plan()
    for ran, said in (
        (Ran(127, b"", b"no libLLVM"), "did not start: no libLLVM"),
        (Ran(1, b"", b"no std"), "compiles no Rust here: no std"),
    ):
        ir._check.cache_clear()
        monkeypatch.setattr(ir, "_run", lambda *given, ran=ran: ran)
        with pytest.raises(MachineError, match=said):
            programs.plan() if ran.status == 1 else programs._pair(gone, b"fn main() {}", Limits())
    ir._check.cache_clear()


def test_a_pair_goes_through_the_steps_of_its_kind(tmp_path: Path) -> None:
    mail = "jane.doe" + "@real-site.org"
    files = {name: data + f"// by {mail}\n".encode() for name, data in GOOD.items()}
    options = Recipe(str(tmp_path / "w"), {"programs": source(put(tmp_path / "in", files))})
    workspace = Workspace(options.workspace)
    work = ingest.IngestPart(workspace, options.sources, options.ingest)
    [ref] = work.publish(ingest.STAGE.parts(options, workspace, ()))
    work(ref)
    [block] = workspace.table("records/part-00000.parquet").to_batches()
    kind = KINDS["ir"]
    for step in (*kind.measure(options.measure), *kind.decide(options.curate), *kind.clean(options.release)):
        made = step(block)
        block = made.kept if isinstance(made, Split) else made
    rows = block.to_pylist()
    assert rows and kind.dedup == "exact" and {row["language"] for row in rows} <= {*NAMES}
    for row, document in zip(rows, kind.render([block], options.format), strict=True):
        text = "".join(piece.token if isinstance(piece, Special) else piece for piece in document.pieces)
        [mark] = [mark for mark in ("<code_to_intermediate>", "<intermediate_to_code>") if mark in text]
        sides = text.split(mark)
        code, made = sides if mark == "<code_to_intermediate>" else sides[::-1]
        assert code.replace("<EMAIL>", mail).encode() == files[row["repo_name"] + row["path"]] and ir_text.is_whole(made)
        assert document.language == row["language"] == LANGUAGE[row["extension"]] and mail not in text


def test_a_list_without_a_compiler_is_refused() -> None:
    with pytest.raises(ValueError, match=r"compilers=\[\]: name at least one of clang, ziglang, rustc"):
        Programs(folder="in", compilers=())
