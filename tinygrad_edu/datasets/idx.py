"""IDX files: arrays of any shape with a header of a few big-endian integers, packed with gzip or not.

0, 0, dtype code, number of axes (a byte each); the sizes (4 bytes each); the numbers, the last axis fastest
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib

import numpy as np

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK = 1 << 20


def unpacked(path: str | os.PathLike[str], limit: int | None = None) -> bytearray:
    """The bytes of a file, through gzip if it is packed, whatever its name.

    Raises ValueError, naming the file, when the packed data is broken, ends early or is longer than `limit`.
    """
    out = bytearray()
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        try:
            while chunk := stream.read(CHUNK):
                out += chunk
                if limit is not None and len(out) > limit:
                    raise ValueError(f"{path}: this is another file: it has more than the {limit} bytes expected")
        except EOFError:
            raise ValueError(
                f"{path}: half a file: its gzip data ends early, after {len(out)} bytes unpacked"
                + (f" of {limit}" if limit is not None else "")
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: damaged: its gzip data cannot be unpacked ({error})") from None
    return out


def parse_idx(raw: bytes | bytearray, where: str = "IDX data") -> np.ndarray:
    """The array of an IDX file's bytes, in native byte order.

    Raises ValueError, beginning with `where`, unless the header is one of IDX and the length is the one it says.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([7, 8, 9], dtype=uint8)
    """
    if len(raw) < 4 or raw[0] or raw[1] or raw[2] not in DTYPES or not raw[3]:
        raise ValueError(
            f"{where}: not an IDX file: expected the bytes 0, 0, a dtype code ({', '.join(map(str, DTYPES))}) and a "
            f"number of axes, found {bytes(raw[:4])!r}{_guess(raw)}"
        )
    dtype, axes = np.dtype(DTYPES[raw[2]]), raw[3]
    start = 4 + 4 * axes
    if len(raw) < start:
        raise ValueError(f"{where}: half a file: {len(raw)} bytes end inside of the header, which has {start}")
    shape = tuple(np.frombuffer(raw, ">u4", axes, 4).tolist())
    expected = start + math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        state = "half a file" if len(raw) < expected else "bytes left over"
        raise ValueError(f"{where}: {state}: shape {shape} of {dtype.name} takes {expected} bytes, it has {len(raw)}")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_idx(
    path: str | os.PathLike[str], *, shape: tuple[int, ...] | None = None, md5: str | None = None
) -> np.ndarray:
    """The array in an IDX file, packed with gzip or not.

    shape -- the shape it must have (of uint8); md5 -- the checksum its unpacked bytes must have

    Raises ValueError, naming the file and what was expected, for files that are not IDX, are cut off, have bytes left
    over, cannot be unpacked, or have another shape or checksum; OSError where the file cannot be opened.
    """
    raw = unpacked(path, None if shape is None else 4 + 4 * len(shape) + math.prod(shape))
    array = parse_idx(raw, str(path))
    if shape is not None and (array.shape != shape or array.dtype != np.uint8):
        raise ValueError(
            f"{path}: this is another file: expected shape {shape} of uint8, it has {array.shape} of {array.dtype}"
        )
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise ValueError(
            f"{path}: damaged, or another file: its unpacked bytes should have the md5 {md5}, they have {found}"
        )
    return array


def _guess(raw: bytes | bytearray) -> str:
    """What a foreign file may be, by how it begins."""
    start = bytes(raw[:64]).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return ": a web page was saved in its place"
    if start.startswith(b"version https://git-lfs"):
        return ": a pointer of Git LFS, not the file itself"
    return ": the file is empty" if not raw else ""
