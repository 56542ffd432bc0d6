"""One tensor explained: its line, what computed it, its local derivatives."""

import pytest

import tinygrad_edu as tg
from tinygrad_edu import explain


def test_a_computed_tensor():
    x, w = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0], requires_grad=True)
    z = x * w
    found = explain.explain(z)
    assert (found.name, found.what, found.shape, found.dtype) == ("z", "computed", (2,), tg.float32)
    assert found.derivatives == {"x": "g * w", "w": "g * x"} or found.derivatives == {"x": "g * y", "y": "g * x"}
    assert found.where.endswith("z = x * w")
    assert str(found).startswith(f"z = {found.formula}\n    float32 (2,), from test_explanation.py")


def test_names_are_the_variables():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    w = tg.tensor([3.0, 4.0], requires_grad=True)
    b = tg.tensor(0.5, requires_grad=True)
    p = x * w
    s = p + b
    square = w * w
    assert explain.explain(p).derivatives == {"x": "g * w", "w": "g * x"}
    assert explain.explain(s).formula == "p + b"
    assert explain.explain(s).derivatives == {"p": "g", "b": "sum(g to b.shape)"}
    assert explain.explain(square).derivatives == {"w": "2 * g * w"}
    assert explain.explain(tg.exp(x) * 2).derivatives == {"x": "2 * g"}
    assert explain.explain(x**3).derivatives == {"x": "3 * g * x ** 2"}


def test_parts_of_a_tensor():
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    _, right = x.split([1, 2])
    found = explain.explain(right)
    assert found.shape == (2,)
    assert found.formula == "split(x)[1]"
    assert found.derivatives == {"x": "cat(0, g)"}


def test_the_steps_of_one_call_are_read_together():
    W = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = tg.tensor([1.0, -1.0], requires_grad=True)
    product = W @ x
    mean = product.mean()
    assert explain.explain(product).formula == "W @ x"
    assert explain.explain(product).derivatives == {"W": "g @ xᵀ", "x": "Wᵀ @ g"}
    assert explain.explain(mean).formula == "mean(product)"
    assert explain.explain(mean).derivatives == {"product": "expand(g / 2, product.shape)"}


def test_a_result_named_like_its_input():
    x = tg.tensor(1.0, requires_grad=True)
    x = x * 3
    assert explain.explain(x).derivatives == {"x_1": "3 * g"}
    y = x
    for _ in range(2):
        y = y * x
    assert explain.explain(y).name == "y"


def test_leaves_and_constants():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    c = tg.tensor([1.0, 2.0])
    assert str(explain.explain(w)).startswith(
        "w: a leaf that requires grad\n    float32 (2,), from test_explanation.py"
    )
    assert str(explain.explain(c)).startswith("c: a constant: no gradient is computed for it")
    assert explain.explain(c * 2).what == "constant"
    with pytest.raises(TypeError, match="takes a tensor, not list"):
        explain.explain([1.0])


def test_a_function_of_one_s_own_has_a_formula_but_no_rule():
    class Cube(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    x = tg.tensor(2.0, requires_grad=True)
    y = Cube.apply(x)
    found = explain.explain(y)
    assert (found.formula, found.derivatives) == ("Cube(x)", {})
    with pytest.raises(NotImplementedError, match="Cube cannot be replayed: it is a Python function"):
        explain.worked(y)
