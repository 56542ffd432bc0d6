"""save and load: everything that can be in a tree, atomic writes, and files that are something else."""

import errno
import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

TREE = {
    "none": None,
    "bools": [True, False],
    "ints": (0, -3, 2**200),
    "floats": [0.1, -0.0, 1e-310, float("inf"), float("-inf")],
    "text": "Grüße\n\x00 \u2028 \U0001f600",
    "empty": [(), [], {}, OrderedDict(), ""],
    "ordered": OrderedDict([("b", 1), ("a", 2)]),
    3: "an int",
    -1: "another",
    2.5: "a float",
    True: "a bool",
    None: "nothing",
    ("a", 1): "a tuple",
    "nested": [[[{"x": (1, [2])}]]],
}


def roundtrip(obj):
    file = io.BytesIO()
    tg.save(obj, file)
    file.seek(0)
    return tg.load(file)


def test_plain_values_come_back_with_their_types():
    back = roundtrip(TREE)
    assert back == TREE
    assert str(back) == str(TREE)
    assert list(back["ordered"]) == ["b", "a"]
    assert isinstance(back["ordered"], OrderedDict)
    assert np.signbit(back["floats"][1])
    assert [type(k) for k in back] == [type(k) for k in TREE]
    assert np.isnan(roundtrip(float("nan")))
    assert roundtrip([tg.float32, tg.device("cpu"), tg.zeros(2, 3).shape]) == [tg.float32, tg.device("cpu"), (2, 3)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "u1", "?", "u8"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (3,), (2, 3), (2, 3, 4)])
def test_tensors_and_arrays(dtype, shape):
    array = np.asarray(np.random.normal(size=shape) * 10).astype(dtype)
    tensor, same, scalar = roundtrip([tg.from_numpy(array), array, np.float32(1.5)])
    assert tensor.numpy().dtype == same.dtype == array.dtype
    np.testing.assert_array_equal(tensor.numpy(), array)
    np.testing.assert_array_equal(same, array)
    assert isinstance(same, np.ndarray)
    assert (scalar, type(scalar)) == (1.5, np.float32)
    assert not tensor.requires_grad


def test_any_memory_layout():
    x = np.arange(24.0).reshape(2, 3, 4)
    for view in (x.T, x[::-1, ::2], np.broadcast_to(x[0], (5, 3, 4)), np.asfortranarray(x)):
        np.testing.assert_array_equal(roundtrip(tg.from_numpy(view)).numpy(), view)


def test_special_numbers_keep_their_bits():
    x = np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324])
    assert roundtrip(tg.from_numpy(x)).numpy().tobytes() == x.tobytes()


def test_parameters_become_tensors_that_require_grad():
    net = nn.Linear(2, 1)
    back = roundtrip({"p": net.weight, "frozen": net.bias.detach()})
    assert type(back["p"]) is tg.Tensor
    assert back["p"].requires_grad
    assert back["p"].is_leaf
    assert not back["frozen"].requires_grad
    assert not roundtrip(net.weight * 2).requires_grad


def test_what_was_shared_is_shared():
    w = tg.zeros(2)
    a, b, c, d = roundtrip([w, w, w.detach(), tg.zeros(2)])
    assert a is b
    assert c is not a
    a += 1
    assert c.tolist() == [1, 1]
    assert d.tolist() == [0, 0]
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    state = roundtrip(net.state_dict())
    assert np.shares_memory(state["0.weight"].numpy(), state["1.weight"].numpy())


def test_a_checkpoint_continues_exactly(tmp_path):
    def new():
        tg.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        return net, optim.AdamW(net.parameters(), lr=0.1, amsgrad=True)

    def train(net, optimizer, schedule):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
            schedule.step()

    x, y = tg.randn(5, 3), tg.tensor([0, 1, 1, 0, 1])
    net, optimizer = new()
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=9)
    train(net, optimizer, schedule)
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    tg.save({k: v.state_dict() for k, v in parts.items()}, tmp_path / "checkpoint.pt")
    train(net, optimizer, schedule)
    net2, optimizer2 = new()
    schedule2 = optim.lr_scheduler.OneCycleLR(optimizer2, 0.7, total_steps=9)
    state = tg.load(tmp_path / "checkpoint.pt", map_location="cpu", weights_only=True)
    for k, v in {"net": net2, "optimizer": optimizer2, "schedule": schedule2}.items():
        v.load_state_dict(state[k])
    train(net2, optimizer2, schedule2)
    for p, q in zip(net.parameters(), net2.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("obj", "place"),
    [
        ({"a": [1, {2: object()}]}, r"obj\['a'\]\[1\]\[2\] is a builtins.object"),
        (nn.Linear(1, 1), r"obj is a tinygrad_edu.nn.linear.Linear.*state_dict"),
        ([lambda: 1], r"obj\[0\] is a builtins.function"),
        ({"s": {1, 2}}, r"obj\['s'\] is a builtins.set"),
        ({"d": defaultdict(int)}, "collections.defaultdict"),
        (Point(1, 2), "Point"),
        (b"bytes", "builtins.bytes"),
        (1j, "builtins.complex"),
        ({"o": np.array([object()])}, r"obj\['o'\] is an array of dtype object"),
        ({"d": {b"k": 1}}, r"obj\['d'\] has the key b'k'"),
    ],
)
def test_what_cannot_be_saved_is_named_with_its_place(tmp_path, obj, place):
    path = tmp_path / "x.pt"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=place):
        tg.save(obj, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.pt"]


def test_cycles_and_depth_are_refused():
    loop = []
    loop.append({"loop": loop})
    with pytest.raises(ValueError, match="contains itself"):
        tg.save(loop, io.BytesIO())
    deep = []
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(ValueError, match="levels of nesting"):
        tg.save(deep, io.BytesIO())
    twice = [1]
    assert roundtrip([twice, twice]) == [[1], [1]]


class Full(io.RawIOBase):
    """A disk that gets full, or a user who loses patience."""

    def __init__(self, file, room, error):
        self.file, self.room, self.error = file, room, error

    def writable(self):
        return True

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise self.error
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    def fileno(self):
        return self.file.fileno()

    def close(self):
        self.file.close()


@pytest.mark.parametrize("room", [0, 10, 500, 5000])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_whole_and_nothing_else(tmp_path, monkeypatch, room, error):
    path = tmp_path / "model.pt"
    tg.save({"w": tg.ones(3)}, path)
    before = path.read_bytes()
    real = open

    def full(name, mode="r", *rest):
        file = real(name, mode, *rest)
        return Full(file, room, error) if "x" in mode else file

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(type(error)):
        tg.save({"w": tg.zeros(2000)}, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_the_last_moment_leaves_the_old_file_too(tmp_path, monkeypatch, step):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")

    def fail(*args):
        raise OSError("disk gone")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk gone"):
        tg.save({"w": tg.zeros(20)}, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.pt"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.pt"
    target = tmp_path / "real" / "model.pt"
    target.write_bytes(b"")
    link.symlink_to(target)
    tg.save([1], link)
    assert link.is_symlink()
    assert tg.load(target) == [1]
    assert os.listdir(tmp_path / "real") == ["model.pt"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    tg.save([1], tmp_path / "x.pt")
    assert (tmp_path / "x.pt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_wrong_places():
    with pytest.raises(RuntimeError, match=r"parent directory .* does not exist"):
        tg.save([1], "/no/such/folder/x.pt")
    with pytest.raises(FileNotFoundError):
        tg.load("/no/such/folder/x.pt")
    with pytest.raises(TypeError, match="path or a binary file"):
        tg.save([1], 3)
    with pytest.raises(TypeError, match="path or a binary file"):
        tg.load(3)
    for place in ("cuda", {"cpu": "cuda:0"}, tg.device("cpu")):
        if str(place) == "cpu":
            assert roundtrip([1]) == [1]
        else:
            with pytest.raises(RuntimeError, match="no device"):
                tg.load(io.BytesIO(), map_location=place)


def archive(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as z:
        for name, content in entries.items():
            z.writestr(name, content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def tree(tree, arrays=(), **head):
    return json.dumps({"format": "tinygrad_edu", "version": 1, "arrays": list(arrays), "tree": tree, **head})


LIE = npy(np.zeros(4)).replace(b"(4,)", b"(9,)")
TENSOR = {"type": "tensor", "id": 0, "array": 0, "requires_grad": False}
FOREIGN = {
    "empty": (b"", "is empty"),
    "pickle": (pickle.dumps([1]), "Python pickle"),
    "npy": (npy(np.zeros(2)), "numpy.load"),
    "text": (b"hello world", "was not written by"),
    "npz": (archive({"w.npy": npy(np.zeros(2))}), "npz"),
    "zip": (archive({"readme": "x"}), "not of tinygrad_edu.save"),
    "other json": (archive({"tree.json": "{}"}), "not of tinygrad_edu.save"),
    "no json": (archive({"tree.json": "{"}), "damaged tree.json"),
    "newer": (archive({"tree.json": tree(1, version=99)}), "version 99"),
    "unknown type": (archive({"tree.json": tree({"type": "module"})}), "unknown type 'module'"),
    "no type": (archive({"tree.json": tree({"a": 1})}), "damaged tree.json"),
    "missing array": (archive({"tree.json": tree(TENSOR, [["<f8", [2]]])}), "lacks its part"),
    "undeclared array": (archive({"tree.json": tree(TENSOR)}), "damaged tree.json"),
    "objects": (archive({"tree.json": tree(TENSOR, [["|O", [2]]]), "arrays/0.npy": b"x" * 99}), "object"),
    "negative": (archive({"tree.json": tree(TENSOR, [["<f8", [-1]]]), "arrays/0.npy": b"x" * 99}), "declares"),
    "too large": (archive({"tree.json": tree(TENSOR, [["<f8", [2]]]), "arrays/0.npy": b"x" * 10**6}), "size"),
    "too small": (archive({"tree.json": tree(TENSOR, [["<f8", [10**12]]]), "arrays/0.npy": npy(np.zeros(2))}), "size"),
    "other shape": (
        archive({"tree.json": tree(TENSOR, [["<f8", [2, 2]]]), "arrays/0.npy": npy(np.zeros(4))}),
        r"damaged part 'arrays/0.npy': it holds float64 \(4,\), not float64 \(2, 2\)",
    ),
    "other dtype": (
        archive({"tree.json": tree(TENSOR, [["<i8", [4]]]), "arrays/0.npy": npy(np.zeros(4))}),
        "holds float64",
    ),
    "an object array inside": (
        archive({"tree.json": tree(TENSOR, [["<f8", [4]]]), "arrays/0.npy": npy(np.array([None] * 4))}),
        "arrays/0.npy",
    ),
    "something after the numbers": (
        archive({"tree.json": tree(TENSOR, [["<f8", [4]]]), "arrays/0.npy": npy(np.zeros(4)) + b"more"}),
        "something follows the numbers",
    ),
    "a header that lies": (
        archive({"tree.json": tree(TENSOR, [["<f8", [4]]]), "arrays/0.npy": LIE}),
        r"it holds float64 \(9,\)",
    ),
    "a header that lies with the tree": (
        archive({"tree.json": tree(TENSOR, [["<f8", [9]]]), "arrays/0.npy": LIE}),
        "bytes are missing",
    ),
    "no header": (archive({"tree.json": tree(TENSOR, [["<f8", [4]]]), "arrays/0.npy": b"x" * 99}), "damaged part"),
    "compressed": (
        archive({"tree.json": tree(TENSOR, [["<f8", [4]]]), "arrays/0.npy": npy(np.zeros(4))}, zipfile.ZIP_DEFLATED),
        "compressed part",
    ),
    "deep": (
        archive({"tree.json": tree(0).replace(": 0}", ": " + "[" * 10**5 + "]" * 10**5 + "}")}),
        "damaged tree.json",
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_files_that_are_something_else(tmp_path, what):
    content, message = FOREIGN[what]
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=rf"load: the file 'model.pt' .*{message}"):
        tg.load(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    """A gigabyte of zeros in a megabyte, declared truthfully."""
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("tree.json", tree(TENSOR, [["|u1", [10**9]]]), zipfile.ZIP_STORED)
        with z.open("arrays/0.npy", "w") as entry:
            entry.write(npy(np.zeros(0, "u1")))
            for _ in range(100):
                entry.write(bytes(10**6))
    with pytest.raises(RuntimeError, match="compressed part"):
        tg.load(path)


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    tg.save({"w": tg.arange(300), "b": [1, 2]}, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(RuntimeError, match=r"damaged or incomplete|is empty|was not written"):
            tg.load(path)


def test_a_flipped_bit_in_the_numbers_is_noticed(tmp_path):
    path = tmp_path / "model.pt"
    tg.save(tg.full((100,), 7.0, dtype=tg.float64), path)
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<d", 7.0)) + 400
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match="damaged"):
        tg.load(path)


def test_nothing_is_executed(tmp_path):
    """Neither what is saved nor what is loaded goes through pickle."""
    content = io.BytesIO()
    tg.save({"w": tg.zeros(3), "s": "x"}, content)
    with zipfile.ZipFile(content) as z:
        assert z.namelist() == ["tree.json", "arrays/0.npy"]
        np.testing.assert_array_equal(np.load(io.BytesIO(z.read("arrays/0.npy")), allow_pickle=False), np.zeros(3))
        assert json.loads(z.read("tree.json"))["format"] == "tinygrad_edu"


def test_pytorchs_own_files_are_recognized(torch, tmp_path):
    path = tmp_path / "model.pt"
    for zipped in (True, False):
        torch.save({"w": torch.zeros(2)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(RuntimeError, match=r"PyTorch checkpoint"):
            tg.load(path)
