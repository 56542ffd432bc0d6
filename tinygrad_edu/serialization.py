"""`save` and `load`: a zip of .npy files and one JSON tree that says how they are nested.

    tree.json       {"format": "tinygrad_edu", "version": 1, "arrays": [[dtype, shape], ...], "tree": ...}
    arrays/0.npy    the numbers; nothing is compressed

Nothing in such a file can be executed: not by this module, nor by any other reader.  A tree is null, true, false, a
number, a string, a list, or {"type": ..., ...} for everything else.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from tinygrad_edu.engine.node import producer
from tinygrad_edu.engine.value import Value, make
from tinygrad_edu.functions.creation import check_device, require_grad
from tinygrad_edu.functions.memory import Size, device

VERSION = 1
TREE = "tree.json"
_LARGEST_HEADER = 1 << 16
_DEEPEST = 100
_KINDS = "fiubcUSmM"

Source = str | os.PathLike[str] | IO[bytes]


def save(obj: Any, f: Source) -> None:
    """Write tensors, and dicts, lists and tuples of them, to a path or a binary file.

    Takes tensors (parameters become tensors), NumPy arrays and scalars, dtypes, dicts, OrderedDicts, lists, tuples,
    strings, numbers and None; raises TypeError, naming the place, for anything else.  A path is written as a whole or
    not at all: what was there stays until the new file is complete.

    >>> import io, tinygrad_edu as tg
    >>> file = io.BytesIO()
    >>> tg.save({"weight": tg.ones(2), "epoch": 3}, file)
    >>> tg.load(io.BytesIO(file.getvalue()))
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    writer = _Writer()
    tree = writer.encode(obj, "obj", 0)
    if isinstance(f, (str, os.PathLike)):
        _write_whole(os.path.realpath(f), tree, writer.arrays)
    elif hasattr(f, "write"):
        _write_zip(f, tree, writer.arrays)
    else:
        raise TypeError(f"save: expected a path or a binary file opened for writing, not {type(f).__name__}")


def _write_whole(path: str, tree: Any, arrays: list[np.ndarray]) -> None:
    """Write beside the path, make sure it is on the disk, then let it take the path's place."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"save: parent directory {folder} does not exist")
    temporary = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            _write_zip(file, tree, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _write_zip(file: Any, tree: Any, arrays: list[np.ndarray]) -> None:
    head = {"format": "tinygrad_edu", "version": VERSION, "arrays": [[a.dtype.str, list(a.shape)] for a in arrays]}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(TREE, json.dumps({**head, "tree": tree}, allow_nan=False))
        for i, array in enumerate(arrays):
            with archive.open(f"arrays/{i}.npy", "w", force_zip64=True) as entry:
                npy.write_array(entry, array, allow_pickle=False)


class _Writer:
    """Objects to a JSON tree; the arrays are set aside, each once."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._numbers: dict[Any, int] = {}
        self._tensors: dict[int, int] = {}
        self._open: set[int] = set()

    def encode(self, obj: Any, path: str, depth: int) -> Any:
        """The tree of one object; `path` is where it is, for errors."""
        kind = type(obj)
        if obj is None or kind in (bool, int, str):
            return obj
        if kind is float:
            return obj if math.isfinite(obj) else {"type": "float", "value": str(obj)}
        if isinstance(obj, Value):
            return self._tensor(obj)
        if kind is np.ndarray or isinstance(obj, np.generic):
            array = np.asarray(obj)
            if array.dtype.kind not in _KINDS:
                raise TypeError(f"save: {path} is an array of dtype {array.dtype}, which cannot be saved")
            return {"type": "ndarray" if kind is np.ndarray else "scalar", "array": self._array(array)}
        if isinstance(obj, np.dtype):
            return {"type": "dtype", "value": obj.str}
        if isinstance(obj, device):
            return {"type": "device", "value": str(obj)}
        if kind in (list, tuple, Size, dict, OrderedDict):
            return self._nested(obj, path, depth)
        raise TypeError(
            f"save: {path} is a {kind.__module__}.{kind.__qualname__}, which cannot be saved: tensors, NumPy arrays, "
            "dicts, lists, tuples, strings, numbers and None can (of a module, save its state_dict())"
        )

    def _nested(self, obj: Any, path: str, depth: int) -> Any:
        if id(obj) in self._open:
            raise ValueError(f"save: {path} contains itself")
        if depth >= _DEEPEST:
            raise ValueError(f"save: more than {_DEEPEST} levels of nesting at {path[:60]}...")
        self._open.add(id(obj))
        if isinstance(obj, dict):
            items = [
                [self._key(key, path), self.encode(value, f"{path}[{key!r}]", depth + 1)] for key, value in obj.items()
            ]
        else:
            items = [self.encode(value, f"{path}[{i}]", depth + 1) for i, value in enumerate(obj)]
        self._open.discard(id(obj))
        return items if type(obj) is list else {"type": type(obj).__name__, "items": items}

    def _key(self, key: Any, path: str) -> Any:
        if key is None or type(key) in (bool, int, float, str, tuple):
            return self.encode(key, f"{path}, the key {key!r}", 0)
        raise TypeError(f"save: {path} has the key {key!r}: keys can be strings, numbers, None and tuples of them")

    def _tensor(self, tensor: Any) -> dict[str, Any]:
        """The same tensor twice is one tensor when it is loaded."""
        number = self._tensors.setdefault(id(tensor), len(self._tensors))
        needs = tensor._edge is not None and producer(tensor._edge) is None
        array = self._array(tensor._array)
        return {"type": "tensor", "id": number, "array": array, "requires_grad": needs}

    def _array(self, array: np.ndarray) -> int:
        """The number of an array; the same memory seen in the same way has the same number."""
        key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        if not array.size or key not in self._numbers:
            self._numbers[key] = len(self.arrays)
            self.arrays.append(array)
        return self._numbers[key]


def load(f: Source, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` wrote.

    map_location  -- the CPU, or None; RuntimeError for any other device
    weights_only  -- accepted for PyTorch's sake: nothing else than data is ever loaded

    Raises RuntimeError for a file that is damaged, incomplete or of another format, and says which.
    """
    if map_location is not None and not callable(map_location):
        for place in map_location.values() if isinstance(map_location, dict) else (map_location,):
            check_device(place)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _read(file, f"the file {Path(f).name!r}")
    if not hasattr(f, "read"):
        raise TypeError(f"load: expected a path or a binary file opened for reading, not {type(f).__name__}")
    return _read(f, "the file")


def _read(file: IO[bytes], name: str) -> Any:
    start = file.tell()
    head = file.read(8)
    file.seek(start)
    if not head.startswith(b"PK\x03\x04"):
        raise RuntimeError(f"load: {name} {_what_it_is(head)}")
    try:
        with zipfile.ZipFile(file) as archive:
            return _Reader(archive, name).read()
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise RuntimeError(f"load: {name} is damaged or incomplete (cut off while copying?): {error}") from error


def _what_it_is(head: bytes) -> str:
    """A file that is no zip archive, by its first bytes."""
    if not head:
        return "is empty"
    if head[:1] == b"\x80":
        return (
            "is a Python pickle (an old PyTorch checkpoint?), which could execute anything and is not read here: "
            "load it where it comes from and save its arrays"
        )
    if head.startswith(b"\x93NUMPY"):
        return "is a NumPy array: use numpy.load and tinygrad_edu.from_numpy"
    return f"was not written by tinygrad_edu.save: it starts with {head!r}"


class _Reader:
    """One archive: every size is checked against what the tree says before anything is read."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.archive = archive
        self.name = name
        self.declared: list[tuple[np.dtype, tuple[int, ...]]] = []
        self.arrays: dict[int, np.ndarray] = {}
        self.tensors: dict[int, Any] = {}

    def wrong(self, what: str) -> RuntimeError:
        """The error for an archive that `save` did not write."""
        return RuntimeError(f"load: {self.name} {what}")

    def read(self) -> Any:
        """The object."""
        names = self.archive.namelist()
        if TREE not in names:
            if any(n.endswith("/data.pkl") or n == "data.pkl" for n in names):
                raise self.wrong(
                    "is a PyTorch checkpoint, which contains a pickle and is not read here: load it with torch and "
                    "save its arrays, e.g. numpy.savez"
                )
            npz = any(n.endswith(".npy") for n in names)
            raise self.wrong(
                "is a NumPy .npz archive: use numpy.load" if npz else "is a zip archive, but not of tinygrad_edu.save"
            )
        self._entry(TREE)
        try:
            head = json.loads(self.archive.read(TREE))
        except (ValueError, RecursionError) as error:
            raise self.wrong(f"has a damaged {TREE}: {error}") from error
        if not isinstance(head, dict) or head.get("format") != "tinygrad_edu":
            raise self.wrong("is a zip archive, but not of tinygrad_edu.save")
        if head.get("version") != VERSION:
            raise self.wrong(
                f"has format version {head.get('version')!r}; this version of tinygrad_edu reads {VERSION}: update it"
            )
        try:
            self.declared = [(np.dtype(dtype), tuple(map(int, shape))) for dtype, shape in head["arrays"]]
            return self.decode(head["tree"])
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise self.wrong(f"has a damaged {TREE}: {error!r}") from error

    def _entry(self, name: str) -> zipfile.ZipInfo:
        """An entry that is stored as it is, so that it cannot be larger than the file."""
        try:
            info = self.archive.getinfo(name)
        except KeyError as error:
            raise self.wrong(f"lacks its part {name!r}") from error
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise self.wrong(f"has a compressed part {name!r}, which tinygrad_edu.save never writes")
        return info

    def array(self, number: int) -> np.ndarray:
        """One array, read once."""
        if number not in self.arrays:
            dtype, shape = self.declared[number]
            if dtype.kind not in _KINDS or min(shape, default=0) < 0:
                raise self.wrong(f"declares an array of dtype {dtype} and shape {shape}")
            name = f"arrays/{number}.npy"
            rest = self._entry(name).file_size - dtype.itemsize * math.prod(shape)
            if not 0 < rest < _LARGEST_HEADER:
                raise self.wrong(f"has a part {name!r} whose size is not that of {dtype} {shape}, which it should hold")
            with self.archive.open(name) as entry:
                try:
                    self.arrays[number] = read_npy(entry, dtype, shape)
                except ValueError as error:
                    raise self.wrong(f"has a damaged part {name!r}: {error}") from error
        return self.arrays[number]

    def decode(self, node: Any) -> Any:
        """The object of one tree."""
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        kind = node["type"]
        if kind in ("tuple", "Size"):
            items = tuple(self.decode(item) for item in node["items"])
            return items if kind == "tuple" else Size(items)
        if kind in ("dict", "OrderedDict"):
            pairs = [(self.decode(key), self.decode(value)) for key, value in node["items"]]
            return dict(pairs) if kind == "dict" else OrderedDict(pairs)
        if kind == "tensor":
            if node["id"] not in self.tensors:
                self.tensors[node["id"]] = tensor = make(self.array(node["array"]))
                if node["requires_grad"]:
                    require_grad(tensor)
            return self.tensors[node["id"]]
        if kind in ("ndarray", "scalar"):
            array = self.array(node["array"])
            return array if kind == "ndarray" else array[()]
        if kind == "dtype":
            return np.dtype(node["value"])
        if kind == "device":
            return device(node["value"])
        if kind == "float":
            return float(node["value"])
        raise ValueError(f"unknown type {kind!r}")


def read_npy(entry: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The array in a .npy stream; ValueError unless it is of this dtype and shape and nothing follows.

    The header is compared before memory for the numbers is asked for.
    """
    version = npy.read_magic(entry)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"unknown version {version} of .npy")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    found, columns_first, kind = read_header(entry, max_header_size=_LARGEST_HEADER)
    if found != shape or kind != dtype:
        raise ValueError(f"it holds {kind} {found}, not {dtype} {shape}")
    array = np.empty(shape, dtype, order="F" if columns_first else "C")
    if array.size:
        memory = (array.T if columns_first else array).reshape(-1).view(np.uint8).data
        while memory and (count := entry.readinto(memory)):  # type: ignore[attr-defined]
            memory = memory[count:]
        if memory:
            raise ValueError(f"{memory.nbytes} bytes are missing")
    # the checksum is compared when the end has been reached
    if entry.read(1):
        raise ValueError("something follows the numbers")
    return array
