"""Scripts that write to memory which several tensors see: (library, x, w) -> a tensor to go back from."""

from __future__ import annotations

from scripts import scripts


def s_alias_sees_it(m, x, w):
    y = x * 2
    alias = y
    y += w
    return alias * y


def s_data(m, x, w):
    y = x + w
    x.data.add_(1)
    return y + x


def s_detached_write(m, x, w):
    y = x * 1
    z = y * w
    y.detach().add_(1)
    return z


def s_detached_write_harmless(m, x, w):
    y = x * 1
    z = y + w
    y.detach().add_(1)
    return z * y


def s_view_read(m, x, w):
    y = x * 1
    v = y.reshape(3, 1)
    return v * w


def s_base_written_view_dropped(m, x, w):
    y = x * 1
    y.reshape(3, 1).sum()
    y.mul_(2)
    return y * w


def s_view_written_base_dropped(m, x, w):
    y = (x * 1).reshape(3, 1)
    y.mul_(2)
    return y * w


def s_base_written_view_alive(m, x, w):
    y = x * 1
    v = y[1:]
    y.mul_(2)
    return v.sum() * y


def s_view_written_base_alive(m, x, w):
    y = x * 1
    v = y[1:]
    v.mul_(2)
    return y * w


def s_view_written_harmless(m, x, w):
    y = m.zeros(3, dtype=m.float64)
    v = y[1:]
    v.add_(1)
    return y * w


def s_constant_view_gets_history(m, x, w):
    y = m.zeros(3, dtype=m.float64)
    y[1:] += x[1:]
    return y * w


def s_row_of_constant(m, x, w):
    y = m.zeros(2, 3, dtype=m.float64)
    y[0] = x
    y[1] = w * 2
    return y * y


def s_transposed_write(m, x, w):
    y = (x.reshape(3, 1) * w.reshape(1, 3)).T
    y.add_(1)
    return y * y


def s_saved_view_of_written(m, x, w):
    y = x * 1
    z = y[1:] * w[1:]
    y.add_(1)
    return z.sum() + y.sum()


def s_expanded(m, x, w):
    y = (x[:1] * 1).expand(3)
    y.add_(1)
    return y


def s_detach_(m, x, w):
    y = x * 2
    y.detach_()
    return y * w


SCRIPTS = scripts(dict(globals()))
