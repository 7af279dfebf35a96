"""What is left of LLVM IR, by LLVM itself: it is read, and each function does what it did."""

import re
import shutil
import subprocess

import llvmlite.binding as llvm
import pytest
import toolchains
from llvmlite.binding.context import create_context

from starmill.core.sandbox import Sandbox
from starmill.pipelines.sources.ir import text as ir_text
from starmill.pipelines.sources.ir.compilers import NAMES

WRITTEN = r"""; ModuleID = 'program.cpp'
source_filename = "program.cpp"
target datalayout = "e-m:e-i64:64"
target triple = "x86_64-unknown-linux-gnu"

%struct.pair = type { i32, i32 }

$_Z1fi = comdat any
$"odd name" = comdat any

@text = private unnamed_addr constant [33 x i8] c"; no comment, !tbaa !5 #0 comdat\00", align 1
@"odd name" = linkonce_odr global ptr @text, comdat, align 8, !type !1

; Function Attrs: nounwind
define linkonce_odr i32 @_Z1fi(i32 %0) local_unnamed_addr #0 comdat {
  %2 = add i32 %0, 1, !annotation !6       ; a comment "in quotes"
  call void @llvm.experimental.noalias.scope.decl(metadata !7)
  %3 = load ptr, ptr @"odd name", align 8, !tbaa !5, !nonnull !4
  br label %done, !llvm.loop !9

done:                                             ; preds = %1
  tail call void asm sideeffect "nop # 1 !2 ; x", "~{memory}"() #2, !srcloc !8
  ret i32 %2
}

declare void @llvm.experimental.noalias.scope.decl(metadata) #1

attributes #0 = { nounwind "target-cpu"="x86-64" }
attributes #1 = { nocallback }
attributes #2 = { nounwind }

!llvm.ident = !{!0}

!0 = !{!"a compiler"}
!1 = !{i64 0, !"type"}
!4 = !{}
!5 = !{!10, !10, i64 0}
!6 = !{!"auto-init"}
!7 = !{!11}
!8 = !{i64 7}
!9 = distinct !{!9}
!10 = !{!"int", !12, i64 0}
!11 = distinct !{!11, !13}
!12 = !{!"a root"}
!13 = distinct !{!13}
"""
LEFT = r"""%struct.pair = type { i32, i32 }

@text = private unnamed_addr constant [33 x i8] c"; no comment, !tbaa !5 #0 comdat\00", align 1
@"odd name" = linkonce_odr global ptr @text, align 8

define linkonce_odr i32 @_Z1fi(i32 %0) local_unnamed_addr {
  %2 = add i32 %0, 1
  %3 = load ptr, ptr @"odd name", align 8
  br label %done

done:
  tail call void asm sideeffect "nop # 1 !2 ; x", "~{memory}"()
  ret i32 %2
}
"""
METADATA = "define i64 @f() {\n  %1 = call i64 @llvm.read_register.i64(metadata !0), !range !1\n  ret i64 %1\n}\n\n"
METADATA += "declare i64 @llvm.read_register.i64(metadata) #0\n\nattributes #0 = { nocallback }\n\n"
METADATA += '!0 = !{!"rsp"}\n!1 = !{i64 0, i64 9}\n'


def read(text: str) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text, context=create_context())
    module.verify()
    return module


def what_it_does(text: str) -> dict[str, list[str]]:
    """Return the instructions of each function, without the calls that say something of memory and do nothing."""
    said = "llvm.experimental.noalias.scope.decl"
    return {
        function.name: [i.opcode for block in function.blocks for i in block.instructions if said not in str(i)]
        for function in read(text).functions
        if function.name != said
    }


def test_what_is_left() -> None:
    assert ir_text.normalised(WRITTEN) == LEFT
    read(WRITTEN)
    assert what_it_does(LEFT) == what_it_does(WRITTEN)
    assert ir_text.verified(WRITTEN, ir_text.parser()) == LEFT
    assert ir_text.normalised(LEFT) == LEFT


def test_what_llvm_does_not_read_without_a_class_keeps_it() -> None:
    made = ir_text.verified(METADATA, ir_text.parser())
    assert made == METADATA.replace(" #0\n\nattributes #0 = { nocallback }\n", "\n") and read(made)
    for llvm_of in (14, ir_text.parser() + 1):  # unread, it is looked at: nothing may refer to what is gone
        assert ir_text.verified(METADATA, llvm_of) == made
    assert ir_text.verified("define i32 @f() {\n  ret i64 0\n}\n", ir_text.parser()) is None
    assert ir_text.verified("define i32 @f() {\n  ret i64 0\n}\n", ir_text.parser() + 1) is not None


@pytest.mark.parametrize(
    "text",
    [
        "define void @f() {\n",
        "define void @f() {\n)\n",
        "declare void @f()\n",
        "define void @f() #0 {\n}\n",
        "define void @f() {\n  call void @g(metadata !0)\n}\n",
        "@x = global " + "[1 x " * 300 + "i8" + "]" * 300 + " zeroinitializer\n",
    ],
    ids=["open", "crossed", "nothing defined", "attributes", "metadata", "deep"],
)
def test_what_is_not_whole(text: str) -> None:
    assert not ir_text.is_whole(text)
    assert ir_text.is_whole("define void @f() {\n}\n") and ir_text.is_whole('@x = constant [3 x i8] c"})\\00"\n')


OF_LIBRARY = r"""@.text = private unnamed_addr constant [2 x i8] c"a\00", align 1
@vtable.0 = private unnamed_addr constant <{ ptr }> <{ ptr @"_ZN4core3fmt5Write$LT$u8$GT$E" }>, align 8
@.unused = private unnamed_addr constant [2 x i8] c"b\00", align 1

define linkonce_odr hidden noundef i32 @_ZNSt3__112basic_stringIcE4sizeEv(ptr noundef %this) local_unnamed_addr personality ptr @own {
entry:
  %call = invoke i32 @_ZNKSt3__15innerEv(ptr %this, ptr @.unused) to label %done unwind label %done
done:
  ret i32 %call
}

define linkonce_odr i32 @_ZNKSt3__15innerEv(ptr %this, ptr %0) {
  ret i32 0
}

define internal i1 @"_ZN4core3fmt5Write$LT$u8$GT$E"(i64 range(i64 0, 9) %0) {
  ret i1 false
}

define internal i32 @"_ZN60_$LT$program..Own$u20$as$u20$core..fmt..Display$GT$3fmtE"(ptr %0) {
  %2 = call i32 @_ZNSt3__112basic_stringIcE4sizeEv(ptr @.text)
  %3 = load ptr, ptr @vtable.0, align 8
  ret i32 %2
}

define i32 @own(...) {
  %1 = call i32 @"_ZN60_$LT$program..Own$u20$as$u20$core..fmt..Display$GT$3fmtE"(ptr null)
  ret i32 %1
}

declare void @unused(ptr @.unused)
"""


def test_a_library_is_declared_and_what_only_it_names_goes() -> None:
    text = OF_LIBRARY.replace("ptr @.unused)\n", "ptr)\n").replace("ret i32 0\n", "ret i32 0 ; a comment\n")
    assert (
        ir_text.verified(text, ir_text.parser())
        == r"""@.text = private unnamed_addr constant [2 x i8] c"a\00", align 1
@vtable.0 = private unnamed_addr constant <{ ptr }> <{ ptr @"_ZN4core3fmt5Write$LT$u8$GT$E" }>, align 8

declare hidden noundef i32 @_ZNSt3__112basic_stringIcE4sizeEv(ptr noundef %this) local_unnamed_addr

declare i1 @"_ZN4core3fmt5Write$LT$u8$GT$E"(i64 range(i64 0, 9) %0)

define internal i32 @"_ZN60_$LT$program..Own$u20$as$u20$core..fmt..Display$GT$3fmtE"(ptr %0) {
  %2 = call i32 @_ZNSt3__112basic_stringIcE4sizeEv(ptr @.text)
  %3 = load ptr, ptr @vtable.0, align 8
  ret i32 %2
}

define i32 @own(...) {
  %1 = call i32 @"_ZN60_$LT$program..Own$u20$as$u20$core..fmt..Display$GT$3fmtE"(ptr null)
  ret i32 %1
}
"""
    )


@pytest.mark.parametrize("llvm_of", [0, 14])
def test_what_llvm_is_not_asked(llvm_of: int) -> None:
    assert not ir_text.reads(llvm_of) and not ir_text.reads(ir_text.parser() + 1) and ir_text.reads(ir_text.parser())


FAMILIES = (
    '"',
    "; ",
    " ",
    " #0",
    ", !a !0",
    "!a",
    "$a ",
    " comdat",
    '"a" ',
    " #",
    "[",
    "<{",
    "\n",
    "define ",
    ", comdat($",
    "\\",
    "@a",
    '@"',
    "@a\n",
)


@pytest.mark.parametrize("unit", FAMILIES, ids=range(len(FAMILIES)))
def test_the_time_is_linear(unit: str) -> None:
    text = f"define {unit * (500_000 // len(unit))}\n"  # a square would take a quarter of an hour
    assert len(ir_text.normalised(text)) <= len(text) and isinstance(ir_text.is_whole(text), bool)


PROGRAMS = {
    "C": b"""#include <stdio.h>
#include <stdlib.h>
struct point { double x, y; };
static int before(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
double norm(struct point p) { return p.x * p.x + p.y * p.y; }
int main(int count, char **words) {
    int *numbers = malloc(count * sizeof *numbers);
    for (int i = 0; i < count; i++) numbers[i] = atoi(words[i]);
    qsort(numbers, count, sizeof *numbers, before);
    switch (count) { case 1: puts("one; \\"#0\\" !tbaa !1"); break; default: printf("%d\\n", numbers[count / 2]); }
    free(numbers);
    return 0;
}
""",
    "C++": b"""template <class T> struct Shape { virtual T area() const = 0; virtual ~Shape() = default; };
template <class T> struct Square : Shape<T> {
    T side{};
    T area() const override { if (side < 0) throw "; !0 #0"; return side * side; }
};
inline int counted(char first) { static int seen[256]; return ++seen[(unsigned char)first]; }
int main(int count, char** words) {
    Square<double> one;
    one.side = counted(words[0][0]);
    try { return one.area() > count; } catch (const char*) { return counted('!'); }
}
""",
    "Rust": b"""use std::collections::BTreeMap;
fn main() {
    let mut counts = BTreeMap::new();
    for word in std::env::args() { *counts.entry(word).or_insert(0usize) += 1; }
    let most = counts.iter().max_by_key(|(_, n)| **n).map(|(w, _)| w.as_str());
    println!("{:?}", most.unwrap_or("none; #0 !tbaa"));
}
""",
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_what_compilers_write_does_what_it_did(language: str) -> None:
    compiler = toolchains.compiler(language)
    if not ir_text.reads(compiler.llvm):
        pytest.skip(f"NOT RUN: llvmlite has LLVM {ir_text.parser()}, {compiler.name} has {compiler.llvm}")
    box = Sandbox(dict(compiler.reads), isolation=toolchains.isolation())
    ran = box.run(compiler.command("performance"), {NAMES[language]: PROGRAMS[language]})
    assert ran.status == 0, ran.errors
    written = ran.output.decode("ascii")
    made = ir_text.verified(written, compiler.llvm)
    assert made == ir_text.normalised(written), "nothing had to be kept"
    before, after = what_it_does(written), what_it_does(made)
    own = {name: done for name, done in after.items() if done}
    assert own == {name: before[name] for name in own} and "main" in own
    of_library = {name for name, done in before.items() if done} - {*own}
    if shutil.which("c++filt"):
        said = subprocess.run(["c++filt", *of_library], capture_output=True, text=True).stdout
        assert not re.search(r"program::|Shape|Square|counted", re.sub(r"<.*", "", said)), said
    whole = ir_text.verified(written, compiler.llvm, [ir_text.LIBRARY])
    assert whole is not None and what_it_does(whole) == before
    bare = ir_text.STRING.sub("", made)
    assert not [w for w in ("attributes #", " comdat", "source_filename", "target triple", "; ", "!0") if w in bare]
    assert len(made) < 0.9 * len(written)
