"""Wrong gradients of operations that move entries: a gradient must find its way back to the place it came from."""

from __future__ import annotations

import math

import numpy as np
from museum import Exhibit, agrees_at, summed

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu.testing import check, distinct, indices, real


class RepeatedIndexOverwrites(Exhibit):
    """An index that occurs twice gets one of its two gradients

    `grad[index] += g` in NumPy writes once for each place, whatever the number of contributions: `np.add.at` adds.
    A word that occurs twice in a sentence learns half.
    """

    seen = "reported in HIPS/autograd#39, pytorch/pytorch#1528 and apache/mxnet#9172"
    right = staticmethod(lambda x, at: x[at])
    cause = "an index occurs more than once"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, at):
            ctx.save_for_backward(x, at)
            return x[at]

        @staticmethod
        def backward(ctx, g):
            x, at = ctx.saved_tensors
            grad = np.zeros(x.shape)
            grad[at.numpy()] += g.detach().numpy()
            return tg.tensor(grad, dtype=x.dtype), None

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([1.0, 2.0, 3.0]), tg.tensor([2, 0]))

    @staticmethod
    def kit(op):
        check(op, real((3,)), indices(3, (4,)).map(lambda at: at % 3))


class IndexLeavesTheGraph(Exhibit):
    """Indexing gives the right numbers in a new tensor without a past

    Training goes on with what is left, and nothing complains as long as the loss depends on the parameter in another
    way too.
    """

    seen = "a teaching engine whose rule for indexing was stored under a name the walk does not look for"
    right = staticmethod(lambda x, at: x[at])
    wrong = staticmethod(lambda x, at: tg.tensor(x.detach().numpy()[at.numpy()]))
    cause = "was the graph left by detach"

    @staticmethod
    def naive(f):
        x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        np.testing.assert_array_equal(f(x, tg.tensor([2, 0])).detach().numpy(), [3.0, 1.0])

    @staticmethod
    def kit(op):
        check(op, real((3,)), np.array([2, 0]))


class MeanLeavesTheGraph(Exhibit):
    """The mean that is subtracted from a batch counts as a constant

    There is a gradient, of the right shape and not zero: only the part that flows through the mean is missing.  Batch
    normalisation is the usual place.
    """

    seen = "a teaching engine, in `mean`, `max` and batch normalisation; mended one after the other"
    cause = "constant along axis 0.*mean.*leave the graph"
    right = staticmethod(lambda x: x - x.mean(0))
    wrong = staticmethod(lambda x: x - x.detach().mean(0))

    @staticmethod
    def naive(f):
        x = tg.tensor([[1.0, 5.0], [3.0, 2.0]], requires_grad=True)
        z = f(x)
        (z * tg.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
        np.testing.assert_allclose(z.detach().numpy(), [[-1, 1.5], [1, -1.5]])
        assert x.grad is not None
        assert x.grad.shape == x.shape

    @staticmethod
    def kit(op):
        check(op, real((3, 2)))


class PermutedOnceMore(Exhibit):
    """The backward of permute applies the permutation again

    It must be undone.  Exchanging two axes is its own inverse, so a transposed matrix does not show the difference:
    it takes three axes that go round in a circle.
    """

    seen = "a teaching engine, in its transposition of any number of axes"
    right = staticmethod(lambda x, dims: x.permute(dims))
    cause = "it matches after permuting the axes"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, dims):
            ctx.dims = dims
            return x.permute(dims)

        @staticmethod
        def backward(ctx, g):
            return g.permute(ctx.dims), None

    @staticmethod
    def naive(f):
        weights = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=tg.float64)
        agrees_at(lambda x: f(x, (1, 0)) * weights, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))

    @staticmethod
    def kit(op):
        check(op, real((2, 2, 2)), (1, 2, 0))


class MemoryTakenForRows(Exhibit):
    """The backward of reshape reads the gradient as it lies in memory

    A gradient that comes back through a transposition has its entries in another order in memory.  A gradient whose
    entries are all the same, as that of a sum or an average pooling, does not show it.
    """

    seen = "reported in minitorch/minitorch#19, torch/DEPRECEATED-torch7-distro#5 and, on GPUs, pytorch/pytorch#30303"
    right = staticmethod(lambda x: x.reshape(3, 2))
    property = "layout"
    cause = "right when everything is row-major in memory"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.reshape(3, 2)

        @staticmethod
        def backward(ctx, g):
            entries = g._array.ravel("K")  # in the order of memory
            return tg.tensor(entries.reshape(2, 3))

    @staticmethod
    def naive(f):
        agrees_at(lambda x: f(x).T, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))

    @staticmethod
    def kit(op):
        check(op, real((2, 3)), orders=1)


class MeanDividesByAxisNumbers(Exhibit):
    """The gradient of a mean over several axes is divided by the numbers of the axes, not by their sizes

    For one axis the size was taken, and tests with one axis pass.
    """

    seen = "a teaching engine"
    right = staticmethod(lambda x, dim: x.mean(dim))
    cause = "all entries are too|was the divisor of a mean"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, dim):
            ctx.shape, ctx.dims = x.shape, dim if isinstance(dim, tuple) else (dim,)
            ctx.count = x.shape[dim] if isinstance(dim, int) else math.prod(dim)
            return x.mean(dim)

        @staticmethod
        def backward(ctx, g):
            for axis in sorted(ctx.dims):
                g = g.unsqueeze(axis)
            return g.expand(*ctx.shape) / ctx.count, None

    @staticmethod
    def naive(f):
        agrees_at(lambda x: f(x, 1), np.arange(6.0).reshape(2, 3))

    @staticmethod
    def kit(op):
        check(op, real((2, 3, 4)), (1, 2))


class BiasIsNotSummed(Exhibit):
    """A bias gets the gradient of the first row of the batch

    What was broadcast is used once for each row, and its gradient is the sum over all of them.
    """

    seen = "what was broadcast is not summed: reported in tracel-ai/burn#181 and pytorch/pytorch#13669"
    right = staticmethod(lambda x, b: x + b)
    cause = "it is the first slice instead of the sum over axis 0"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, b):
            return x + b

        @staticmethod
        def backward(ctx, g):
            return g, g[0]

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([[1.0, 2.0, 3.0]]), np.array([0.5, -0.5, 1.0]))

    @staticmethod
    def kit(op):
        check(op, real((4, 3)), real((3,)))


class InputUsedAsScratch(Exhibit):
    """relu writes its result into the memory of its input

    Its own gradient is right.  Everybody else who uses the input, or has saved it for the backward pass, finds other
    numbers.
    """

    seen = "every library that allows writing to arrays; MyGrad locks them, this one counts versions"
    right = staticmethod(tg.relu)
    property = "untouched"
    cause = "instead of writing in place"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            z = x.clamp_(min=0) * 1
            ctx.save_for_backward(z)
            return z

        @staticmethod
        def backward(ctx, g):
            (z,) = ctx.saved_tensors
            return g * (z > 0).to(g.dtype)

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([-1.5, 0.5, 2.0]))

    @staticmethod
    def kit(op):
        check(op, real((3,)))


class DilationForgotten(Exhibit):
    """The gradient of a convolution for its input, without dilation

    z[i] = w[0] x[i] + w[1] x[i + dilation]: the kernel of the forward has gaps, that of the backward has none.  With
    dilation 1 they are the same; stride, padding and groups are forgotten in the same way.
    """

    seen = "gradients wrong for some settings of a convolution: reported in ml-explore/mlx#2187 and ml-explore/mlx#3800"
    cause = "in other places.*a dilation"
    right = staticmethod(lambda x, w, dilation: w[0] * x[:-dilation] + w[1] * x[dilation:])

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, dilation):
            ctx.save_for_backward(x, w)
            ctx.dilation = dilation
            return w[0] * x[:-dilation] + w[1] * x[dilation:]

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            d = ctx.dilation
            to_x = F.pad(w[0] * g, (0, d)) + F.pad(w[1] * g, (1, d - 1))
            return to_x, tg.stack([(g * x[:-d]).sum(), (g * x[d:]).sum()]), None

    @staticmethod
    def naive(f):
        agrees_at(lambda x, w: f(x, w, 1), np.array([1.0, -2.0, 3.0, 0.5]), np.array([0.5, 2.0]))

    @staticmethod
    def kit(op):
        check(op, real((5,)), real((2,)), 2)


class OverlappingWindows(Exhibit):
    """The gradients of pooling windows that overlap overwrite each other

    An entry may be the maximum of several windows.  With a stride as large as the window, as in most networks and
    most tests, no two windows overlap.
    """

    seen = "reported in ahrefs/ocannl#512 and devitocodes/joey#5"
    right = staticmethod(lambda x, stride: F.max_pool1d(x[None], 2, stride)[0])

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, stride):
            z, ctx.at = F.max_pool1d(x[None], 2, stride, return_indices=True)
            ctx.size = x.shape[0]
            return z[0]

        @staticmethod
        def backward(ctx, g):
            grad = np.zeros(ctx.size)
            grad[ctx.at[0].numpy()] = g.detach().numpy()
            return tg.tensor(grad, dtype=g.dtype), None

    @staticmethod
    def naive(f):
        agrees_at(lambda x: f(x, 2), np.array([1.0, 3.0, 2.0, -1.0, 0.0, 4.0]))

    @staticmethod
    def kit(op):
        check(op, distinct((4,)), 1)


class CapturedTooEarly(Exhibit):
    """What backward needs of the gradient is taken while the forward runs

    Then there is no gradient yet, only what it is initialised with: ones.  The sum of the result is differentiated
    rightly, nothing else is.
    """

    seen = "a teaching engine, whose `cat` cut the gradient of its result into pieces when it made the node"
    right = staticmethod(lambda x, y: tg.cat([x, y]))
    cause = "does not change with g: does the rule multiply by g"

    class wrong(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            z = tg.cat([x, y])
            grad = tg.ones_like(z)
            ctx.pieces = grad[: len(x)], grad[len(x) :]
            return z

        @staticmethod
        def backward(ctx, g):
            return ctx.pieces

    @staticmethod
    def naive(f):
        found = summed(f, np.array([1.0, 2.0]), np.array([3.0]))
        np.testing.assert_array_equal(f(tg.tensor([1.0, 2.0]), tg.tensor([3.0])).numpy(), [1.0, 2.0, 3.0])
        assert [g.tolist() for g in found] == [[1.0, 1.0], [1.0]]

    @staticmethod
    def kit(op):
        check(op, real((2,)), real((3,)))
