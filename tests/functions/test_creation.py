"""Making tensors, and how they print, against PyTorch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.testing import shapes

MADE = {
    "tensor of ints": lambda m: m.tensor([1, 2]),
    "tensor of floats": lambda m: m.tensor([[1.0, 2], [3, 4]]),
    "tensor of booleans": lambda m: m.tensor([True, False]),
    "tensor of a mixture": lambda m: m.tensor([True, 2, 3.5]),
    "tensor of nothing": lambda m: m.tensor([]),
    "tensor of empty rows": lambda m: m.tensor([[], []]),
    "tensor of a number": lambda m: m.tensor(3),
    "tensor of tuples": lambda m: m.tensor(((1.0,), (2.0,))),
    "tensor of tensors": lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)]),
    "tensor of an array": lambda m: m.tensor(np.arange(3, dtype=np.int32)),
    "tensor of a float64 array": lambda m: m.tensor(np.ones(2)),
    "tensor of a NumPy number": lambda m: m.tensor(np.float64(1.5)),
    "tensor of a range": lambda m: m.tensor(range(3)),
    "tensor with a dtype": lambda m: m.tensor([1, 2], dtype=m.float64),
    "tensor truncated": lambda m: m.tensor([1.7, -1.7], dtype=m.int64),
    "as_tensor": lambda m: m.as_tensor([1.0, 2.0]),
    "as_tensor of a tensor": lambda m: m.as_tensor(m.tensor([1.0]), dtype=m.float64),
    "zeros": lambda m: m.zeros(2, 3),
    "zeros of a tuple": lambda m: m.zeros((2, 3), dtype=m.int64),
    "zeros of no size": lambda m: m.zeros(()),
    "ones": lambda m: m.ones(0, 3),
    "empty": lambda m: m.empty(2) * 0,
    "full": lambda m: m.full((2, 2), 3),
    "full of floats": lambda m: m.full((2,), 1.5),
    "full of booleans": lambda m: m.full((2,), True),
    "full with a dtype": lambda m: m.full((2,), 3, dtype=m.float64),
    "zeros_like": lambda m: m.zeros_like(m.ones(2, dtype=m.float64)),
    "ones_like": lambda m: m.ones_like(m.tensor([1, 2])),
    "full_like": lambda m: m.full_like(m.ones(2), 7),
    "empty_like": lambda m: m.empty_like(m.ones(2)) * 0,
    "arange": lambda m: m.arange(5),
    "arange of floats": lambda m: m.arange(0.0, 1.0, 0.25),
    "arange from to": lambda m: m.arange(2, 8, 3),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange with a dtype": lambda m: m.arange(3, dtype=m.float64),
    "arange of nothing": lambda m: m.arange(2, 2),
    "arange of tenths": lambda m: m.arange(0, 1, 0.1),
    "linspace": lambda m: m.linspace(-1, 1, 5),
    "linspace of one": lambda m: m.linspace(2, 5, 1),
    "eye": lambda m: m.eye(3),
    "eye of a rectangle": lambda m: m.eye(2, 3),
    "meshgrid": lambda m: m.stack(m.meshgrid(m.tensor([1, 2]), m.tensor([3, 4, 5]), indexing="ij")),
    "meshgrid xy": lambda m: m.stack(m.meshgrid(m.tensor([1, 2]), m.tensor([3, 4, 5]), indexing="xy")),
    "from_numpy": lambda m: m.from_numpy(np.arange(3.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_made(name, torch):
    ours, theirs = MADE[name](tg), MADE[name](torch)
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6, atol=1e-7)
    assert not ours.requires_grad


def test_tensor_copies_and_from_numpy_shares():
    array = np.arange(3.0)
    copied, shared, as_shared = tg.tensor(array), tg.from_numpy(array), tg.as_tensor(array)
    array[0] = 7
    assert copied[0].item() == 0.0
    assert shared[0].item() == as_shared[0].item() == 7.0
    shared[1] = 9
    assert array[1] == 9.0
    assert np.shares_memory(shared.numpy(), array)
    assert np.shares_memory(np.asarray(shared), array)
    assert np.from_dlpack(shared)[1] == 9.0


@st.composite
def printable(draw: Any) -> np.ndarray:
    """Arrays of all kinds, small and large, with NaN and infinities."""
    shape = draw(
        st.one_of(shapes(max_dims=4).strategy(), st.sampled_from([(1001,), (40, 40), (7, 3, 50), (30,), (3, 30)]))
    )
    count = int(np.prod(shape, dtype=int))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(["whole", "unit", "wide", "tiny", "int", "bool", "special", "negative", "big"]))
    found: Any = {
        "whole": lambda: rng.integers(-20, 20, count).astype(float),
        "unit": lambda: rng.random(count),
        "wide": lambda: rng.standard_normal(count) * 10.0 ** rng.integers(-6, 6, count),
        "tiny": lambda: rng.standard_normal(count) * 1e-6,
        "int": lambda: rng.integers(-1000, 1000, count),
        "bool": lambda: rng.random(count) < 0.5,
        "special": lambda: rng.choice([np.nan, np.inf, -np.inf, 0.0, 1.5, -2.0], count),
        "negative": lambda: -rng.random(count) * 100,
        "big": lambda: rng.integers(1, 9, count) * 10.0 ** rng.integers(4, 12, count),
    }[kind]()
    dtype = draw(st.sampled_from([np.float32, np.float64])) if found.dtype.kind == "f" else found.dtype
    return found.astype(dtype).reshape(shape)


def plain(text: str) -> str:
    """Without the library's name in front of dtypes, which may move what follows to the next line."""
    return re.sub(r",\s+(dtype|requires_grad|grad_fn)=", r", \1=", text.replace("torch.", ""))


@given(printable())
def test_repr(torch, array):
    assert plain(repr(tg.tensor(array))) == plain(repr(torch.tensor(array)))


@given(printable())
def test_repr_with_a_graph(torch, array):
    """The same layout; the name of the operation is ours."""
    if array.dtype.kind != "f":
        return
    ours, theirs = (m.tensor(array, requires_grad=True) for m in (tg, torch))
    assert plain(repr(ours)) == plain(repr(theirs))
    backward = re.compile(r"grad_fn=<\w+>")
    ours_z, theirs_z = (backward.sub("grad_fn=<f>", plain(repr(v * 1))) for v in (ours, theirs))
    assert ours_z == theirs_z


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float64", "bool", "int64", "float32"])
def test_repr_names_unusual_dtypes(dtype, torch):
    for data in ([1, 0], [], [[1, 2], [3, 4]], 1):
        ours, theirs = (m.tensor(data, dtype=getattr(m, dtype)) for m in (tg, torch))
        assert repr(ours) == plain(repr(theirs))


def test_str_format_and_size(torch):
    for m in (tg, torch):
        assert f"{m.tensor(3.14159):.2f}" == "3.14"
        assert f"{m.tensor(7)}" == "7"
        x = m.ones(2, 3)
        assert (x.shape == (2, 3), x.shape[0], x.shape[1:], x.shape.numel(), len(x.shape)) == (True, 2, (3,), 6, 2)
        assert repr(x.shape).removeprefix("torch.") == "Size([2, 3])"
        assert str(m.device("cpu")) == "cpu"
        assert x.device == m.device("cpu")
        assert (x.is_cuda, x.device.type) == (False, "cpu")
