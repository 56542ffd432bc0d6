"""The symbolic reading of every rule is what the engine computes; derivatives of functions come out as on paper."""

import ast
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import explain, ops
from tinygrad_edu.engine.calls import Written, primitive
from tinygrad_edu.engine.domain import Family, real
from tinygrad_edu.engine.node import producer
from tinygrad_edu.engine.primitive import registry
from tinygrad_edu.explain.chain import pull
from tinygrad_edu.explain.examples import example
from tinygrad_edu.explain.symbol import Symbol, apply
from tinygrad_edu.testing import Call, Case, calls, upstream
from tinygrad_edu.testing.cases import Subject
from tinygrad_edu.testing.families import FAMILIES

BUILT_IN = {name: op for name, op in registry.items() if op.__module__.startswith("tinygrad_edu.")}
WITH_RULES = {name: op for name, op in BUILT_IN.items() if op.rules}

every = pytest.mark.parametrize("op", BUILT_IN.values(), ids=list(BUILT_IN))
every_rule = pytest.mark.parametrize("op", WITH_RULES.values(), ids=list(WITH_RULES))


def engine_gradients(op, inputs, static, gs):
    """The gradient of each input, or None, by the engine's walk."""
    case = Case(Subject(op), Call(inputs, static))
    found = dict(zip(case.wanted, case.vjp([np.asarray(g) for g in gs]), strict=True))
    return [found.get(i) for i in range(len(inputs))]


@every
def test_every_primitive_can_be_read(op):
    derivative = explain.derivative(op.name)
    assert str(derivative).startswith(f"{op.name}: z = ")
    assert str(op.forward.__name__) == derivative.name
    for name, symbol in derivative.gradients.items():
        assert (symbol is None) == (name.split("[")[0] in op.constant)
        assert symbol is None or symbol.text()


@every_rule
def test_the_reading_gives_the_engine_s_numbers(op):
    """At the example it was read at: text, symbols and arrays are one rule."""
    arrays, static = example(op)
    outputs = op(*arrays.values(), **static)
    several = op.outputs != 1
    zs = {f"z[{k}]": z for k, z in enumerate(outputs)} if several else {"z": outputs}
    carrying = [item for k, item in enumerate(zs.items()) if k not in op.auxiliary]
    gs = {name.replace("z", "g"): np.cos(np.arange(1.0, z.size + 1)).reshape(z.shape) for name, z in carrying}
    expected = engine_gradients(op, list(arrays.values()), static, gs.values())
    derivative = explain.derivative(op)
    for (name, symbol), gradient in zip(derivative.gradients.items(), expected, strict=True):
        if symbol is None:
            assert gradient is None
        else:
            found = symbol.evaluate(**(arrays | zs | gs))
            np.testing.assert_allclose(np.broadcast_to(found, gradient.shape), gradient, rtol=1e-12, atol=1e-14)
            assert name in derivative.text


@pytest.mark.parametrize(
    "op", [op for op in WITH_RULES.values() if isinstance(op.domain, tuple) or op.domain.name in FAMILIES], ids=str
)
@given(data=st.data())
def test_rules_on_symbols_of_any_shape(op, data):
    """Drawn calls: the symbols of a call, evaluated at its arrays, give the gradients of the walk, also simplified."""
    call = data.draw(calls(op).strategy())
    inputs = [Symbol(f"i{k}", v) if isinstance(v, np.ndarray) else v for k, v in enumerate(call.inputs)]
    values = {f"i{k}": v for k, v in enumerate(call.inputs) if isinstance(v, np.ndarray)}
    floats = [k for k, v in enumerate(call.inputs) if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    out = apply(op, tuple(inputs), {**op.defaults, **call.static})
    results = out if isinstance(out, tuple) else (out,)
    carrying = [r for k, r in enumerate(results) if k not in op.auxiliary]
    gs = {f"g{k}": data.draw(upstream(r.value.shape).strategy()) for k, r in enumerate(carrying)}
    expected = engine_gradients(op, call.inputs, call.static, gs.values())
    symbols = [Symbol(name, g) for name, g in gs.items()]
    g = tuple(symbols) if op.outputs != 1 else symbols[0]
    for given_, r in pull(results[0].call, g, out):
        if given_.name is None or int(given_.name[1:]) not in floats:
            continue
        gradient = expected[int(given_.name[1:])]
        for reading in (r, explain.simplify(r)):
            found = reading.evaluate(**values, **gs)
            assert found.shape == gradient.shape
            np.testing.assert_allclose(found, gradient, rtol=1e-9, atol=1e-9)


@every_rule
def test_code_of_a_derivative_runs(op):
    """The exact code of the symbolic reading, evaluated by Python, is the reading evaluated."""
    arrays, static = example(op)
    outputs = op(*arrays.values(), **static)
    known = {name.split("[")[0]: array for name, array in arrays.items()}
    if op.variadic is not None:
        known[op.variadic] = [array for name, array in arrays.items() if name.startswith(f"{op.variadic}[")]
    known |= {"z": outputs, "g": outputs}
    zs = {f"z[{k}]": z for k, z in enumerate(outputs)} if op.outputs != 1 else {"z": outputs}
    values = arrays | zs | {name.replace("z", "g", 1): z for name, z in zs.items()}
    for symbol in explain.derivative(op).gradients.values():
        if symbol is not None:
            found = eval(symbol.code(), {"np": np, "ops": ops, "registry": registry}, dict(known))
            np.testing.assert_array_equal(np.asarray(found), symbol.evaluate(**values))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add", {"x": "g", "y": "g"}),
        ("sub", {"x": "g", "y": "-g"}),
        ("mul", {"x": "g * y", "y": "g * x"}),
        ("div", {"x": "g / y", "y": "-g * z / y"}),
        ("exp", {"x": "g * z"}),
        ("log", {"x": "g / x"}),
        ("sqrt", {"x": "g / (2 * z)"}),
        ("sigmoid", {"x": "g * z * (1 - z)"}),
        ("tanh", {"x": "g * (1 - z ** 2)"}),
        ("relu", {"x": "where(~(z <= 0), g, 0)"}),
        ("abs", {"x": "g * sign(x)"}),
        ("cos", {"x": "-g * sin(x)"}),
        ("matmul", {"a": "g @ bᵀ", "b": "aᵀ @ g"}),
        ("where", {"c": "no gradient", "x": "where(c, g, 0)", "y": "where(~c, g, 0)"}),
        ("sum", {"x": "expand(g, x.shape)"}),
        ("reshape", {"x": "g.reshape(x.shape)"}),
        ("bce_with_logits", {"x": "g * (σ(x) - y)", "y": "-g * x"}),
        ("cat", {"tensors[0]": "g.narrow(dim, 0, tensors[0].shape[dim])"}),
        ("split", {"x": "cat(g[0], g[1])"}),
        ("cumsum", {"x": "cumsum(g, dim=dim, reverse=True)"}),
    ],
)
def test_texts_on_the_back_page_of_a_calculus_book(name, expected):
    found = explain.derivative(name).text
    assert expected.items() <= found.items()


def test_repr_and_latex_of_a_derivative():
    assert str(explain.derivative("mul")) == "mul: z = x * y\n    dC/dx = g * y\n    dC/dy = g * x"
    assert str(explain.derivative("eq")) == "eq: z = x == y\n    no gradient"
    assert explain.derivative("sqrt").latex == {"x": r"\frac{g}{2 \, z}"}
    assert r"\frac{\partial C}{\partial x} &= g \, y" in explain.derivative("mul")._repr_latex_()


def test_the_tables_have_a_row_for_every_primitive():
    markdown, latex = explain.table().splitlines(), explain.table("latex").splitlines()
    for name in BUILT_IN:
        assert sum(row.startswith(f"| `{name}` |") for row in markdown) == 1
        assert sum(row.startswith(name.replace("_", r"\_") + " &") for row in latex) == 1
    with pytest.raises(ValueError, match="'markdown' or 'latex'"):
        explain.table("html")


def test_sigmoid_prime_is_sigma_times_one_minus_sigma():
    assert explain.gradient(ops.sigmoid).text() == "σ(x) * (1 - σ(x))"


def test_cross_entropy_of_a_sigmoid_has_the_slope_yhat_minus_y():
    def loss(z, y):
        yhat = ops.sigmoid(z).named("yhat")
        return -(y * ops.log(yhat) + (1 - y) * ops.log(1 - yhat))

    assert explain.gradient(loss, "z").text() == "yhat - y"
    assert explain.gradient(loss, "z").latex() == r"\hat{y} - y"
    plain = explain.gradient(lambda z, y: -(y * ops.log(ops.sigmoid(z)) + (1 - y) * ops.log(1 - ops.sigmoid(z))), "z")
    assert plain.text() == "σ(z) - y"
    z = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(plain.evaluate(z=z, y=0.3), 1 / (1 + np.exp(-z)) - 0.3, rtol=1e-12)


def test_squared_error_of_a_sigmoid_keeps_the_factor_sigma_prime():
    def loss(w, x, b, y):
        yhat = ops.sigmoid(w * x + b).named("yhat")
        return (yhat - y) ** 2

    found = explain.derivative(loss)
    assert found.text["w"] == "2 * (yhat - y) * yhat * (1 - yhat) * x"
    assert found.text["b"] == "2 * (yhat - y) * yhat * (1 - yhat)"
    assert str(found).startswith("loss: loss = (yhat - y) ** 2\n    dloss/dw = 2 *")


def test_a_composite_is_differentiated_through():
    def softplus(x):
        return ops.log(1 + ops.exp(x))

    found = explain.gradient(softplus)
    assert found.text() == "exp(x) / (1 + exp(x))"
    x = tg.tensor(np.linspace(-2, 2, 9), requires_grad=True)
    tg.log(1 + tg.exp(x)).sum().backward()
    np.testing.assert_allclose(found.evaluate(x=x.detach().numpy()), x.grad.numpy(), rtol=1e-12)


def test_second_derivatives_by_reading_twice():
    first = explain.symbol("x")
    once = explain.gradient(lambda x: x**4)
    assert once.text() == "4 * x ** 3"
    twice = explain.gradient(lambda x: 4 * x**3)
    assert twice.text() == "12 * x ** 2"
    assert first.text() == "x"


def test_matrices_need_shapes():
    shapes = {"X": (5, 3), "W": (3, 2), "b": (2,)}

    def layer(X, W, b):
        return X @ W + b

    found = explain.derivative(layer, shapes=shapes)
    assert found.text == {"X": "g @ Wᵀ", "W": "Xᵀ @ g", "b": "sum(g to b.shape)"}
    with pytest.raises(TypeError, match=r"shapes=\{'W': \(2, 3\), 'x': \(3,\)\}"):
        explain.derivative(layer)
    vector = explain.gradient(lambda W, x: ops.sum(W @ x, dim=(0,)), "W", shapes={"W": (2, 3), "x": (3,)})
    assert vector.text() == "expand(1, (W @ x).shape) @ xᵀ"
    assert vector.evaluate(W=np.ones((2, 3)), x=[1.0, 2, 3]).tolist() == [[1, 2, 3], [1, 2, 3]]


def test_an_unused_parameter_has_gradient_0():
    assert [g.text() for g in explain.gradient(lambda x, y: x * 2)] == ["2", "0"]


def test_several_outputs_and_parts_nobody_used():
    def f(x):
        _, right = ops.split(x, sizes=(1, 2), dim=0)
        return ops.sum(right * right, dim=(0,))

    found = explain.gradient(f, shapes={"x": (3,)})
    assert found.text() == "cat(0, 2 * split(x)[1])"
    assert found.evaluate(x=[1.0, 2.0, 3.0]).tolist() == [0, 4, 6]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: explain.derivative("sigmoi"), ValueError, "no primitive 'sigmoi': did you mean sigmoid"),
        (lambda: explain.derivative(3), TypeError, "takes a primitive, its name, or a function"),
        (lambda: explain.gradient(lambda x: x, "y"), ValueError, "no parameter 'y', only x"),
        (lambda: explain.gradient(lambda x: x, shapes={"z": ()}), ValueError, "no parameter 'z'"),
        (lambda: explain.gradient(lambda x: tg.exp(x)), TypeError, "tinygrad_edu.ops, which take symbols"),
        (lambda: explain.gradient(lambda x: x if x > 0 else 0), TypeError, "neither true nor false"),
        (lambda: explain.symbol("x").evaluate(y=1), TypeError, "no value for 'x'"),
        (
            lambda: explain.gradient(lambda v: ops.sum(v * v, dim=(0,)) ** 2, shapes={"v": (3,)}).evaluate(
                v=[1.0, 2.0]
            ),
            ValueError,
            r"was read for other shapes: got v of shape \(2,\), not \(3,\)",
        ),
    ],
)
def test_errors_say_what_to_do(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_family_of_one_s_own_brings_its_example():
    def shift(x, *, by):
        return np.roll(x, by)

    try:
        op = primitive(shift, domain=Family("rolled"))
        op.pullback(x=lambda g, by: op(g, by=-by))
        with pytest.raises(ValueError, match="shift needs by to be read"):
            explain.derivative(op)
        op = primitive(shift, domain=Family("rolled", data={"example": ({"x": (4,)}, {"by": 1})}))
        op.pullback(x=lambda g, by: op(g, by=-by))
        assert str(explain.derivative(op)) == "shift: z = roll(x, by)\n    dC/dx = roll(g, -1)"
    finally:
        registry.pop("shift", None)


def test_a_primitive_of_one_s_own_is_read_like_the_others():
    def softsign(x):
        """x / (1 + |x|)."""
        return x / (1 + np.abs(x))

    op = Written(softsign, domain=(real,))
    op.slope(x=lambda x: 1 / (1 + abs(x)) ** 2)
    assert str(explain.derivative(op)) == "softsign: z = x / (1 + abs(x))\n    dC/dx = g / (1 + |x|) ** 2"


def test_gradients_of_the_walk_and_of_symbols_use_the_same_bound_rule():
    """A changed rule changes every reading: there is no second place where a derivative is written."""
    x = tg.tensor(2.0, requires_grad=True)
    y = ops.exp(x)
    rule = producer(y._edge).op.rules["x"]
    old = rule.fn
    try:
        rule.fn = lambda z: z + 1
        rule._bound.clear()
        assert explain.derivative("exp").text["x"] == "g * (z + 1)"
    finally:
        rule.fn = old
        rule._bound.clear()


def test_reading_formulas_compiles_nothing():
    code = (
        "import sys, tinygrad_edu as tg; assert 'tinygrad_edu.explain' not in sys.modules; tg.explain.table(); "
        "tg.explain.gradient(tg.ops.sigmoid).evaluate(x=1.0); assert tg.kernels.backend() == 'numba'; "
        "print([m for m in ('numba', 'scipy', 'matplotlib', 'hypothesis') if m in sys.modules])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TINYGRAD_EDU_KERNELS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"


def test_no_derivative_is_written_in_explain():
    """The package never asks which primitive a rule belongs to, except for arithmetic that is equal by algebra."""
    algebra = {"add", "sub", "neg", "mul", "div", "pow", "where", "mT", "matmul"}
    allowed = algebra | {"expand", "reshape", "copy", "cast", "sum_to"}
    seen = set()
    for module in (explain.derivative, explain.gradient, explain.simplify, explain.worked, explain.explain):
        tree = ast.parse(inspect.getsource(inspect.getmodule(module)))
        seen |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ops"
        }
    assert seen & set(registry) <= allowed
