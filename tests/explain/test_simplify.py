"""The simplifier: never another value, shape or dtype; and as short as on paper where it matters."""

import numpy as np
import pytest
from expressions import arithmetic, assert_close, points
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu import explain, ops
from tinygrad_edu.explain.symbol import symbol_of

x, y, w = (explain.symbol(name) for name in "xyw")
A, B = explain.symbol("A", (2, 2)), explain.symbol("B", (2, 2))

SHAPES = [{}, {"x": (3,), "y": (2, 3), "w": ()}, {"x": (2, 1), "y": (3,), "w": (1,)}, {"x": (0,), "y": (), "w": (1,)}]


@given(st.data())
def test_simplifying_changes_no_value(data):
    shapes = data.draw(st.sampled_from(SHAPES))
    symbol = symbol_of(data.draw(arithmetic(5, shapes)))
    values = data.draw(points(shapes))
    shorter = explain.simplify(symbol)
    assert shorter.size <= symbol.size
    assert tuple(shorter.shape) == tuple(symbol.shape)
    assert shorter.dtype == symbol.dtype
    found, expected = shorter.evaluate(**values), symbol.evaluate(**values)
    if shapes:
        assert found.shape == expected.shape
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        (x * 1, "x"),
        (x + 0, "x"),
        (0 * x, "0"),
        (x - x, "0"),
        (x / x, "1"),
        (-1 * -x, "x"),
        (x * y / y, "x"),
        (x / y * y, "x"),
        (x * (y / x), "y"),
        (x + x, "2 * x"),
        (x * x, "x ** 2"),
        (3 * x - x, "2 * x"),
        (2 * x * 0.5, "x"),
        (1 / (1 / x), "x"),
        (x * 2 / 3, "2 * x / 3"),
        (x * (1 / 3), "x / 3"),
        (0.1 * x, "0.1 * x"),
        (x**3 / x, "x ** 2"),
        ((x - y) / (y - x), "-1"),
        ((x - y) ** 2 / (y - x), "y - x"),
        ((x + y) * w / (y + x), "w"),
        (y * (1 - x) - (1 - y) * x, "y - x"),
        (-x + y, "y - x"),
        (x * y + x * w, "x * (y + w)"),
        (ops.log(x + y) - ops.log(y + x), "0"),
        (ops.where(x > 0, y * 1, y), "y"),
        (x * (1 - x), "x * (1 - x)"),
        ((1 + 2) * x + 4 - 4, "3 * x"),
        (x**0.5 * x**0.5, "(x ** 0.5) ** 2"),
        (2**x, "2 ** x"),
        (symbol_of(2.0) + 3, "5"),
        (A.mT.mT, "A"),
        ((A.mT @ B).mT, "Bᵀ @ A"),
        ((A.mT @ B.mT).mT, "B @ A"),
        ((A @ A).mT, "(A @ A)ᵀ"),
        ((2 * A.mT.mT).mT, "(2 * A)ᵀ"),
    ],
)
def test_readings(symbol, text):
    assert explain.simplify(symbol).text() == text


def test_transposes_keep_the_value():
    """Also of a batch of products, whose leading axes broadcast."""
    a, b = explain.symbol("a", (3, 1, 2, 4)), explain.symbol("b", (5, 2, 3))
    symbol = (a.mT @ b).mT
    values = {"a": np.sin(np.arange(24.0)).reshape(3, 1, 2, 4), "b": np.cos(np.arange(30.0)).reshape(5, 2, 3)}
    assert explain.simplify(symbol).text() == "bᵀ @ a"
    np.testing.assert_allclose(explain.simplify(symbol).evaluate(**values), symbol.evaluate(**values), rtol=1e-12)


def test_what_has_a_shape_keeps_it():
    """x - x is not the number 0 when x is a vector: its sum is 0, and that of x / x is 3."""
    v = explain.symbol("v", (3,))
    assert explain.simplify(v / v).evaluate(v=[1.0, 2.0, 4.0]).tolist() == [1, 1, 1]
    assert explain.simplify(ops.sum(v / v, dim=(0,))).evaluate(v=[1.0, 2.0, 4.0]) == 3


def test_repeating_is_left_to_broadcasting():
    v = explain.symbol("v", (3,))
    assert explain.simplify(ops.expand(x, shape=(3,)) * v).text() == "x * v"
    assert explain.simplify(ops.expand(x, shape=(3,)) * x).text() == "expand(x, (3,)) * x"


def test_numbers_of_an_array_dtype_keep_it():
    single = explain.symbol("s", value=np.float32(0.5))
    half = explain.simplify((single + single) / 4)
    assert half.dtype == np.float32
    assert half.text() == "s / 2"


def test_long_products_of_sums_are_left_alone():
    z = x + y
    for k in range(2, 9):
        z = z * (x + k * y)
    assert explain.simplify(z).text().count("+") == 8
