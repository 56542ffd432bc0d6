"""Wrong gradients where a function has a kink, a pole, or a formula that divides by zero."""

from __future__ import annotations

import numpy as np
from museum import Exhibit, agrees_at

import tinygrad_edu as tg
from tinygrad_edu.testing import check, nonzero, real, tied


class TiesTakeAll(Exhibit):
    """Every tied maximum takes the whole gradient

    Entries that tie for the maximum must share its gradient, or one of them takes it.  Here each gets all of it: a
    row of n equal entries is pushed n times too hard.  Pooling after a relu ties all the time, on zeros.
    """

    seen = "DeZero 0.0.13, where `max([1, 1, 0])` has the gradient `[1, 1, 0]`; reported in apache/mxnet#18563"
    right = staticmethod(lambda x: x.amax(1, keepdim=True))
    property = "subgradient"
    cause = "at a tie the entries must share the gradient"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            z = x.amax(1, keepdim=True)
            ctx.save_for_backward(x, z)
            return z

        @staticmethod
        def backward(ctx, g):
            x, z = ctx.saved_tensors
            return g * (x == z).to(g.dtype)

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([[1.0, 3.0, 2.0], [5.0, 4.0, 6.0]]))

    @staticmethod
    def kit(op):
        check(op, tied((2, 3)))


class NobodyWinsATie(Exhibit):
    """At x = y neither side of maximum(x, y) gets a gradient

    Then maximum(x, x), which is x, has the derivative 0.
    """

    seen = "MyGrad 2.5.0, where it is the documented convention"
    right = staticmethod(tg.maximum)
    property = "subgradient"
    cause = "at a tie the entries must share the gradient"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return tg.maximum(x, y)

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * (x > y).to(g.dtype), g * (x < y).to(g.dtype)

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([1.0, 3.0, -2.0]), np.array([2.0, 1.0, -3.0]))

    @staticmethod
    def kit(op):
        check(op, tied((3,)), tied((3,)))


class CountOverflows(Exhibit):
    """The number of ties does not fit its type

    The gradient is divided by how many entries tie, and the count is kept in a narrow type: 8 bits here, half
    precision where it was seen, so that the gradient of many ties became 0.
    """

    seen = "reported in tinygrad/tinygrad#12296"
    right = staticmethod(lambda x: x.amax())
    property = "subgradient"
    cause = "at a tie the entries must share the gradient"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            z = x.amax()
            ctx.save_for_backward(x, z)
            return z

        @staticmethod
        def backward(ctx, g):
            x, z = ctx.saved_tensors
            ties = (x == z).detach().numpy()
            return g * (x == z).to(g.dtype) / float(ties.sum(dtype=np.uint8))

    @staticmethod
    def naive(f):
        x = tg.tensor([2.0, 1.0, 2.0, 2.0], requires_grad=True)
        z = f(x)
        z.backward()
        assert z.item() == 2
        np.testing.assert_allclose(x.grad.numpy(), np.array([1, 0, 1, 1]) / 3, rtol=1e-6)

    @staticmethod
    def kit(op):
        check(op, np.ones(300), orders=1)


class ProductDividesByZero(Exhibit):
    """The gradient of a product, computed as the product divided by each factor

    With a zero among the factors this is 0 / 0.  The gradient of a factor is the product of the others.
    """

    seen = "autograd 1.9.1, where the gradient of `prod([0, 2, 3])` is `[nan, 0, 0]`; reported in apache/mxnet#18078"
    right = staticmethod(lambda x: tg.prod(x))
    cause = "the gradient is NaN .where x is 0.*0 / 0"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            z = tg.prod(x)
            ctx.save_for_backward(x, z)
            return z

        @staticmethod
        def backward(ctx, g):
            x, z = ctx.saved_tensors
            return g * z / x

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([1.5, -2.0, 3.0]))

    @staticmethod
    def kit(op):
        check(op, real((3,)))


class PowerDividesByZero(Exhibit):
    """The slope of x ** n, computed from the output as n z / x

    It saves a power, and is 0 / 0 at x = 0.  One such entry makes the whole network NaN in the next step.
    """

    seen = "reported in ml-explore/mlx#504"
    right = staticmethod(lambda x: x**2)
    cause = "the gradient is NaN .where x is 0.*0 / 0"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            z = x**2
            ctx.save_for_backward(x, z)
            return z

        @staticmethod
        def backward(ctx, g):
            x, z = ctx.saved_tensors
            return g * 2 * z / x

    @staticmethod
    def naive(f):
        agrees_at(f, np.random.default_rng(0).uniform(0, 1, 5))

    @staticmethod
    def kit(op):
        check(op, real((3,)))


class NormOfZero(Exhibit):
    """The norm of the zero vector has the gradient 0 / 0

    The norm has a kink there, like |x|; any vector not longer than 1 is a subgradient, and 0 is the one to take.
    """

    seen = "autograd 1.9.1 and JAX 0.10.2: `linalg.norm` at zeros gives NaN; reported in HIPS/autograd#586"
    right = staticmethod(lambda x: tg.norm(x))
    property = "subgradient"
    cause = "at a kink: the slopes of both sides are -1 and 1"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            z = tg.sqrt((x * x).sum())
            ctx.save_for_backward(x, z)
            return z

        @staticmethod
        def backward(ctx, g):
            x, z = ctx.saved_tensors
            return g * x / z

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([3.0, 4.0]))

    @staticmethod
    def kit(op):
        check(op, real((2,)))


class BranchNotTaken(Exhibit):
    """where(x > 0, sqrt(x), 0) has the gradient NaN for x < 0

    The branch that is not taken gets the gradient 0, and 0 times the slope of sqrt there, NaN, is NaN.  The cure is a
    second `where` inside: the branch must be harmless where it is not taken.
    """

    seen = "every engine that multiplies: PyTorch 2.13, JAX 0.10.2, and this one; reported in pytorch/pytorch#23395"
    right = staticmethod(lambda x: tg.where(x > 0, tg.sqrt(tg.where(x > 0, x, 1.0)), 0.0))
    wrong = staticmethod(lambda x: tg.where(x > 0, tg.sqrt(x), 0.0))
    cause = "the gradient is NaN .where x is -"

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([0.25, 1.0, 2.0]))
        np.testing.assert_array_equal(f(tg.tensor([-1.0, 4.0])).numpy(), [0.0, 2.0])

    @staticmethod
    def kit(op):
        check(op, nonzero((3,)))


class ExponentialsOverflow(Exhibit):
    """The forward of logsumexp is shifted by the maximum, its gradient is not

    The gradient is softmax(x), computed as exp(x) / sum(exp(x)): for x of about 700 that is inf / inf.
    """

    seen = "the usual first version of softmax, which exponentiates without a shift"
    right = staticmethod(lambda x: tg.logsumexp(x, 0))
    cause = "the gradient is NaN"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return tg.logsumexp(x, 0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * tg.exp(x) / tg.exp(x).sum()

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([0.5, -1.0, 2.0]))

    @staticmethod
    def kit(op):
        check(op, real((3,)).map(lambda x: 300 * x))


class ArgumentsExchanged(Exhibit):
    """arctan2(y, x) with the gradients of y and x exchanged

    y comes first, and the formulas look alike: x / (x² + y²) for y, -y / (x² + y²) for x.
    """

    seen = "reported in ml-explore/mlx#2451 and getkeops/keops#155"
    cause = "it is the gradient of x: were the two swapped"

    class right(tg.autograd.Function):
        @staticmethod
        def forward(ctx, y, x):
            ctx.save_for_backward(y, x)
            return tg.from_numpy(np.arctan2(y.detach().numpy(), x.detach().numpy()))

        @staticmethod
        def backward(ctx, g):
            y, x = ctx.saved_tensors
            return g * x / (x * x + y * y), -g * y / (x * x + y * y)

    class wrong(right):
        @staticmethod
        def backward(ctx, g):
            y, x = ctx.saved_tensors
            return -g * y / (x * x + y * y), g * x / (x * x + y * y)

    @staticmethod
    def naive(f):
        y, x = tg.tensor([1.0, -2.0], requires_grad=True), tg.tensor([3.0, 0.5], requires_grad=True)
        z = f(y, x)
        z.sum().backward()
        np.testing.assert_allclose(z.detach().numpy(), np.arctan2([1, -2], [3, 0.5]), rtol=1e-6)
        assert y.grad.shape == y.shape
        assert x.grad.shape == x.shape

    @staticmethod
    def kit(op):
        check(op, nonzero((3,)), nonzero((3,)))


class ToleranceHidesIt(Exhibit):
    """A constant with too few digits, behind a tolerance made for float32 differences

    Finite differences of float32 numbers have two or three right digits, so tests that use them must be told not to
    look closely.  Rules can be tested in float64, where a wrong fifth digit shows.
    """

    seen = "tests that difference in float32, and accept errors of 1e-2 and more"
    right = staticmethod(lambda x: tg.ops.erf(x))
    cause = "right to about [56] digits: is a constant rounded"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return tg.ops.erf(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 1.1284 * tg.exp(-x * x)

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([0.3, -1.2, 0.8], np.float32), eps=1e-2, atol=1e-2)

    @staticmethod
    def kit(op):
        check(op, real((3,)))
