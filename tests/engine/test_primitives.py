"""Registering primitives, several and auxiliary outputs, kernels for arrays, and what a node remembers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.domain import Family, real
from tinygrad_edu.engine.node import Const, Leaf, Output
from tinygrad_edu.engine.primitive import registry


@pytest.fixture(autouse=True)
def _only_for_this_test():
    known = dict(registry)
    yield
    registry.clear()
    registry.update(known)


def leaf(*values: float) -> Any:
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


def test_a_primitive_of_ones_own():
    @tg.primitive(domain=(real, real))
    def hypotenuse(x, y):
        """The length of (x, y)."""
        return np.hypot(x, y)

    hypotenuse.slope(x=lambda x, z: x / z, y=lambda y, z: y / z)
    x, y = leaf(3.0, 5.0), leaf(4.0, 12.0)
    z = hypotenuse(x, y)
    z.sum().backward()
    assert z.tolist() == [5.0, 13.0]
    assert x.grad.tolist() == [3 / 5, 5 / 13]
    assert y.grad.tolist() == [4 / 5, 12 / 13]
    assert hypotenuse(3.0, 4.0) == 5.0
    assert registry["hypotenuse"] is hypotenuse
    assert repr(hypotenuse) == "<primitive hypotenuse(x, y)>"


def test_registering_again_from_the_same_place_replaces():
    def define(factor: float) -> Any:
        @tg.primitive(domain=(real,))
        def scaled(x):
            return x * factor

        return scaled.slope(x=factor)

    define(2.0)
    second = define(3.0)
    assert registry["scaled"] is second
    x = leaf(1.0)
    second(x).sum().backward()
    assert x.grad.tolist() == [3.0]


def test_a_built_in_can_not_be_replaced():
    before = registry["mul"]
    with pytest.raises(ValueError, match=r"mul.*built-in"):

        @tg.primitive(domain=(real, real))
        def mul(x, y):
            return x * y

    assert registry["mul"] is before


def test_a_primitive_of_another_module_can_not_be_replaced():
    def mine(x):
        return x

    mine.__module__ = "one_module"
    tg.primitive(mine)
    mine.__module__ = "another_module"
    with pytest.raises(ValueError, match=r"mine.*one_module.*another name"):
        tg.primitive(mine)


def test_rules_are_checked_when_they_are_registered():
    @tg.primitive(domain=(real, real))
    def shifted(x, y, *, by):
        return x + y + by

    with pytest.raises(TypeError, match=r"shifted.*asks for 'w'.*g, z, x, y, by"):
        shifted.pullback(x=lambda g, w: g * w)
    with pytest.raises(TypeError, match=r"shifted has no input 'w'"):
        shifted.slope(w=1)
    with pytest.raises(TypeError, match=r"shifted.*'w_shape'"):
        shifted.pullback(x=lambda g, w_shape: g)
    with pytest.raises(TypeError, match=r"shifted.*'gg'"):
        shifted.pullback(x=lambda g: g, fast=lambda gg: gg)
    with pytest.raises(TypeError, match="must be a function"):
        shifted.pullback(x=3)
    with pytest.raises(TypeError, match=r"shifted.*'i'"):
        shifted.pullback(x=lambda g, i: g)


def test_rules_may_ask_for_everything_there_is():
    asked = {}

    @tg.primitive(domain=Family("made_up"))
    def everything(x, *rest, by, also=3):
        return x * by + sum(rest)

    def rule_x(g, x, z, rest, by, also, x_shape, x_dtype, z_shape, z_dtype, rest_shape, rest_dtype):
        asked.update(locals())
        return g * by

    def rule_rest(g, i, rest_shape):
        return g * 1.0

    everything.pullback(x=rule_x, rest=rule_rest)
    x, a, b = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    everything(x, a, b, by=10).sum().backward()
    assert (asked["by"], asked["also"]) == (10, 3)
    assert asked["x"].tolist() == [1.0, 2.0]
    assert asked["z"].tolist() == [18.0, 30.0]
    assert [r.tolist() for r in asked["rest"]] == [[3.0, 4.0], [5.0, 6.0]]
    assert (asked["x_shape"], asked["z_shape"], asked["rest_shape"]) == ((2,), (2,), ((2,), (2,)))
    assert (asked["x_dtype"], asked["z_dtype"], asked["rest_dtype"]) == (np.float64,) * 2 + ((np.float64,) * 2,)
    assert x.grad.tolist() == [10.0, 10.0]
    assert a.grad.tolist() == b.grad.tolist() == [1.0, 1.0]


def test_only_what_a_rule_names_is_saved():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert (x + y).grad_fn.saved == (None, None, None)
    product = (x * y).grad_fn.saved
    assert product[0] is x._array
    assert product[1] is y._array
    assert product[2] is None
    half = (x * y.detach()).grad_fn.saved  # the rule of y is not needed, so x is not kept
    assert half[0] is None
    assert half[1] is y._array
    exponential = tg.exp(x)
    assert exponential.grad_fn.saved == (None, exponential._array)


def test_a_wrong_gradient_is_named():
    @tg.primitive(domain=Family("made_up"))
    def total(x):
        return np.sum(x)

    total.pullback(x=lambda g: g)
    with pytest.raises(RuntimeError, match=r"rule of total.*shape \(\).*input of shape \(2,\).*missing"):
        total(leaf(1.0, 2.0)).backward()


def test_auxiliary_outputs_carry_no_gradient():
    @tg.primitive(domain=Family("made_up"), outputs=3, auxiliary=(1,))
    def halves(x):
        return x[:1] * 2, np.arange(3), x[1:] * 3

    halves.pullback(x=lambda g: tg.ops.cat(g[0] * 2, g[1] * 3, dim=0))
    x = leaf(1.0, 2.0, 3.0)
    first, where, rest = halves(x)
    assert where.tolist() == [0, 1, 2]
    assert (first.requires_grad, where.requires_grad, rest.requires_grad) == (True, False, True)
    (rest * rest).sum().backward(retain_graph=True)  # first is not used: zeros
    assert x.grad.tolist() == [0.0, 36.0, 54.0]
    found = tg.autograd.grad((first.sum() + rest.sum()) * 2, [rest, first, x], retain_graph=True)
    assert [g.tolist() for g in found] == [[2.0, 2.0], [2.0], [4.0, 6.0, 6.0]]
    (g,) = tg.autograd.grad((first * first).sum(), x, create_graph=True)
    (h,) = tg.autograd.grad(g.sum(), x)
    assert h.tolist() == [8.0, 0.0, 0.0]
    a, b, c = halves(np.array([1.0, 2.0]))
    assert (type(a), b.tolist(), c.tolist()) == (np.ndarray, [0, 1, 2], [6.0])


def test_fused_kernels_are_used_for_arrays_and_rules_for_tensors():
    used = []

    @tg.primitive(domain=Family("made_up"))
    def affine(x, w, b):
        return x * w + b

    def fast(g, x, w):
        used.append("fast")
        return g * w, g * x, g * 1

    affine.pullback(x=lambda g, w: g * w, w=lambda g, x: g * x, b=lambda g: g, fast=fast)
    x, w, b = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    affine(x, w, b).sum().backward()
    assert used == ["fast"]
    assert [v.grad.tolist() for v in (x, w, b)] == [[3.0, 4.0], [1.0, 2.0], [1.0, 1.0]]
    (g,) = tg.autograd.grad(affine(x, w, b).sum(), x, create_graph=True)
    assert tg.autograd.grad(g.sum(), w)[0].tolist() == [1.0, 1.0]
    assert used == ["fast"]
    for v in (x, w, b):
        v.grad = None
    affine(x, w, b).sum().backward(inputs=[w])
    assert w.grad.tolist() == [1.0, 2.0]
    assert x.grad is None, "only the inputs asked for get a gradient"
    assert b.grad is None


def test_python_numbers_stay_numbers():
    """A number is a weak constant: the rule sees it, the dtype is the tensor's, no array is made of it."""
    x = tg.ones(2, requires_grad=True)
    y = x * 2.5
    assert y.dtype == tg.float32
    assert isinstance(y.grad_fn.inputs[1], Const)
    assert y.grad_fn.inputs[1].array == 2.5
    assert (2.5 * x).dtype == (x / 3).dtype == (x**2).dtype == tg.float32


def test_primitives_see_one_floating_dtype_and_gradients_come_back_in_each_inputs_own():
    narrow = tg.ones(2, requires_grad=True)
    wide = tg.ones(2, dtype=tg.float64, requires_grad=True)
    for op in (ops.add, ops.sub, ops.mul, ops.div, ops.maximum):
        for x, y in ((narrow, wide), (wide, narrow)):
            narrow.grad = wide.grad = None
            z = op(x, y)
            assert z.dtype == tg.float64
            z.sum().backward()
            assert (narrow.grad.dtype, wide.grad.dtype) == (tg.float32, tg.float64)
    narrow.grad = None
    ops.add(narrow, np.ones(2)).sum().backward()
    assert narrow.grad.dtype == tg.float32
    joined = ops.cat(narrow, wide, dim=0)
    narrow.grad = wide.grad = None
    joined.sum().backward()
    assert (narrow.grad.dtype, wide.grad.dtype) == (tg.float32, tg.float64)


def test_edges_are_frozen_at_call_time():
    x = leaf(1.0, 2.0)
    y = x * 3
    z = y * 1
    edge = z.grad_fn.inputs[0]
    y.add_(1)
    assert z.grad_fn.inputs[0] is edge
    assert isinstance(x._edge, Leaf)
    a, _ = x.split(1)
    assert isinstance(a._edge, Output)
    assert a._edge == Output(a.grad_fn, 0)
    assert a._edge != Output(a.grad_fn, 1)
    assert hash(a._edge) == hash(Output(a.grad_fn, 0))


def test_nodes_know_their_line_and_their_name():
    x = leaf(1.0, 2.0)
    weighted = x * 3
    assert weighted.grad_fn.name == "weighted"
    unnamed = [x * 4]
    assert unnamed[0].grad_fn.name is None
    assert "weighted = x * 3" in repr(weighted.grad_fn)
    assert "test_primitives.py" in repr(weighted.grad_fn)


def test_objects_that_define_apply_take_the_call_over():
    class Echo:
        def __apply__(self, primitive: Any, inputs: Any, static: Any) -> Any:
            return primitive.name, inputs, static

    echo = Echo()
    assert ops.mul(echo, 2.0) == ("mul", (echo, 2.0), {})
    assert ops.exp(echo) == ("exp", (echo,), {})
    assert ops.sum(echo, dim=(0,)) == ("sum", (echo,), {"dim": (0,), "keepdim": False})
    assert ops.matmul(np.ones((2, 2)), echo)[0] == "matmul"
    assert ops.where(echo, 1.0, 0.0)[0] == "where"
    assert ops.cat(np.ones(2), echo, dim=0)[2] == {"dim": 0}


def test_bare_arrays_are_computed_and_numbers_too():
    assert ops.add(1.0, 2.0) == 3.0
    assert type(ops.add(1.0, 2.0)) is np.ndarray
    assert type(ops.mul(np.float64(2.0), np.ones(()))) is np.ndarray
    assert type(ops.sum(np.ones(3), dim=(0,))) is np.ndarray
    assert type(tg.ones(3).sum()._array) is np.ndarray
    assert type((tg.tensor(1.0) * 2)._array) is np.ndarray
    assert type(tg.ones(3)[0]._array) is np.ndarray


def test_gradients_and_what_hooks_see_are_arrays_never_numpy_scalars():
    x = tg.tensor(2.0, requires_grad=True)
    seen = []
    y = x * x * 3
    y.register_hook(lambda g: seen.append(type(g._array)))
    z = y * y
    z.register_hook(lambda g: seen.append(type(g._array)))
    z.backward()
    assert seen == [np.ndarray, np.ndarray]
    assert type(x.grad._array) is np.ndarray


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy"])
def test_leaves_are_copied(how, requires_grad):
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=tg.float64, requires_grad=requires_grad)
    if requires_grad:
        (x * x).sum().backward()
    y = {
        "pickle": lambda: pickle.loads(pickle.dumps(x)),
        "deepcopy": lambda: copy.deepcopy(x),
        "copy": lambda: x.clone(),
    }[how]()
    assert y.tolist() == x.tolist()
    assert y.requires_grad == requires_grad
    if how == "copy":
        return
    assert y.is_leaf
    assert (y.grad is None) == (not requires_grad or how == "pickle")
    with tg.no_grad():
        y.add_(1)
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    if requires_grad:
        before = x.grad.tolist()
        (y * 2).sum().backward()
        assert x.grad.tolist() == before
        assert y.grad is not None


def test_what_was_pickled_works_together_with_the_rest():
    """Pickled dtypes are equal, not identical."""
    x = pickle.loads(pickle.dumps(tg.ones(2, 2, requires_grad=True)))
    y = tg.ones(2, 2, requires_grad=True)
    for z in (x @ y, y @ x, x + y, tg.maximum(x, y), tg.cat([x, y]), tg.where(y > 0, x, y)):
        assert z.dtype == tg.float32
        z.sum().backward()
    assert x.grad.dtype == y.grad.dtype == tg.float32
    assert repr(pickle.loads(pickle.dumps(tg.ones(1)))) == "tensor([1.])"


def test_pickle_and_deepcopy_refuse_results():
    y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="leaves"):
        pickle.dumps(y)
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(y)


def test_deepcopy_keeps_sharing_inside_a_structure():
    x = leaf(1.0)
    a, b = copy.deepcopy([x, x])
    assert a is b
    assert a is not x
