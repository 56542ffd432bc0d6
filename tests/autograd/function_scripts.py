"""Scripts with `autograd.Function`, to be run here and in PyTorch."""

from __future__ import annotations

from typing import Any

from scripts import leaf, scripts


def cube_of(m: Any) -> Any:
    class Cube(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    return Cube


def exp_of(m: Any) -> Any:
    class Exp(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = m.exp(x)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    return Exp


def scaled_of(m: Any) -> Any:
    class Scaled(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor, w):
            ctx.factor = factor
            ctx.save_for_backward(x, w)
            return x * factor * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * ctx.factor * w, None, g * ctx.factor * x

    return Scaled


def pair_of(m: Any) -> Any:
    class Pair(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w, x + w

        @staticmethod
        def backward(ctx, g, h):
            x, w = ctx.saved_tensors
            return g * w + h, g * x + h

    return Pair


def s_first_order(m):
    x = leaf(m)
    cube_of(m).apply(x).sum().backward()
    return x.grad


def s_upstream(m):
    x = leaf(m)
    cube_of(m).apply(x * 2).backward(m.tensor([1.0, 10.0, 100.0], dtype=m.float64))
    return x.grad


def s_twice_differentiable(m):
    x = leaf(m)
    (g,) = m.autograd.grad(cube_of(m).apply(x).sum(), x, create_graph=True)
    (h,) = m.autograd.grad(g.sum(), x, create_graph=True)
    return g, h, m.autograd.grad(h.sum(), x)[0]


def s_twice_through_a_saved_output(m):
    x = leaf(m)
    (g,) = m.autograd.grad(exp_of(m).apply(x).sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)[0]


def s_twice_in_the_middle(m):
    x = leaf(m)
    y = cube_of(m).apply(x * x) * x
    (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)[0]


def s_several_inputs_and_a_number(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    (scaled_of(m).apply(x, 2.5, w) * x).sum().backward()
    return x.grad, w.grad


def s_one_input_needs_no_gradient(m):
    x = leaf(m)
    w = m.tensor([1.0, 2.0, 3.0], dtype=m.float64)
    scaled_of(m).apply(x, 2.5, w).sum().backward()
    return x.grad, w.grad is None


def s_several_outputs(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    a, b = pair_of(m).apply(x, w)
    (a * b).sum().backward()
    return x.grad, w.grad


def s_several_outputs_with_one_used(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    _, b = pair_of(m).apply(x, w)
    (b * b).sum().backward()
    return x.grad, w.grad


def s_several_outputs_second_order(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    a, b = pair_of(m).apply(x, w)
    gx, gw = m.autograd.grad((a * b).sum(), [x, w], create_graph=True)
    return m.autograd.grad((gx * gw).sum(), [x, w])


def s_the_same_input_twice(m):
    x = leaf(m)
    a, b = pair_of(m).apply(x, x)
    (a + b).sum().backward()
    return x.grad


def s_grad_of_one_input_only(m):
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    y = pair_of(m).apply(x, w)[0].sum()
    return m.autograd.grad(y, w)


def s_one_gradient_after_the_other(m):
    """The same upstream tensor, changed in between, asked for one input after the other."""
    x, w = leaf(m), leaf(m, (1.0, 2.0, 3.0))
    y = pair_of(m).apply(x, w)[0]
    g = m.ones(3, dtype=m.float64)
    (gx,) = m.autograd.grad(y, x, g, retain_graph=True)
    g.mul_(100)
    (gw,) = m.autograd.grad(y, w, g)
    return gx, gw


def s_the_same_upstream_changed(m):
    x = leaf(m)
    y = cube_of(m).apply(x)
    g = m.ones(3, dtype=m.float64)
    (first,) = m.autograd.grad(y, x, g, retain_graph=True)
    first = first.clone()
    g.mul_(100)
    return first, m.autograd.grad(y, x, g)[0]


def s_needs_input_grad(m):
    seen = []

    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return x * w

        @staticmethod
        def backward(ctx, g):
            seen.append(tuple(ctx.needs_input_grad))
            return g, None

    x = leaf(m)
    F.apply(x, m.ones(3, dtype=m.float64)).sum().backward()
    return [*seen, x.grad]


def s_no_gradient_for_an_input(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return x + w

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, w = leaf(m), leaf(m)
    (F.apply(x, w) + w).sum().backward()
    return x.grad, w.grad


def s_not_recorded(m):
    F = cube_of(m)
    with m.no_grad():
        a = F.apply(leaf(m))
    return a.requires_grad, F.apply(m.ones(2)).requires_grad, F.apply(leaf(m)).requires_grad


def s_forward_is_not_recorded(m):
    seen = []

    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(m.is_grad_enabled())
            seen.append((x * 2).requires_grad)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            seen.append(m.is_grad_enabled())
            return g * 2

    x = leaf(m)
    y = F.apply(x).sum()
    y.backward(retain_graph=True)
    m.autograd.grad(y, x, create_graph=True)
    return seen


def s_non_differentiable_output(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            values, where = x * 2, x > 0
            ctx.mark_non_differentiable(where)
            return values, where

        @staticmethod
        def backward(ctx, g, _):
            return g * 2

    x = leaf(m)
    y, mask = F.apply(x)
    y.sum().backward()
    return x.grad, mask, mask.requires_grad


def s_chain_of_functions(m):
    x = leaf(m)
    F = cube_of(m)
    y = F.apply(F.apply(x * 0.5))
    (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    return g, m.autograd.grad(g.sum(), x)[0]


def s_backward_is_called_once(m):
    calls = []

    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            return x * 1, w * 1

        @staticmethod
        def backward(ctx, g, h):
            calls.append(1)
            return g, h

    x, w = leaf(m), leaf(m)
    a, b = F.apply(x, w)
    (a + b).sum().backward()
    return len(calls), x.grad, w.grad


SCRIPTS = scripts(dict(globals()))
