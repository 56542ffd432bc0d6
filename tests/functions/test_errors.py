"""Wrong calls: the type of the error is PyTorch's, the sentence is ours and says what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

WRONG: dict[str, Any] = {
    "sizes that do not broadcast": lambda m: m.ones(2, 3) + m.ones(4),
    "in-place sizes": lambda m: m.ones(3).add_(m.ones(2, 3)),
    "a bare array on the right": lambda m: m.ones(2).add(np.ones(2)),
    "a bare array in a function": lambda m: m.exp(np.ones(2)),
    "a bare array in sum": lambda m: m.sum(np.ones(2)),
    "a bare array in matmul": lambda m: m.matmul(m.ones(2, 2), np.ones((2, 2))),
    "a bare array in cat": lambda m: m.cat([m.ones(2), np.ones(2)]),
    "a bare array in where": lambda m: m.where(np.array([True]), m.ones(1), m.ones(1)),
    "a bare array in reshape": lambda m: m.reshape(np.ones(4), (2, 2)),
    "a list in a function": lambda m: m.exp([1.0, 2.0]),
    "None as an operand": lambda m: m.ones(2) + None,
    "a string as an operand": lambda m: m.ones(2) * "a",
    "two numbers": lambda m: m.exp(2.0),
    "a number in sum": lambda m: m.sum(2.0),
    "a number in flip": lambda m: m.flip(2.0, [0]),
    "a number in topk": lambda m: m.topk(2.0, 1),
    "a number in chunk": lambda m: m.chunk(2.0, 1),
    "a number in masked_fill": lambda m: m.masked_fill(2.0, m.tensor(True), 1.0),
    "a number in zeros_like": lambda m: m.zeros_like(2.0),
    "a number in isinf": lambda m: m.isinf(2.0),
    "a number in isfinite": lambda m: m.isfinite(2.0),
    "a number in movedim": lambda m: m.movedim(2.0, 0, 0),
    "matmul of unlike sizes": lambda m: m.ones(2, 3) @ m.ones(2, 3),
    "matmul of unlike dtypes": lambda m: m.ones(2, 2) @ m.ones(2, 2, dtype=m.float64),
    "matmul of 0-d": lambda m: m.ones(()) @ m.ones(2),
    "matmul with a number": lambda m: m.ones(2) @ 2.0,
    "mm of a vector": lambda m: m.mm(m.ones(2), m.ones(2, 2)),
    "bmm of matrices": lambda m: m.bmm(m.ones(2, 2), m.ones(2, 2)),
    "dot of matrices": lambda m: m.dot(m.ones(2, 2), m.ones(2, 2)),
    "dot of unlike sizes": lambda m: m.dot(m.ones(2), m.ones(3)),
    "mv of a matrix": lambda m: m.mv(m.ones(2, 2), m.ones(2, 2)),
    "outer of a matrix": lambda m: m.outer(m.ones(2, 2), m.ones(2)),
    "t of three dimensions": lambda m: m.ones(2, 2, 2).t(),
    "mT of a vector": lambda m: m.ones(2).mT,
    "reshape to another size": lambda m: m.ones(6).reshape(4),
    "reshape with two unknowns": lambda m: m.ones(6).reshape(-1, -1),
    "reshape with a remainder": lambda m: m.ones(6).reshape(4, -1),
    "view of a transposed matrix": lambda m: m.ones(2, 3).T.view(6),
    "permute with a repeat": lambda m: m.ones(2, 3).permute(0, 0),
    "permute with too few": lambda m: m.ones(2, 3).permute(0),
    "permute out of range": lambda m: m.ones(2, 3).permute(0, 2),
    "transpose out of range": lambda m: m.ones(2, 3).transpose(0, 2),
    "squeeze out of range": lambda m: m.ones(2).squeeze(1),
    "unsqueeze out of range": lambda m: m.ones(2).unsqueeze(3),
    "flatten backwards": lambda m: m.ones(2, 3).flatten(1, 0),
    "expand to another size": lambda m: m.ones(2, 3).expand(2, 4),
    "expand to fewer dimensions": lambda m: m.ones(2, 3).expand(3),
    "expand a new dimension by -1": lambda m: m.ones(3).expand(-1, 3),
    "cat of nothing": lambda m: m.cat([]),
    "cat of unlike sizes": lambda m: m.cat([m.ones(2, 2), m.ones(2, 3)]),
    "cat of 0-d": lambda m: m.cat([m.tensor(1.0), m.tensor(2.0)]),
    "cat out of range": lambda m: m.cat([m.ones(2)], 1),
    "cat of a tensor of numbers": lambda m: m.cat([1.0, 2.0]),
    "stack of nothing": lambda m: m.stack([]),
    "stack of unlike sizes": lambda m: m.stack([m.ones(2), m.ones(3)]),
    "split by a wrong total": lambda m: m.ones(5).split([2, 2]),
    "split by a negative size": lambda m: m.ones(5).split(-1),
    "split of 0-d": lambda m: m.tensor(1.0).split(1),
    "chunk into nothing": lambda m: m.ones(5).chunk(0),
    "unbind of 0-d": lambda m: m.tensor(1.0).unbind(),
    "unbind out of range": lambda m: m.ones(2).unbind(1),
    "flip out of range": lambda m: m.ones(2).flip([1]),
    "flip twice": lambda m: m.ones(2, 2).flip([0, 0]),
    "narrow too long": lambda m: m.ones(4).narrow(0, 2, 3),
    "tril of a vector": lambda m: m.ones(2).tril(),
    "a dimension by name": lambda m: m.ones(2).mean(dim="a"),
    "sum out of range": lambda m: m.ones(2).sum(1),
    "sum over an axis twice": lambda m: m.ones(2, 2).sum((0, 0)),
    "mean of integers": lambda m: m.tensor([1, 2]).mean(),
    "var of integers": lambda m: m.tensor([1, 2]).var(),
    "max of nothing": lambda m: m.ones(0).max(),
    "max of nothing along a dim": lambda m: m.ones(0, 2).max(0),
    "amax of nothing": lambda m: m.ones(0).amax(),
    "amin of nothing along a dim": lambda m: m.ones(2, 0).amin(1),
    "argmax of nothing": lambda m: m.ones(0).argmax(),
    "max out of range": lambda m: m.ones(2).max(1),
    "softmax out of range": lambda m: m.ones(2).softmax(1),
    "sort out of range": lambda m: m.ones(2).sort(1),
    "topk of too many": lambda m: m.ones(3).topk(4),
    "topk of a negative number": lambda m: m.ones(3).topk(-1),
    "cumsum out of range": lambda m: m.ones(2).cumsum(1),
    "gather out of bounds": lambda m: m.ones(3).gather(0, m.tensor([3])),
    "gather with a negative index": lambda m: m.ones(3).gather(0, m.tensor([-1])),
    "gather by floats": lambda m: m.ones(3).gather(0, m.tensor([0.0])),
    "gather of other dimensions": lambda m: m.ones(3, 3).gather(0, m.tensor([0])),
    "index_select by a matrix": lambda m: m.ones(3, 3).index_select(0, m.tensor([[0]])),
    "index_select out of range": lambda m: m.ones(3).index_select(0, m.tensor([3])),
    "index_select with a negative index": lambda m: m.ones(3).index_select(0, m.tensor([-1])),
    "index_select by floats": lambda m: m.ones(3).index_select(0, m.tensor([0.0])),
    "masked_fill without a mask": lambda m: m.ones(3).masked_fill(m.ones(3), 0.0),
    "masked_fill by a tensor": lambda m: m.ones(3).masked_fill(m.tensor([True] * 3), m.ones(3)),
    "masked_select without a mask": lambda m: m.ones(3).masked_select(m.tensor([0, 1, 0])),
    "where by numbers": lambda m: m.where(m.ones(2), m.ones(2), m.ones(2)),
    "clamp without bounds": lambda m: m.ones(2).clamp(),
    "negation of booleans": lambda m: -m.tensor([True]),
    "difference of booleans": lambda m: m.tensor([True]) - m.tensor([True]),
    "~ of floats": lambda m: ~m.ones(2),
    "& of floats": lambda m: m.ones(2) & m.ones(2),
    "integers to a negative power": lambda m: m.tensor([1, 2]) ** -1,
    "integers modulo zero": lambda m: m.tensor([1, 2]) % 0,
    "integers divided by zero": lambda m: m.tensor([1, 2]) // 0,
    "a wrong rounding mode": lambda m: m.div(m.ones(2), m.ones(2), rounding_mode="up"),
    "one_hot of floats": lambda m: m.nn.functional.one_hot(m.ones(2)),
    "one_hot of nothing": lambda m: m.nn.functional.one_hot(m.tensor([], dtype=m.int64)),
    "scatter_add of another dtype": lambda m: m.zeros(2).scatter_add(0, m.tensor([0]), m.ones(1, dtype=m.float64)),
    "item of several": lambda m: m.ones(2).item(),
    "float of several": lambda m: float(m.ones(2)),
    "int of several": lambda m: int(m.ones(2)),
    "bool of several": lambda m: bool(m.ones(2)),
    "bool of nothing": lambda m: bool(m.ones(0)),
    "len of 0-d": lambda m: len(m.tensor(1.0)),
    "iteration over 0-d": lambda m: list(m.tensor(1.0)),
    "range by a float": lambda m: range(m.tensor(2.0)),
    "numpy of a leaf": lambda m: m.ones(2, requires_grad=True).numpy(),
    "array of a result": lambda m: np.asarray(m.ones(2, requires_grad=True) * 2),
    "ragged lists": lambda m: m.tensor([[1.0], [1.0, 2.0]]),
    "a tensor of strings": lambda m: m.tensor(["a"]),
    "a tensor of a string": lambda m: m.tensor("a"),
    "a tensor of objects": lambda m: m.tensor([object()]),
    "integers that require grad": lambda m: m.tensor([1, 2], requires_grad=True),
    "integers that come to require grad": lambda m: m.tensor([1, 2]).requires_grad_(),
    "from_numpy of a list": lambda m: m.from_numpy([1.0]),
    "arange in the wrong direction": lambda m: m.arange(0, 5, -1),
    "arange without a step": lambda m: m.arange(0, 5, 0),
    "negative sizes": lambda m: m.zeros(-1),
    "a GPU": lambda m: m.ones(2, device="nowhere"),
    "equal of a number": lambda m: m.equal(m.ones(2), 1.0),
    "allclose of a number": lambda m: m.allclose(m.ones(2), 1.0),
    "deepcopy of a result": lambda m: __import__("copy").deepcopy(m.ones(2, requires_grad=True) * 2),
    "multinomial of negative weights": lambda m: m.multinomial(m.tensor([-1.0, 2.0]), 1),
    "multinomial of too many": lambda m: m.multinomial(m.tensor([1.0, 2.0]), 3),
    "randint of an empty range": lambda m: m.randint(3, 3, (2,)),
    "the constructor": lambda m: m.Tensor(object()),
    "data that is no tensor": lambda m: setattr(m.ones(2), "data", np.ones(2)),
}  # fmt: skip


def raised(name: str, m: Any) -> BaseException | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            WRONG[name](m)
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("name", WRONG)
def test_the_type_is_pytorchs(name, torch):
    theirs, ours = raised(name, torch), raised(name, tg)
    assert theirs is not None, "PyTorch takes this: not a wrong call"
    assert ours is not None, f"PyTorch raises {type(theirs).__name__}: {theirs}"
    assert isinstance(ours, wanted(theirs)), f"{type(ours).__name__}: {ours}\nPyTorch {type(theirs).__name__}: {theirs}"


def wanted(error: BaseException) -> type[BaseException]:
    """NotImplementedError is a RuntimeError that names PyTorch's missing kernel."""
    return RuntimeError if isinstance(error, NotImplementedError) else type(error)


SENTENCES = {
    "sizes that do not broadcast": ["add", "(2, 3)", "(4,)", "size 3 against size 4", "dimension -1"],
    "a bare array in a function": ["exp()", "must be Tensor, not numpy.ndarray", "from_numpy"],
    "matmul of unlike sizes": ["matmul", "(2, 3)", "transpose"],
    "matmul of unlike dtypes": ["matmul", "float32", "float64", ".double()"],
    "reshape to another size": ["[4]", "6"],
    "view of a transposed matrix": ["view", "reshape", "contiguous"],
    "max of nothing": ["max()", "non-empty", "(0,)"],
    "amax of nothing": ["amax()", "empty", "(0,)"],
    "mean of integers": ["mean()", "int64", ".float()"],
    "item of several": ["2 elements", "Scalar"],
    "bool of several": ["ambiguous", ".any()", ".all()"],
    "numpy of a leaf": ["numpy()", "requires grad", "detach()"],
    "integers that require grad": ["int64", "floating point", ".float()"],
    "gather out of bounds": ["gather", "out of bounds", "size 3"],
    "cat of unlike sizes": ["cat", "(2, 2)", "(2, 3)"],
    "a dimension by name": ["mean", "dim must be an int", "'a'"],
    "sum out of range": ["sum", "dimension", "1"],
    "a GPU": ["nowhere", "cpu"],
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_sentence_says_what_happened(name):
    error = raised(name, tg)
    for part in SENTENCES[name]:
        assert part in str(error)
