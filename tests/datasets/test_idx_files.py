"""IDX files: what is written is read, and whatever is not whole is refused by name."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tiny_mnist import CODES, idx_bytes

from tinygrad_edu.datasets import read_idx
from tinygrad_edu.datasets.idx import parse_idx

any_array = st.sampled_from(list(CODES)).flatmap(
    lambda dtype: arrays(dtype, array_shapes(max_dims=4, min_side=0, max_side=5))
)


@given(array=any_array)
def test_reads_what_was_written(array):
    found = parse_idx(idx_bytes(array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.dtype.isnative


@given(array=any_array, data=st.data())
def test_every_shorter_and_longer_file_is_refused(array, data):
    raw = idx_bytes(array)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ValueError, match=r"here: (half a file|not an IDX file)"):
        parse_idx(raw[:cut], "here")
    with pytest.raises(ValueError, match="here: bytes left over"):
        parse_idx(raw + b"\0", "here")


@given(raw=st.binary(max_size=40))
def test_other_bytes_are_refused_or_are_idx(raw):
    try:
        array = parse_idx(raw)
    except ValueError:
        return
    assert idx_bytes(array) == raw


def test_a_header_that_promises_too_much_costs_no_memory():
    raw = bytes([0, 0, 0x0E, 4]) + b"\xff" * 16 + bytes(100)
    with pytest.raises(ValueError, match="half a file"):
        parse_idx(raw)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_packed_or_not_whatever_the_name(tmp_path, pack):
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    for name in ("file", "file.gz"):
        (tmp_path / name).write_bytes(pack(idx_bytes(array)))
        np.testing.assert_array_equal(read_idx(tmp_path / name), array)


def test_the_array_can_be_written():
    array = read_into_array()
    array[0] = 7
    assert array[0] == 7


def read_into_array():
    return parse_idx(bytearray(idx_bytes(np.zeros(3, np.uint8))))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "numbers.gz"


def test_half_of_a_packed_file(file):
    packed = gzip.compress(idx_bytes(np.random.RandomState(0).randint(0, 256, 9000).astype(np.uint8)))
    for size in (11, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        file.write_bytes(packed[:size])
        with pytest.raises(ValueError, match=r"numbers\.gz: half a file: its gzip data ends early"):
            read_idx(file)
    with pytest.raises(ValueError, match=r"bytes unpacked of 9008$"):
        read_idx(file, shape=(9000,))


@given(place=st.integers(11, 99), flip=st.integers(1, 255))
def test_packed_bytes_that_changed(tmp_path_factory, place, flip):
    array = np.random.RandomState(0).randint(0, 256, 100).astype(np.uint8)
    packed = bytearray(gzip.compress(idx_bytes(array), mtime=0))
    packed[place] ^= flip
    path = tmp_path_factory.mktemp("damaged") / "numbers.gz"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"numbers\.gz: "):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a web page was saved in its place"),
        (b"\n <HTML>", "a web page was saved in its place"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"PK\x03\x04 something", r"not an IDX file: expected the bytes 0, 0, a dtype code"),
        (bytes([0, 0, 0x07, 1, 0, 0, 0, 0]), "not an IDX file"),
        (bytes([0, 0, 0x08, 0]), "not an IDX file"),
        (bytes([0, 0, 0x08, 3, 0, 0]), r"half a file: 6 bytes end inside of the header, which has 16"),
        (b"\x1f\x8b this is no gzip data", "damaged: its gzip data cannot be unpacked"),
    ],
)
def test_foreign_files_are_named_with_what_was_expected(file, content, message):
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(file)
    assert str(file) in str(caught.value)


def test_shape_and_checksum(file):
    file.write_bytes(gzip.compress(idx_bytes(np.zeros((4, 3), np.uint8))))
    md5 = "3bd4c8a7a2bb35fb8b1e5a2ff2ac4f5b"
    with pytest.raises(ValueError, match=r"expected shape \(3, 4\) of uint8, it has \(4, 3\) of uint8"):
        read_idx(file, shape=(3, 4))
    with pytest.raises(ValueError, match=r"it has more than the 18 bytes expected"):
        read_idx(file, shape=(10,))
    with pytest.raises(ValueError, match=f"should have the md5 {md5}, they have [0-9a-f]{{32}}$"):
        read_idx(file, md5=md5)


def test_other_dtype_of_the_same_length(file):
    file.write_bytes(idx_bytes(np.zeros(8, np.int8)))
    with pytest.raises(ValueError, match=r"expected shape \(8,\) of uint8, it has \(8,\) of int8"):
        read_idx(file, shape=(8,))


def test_a_small_file_that_unpacks_to_a_huge_one_is_left_early(file):
    file.write_bytes(gzip.compress(bytes(50_000_000), compresslevel=1))
    with pytest.raises(ValueError, match="more than the 18 bytes expected"):
        read_idx(file, shape=(10,))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")
