"""`check` finds what is wrong with an operation, and says what it probably is; it has nothing against right ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import wrong_operations as wrong

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu.testing import (
    GradientError,
    broadcasting,
    check,
    conv_case,
    distinct,
    edge,
    graph_case,
    indices,
    laid_out,
    nonzero,
    pool_case,
    positive,
    real,
    run_graph,
    tied,
)

# operation: (arguments, the property that must not hold, words of the diagnosis)
WRONG = {
    wrong.ForgetsG: ([real((2, 3))], "gradient", "matches when g is all ones.*multiply by g"),
    wrong.ForgetsTheSum: ([real((4, 3)), real((3,))], "gradient", "the first slice.*axis 0.*broadcast sum is missing"),
    wrong.TakesAllAtTies: ([real((3, 4))], "subgradient", "tie.*shares add up to g"),
    wrong.NothingAtTies: ([tied((3, 4))], "subgradient", "tie.*shares add up to g"),
    wrong.WrongSecondOrder: ([real((3,))], "second order", "first order is right.*numpy"),
    wrong.WrongInFloat32: ([real((3,))], "float32", "right in float64, wrong in float32"),
    wrong.Float32Constant: ([real((3,))], "gradient", "right to about [78] digits.*float32"),
    wrong.WrongLayout: ([real((2, 3))], "layout", "right when everything is row-major"),
    wrong.Negative: ([real((3,))], "gradient", "the negative.*sign"),
    wrong.SlightlyOff: ([real((3,))], "gradient", "right to about 6 digits"),
    wrong.LastEntryWrong: ([real((3,))], "gradient", "only the last slice of axis 0"),
    wrong.NaNSomewhere: ([real((3,))], "gradient", "NaN .where x is 0.*0 / 0"),
    wrong.ReversesG: ([real((3,))], "gradient", "all entries of g, each in its place"),
    wrong.SquaresG: ([real((3,))], "gradient", "matches when g is all ones"),
    wrong.ColumnMean: ([real((3, 2))], "gradient", "the ratio is exactly 3, the size of axis 0.*mean forgotten"),
    wrong.Subtracts: ([real((3,)), real((3,))], "gradient", "negative|gradient of y: were the two swapped"),
    wrong.NotRepeated: ([real((3, 2))], "shape and dtype", "fewer entries than the input: repeat it"),
    wrong.Transposes: ([real((3, 3))], "gradient", "matches after transposing"),
    wrong.Picks: ([real((3, 2)), indices(3, (4,)).map(lambda at: at % 3)], "gradient", "index occurs more than once"),
    wrong.WritesIntoG: ([real((3,))], "untouched", "instead of writing in place"),
    wrong.ClipsItsInput: ([positive((3,)).map(lambda x: -x)], "untouched", "instead of writing in place"),
    wrong.Hoards: ([real((3,))], "graph freed", "a list"),
    wrong.Unsteady: ([nonzero((3,))], "deterministic", "random, or remembered"),
}  # fmt: skip


@pytest.mark.parametrize("op", WRONG, ids=lambda op: op.__name__)
def test_a_wrong_gradient_is_caught_in_one_line_with_its_cause(op):
    arguments, name, words = WRONG[op]
    with pytest.raises(GradientError, match=f"(?s)^the gradient of {op.__name__} is wrong.*{words}") as caught:
        check(op, *arguments)
    assert caught.value.property == name
    assert "case      " + op.__name__ in str(caught.value)


RIGHT = {
    "square": (wrong.Square, [real((2, 3))]),
    "bias": (wrong.AddsBias, [real((4, 3)), real((3,))]),
    "a function with kinks": (wrong.Clipped, [real((3, 4))]),
    "shared ties": (wrong.RowMax, [tied((3, 4))]),
    "ties": (lambda x: x.amax(1), [tied((2, 3))]),
    "the first of several": (lambda x: x.max(1).values, [tied((2, 3))]),
    "corners": (lambda x: tg.clamp(x, -1.0, 1.0), [real((4,))]),
    "maximum": (tg.maximum, [broadcasting(real, real)]),
    "division": (tg.div, [broadcasting(real, nonzero)]),
    "norm": (tg.norm, [real((3,))]),
    "a median": (lambda x: tg.sort(x, 0).values[1], [distinct((3,))]),
    "infinities": (tg.relu, [edge((4,))]),
    "logarithm of anything": (tg.log, [edge((4,))]),
    "layouts": (lambda x, w: tg.log(x) @ w, [laid_out(positive((3, 4))), real((4,))]),
    "pooling": (F.max_pool2d, [pool_case()]),
    "convolution": (F.conv2d, [conv_case()]),
    "graphs": (run_graph, [graph_case()]),
    "several outputs": (lambda x: (x * 2, x.sum()), [real((2,))]),
    "no outputs that depend on x": (lambda x: tg.zeros(3), [real((2,))]),
    "arrays": (lambda x, n: x**n, [np.array([1.5, -0.5]), 3]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name):
    op, arguments = RIGHT[name]
    report = check(op, *arguments)
    assert report.cases in (3, 25)
    assert "all gradients right" in str(report)
    assert set(report.properties) >= {"gradient", "second order", "layout", "float32"}


def test_the_report_names_oracles_and_kinks():
    smooth = check(lambda x: x * x, real((3,)))
    assert smooth.oracles == {"complex step": 25}
    assert smooth.kinks == 0
    kinked = check(tg.ops.relu)
    assert kinked.oracles["central differences"] > 0
    assert kinked.kinks > 0
    assert "central differences" in str(kinked)
    assert 0 < kinked.error < 1e-6
    assert check(tg.log, edge((4,))).oracles["none: not finite"] > 0


def test_the_failing_case_is_the_smallest():
    """Shrunk: zeros everywhere but where the mistake shows."""
    with pytest.raises(GradientError) as caught:
        check(wrong.LastEntryWrong, real((4,)))
    (x,) = caught.value.case.xs
    assert np.count_nonzero(x) == 1
    assert abs(x[-1]) == 1 / 16
    with pytest.raises(GradientError) as caught:
        check(wrong.Subtracts, broadcasting(real, real))
    assert all(v.size == 1 for v in caught.value.case.xs)


def test_second_order_can_be_left_out():
    check(wrong.WrongSecondOrder, real((3,)), orders=1)


def test_parameters_of_the_function():
    check(tg.sum, real((2, 3)), dim=1, keepdim=True)
    with pytest.raises(GradientError):
        check(lambda x, *, k: wrong.Negative.apply(x) * k, real((2,)), k=2.0)


def test_only_tensors_that_require_grad_are_checked():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = tg.tensor([3.0, 4.0])
    check(lambda x, y: x * y.detach(), x, y)
    with pytest.raises(GradientError, match=r"is wrong for y(?s:.)*was the graph left"):
        check(lambda x, y: x * y.detach(), x, y.requires_grad_())


def test_an_error_in_backward_is_a_wrong_gradient_and_one_in_forward_is_not():
    class Raises(wrong.Square):
        @staticmethod
        def backward(ctx, g):
            return g[:1, :1, :1]

    with pytest.raises(GradientError, match="backward pass raised"):
        check(Raises, real((2,)))
    with pytest.raises(ZeroDivisionError):
        check(lambda x: x * (1 // 0), real((2,)))


def test_what_is_no_operation_is_refused():
    with pytest.raises(TypeError, match="takes a primitive"):
        check(3.0, real((2,)))
    with pytest.raises(TypeError, match="must return tensors, not float"):
        check(lambda x: 1.0, real((2,)))

    @tg.primitive()
    def without_a_domain(x):
        return x

    without_a_domain.slope(x=1)
    try:
        with pytest.raises(NotImplementedError, match="has no domain"):
            check(without_a_domain)
        check(without_a_domain, real((2,)))
    finally:
        del tg.engine.primitive.registry["without_a_domain"]


def test_a_backward_that_cannot_be_empty():
    class NeedsAnEntry(wrong.Square):
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return wrong.Square.backward(ctx, g) + 0 * x.max()

    with pytest.raises(GradientError, match="size 0: the backward pass raised"):
        check(NeedsAnEntry, real((3,)))


def test_a_rule_that_looks_at_numbers_has_no_formula():
    @tg.primitive(domain=(tg.engine.domain.real,))
    def looked_at(x):
        return 2 * x

    looked_at.slope(x=lambda x: 2.0 if float(tg.ops.sum(x * 0, dim=tuple(range(x.ndim)))) == 0 else 3.0)
    try:
        with pytest.raises(GradientError) as caught:
            check(looked_at, orders=1)
        assert caught.value.property == "symbolic"
    finally:
        del tg.engine.primitive.registry["looked_at"]


def test_every_property_is_the_one_that_notices_something():
    from tinygrad_edu.testing import PROPERTIES
    from tinygrad_edu.testing.kills import kills, walk_kills

    noticed = {name for _, name, _ in WRONG.values()} | {"size 0", "symbolic"}
    noticed |= set(kills(tg.ops.exp).by) | set(walk_kills(20).by)
    assert noticed == set(PROPERTIES)


def test_a_function_of_no_floating_argument_is_refused():
    for arguments in ((), (np.array([1, 2]),)):
        with pytest.raises(ValueError, match=r"no argument of .* is a floating array"):
            check(lambda *x: tg.ones(3), *arguments)
    with pytest.raises(TypeError, match="must return tensors, not ndarray"):
        check(lambda x: x.detach().numpy(), real((2,)))


def test_an_infinite_slope_that_is_right_passes():
    assert check(tg.sqrt, np.array([0.0, 1.0, 4.0])).unknown > 0


def test_no_warning_about_complex_numbers():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tg.exp, real((2,)))


class TwoOutputs(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2, x * x

    @staticmethod
    def backward(ctx, a, b):
        return a * 2


class OtherDivisor(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.mean(0)

    @staticmethod
    def backward(ctx, g):
        return g.expand(ctx.shape) / ctx.shape[1]


class SlightlyRounded(wrong.Square):
    @staticmethod
    def backward(ctx, g):
        return wrong.Square.backward(ctx, g) * (1 + 1e-9)


class Smaller(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1e-9

    @staticmethod
    def backward(ctx, g):
        return g * 0.5e-9


@pytest.mark.parametrize(
    ("op", "argument", "words"),
    [
        (TwoOutputs, real((3,)), ["what comes from output 1 is missing"]),
        (OtherDivisor, real((3, 4)), ["ratio is exactly 3 / 4: is the divisor 4"]),
        (SlightlyRounded, real((3,)), ["right to about 9 digits"]),
        (Smaller, real((3,)), ["too small by the same factor, 1 / 2"]),
        (lambda x: 2 * x.detach() - x, real((3,)), ["the negative of the right gradient"]),
        (lambda x: x - x.detach().mean(0), real((3, 2)), ["constant along axis 0"]),
    ],
)
def test_the_diagnosis_says_this_and_nothing_else(op, argument, words):
    with pytest.raises(GradientError) as caught:
        check(op, argument)
    assert len(caught.value.causes) == len(words)
    assert all(w in c for w, c in zip(words, caught.value.causes, strict=True))


@pytest.mark.parametrize("returns", [lambda x: x.argmax(), lambda x: ()])
def test_what_returns_no_floating_tensor_is_refused(returns):
    with pytest.raises(ValueError, match="returns no floating tensor: there is no gradient to check"):
        check(returns, real((3,)))
