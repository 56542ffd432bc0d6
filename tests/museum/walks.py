"""Wrong gradients although every rule is right: what the walk over the graph does with them."""

from __future__ import annotations

import numpy as np
from museum import Exhibit, agrees_at

import tinygrad_edu as tg
from tinygrad_edu.testing import check, graph_case, real, run_graph


def chain(x):
    """One thing after the other."""
    return tg.tanh(tg.exp(x) * 0.5)


def skip(x):
    """A value, and one made from it."""
    y = tg.tanh(x)
    return tg.exp(y) + y


class OnlyTheLastUseCounts(Exhibit):
    """A value that is used twice keeps the gradient of one use

    Gradients are added up over all uses; here the next one replaces the last.  A network that is one chain of layers
    does not show it, the first skip connection or shared weight does.
    """

    seen = "a young engine's `t.grad = g`"
    right = staticmethod(chain)
    mutant = "contributions overwrite each other"

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([0.5, -1.0]))

    @staticmethod
    def kit(op):
        check(skip, real((3,)))


class WalkedTooEarly(Exhibit):
    """The walk passes a value on before all of its uses have reported

    Backward must visit a node after everything that uses it: in reverse topological order.  In the order of a search
    it comes too early now and then, and what arrives later is lost or counted again.
    """

    seen = "the first version of micrograd, reported in karpathy/micrograd#2"
    right = staticmethod(chain)
    mutant = "nodes visited depth first"

    @staticmethod
    def naive(f):
        agrees_at(lambda x: f(x) + x * x, np.array([0.5, -1.0]))

    @staticmethod
    def kit(op):
        check(skip, real((3,)))


class AxesOfSizeOne(Exhibit):
    """A gradient is summed over new axes, and not over axes of size 1

    (n,) against (m, n) is summed, (m, 1) against (m, n) is cut to the right shape.  The shape is right in both.
    """

    seen = "reported in pytorch/pytorch#1787, there with the wrong shape"
    right = staticmethod(lambda x, b: x * b)
    mutant = "not summed over axes of size 1"
    cause = "the broadcast sum is missing"

    @staticmethod
    def naive(f):
        agrees_at(f, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5]))

    @staticmethod
    def kit(op):
        check(op, real((2, 3)), real((2, 1)))


class SharedAndAddedInto(Exhibit):
    """Two values share one gradient array, and one of them adds into it

    x + y gives both the same array.  If the walk adds the next contribution in place, both change; the first one to
    be changed is the gradient that the caller passed in.
    """

    seen = "a teaching engine that stores gradients by reference and adds in place"
    right = staticmethod(chain)
    mutant = "contributions are added in place"
    property = "untouched"
    cause = "compute into a new array"

    @staticmethod
    def naive(f):
        agrees_at(lambda x: f(x) * x, np.array([0.5, -1.0]))

    @staticmethod
    def kit(op):
        check(run_graph, graph_case())
