"""Signatures against a slow reference in plain Python, and against true similarity."""

import os
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tedious_texts import tedious

from starmill.core import recipe, schema, seeds
from starmill.transforms.dedup import kernel, minhash
from starmill.transforms.dedup.minhash import MinHash, matrix, shingles, signature_rows, signatures

MASK = 2**64 - 1
SMALL = MinHash(permutations=16, bands=4, rows=4)


def mixed(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


UNSPACED = "[\u0e00-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f\U00020000-\U0003ffff]"
SPACED = f"(?:(?!{UNSPACED})[A-Za-z0-9_\x80-\U0010ffff])+"
OPERATOR = r"(?<![-!%&*+/<=>^|~])(?!([-!%&*+/<=>^|~])\1{3})[-!%&*+/<=>^|~]{1,4}(?![-!%&*+/<=>^|~])"


def reference_shingles(text: bytes, words: int = 5, operators: bool = False) -> list[int]:
    hashes = []
    pattern = f"{UNSPACED}|{SPACED}" + (f"|{OPERATOR}" if operators else "")
    for word in (found[0].encode() for found in re.finditer(pattern, text.decode())):
        h = 0
        for byte in word:
            h = (h * 0x9E3779B97F4A7C15 + byte) & MASK
        hashes.append(mixed(h))
    result = []
    for i in range(len(hashes) - words + 1):
        h = 0
        for word_hash in hashes[i : i + words]:
            h = (h * 0xD6E8FEB86659FD93 + word_hash) & MASK
        result.append(mixed(h))
    return result


def reference_signature(text: bytes, options: MinHash) -> bytes | None:
    found = reference_shingles(text, options.shingle_words)
    if not found:
        return None
    a, b = seeds.generator(options.seed, "minhash").integers(0, 2**32, (2, options.permutations), np.uint32).tolist()
    minima = [min(((m | 1) * (h >> 32) + n) % 2**32 for h in found) for m, n in zip(a, b, strict=True)]
    return b"".join(m.to_bytes(4, "little") for m in minima)


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                ["a", "b", "x1", "_", "é", "日本", "self.x", "\r\n", "a日", "한국", "𠀀", "ไทย", "<", "====", ">>>=", "-->-->"]
            )
        ).map(" ".join),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, words=st.integers(1, 6))
def test_kernel_equals_the_reference(texts, words):
    options = MinHash(permutations=16, bands=4, rows=4, shingle_words=words, seed=7)
    expected = [reference_signature(t.encode(), options) for t in texts]
    assert signatures(pa.array(texts, pa.string()), options).to_pylist() == expected
    for text in texts:
        for operators in (False, True):
            expected = sorted(set(reference_shingles(text.encode(), words, operators)))
            assert shingles(text.encode(), words, operators).tolist() == expected


def test_operators_of_up_to_four_characters_tell_texts_apart():
    texts = [
        f"int f(int a) {{ a {operator} shift; return a + base; }}" for operator in (">>>=", ">>=", "<<=", "====", "=>=>=>")
    ]
    plain, *_ = {shingles(text.encode(), 5).tobytes() for text in texts}
    with_operators = [shingles(text.encode(), 5, operators=True).tobytes() for text in texts]
    assert all(shingles(text.encode(), 5).tobytes() == plain for text in texts)
    assert len(set(with_operators)) == 4 and with_operators[3] == with_operators[4], "lines that are drawn are none"


def test_scripts_without_spaces_are_unicode_s():
    """The blocks in the kernel hold every letter of these scripts that unicodedata names, and none of those with spaces."""
    without = (
        "CJK UNIFIED",
        "CJK COMPAT",
        "HIRAGANA",
        "KATAKANA LETTER",
        "THAI",
        "LAO",
        "MYANMAR LETTER",
        "KHMER LETTER",
        "TIBETAN",
    )
    spaced = (
        "LATIN",
        "GREEK",
        "CYRILLIC",
        "HEBREW",
        "ARABIC",
        "DEVANAGARI",
        "GEORGIAN",
        "ETHIOPIC",
        "CHEROKEE",
        "MATHEMATICAL",
    )
    seen = Counter()
    for number in range(0x80, 0x40000):
        name = unicodedata.name(chr(number), "")
        if not unicodedata.category(chr(number)).startswith("L"):
            continue
        data = np.frombuffer(chr(number).encode(), np.uint8)
        found = kernel.unspaced(data, 0, len(data)) if data[0] >= 0xE0 else 0
        if (
            name.startswith(without) and not 0xA9E0 <= number < 0xAA80 and not 0x16FE0 <= number < 0x20000
        ):  # later blocks of them
            assert found == len(data), name
            seen[True] += 1
        elif name.startswith((*spaced, "HANGUL SYLLABLE")):
            assert found == 0, name
            seen[False] += 1
    assert seen[True] > 70_000 and seen[False] > 10_000


def test_a_guide_without_spaces_is_near_another_edition():
    draw = random.Random(3)
    one = "".join(draw.choice("天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏") for _ in range(1200)) + "。"
    other = one[:400] + "春" + one[401:800] + "夏" + one[801:]
    sets = [set(reference_shingles(t.encode())) for t in (one, other)]
    assert len(sets[0] & sets[1]) / len(sets[0] | sets[1]) > 0.95
    minima = matrix(signatures(pa.array([one, other]), MinHash()), MinHash())
    assert (minima[0] == minima[1]).mean() > 0.9


def test_five_megabytes_are_those_of_the_reference():
    draw = random.Random(5)
    vocabulary = ["".join(draw.choices("abcdefghij_0123456789", k=draw.randint(1, 12))) for _ in range(3000)]
    text = " ".join(draw.choices(vocabulary, k=760_000))
    assert len(text) > 5_000_000
    found = signatures(pa.array([text, "x" * 2_000_000, "if x: return y + z"]), SMALL).to_pylist()
    assert found == [reference_signature(text.encode(), SMALL), None, reference_signature(b"if x: return y + z", SMALL)]


def test_agreement_estimates_jaccard():
    draw = random.Random(11)
    errors, deviations = [], []
    for _ in range(150):
        words = [f"w{draw.randrange(10**9)}" for _ in range(900)]
        other = list(words)
        for place in draw.sample(range(900), draw.choice([3, 10, 25, 60, 120, 300])):
            other[place] = f"w{draw.randrange(10**9)}"
        a, b = (set(zip(*(w[i:] for i in range(5)), strict=False)) for w in (words, other))
        true = len(a & b) / len(a | b)
        left, right = (
            np.frombuffer(s, "<u4") for s in signatures(pa.array([" ".join(words), " ".join(other)]), MinHash()).to_pylist()
        )
        error = float((left == right).mean()) - true
        errors.append(error)
        deviations.append(abs(error) / (true * (1 - true) / 256) ** 0.5)
    assert max(deviations) < 5, "a pair is further off than chance allows"
    assert abs(np.mean(errors)) < 0.008, "the estimate is biased"
    assert 0.6 < np.sqrt(np.mean(np.square(deviations))) < 1.3, "the spread is not that of 256 independent permutations"


def test_words_decide_and_case_and_digits_count():
    def same(a: str, b: str) -> bool:
        one, two = signatures(pa.array([a, b]), SMALL).to_pylist()
        return one == two

    base = "int main(int argc, char **argv) { return 10; }"
    assert same(base, "int main(int argc,\r\n\tchar **argv)\r\n{ return 10; }")
    assert not same(base, base.replace("10", "11"))
    assert not same(base, base.replace("main", "Main"))


def test_short_files_have_no_signature():
    texts = ["", "a b c d", "+ - * / ( ) [ ]", "é", None, "a b c d e"]
    assert signatures(pa.array(texts), SMALL).is_valid().to_pylist() == [False] * 5 + [True]


def test_any_string_layout():
    texts = ["one two three four five six", "", "x", None, "five four three two one zero"] * 2
    plain = signatures(pa.array(texts), SMALL)
    assert signatures(pa.array(texts, pa.large_string()), SMALL).equals(plain)
    assert signatures(pa.chunked_array([texts[:3], texts[3:]]), SMALL).equals(plain)
    assert signatures(pa.array(["pad"] * 3 + texts + ["pad"]).slice(3, 10), SMALL).equals(plain)
    assert signatures(pa.array([], pa.string()), SMALL).equals(pa.array([], pa.binary()))
    assert signatures(pa.array([None, None], pa.string()), SMALL).to_pylist() == [None, None]


def test_signatures_never_change():
    # A signature is stored: a change of any constant would silently part old data from new.
    [signature] = signatures(pa.array(["def add(left, right):\n    return left + right\n"]), MinHash()).to_pylist()
    assert len(signature) == 1024
    assert np.frombuffer(signature, "<u4")[:3].tolist() == [192566397, 1626594630, 243812726]


def test_seeds_draw_other_permutations():
    text = pa.array(["one two three four five six"])
    one, two = (signatures(text, MinHash(seed=s)).to_pylist() for s in (0, 1))
    assert one != two


def test_signature_rows_follow_the_block():
    block = schema.conform(
        pa.RecordBatch.from_pylist(
            [
                {"repo_name": "r", "path": "/a", "star_events_count": 3, "content": "one two three four five"},
                {"repo_name": "r", "path": "/b", "star_events_count": 4, "content": "short"},
            ]
        ),
        schema.CURATED,
        nulls=schema.CURATED.names,
    )
    rows = signature_rows(block, SMALL)
    assert rows.schema.equals(schema.SIGNATURES)
    assert rows.column("path").to_pylist() == ["/a", "/b"]
    assert rows.column("star_events_count").to_pylist() == [3, 4]
    assert rows.column("signature").to_pylist() == [reference_signature(b"one two three four five", SMALL), None]
    assert signature_rows(block, MinHash(near=False)).column("signature").null_count == 2
    named = pa.RecordBatch.from_arrays([*block.columns[:3], pa.array(["1f", "2e"]), *block.columns[4:]], schema=schema.CURATED)
    assert [signature_rows(named, SMALL, exact).column("blob_id").null_count for exact in (True, False)] == [0, 2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"permutations": 128}, "bands=32 x rows=8 need 256 permutations, there are permutations=128"),
        ({"scope": "repository"}, "scope: 'repository' is not one of all, language, split"),
        ({"scope": "split"}, "scope 'split' needs splits"),
        ({"splits": {"docs": ("Markdown",)}}, "scope 'split' needs splits, the others have none"),
        ({"scope": "split", "splits": {"a": ("C",), "b": ("C", "Go")}}, "a language is in two splits"),
        ({"bits": 64}, "bits: 64 is not one of 32, 61"),
        ({"bands": None}, "bands=None, rows=8: give both, or neither"),
    ],
)
def test_options_that_cannot_work(wrong, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        recipe.build(MinHash, wrong)


def test_signatures_of_other_options_are_refused():
    column = signatures(pa.array(["one two three four five"]), SMALL)
    with pytest.raises(ValueError, match="signatures have 64 bytes, 256 permutations of 32 bits have 1024"):
        minhash.matrix(column, MinHash())
    assert minhash.matrix(column, SMALL).shape == (1, 16)


def test_61_bits():
    options = MinHash(permutations=32, bands=4, rows=8, bits=61, seed=5)
    found = signatures(pa.array(["one two three four five", "short", "a b c d e f g " * 900]), options)
    assert found.is_valid().to_pylist() == [True, False, True]
    minima = minhash.matrix(found, options)
    assert minima.dtype == np.uint64
    assert minima.max() < 2**61 - 1


# As MinHashLSH(threshold=..., num_perm=...) of datasketch 2.0.0 chooses them.
@pytest.mark.parametrize(
    ("threshold", "permutations", "chosen"),
    [
        (0.5, 256, (42, 6)),
        (0.7, 256, (25, 10)),
        (0.8, 128, (9, 13)),
        (0.9, 64, (3, 21)),
        (0.7, 16, (3, 5)),
        (0.6, 512, (56, 9)),
    ],
)
def test_the_optimum_is_datasketchs(threshold, permutations, chosen):
    assert minhash.optimum(threshold, permutations) == chosen
    options = MinHash(permutations=permutations, threshold=threshold, bands=None, rows=None)
    assert options.banding == chosen


def test_a_worker_finds_the_compiled_kernel(tmp_path):
    # numba says in its own words where the machine code came from; a second process must load, not compile.
    code = (
        "import pyarrow as pa; from starmill.transforms.dedup import kernel, minhash;"
        "minhash.signatures(pa.array(['a b c d e f']), minhash.MinHash());"
        "s = kernel.signatures.stats; print(sum(s.cache_hits.values()), sum(s.cache_misses.values()))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert (first, second) == (["0", "1"], ["1", "0"])


def test_no_text_takes_signatures_long() -> None:
    assert tedious(lambda text: signatures(pa.array([text]), MinHash())) == []
