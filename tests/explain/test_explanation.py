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
    assert found.derivatives == {"x": "cat(g[0], g[1])"}


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


def test_the_local_derivative_of_one_input():
    """What a drawing writes on an arrow."""
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    c = tg.tensor([3.0, 4.0])
    y = x * c
    assert explain.local_derivative(y.grad_fn, 0) == "g * c"
    h = tg.sigmoid(x)
    assert explain.local_derivative(h.grad_fn, 0) == "g * h * (1 - h)"
    assert explain.local_derivative((x == c).to(tg.float32).mul(x).grad_fn, 1) == "g * x"
