"""Operations of a user's own: right ones, and ones with the mistakes people make."""

from __future__ import annotations

import numpy as np

import tinygrad_edu as tg

Function = tg.autograd.Function


class Square(Function):
    """x * x, right."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x


class ForgetsG(Square):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x


class Negative(Square):
    @staticmethod
    def backward(ctx, g):
        return -Square.backward(ctx, g)


class SlightlyOff(Square):
    @staticmethod
    def backward(ctx, g):
        return Square.backward(ctx, g) * (1 + 1e-6)


class LastEntryWrong(Square):
    @staticmethod
    def backward(ctx, g):
        right = Square.backward(ctx, g)
        return right * tg.tensor([1.0] * (right.shape[-1] - 1) + [1.5], dtype=right.dtype)


class NaNSomewhere(Square):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x * (x / x)


class ReversesG(Square):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return tg.flip(g, (0,)) * 2 * x


class SquaresG(Square):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * g * 2 * x


class WrongSecondOrder(Square):
    """The first derivative is right, computed with numbers from outside the graph."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * tg.from_numpy(2 * x.detach().numpy())


class WrongInFloat32(Square):
    @staticmethod
    def backward(ctx, g):
        right = Square.backward(ctx, g)
        return right * 1.001 if right.dtype == tg.float32 else right


class Float32Constant(Square):
    """A constant that was rounded to float32 once: too few digits in float64."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x * 0.6 * (2 / float(np.float32(0.6)))


class WrongLayout(Square):
    """Reads g as it lies in memory."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        entries = g._array.ravel("K").reshape(g.shape)
        return (g - g.detach() + tg.from_numpy(entries)) * 2 * x


class WritesIntoG(Square):
    @staticmethod
    def backward(ctx, g):
        right = Square.backward(ctx, g)
        with tg.no_grad():
            g.mul_(2)
        return right


class ClipsItsInput(Square):
    """Writes to x once; a second run finds nothing left to change."""

    @staticmethod
    def forward(ctx, x):
        x.clamp_(min=0)
        return Square.forward(ctx, x)


class Hoards(Square):
    kept: list = []  # noqa: RUF012  what is wrong with it

    @staticmethod
    def backward(ctx, g):
        Hoards.kept.append(g)
        return Square.backward(ctx, g)


class Unsteady(Square):
    calls = 0

    @staticmethod
    def backward(ctx, g):
        Unsteady.calls += 1
        return Square.backward(ctx, g) * (1 + 1e-14 * Unsteady.calls)


class AddsBias(Function):
    """x + b, right: the engine sums over what was broadcast."""

    @staticmethod
    def forward(ctx, x, b):
        return x + b

    @staticmethod
    def backward(ctx, g):
        return g, g


class ForgetsTheSum(AddsBias):
    @staticmethod
    def backward(ctx, g):
        return g, g[0]


class Subtracts(Function):
    """x - y with the two gradients exchanged."""

    @staticmethod
    def forward(ctx, x, y):
        return x - y

    @staticmethod
    def backward(ctx, g):
        return -g, g


class RowMax(Function):
    """The largest of each row; ties share."""

    @staticmethod
    def forward(ctx, x):
        z = x.amax(1, keepdim=True)
        ctx.save_for_backward(x, z)
        return z

    @staticmethod
    def backward(ctx, g):
        x, z = ctx.saved_tensors
        hit = (x == z).to(x.dtype)
        return g * hit / hit.sum(1, keepdim=True)


class TakesAllAtTies(RowMax):
    @staticmethod
    def backward(ctx, g):
        x, z = ctx.saved_tensors
        return g * (x == z).to(x.dtype)


class NothingAtTies(RowMax):
    @staticmethod
    def backward(ctx, g):
        x, z = ctx.saved_tensors
        hit = (x == z).to(x.dtype)
        return g * hit * (hit.sum(1, keepdim=True) == 1).to(x.dtype)


class ColumnMean(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.mean(0)

    @staticmethod
    def backward(ctx, g):
        return g.expand(*ctx.shape)


class NotRepeated(ColumnMean):
    @staticmethod
    def backward(ctx, g):
        return g / ctx.shape[0]


class Transposes(Function):
    """x.T, and its gradient not transposed back."""

    @staticmethod
    def forward(ctx, x):
        return x.transpose(0, 1)

    @staticmethod
    def backward(ctx, g):
        return g


class Picks(Function):
    """x[at], where a repeated index overwrites."""

    @staticmethod
    def forward(ctx, x, at):
        ctx.save_for_backward(at)
        ctx.size = x.shape[0]
        return x[at]

    @staticmethod
    def backward(ctx, g):
        (at,) = ctx.saved_tensors
        rows = [g[0] * 0] * ctx.size
        for k, i in enumerate(at.tolist()):
            rows[i] = g[k]
        return tg.stack(rows), None


class Clipped(Function):
    """relu(x) + |x|, right with kinks: slope 0 at 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return tg.relu(x) + tg.abs(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ((x > 0).to(x.dtype) + tg.sign(x))
