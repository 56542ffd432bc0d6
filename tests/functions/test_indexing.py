"""x[...] and x[...] = v against PyTorch: ints, slices, None, Ellipsis, masks, index tensors, all mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.testing import shapes


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index in plain data: arrays stand for tensors."""
    together = draw(shapes(max_dims=2, min_side=1, max_side=3).strategy())
    items: list[Any] = []
    rest = list(shape)
    while rest and draw(st.integers(0, 4)):
        kind = draw(st.sampled_from(["int", "slice", "tensor", "list", "mask", "None", "0-d", "skip"]))
        n = rest[0]
        if kind == "None":
            items.append(None)
            continue
        if kind == "mask":
            covered = draw(st.integers(1, len(rest)))
            size = int(np.prod(rest[:covered]))
            bits = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            items.append(np.array(bits, bool).reshape(rest[:covered]))
            rest = rest[covered:]
            break
        rest.pop(0)
        if kind == "slice" or n == 0:
            bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            items.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3]))))
        elif kind == "skip":
            items.append(slice(None))
        elif kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        else:
            size = 1 if kind == "0-d" else int(np.prod(together))
            at = draw(st.lists(st.integers(-n, n - 1), min_size=size, max_size=size))
            array = np.array(at, np.int64).reshape(() if kind == "0-d" else together)
            items.append(array if kind != "list" or array.ndim != 1 else array.tolist())
    if draw(st.booleans()):
        items.append(Ellipsis)
    return tuple(items)


def convert(m: Any, index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(m.tensor(item) if isinstance(item, np.ndarray) else item for item in index)


def numbered(m: Any, shape: tuple[int, ...], start: float = 0.0) -> Any:
    return m.tensor((np.arange(np.prod(shape, dtype=int)) + start).reshape(shape), dtype=m.float64)


def read(m: Any, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    """(value, gradient) or the error's type."""
    x = numbered(m, shape).requires_grad_()
    try:
        out = x[convert(m, index)]
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        return type(error)
    out.backward(numbered(m, tuple(out.shape), 1.5))
    return out.detach().numpy(), x.grad.numpy()


@given(st.data())
def test_read(torch, data):
    shape = data.draw(shapes(max_dims=4, min_side=1).strategy())
    index = data.draw(indices(shape))
    ours, theirs = read(tg, shape, index), read(torch, shape, index)
    if isinstance(theirs, type):
        assert isinstance(ours, type)
        assert issubclass(ours, theirs)
        return
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def write(m: Any, shape: tuple[int, ...], index: tuple[Any, ...], value: Any, recorded: bool) -> Any:
    """(new values, gradients) or the error's type."""
    x = numbered(m, shape).requires_grad_(recorded)
    y = x * 2
    v = value if not isinstance(value, tuple) else numbered(m, value, 100.0).requires_grad_(recorded)
    try:
        y[convert(m, index)] = v
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        return [type(error)]
    if not recorded:
        return [y.numpy()]
    y.backward(numbered(m, shape, 1.5))
    return [y.detach().numpy(), x.grad.numpy(), *([v.grad.numpy()] if isinstance(value, tuple) else [])]


@pytest.mark.parametrize("recorded", [True, False])
@given(data=st.data())
def test_write(torch, recorded, data):
    shape = data.draw(shapes(max_dims=3, min_side=1).strategy())
    index = data.draw(indices(shape))
    x = torch.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    try:
        places = x[convert(torch, index)]
    except (IndexError, RuntimeError):
        places = x
    if len(set(places.flatten().tolist())) < places.numel():
        return  # which of several values written to one place stays is undefined
    picked = tuple(places.shape)
    values = [3.5, picked, tuple(1 if k % 2 else n for k, n in enumerate(picked)), (1, *picked), ()]
    value = data.draw(st.sampled_from(values))
    ours, theirs = (write(m, shape, index, value, recorded) for m in (tg, torch))
    if isinstance(theirs[0], type):
        assert isinstance(ours[0], type)
        assert issubclass(ours[0], theirs[0])
        return
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


WRONG = {
    "out of range": (0, 5),
    "out of range, negative": (-3,),
    "too many": (0, 0, 0),
    "two ellipses and too many": (0, 0, 0, Ellipsis),
    "negative step": (slice(None, None, -1),),
    "zero step": (slice(None, None, 0),),
    "a float": (1.5,),
    "a float tensor": (np.array([0.0, 1.0]),),
    "a tensor out of range": (np.array([0, 2]),),
    "index tensors that do not broadcast": (np.array([0, 1]), np.array([0, 1, 2])),
    "a mask of another shape": (np.array([True, False, True]),),
    "a string": ("a",),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_indices_raise_what_pytorch_raises(name, torch):
    ours, theirs = (read(m, (2, 3), WRONG[name]) for m in (tg, torch))
    assert isinstance(theirs, type)
    assert isinstance(ours, type), "PyTorch refuses this"
    assert issubclass(ours, theirs)


def test_repeated_indices_add_up():
    x = tg.zeros(3, dtype=tg.float64, requires_grad=True)
    x[tg.tensor([0, 2, 0, 0])].backward(tg.tensor([1.0, 10.0, 100.0, 1000.0], dtype=tg.float64))
    assert x.grad.tolist() == [1101.0, 0.0, 10.0]
    y = tg.zeros(2, 2, dtype=tg.float64, requires_grad=True)
    y[[0, 1, 0], [1, 1, 1]].backward(tg.tensor([1.0, 10.0, 100.0], dtype=tg.float64))
    assert y.grad.tolist() == [[0.0, 101.0], [0.0, 10.0]]


def test_a_write_stops_the_gradient_of_what_was_overwritten():
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    v = tg.tensor(5.0, requires_grad=True)
    y = x * 2
    y[1] = v * v
    (y * tg.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 200.0]
    assert v.grad.item() == 100.0
