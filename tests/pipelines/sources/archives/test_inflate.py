"""Streams of four formats, whole, in a row, padded, cut off and damaged: data, or an error of ours, and never a wrong byte believed."""

import bz2
import gzip
import io
import lzma
import random
import subprocess
from collections.abc import Callable

import pytest

from starmill.pipelines.sources.archives.inflate import Damaged, Spent, Stream

DATA = random.Random(5).randbytes(300_000) + bytes(500_000)


def zstd(data: bytes, *options: str) -> bytes:
    return subprocess.run(["zstd", "-qc", "--check", *options], input=data, capture_output=True, check=True).stdout


FORMATS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


@pytest.fixture(params=FORMATS)
def squeeze(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return FORMATS[request.param]


def read(data: bytes, most: int = 1 << 30) -> tuple[bytes, Stream]:
    stream = Stream(io.BytesIO(data), most)
    return b"".join(iter(lambda: stream.read(100_003), b"")), stream


def test_streams_in_a_row_are_one(squeeze: Callable[[bytes], bytes]) -> None:
    found, stream = read(squeeze(DATA) + squeeze(b"") + squeeze(b"more"))
    assert found == DATA + b"more" and stream.believed == len(found) == stream.at and not stream.trailing


def test_what_is_passed_over_is_not_given(squeeze: Callable[[bytes], bytes]) -> None:
    for data in (squeeze(DATA), DATA):
        stream = Stream(io.BytesIO(data), 1 << 30)
        assert stream.read(10) == DATA[:10] and stream.skip(250_000) == 250_000
        assert stream.read(30) == DATA[250_010:250_040] and stream.skip(1 << 40) == len(DATA) - 250_040


def test_rubbish_behind_the_end_is_told_and_padding_is_none(squeeze: Callable[[bytes], bytes]) -> None:
    found, stream = read(squeeze(DATA) + b"rubbish")
    assert found == DATA and stream.trailing
    if squeeze is not zstd:
        found, stream = read(squeeze(DATA) + bytes(50_000) + squeeze(b"more") + bytes(512))
        assert found == DATA + b"more" and not stream.trailing


def test_what_is_cut_off_says_so(squeeze: Callable[[bytes], bytes]) -> None:
    whole = squeeze(DATA)
    for end in (len(whole) - 1, len(whole) // 2, 20):
        with pytest.raises(Damaged) as error:
            read(whole[:end])
        assert error.value.cut_off


def test_a_wrong_byte_is_not_believed(squeeze: Callable[[bytes], bytes]) -> None:
    first, whole = squeeze(b"first"), squeeze(DATA)
    for at in range(len(whole) // 3, len(whole), len(whole) // 7):
        stream = Stream(io.BytesIO(first + whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]), 1 << 30)
        with pytest.raises(Damaged):
            list(iter(lambda stream=stream: stream.read(1 << 16), b""))
        assert stream.believed <= 5


def test_a_stream_ends_where_its_limit_is(squeeze: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Spent):
        read(squeeze(bytes(3 << 20)), 1 << 20)
    assert read(bytes(3 << 20), 1 << 20)[1].at == 3 << 20, "what is not compressed is not counted"


def test_a_dictionary_of_any_size_is_not_made() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    for data in (lzma.compress(DATA, filters=filters), zstd(DATA, "-1", "--long=31")):
        with pytest.raises(Damaged):
            read(data)
