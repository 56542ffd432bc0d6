"""Every public function and method against PyTorch on drawn inputs: value, dtype, shape, gradient."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from public_calls import CALLS

import tinygrad_edu as tg

# public functions that PyTorch has too, compared elsewhere
CREATION = (
    *("arange", "as_tensor", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace", "meshgrid"),
    *("ones", "ones_like", "tensor", "zeros", "zeros_like", "get_default_dtype", "result_type", "set_default_dtype"),
)
RANDOM = (
    *("bernoulli", "get_rng_state", "initial_seed", "manual_seed", "multinomial", "normal", "rand", "rand_like"),
    *("randint", "randn", "randn_like", "randperm", "seed", "set_rng_state"),
)
ELSEWHERE = {*CREATION, *RANDOM}


def public_functions() -> list[str]:
    """What `tinygrad_edu.functions` offers under a public name that PyTorch knows."""
    return [
        name
        for name, f in vars(tg).items()
        if isinstance(f, types.FunctionType)
        and not name.startswith("_")
        and getattr(f, "__module__", "").startswith("tinygrad_edu.functions")
    ]


def test_every_public_function_is_compared():
    assert not [name for name in public_functions() if name not in CALLS and name not in ELSEWHERE]


@pytest.mark.parametrize("name", CALLS)
def test_every_compared_name_exists(name, torch):
    assert hasattr(tg, name) or hasattr(tg.Tensor, name)
    assert hasattr(torch, name) == hasattr(tg, name) or hasattr(tg.Tensor, name)


class Run:
    """One call in one of the two libraries: results, and gradients of the floating inputs."""

    def __init__(self, m: Any, f: Any, args: Any, kwargs: Any, dtype: Any, grad: bool = True) -> None:
        self.m, self.leaves, self.dtype, self.wanted = m, [], dtype, grad
        given = [self.convert(a) for a in args]
        out = f(*given, **{k: self.convert(v) for k, v in kwargs.items()})
        out = list(out) if isinstance(out, (tuple, list)) else [out]
        self.plain = [o for o in out if not hasattr(o, "detach")]
        self.outs = [o for o in out if hasattr(o, "detach")]
        self.live = [o for o in self.outs if o.requires_grad]

    def convert(self, value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            return [self.convert(v) for v in value]
        if not isinstance(value, np.ndarray):
            return value
        if value.dtype.kind != "f":
            return self.m.tensor(np.array(value))
        if self.m is tg:
            tensor = tg.from_numpy(value.astype(self.dtype, order="K"))
        else:
            tensor = self.m.tensor(np.array(value, self.dtype))
        if self.wanted:
            self.leaves.append(tensor.requires_grad_())
        return tensor

    def gradients(self) -> list[np.ndarray]:
        """Pulled back from upstream gradients that differ in every entry."""
        ups = []
        for k, o in enumerate(self.live):
            u = (np.arange(o.numel(), dtype=self.dtype) - 1.25 + k) / 4
            ups.append(self.m.tensor(u.reshape(tuple(o.shape))))
        if not self.live:
            return []
        found = self.m.autograd.grad(self.live, self.leaves, ups, allow_unused=True)
        return [
            np.zeros(tuple(leaf.shape)) if g is None else g.numpy() for g, leaf in zip(found, self.leaves, strict=True)
        ]


def name_of(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def compare(ours: Run, theirs: Run, tolerance: float) -> None:
    assert ours.plain == theirs.plain
    assert len(ours.outs) == len(theirs.outs)
    for a, b in zip(ours.outs, theirs.outs, strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        assert name_of(a.dtype) == name_of(b.dtype)
        assert a.requires_grad == b.requires_grad
        close(a.detach().numpy(), b.detach().numpy(), tolerance)
    for g, e in zip(ours.gradients(), theirs.gradients(), strict=True):
        assert g.shape == e.shape
        close(g, e, tolerance)


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    finite = np.abs(b[np.isfinite(b)]) if b.dtype.kind == "f" else np.zeros(0)
    scale = max(1.0, float(finite.max(initial=0.0)))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale if b.dtype.kind == "f" else 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
def test_function_and_method(name, dtype, torch, data):
    args, kwargs = data.draw(CALLS[name])
    tolerance = 1e-10 if dtype == np.float64 else 2e-5
    compared = 0
    for ours, theirs in ((tg, torch), (tg.Tensor, torch.Tensor)):
        if not (hasattr(ours, name) and hasattr(theirs, name)):
            continue
        if ours is tg.Tensor and (not isinstance(args[0], np.ndarray) or name == "where"):
            continue
        grad = name != "floor_divide"  # PyTorch has no derivative for it, ours is detached
        a = Run(tg, getattr(ours, name), args, kwargs, dtype, grad)
        compare(a, Run(torch, getattr(theirs, name), args, kwargs, dtype, grad), tolerance)
        compared += 1
    assert compared


OPERATORS = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "x ** 2": lambda x, y: x**2,
    "-x": lambda x, y: -x,
    "abs(x)": lambda x, y: abs(x),
    "2 + x": lambda x, y: 2 + x,
    "2 - x": lambda x, y: 2 - x,
    "2 * x": lambda x, y: 2 * x,
    "2 / y": lambda x, y: 2 / y,
    "2 ** x": lambda x, y: 2**x,
    "x // y": lambda x, y: x.detach() // y.detach(),
    "x % 7": lambda x, y: x % 7.5,
    "x < y": lambda x, y: x < y,
    "x <= 1": lambda x, y: x <= 1,
    "x > y": lambda x, y: x > y,
    "x >= y": lambda x, y: x >= y,
    "x == y": lambda x, y: x == y,
    "x != None": lambda x, y: [x != None, x == None],  # noqa: E711
    "~(x < y)": lambda x, y: ~(x < y),
    "masks": lambda x, y: ((x < y) & (x > 0)) | (y > 1),
    "x @ y": lambda x, y: x @ y.T,
    "x.T": lambda x, y: x.T,
    "x.mT": lambda x, y: x.mT,
    "iteration": lambda x, y: [row * k for k, row in enumerate(x)],
    "unpacking": lambda x, y: (lambda a, *rest: a + rest[0])(*x),
    "len": lambda x, y: len(x),
    "max(other)": lambda x, y: x.max(y),
    "casts": lambda x, y: x.float() * y.double(),
    "casts to whole numbers": lambda x, y: [x.long(), x.int(), x.bool(), (x > 0).float()],
    "type_as": lambda x, y: x.float().type_as(y) * y,
    "expand_as": lambda x, y: x[:1].expand_as(y) * y,
    "view_as": lambda x, y: x.view_as(y) * y,
    "reshape_as": lambda x, y: x.T.reshape_as(y) * y,
    "clone": lambda x, y: x.clone() * y,
    "contiguous": lambda x, y: x.T.contiguous().view(-1) * 2,
    "new": lambda x, y: [x.new_zeros(2), x.new_ones(2, 1), x.new_full((2,), 3.5), x.new_tensor([1, 2])],
    "size": lambda x, y: [x.size(0), x.size(-1), x.dim(), x.ndim, x.numel(), x.nelement(), x.element_size()],
    "x.flip": lambda x, y: [x.flip(0, 1), x.flip(-1), x.flip((0, 1)), x.flip(dims=[0]), x.flip(())],
    "x.where": lambda x, y: x.where(x > y, y),
    "item": lambda x, y: [x[0, 0].item(), float(x[0, 1]), int(y[1, 1] * 4), bool(x[0, 0]), x.tolist()],
    "stride": lambda x, y: [x.stride(), x.T.stride(), x[::2].stride(), x.is_contiguous(), x.T.is_contiguous()],
    "contains": lambda x, y: [3.25 in x, 99.0 in x],
    "var(unbiased)": lambda x, y: [x.var(False), x.std(True), x.var(0, False), x.var((0, 1), True, True)],
    "sum(dtype)": lambda x, y: (x > 0).sum(),
    "mean(dtype)": lambda x, y: x.mean(0, dtype=y.dtype),
    "is_floating_point": lambda x, y: [x.is_floating_point(), (x > 0).is_floating_point()],
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_and_other_methods(name, torch):
    x = np.array([[0.75, -1.5, 2.0], [3.25, -0.5, 1.25]])
    y = np.array([[1.5, 0.5, 3.0], [-2.25, 4.5, -1.75]])
    compare(*(Run(m, OPERATORS[name], [x, y], {}, np.float64) for m in (tg, torch)), 1e-12)


@pytest.mark.parametrize("name", [name for name in CALLS if hasattr(tg, name)])
@given(data=st.data())
def test_bare_arrays_are_refused(name, torch, data):
    """Nothing falls off the graph silently: an array in place of any tensor is a TypeError, as in PyTorch."""
    args, kwargs = data.draw(CALLS[name])
    tensors = [i for i, a in enumerate(args) if isinstance(a, (np.ndarray, list)) and not all_ints(a)]
    i = data.draw(st.sampled_from(tensors))
    ours, theirs = (Run.__new__(Run) for _ in range(2))
    for run, m in ((ours, tg), (theirs, torch)):
        run.m, run.leaves, run.dtype, run.wanted = m, [], np.float64, False
        given = [a if k == i else run.convert(a) for k, a in enumerate(args)]
        try:
            getattr(m, name)(*given, **{k: run.convert(v) for k, v in kwargs.items()})
            run.plain = None
        except Exception as error:
            run.plain = error
    if isinstance(theirs.plain, TypeError):
        assert isinstance(ours.plain, TypeError)


def all_ints(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(v, np.ndarray) for v in value)
