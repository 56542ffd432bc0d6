"""Scripts that write in place: (library, x, w) -> a tensor whose backward is then asked for."""

from __future__ import annotations

from scripts import scripts


def s_overwrite_saved_input(m, x, w):
    y = x * 1
    z = y * w
    y.add_(1)
    return z + y


def s_overwrite_saved_output(m, x, w):
    y = m.exp(x)
    z = y * 2
    y.mul_(2)
    return z + y


def s_overwrite_unsaved(m, x, w):
    y = x + w
    z = y + 1
    y.mul_(2)
    return z * y


def s_write_before_use(m, x, w):
    y = x * 2
    y.add_(w).mul_(3).sub_(1)
    return y * y


def s_augmented(m, x, w):
    y = x * 2
    y += w
    y -= 1
    y *= 2
    y /= 4
    y **= 2
    return y


def s_mul_by_itself(m, x, w):
    y = x * 1
    y.mul_(y)
    return y * w


def s_mul_keeps_old_self(m, x, w):
    y = x * 1
    y.mul_(w)
    return y


def s_add_keeps_nothing(m, x, w):
    y = x * 1
    y.add_(w)
    return y


def s_constant_becomes_result(m, x, w):
    y = m.zeros(3, dtype=m.float64)
    y.add_(x)
    y.mul_(2)
    return y * w


def s_constant_times_variable(m, x, w):
    y = m.ones(3, dtype=m.float64)
    y.mul_(w)
    return y * x


def s_relu(m, x, w):
    y = x * w
    y.relu_()
    return y * x


def s_sigmoid_chain(m, x, w):
    y = x * 1
    y.sigmoid_()
    return y * w


def s_sigmoid_then_written(m, x, w):
    y = x * 1
    y.sigmoid_()
    y.add_(1)
    return y * w


def s_tanh_exp_log_sqrt(m, x, w):
    y = x * x
    return (y * 1).exp_() + (y * 1).log_() + (y * 1).sqrt_() + (y * 1).tanh_() + (y * 1).neg_() + (y * 1).abs_()


def s_clamp(m, x, w):
    y = x * 1
    y.clamp_(-1.0, 1.0)
    return y * w


def s_pow(m, x, w):
    y = x * 1
    y.pow_(3)
    return y


def s_div(m, x, w):
    y = x * 1
    y.div_(2)
    return y * w


def s_zero(m, x, w):
    y = x * w
    y.zero_()
    return y + x


def s_fill(m, x, w):
    y = x * w
    y.fill_(2.5)
    return y * x


def s_fill_by_tensor(m, x, w):
    y = x * w
    y.fill_(w[1] * 2)
    return y * x


def s_copy(m, x, w):
    y = x * 1
    y.copy_(w)
    return y * y


def s_copy_broadcast(m, x, w):
    y = (x * 1).reshape(1, 3) * m.ones(2, 1, dtype=m.float64)
    y.copy_(w)
    return y.sum() * x


def s_setitem(m, x, w):
    y = x * 2
    y[1] = w[0] * w[2]
    return y * x


def s_setitem_after_use(m, x, w):
    y = x * 2
    z = y * y
    y[0] = 5.0
    return z


def s_setitem_after_harmless_use(m, x, w):
    y = x * 2
    z = y + 1
    y[0] = 5.0
    return z * y


def s_masked_fill(m, x, w):
    y = x * w
    y.masked_fill_(m.tensor([True, False, True]), 0.5)
    return y * x


def s_leaf(m, x, w):
    x.add_(1)
    return x


def s_leaf_setitem(m, x, w):
    x[0] = 1.0
    return x


def s_leaf_zero(m, x, w):
    x.zero_()
    return x


def s_leaf_no_grad(m, x, w):
    with m.no_grad():
        x.add_(1)
        w -= 0.5
    return x * w


def s_leaf_saved_then_no_grad(m, x, w):
    y = x * w
    with m.no_grad():
        x.add_(1)
    return y


def s_leaf_harmless_then_no_grad(m, x, w):
    y = x + w
    with m.no_grad():
        x.add_(1)
        w.mul_(2)
    return y


def s_retain_after_write(m, x, w):
    y = x * 1
    y.mul_(3)
    y.retain_grad()
    loss = (y * w).sum()
    loss.backward()
    return y.grad.detach() * x


def s_retain_before_write(m, x, w):
    y = x * 1
    y.retain_grad()
    y.mul_(3)
    loss = (y * w).sum()
    loss.backward()
    return y.grad.detach() * x


def s_hook_before_write(m, x, w):
    seen = []
    y = x * 1
    y.register_hook(lambda g: seen.append(g.detach() * 1))
    y.mul_(3)
    (y * w).sum().backward()
    return seen[0] * x


def s_requires_grad_after_write(m, x, w):
    y = m.ones(3, dtype=m.float64)
    y.mul_(2)
    y.requires_grad_()
    return y * x


def s_result_dtype(m, x, w):
    y = m.tensor([1, 2, 3])
    y.add_(x)
    return y


def s_result_shape(m, x, w):
    y = x[:1] * 1
    y.add_(x)
    return y


def s_float32_takes_float64(m, x, w):
    y = m.zeros(3)
    y.add_(x)
    return y * 2


def s_between_two_backwards(m, x, w):
    y = x * w
    y.sum().backward(retain_graph=True)
    with m.no_grad():
        x.add_(1)
    return y


def s_write_and_restore(m, x, w):
    y = x * 1
    z = y * w
    y.add_(1)
    y.sub_(1)
    return z


def s_saved_sum(m, x, w):
    y = x * 1
    z = y.sum() + y.reshape(1, 3).sum() + y.mean()
    y.mul_(2)
    return z + y


def s_max(m, x, w):
    y = x * 1
    z = y.max()
    y.add_(1)
    return z * y


def s_index_with_written_index(m, x, w):
    i = m.tensor([0, 2])
    z = (x * 1)[i]
    i.add_(0)
    return z


def s_scatter_add_(m, x, w):
    y = x * 1
    y.scatter_add_(0, m.tensor([0, 0, 2]), w)
    return y * y


SCRIPTS = scripts(dict(globals()))
