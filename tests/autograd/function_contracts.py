"""Scripts about what a Function must return and what it keeps, to be run here and in PyTorch."""

from __future__ import annotations

from function_scripts import cube_of, exp_of
from scripts import leaf, scripts


def s_too_many_gradients(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g, g

    F.apply(leaf(m)).sum().backward()


def s_too_few_gradients(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return x * w

        @staticmethod
        def backward(ctx, g):
            return g

    F.apply(leaf(m), leaf(m)).sum().backward()


def s_a_gradient_of_another_shape(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, g):
            return m.ones(2, dtype=m.float64)

    F.apply(leaf(m)).backward()


def s_a_gradient_that_broadcasts(m):
    """Larger than the input by broadcasting: summed."""

    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, g):
            return m.ones(2, 3, dtype=m.float64) * g

    x = leaf(m)
    F.apply(x).backward()
    return x.grad


def s_a_gradient_of_another_dtype(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g.float()

    x = leaf(m)
    F.apply(x).sum().backward()
    return x.grad, str(x.grad.dtype)[-7:]


def s_a_gradient_that_is_no_tensor(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return 1.0

    F.apply(leaf(m)).sum().backward()


def s_without_backward(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    F.apply(leaf(m)).sum().backward()


def s_returns_its_input(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * -1

    x = leaf(m)
    y = F.apply(x)
    (y * x).sum().backward()
    return x.grad, y is x


def s_saved_input_overwritten(m):
    x = leaf(m)
    h = x * 1
    y = cube_of(m).apply(h)
    h.add_(1)
    y.sum().backward()


def s_unsaved_input_overwritten(m):
    class Double(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(m)
    h = x * 1
    y = Double.apply(h)
    h.add_(1)
    y.sum().backward()
    return x.grad


def s_one_of_two_saved(m):
    class OnlyW(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return g * w, None

    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    h = x * 1
    y = OnlyW.apply(h, w)
    h.add_(1)
    y.sum().backward()
    return x.grad, w.grad


def s_saved_output_overwritten(m):
    x = leaf(m)
    y = exp_of(m).apply(x)
    y.add_(1)
    y.sum().backward()


def s_second_backward(m):
    x = leaf(m)
    y = cube_of(m).apply(x).sum()
    y.backward()
    y.backward()


def s_second_backward_with_nothing_saved(m):
    class Double(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(m)
    y = Double.apply(x)
    for _ in range(2):
        y.backward(m.ones(3, dtype=m.float64))
    return x.grad


def s_retained(m):
    x = leaf(m)
    y = cube_of(m).apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def s_saves_what_is_neither_input_nor_output(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            half = x * 0.5
            ctx.save_for_backward(half, None)
            return half * half

        @staticmethod
        def backward(ctx, g):
            half, nothing = ctx.saved_tensors
            assert nothing is None
            return g * half

    x = leaf(m)
    F.apply(x).sum().backward()
    return x.grad


def s_returned_gradients_stay(m):
    """A tensor that backward returns and keeps is not written to when gradients accumulate."""
    constant = m.ones(3, dtype=m.float64)

    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return constant

    x = leaf(m)
    F.apply(x).sum().backward()
    (x * 2).sum().backward()
    return constant, x.grad


def s_one_gradient_for_two_inputs(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return x + w

        @staticmethod
        def backward(ctx, g):
            return g, g

    x, w = leaf(m), leaf(m)
    F.apply(x, w).sum().backward()
    (x * 2).sum().backward()
    return x.grad, w.grad


SCRIPTS = scripts(dict(globals()))
