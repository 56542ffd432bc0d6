"""Text and LaTeX: brackets where precedence asks for them, and none where people would not write them."""

import numpy as np
import pytest
from expressions import arithmetic, assert_close, conditions, latex_as_python, points, run
from hypothesis import given

from tinygrad_edu import explain, ops
from tinygrad_edu.engine.domain import real
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.explain.symbol import symbol_of
from tinygrad_edu.explain.text import people

x, y, w, c = (explain.symbol(name) for name in "xywc")
A, B = explain.symbol("A", (2, 3)), explain.symbol("B", (3, 2))


@given(arithmetic(), points())
def test_text_means_the_expression(symbol, values):
    symbol = symbol_of(symbol)
    assert_close(run(symbol.text(), values), symbol.evaluate(**values))


@given(conditions(), points())
def test_conditions_mean_the_expression(symbol, values):
    assert run(symbol.text(), values) == symbol.evaluate(**values)


@given(arithmetic(), points())
def test_code_is_exactly_the_expression(symbol, values):
    """Not one operation in another order: the same bits."""
    symbol = symbol_of(symbol)
    np.testing.assert_array_equal(np.asarray(run(symbol.code(), values)), symbol.evaluate(**values))


@given(arithmetic(), points())
def test_latex_means_the_expression(symbol, values):
    symbol = symbol_of(symbol)
    assert_close(run(latex_as_python(symbol.latex()), values), symbol.evaluate(**values))


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        (x * (y * (1 - w)), "x * y * (1 - w)"),
        (x + (y - w), "x + y - w"),
        (x - (y + w), "x - (y + w)"),
        (x - (y - w), "x - (y - w)"),
        (-1 * x, "-x"),
        (x * -1, "-x * 1"),
        (x + -y, "x - y"),
        (x - -y, "x + y"),
        (x * -y, "-x * y"),
        (-x * -y, "x * y"),
        (-(x * y), "-x * y"),
        (-(x + y), "-(x + y)"),
        (x + -2 * y, "x - 2 * y"),
        (x / (y * w), "x / (y * w)"),
        (x / (y / w), "x / (y / w)"),
        (x * (y / w), "x * y / w"),
        ((-x) ** 2, "(-x) ** 2"),
        (-(x**2), "-x ** 2"),
        ((x**y) ** w, "(x ** y) ** w"),
        (x ** (y**w), "x ** y ** w"),
        (x**-y, "x ** -y"),
        (2.0 * x + 0.5, "2 * x + 0.5"),
        (1e-12 * x, "1e-12 * x"),
        (ops.exp(x + y) * 2, "exp(x + y) * 2"),
        (ops.where(x > y, x, 0.0), "where(x > y, x, 0)"),
        (~(x <= 0) & (y == 1), "~(x <= 0) & (y == 1)"),
        ((x < y) == (y < w), "(x < y) == (y < w)"),
        (x % (y * w), "x % (y * w)"),
        (x * (y % w), "x * (y % w)"),
        (-(x % y), "-(x % y)"),
        (x * ops.abs(y - w), "x * |y - w|"),
        (ops.sigmoid(x) * (1 - ops.sigmoid(x)), "σ(x) * (1 - σ(x))"),
        (A @ B, "A @ B"),
        (2 * (A @ B), "2 * (A @ B)"),
        ((A @ B) @ (A @ B), "A @ B @ A @ B"),
        ((A + A) @ B, "(A + A) @ B"),
        ((A @ B).mT, "(A @ B)ᵀ"),
        (A.mT.mT, "Aᵀᵀ"),
        (ops.cat(A, A + 1, dim=0), "cat(A, A + 1)"),
        (ops.reshape(A + 1, shape=(3, 2)), "(A + 1).reshape((3, 2))"),
        (ops.index(A, template=(0, ops.Cut(1, None, None))), "A[0, 1:]"),
        (ops.index(A + A, template=(ops.Cut(None, None, 2), Ellipsis)), "(A + A)[::2, ...]"),
        (ops.split(A, sizes=(1, 2), dim=1)[1] + 1, "split(A)[1] + 1"),
        (ops.cumsum(A, dim=1, reverse=True), "cumsum(A, dim=1, reverse=True)"),
        (x + (-y + w), "x + (-y + w)"),
    ],
)
def test_text_as_people_write_it(symbol, text):
    assert symbol.text() == text


@pytest.mark.parametrize(
    ("symbol", "latex"),
    [
        (x / (1 + y), r"\frac{x}{1 + y}"),
        ((x / y) ** 2, r"{\left(\frac{x}{y}\right)}^{2}"),
        ((x**2) ** w, "{({x}^{2})}^{w}"),
        (ops.exp(x) ** 2, r"{(e^{ x })}^{2}"),
        (ops.exp(x + y), "e^{ x + y }"),
        (x * (1 - y), r"x \, (1 - y)"),
        (-(x / y), r"-\frac{x}{y}"),
        (3 * ops.log(x * y), r"3 \, \ln (x \, y)"),
        (ops.log(x) * y, r"(\ln x) \, y"),
        (ops.log1p(-x), r"\ln(1 - x)"),
        (ops.sigmoid(x / y), r"\sigma\left(\frac{x}{y}\right)"),
        (x * 2, r"x \cdot 2"),
        (1e-5 * x, r"1 \cdot 10^{-5} \, x"),
        (A @ B.mT.mT, r"A\,(B^{\top})^{\top}"),
        ((A + A) @ B, r"(A + A)\,B"),
        (ops.where(x > 0, x, -x), r"\begin{cases} x & x > 0 \\ -x & \text{otherwise} \end{cases}"),
        (2 * ops.where(c > 0, x, y), r"2 \, \left(\begin{cases} x & c > 0 \\ y & \text{otherwise} \end{cases}\right)"),
        (~(x <= y) | (x != 0), r"\lnot (x \le y) \vee (x \ne 0)"),
        (ops.sum(A * A, dim=(0,)), r"\sum (A \, A)"),
        (ops.expm1(x) * y, r"(e^{ x } - 1) \, y"),
        (ops.sqrt(x + y), r"\sqrt{ x + y }"),
        (ops.maximum(x, y + 1), r"\max(x, y + 1)"),
        (explain.symbol("w12") + explain.symbol("delta_1"), r"w_{12} + \delta_{1}"),
        (explain.symbol("yhat") - explain.symbol("ŷ"), r"\hat{y} - \hat{y}"),
        (explain.symbol("hidden_size") * x, r"\mathrm{hidden\_size} \, x"),
        (explain.symbol("dC/dw5") * x, r"\frac{\partial C}{\partial w_{5}} \, x"),
    ],
)
def test_latex_as_people_write_it(symbol, latex):
    assert symbol.latex() == latex


@pytest.mark.parametrize("op", registry.values(), ids=list(registry))
def test_latex_of_every_primitive_is_balanced(op):
    for text in explain.derivative(op).latex.values():
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") == text.count(r"\right") + text.count(r"\leftarrow")
        assert text.count("(") == text.count(")")


def test_a_template_decides_how_people_read_a_primitive():
    from tinygrad_edu.engine.calls import Written

    def plus(x, y):
        return x + y

    def root(x):
        return np.sqrt(x)

    def half(x):
        z = x / 2
        return z

    circled = Written(plus, domain=(real, real), text="{x} ⊕ {y}", latex=r"{x} \oplus {y}")
    assert (2 * circled(x, y + 1)).text() == "2 * (x ⊕ (y + 1))"
    assert (2 * circled(x, y + 1)).latex() == r"2 \, (x \oplus (y + 1))"
    prefix = Written(root, domain=(real,), text="√{x}")
    assert (prefix(x) + prefix(x + y)).text() == "√x + √(x + y)"
    assert prefix(x).latex() == r"\operatorname{sqrt}(x)"
    named = Written(half, domain=(real,))
    assert named(x + y).text() == "half(x + y)"


def test_names_and_numbers_may_be_written_otherwise():
    from tinygrad_edu.explain.text import LOOSE, Piece

    negative = people.read(x * (y - x), lambda s: Piece("-1", LOOSE) if s.name == "x" else None)
    assert negative.text == "(-1) * (y - (-1))"


def test_text_of_a_deep_expression_does_not_recurse():
    z = x
    for _ in range(3000):
        z = ops.sin(z)
    assert z.text().count("sin") == z.latex().count("sin") == 3000
    assert np.isfinite(z.evaluate(x=1.0))


@pytest.mark.parametrize(
    ("op", "args", "static", "code"),
    [
        (ops.mul, ["a", "b"], {}, "a * b"),
        (ops.sub, ["a", "b - c"], {}, "a - (b - c)"),
        (ops.mul, ["a", "b * c"], {}, "a * (b * c)"),
        (ops.where, ["a < b", "a", "0"], {}, "ops.where(a < b, a, 0)"),
        (ops.neg, ["a + b"], {}, "-(a + b)"),
    ],
)
def test_expressions_for_emitted_code(op, args, static, code):
    assert explain.expression(op, args, static) == code
