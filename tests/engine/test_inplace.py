"""In-place operations against PyTorch: what it allows gives its gradients here, what it refuses is refused here.

Where we differ is listed: some writes through views raise clearly, and where PyTorch refuses because the operation
itself kept what it overwrites, we keep a copy and give the gradient of the same program without in-place operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg


def inputs(m: Any) -> tuple[Any, Any]:
    x = m.tensor([0.5, -1.25, 2.0], dtype=m.float64, requires_grad=True)
    w = m.tensor([1.5, 0.25, -0.75], dtype=m.float64, requires_grad=True)
    return x, w


def then(*steps: Any) -> Any:
    """The last of several expressions."""
    return steps[-1]


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


def s_alias_sees_it(m, x, w):
    y = x * 2
    alias = y
    y += w
    return alias * y


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


def s_detach_(m, x, w):
    y = x * 2
    y.detach_()
    return y * w


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


SCRIPTS = {name.removeprefix("s_"): f for name, f in list(globals().items()) if name.startswith("s_")}

# We raise, clearly: a recorded write to memory that another live tensor with a history sees.
REFUSED_HERE = {"base_written_view_alive", "view_written_base_alive", "constant_view_gets_history"}
# PyTorch refuses, because the operation saved what it overwrites itself; we keep a copy of it.
ALLOWED_HERE = {
    "mul_by_itself": lambda m, x, w: (x * 1) * (x * 1) * w,
    "mul_keeps_old_self": lambda m, x, w: x * 1 * w,
    "sigmoid_then_written": lambda m, x, w: (m.sigmoid(x) + 1) * w,
    "constant_times_variable": lambda m, x, w: w * x,
}


def outcome(m: Any, f: Any) -> Any:
    """(value, gradients), or the stage and the type of the error."""
    x, w = inputs(m)
    stage = "forward"
    try:
        out = f(m, x, w)
        stage = "backward"
        out.backward(m.ones_like(out) * 2)
    except (RuntimeError, IndexError) as error:
        return stage, type(error)
    zeros = np.zeros(3)
    return [out.detach().numpy(), *(zeros if v.grad is None else v.grad.numpy() for v in (x, w))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    ours, theirs = outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name])
    if name in REFUSED_HERE:
        assert isinstance(theirs, list), "PyTorch refuses this too: take it off the list"
        assert ours == ("forward", RuntimeError)
        return
    if name in ALLOWED_HERE and isinstance(theirs, tuple):
        theirs = outcome(torch, ALLOWED_HERE[name])
    assert isinstance(ours, tuple) == isinstance(theirs, tuple), f"ours {ours}\ntheirs {theirs}"
    if isinstance(ours, tuple):
        assert ours == theirs
        return
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", ALLOWED_HERE)
def test_what_only_we_allow_has_the_gradient_of_the_same_program_without_writes(name, torch):
    ours, pure = outcome(tg, SCRIPTS[name]), outcome(torch, ALLOWED_HERE[name])
    for a, b in zip(ours, pure, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


COPIES = {
    "flip": lambda x: x.flip(0),
    "clone": lambda x: x.clone(),
    "gather": lambda x: x.gather(0, tg.tensor([[0, 0], [1, 1]])),
    "gather of 0-d": lambda x: x.sum().gather(0, tg.tensor(0)),
    "index_select": lambda x: x.index_select(0, tg.tensor([0, 1])),
    "a list": lambda x: x[[0, 1]],
    "a mask": lambda x: x[x == x],
    "a 0-d index": lambda x: x[tg.tensor(0), tg.tensor(1)],
    "masked_select": lambda x: x.masked_select(x == x),
    "sum over nothing": lambda x: x.sum().sum(0),
    "max of 0-d": lambda x: x.sum().max(0).values,
    "amax of 0-d": lambda x: x.sum().amax(),
    "cumsum of 0-d": lambda x: x.sum().cumsum(0),
    "cumsum": lambda x: x.cumsum(0),
    "sort": lambda x: x.sort().values,
    "sort of 0-d": lambda x: x.sum().sort().values,
    "cat": lambda x: tg.cat([x]),
    "stack": lambda x: tg.stack([x]),
    "relu": lambda x: (x.abs() + 1).relu(),
    "abs": lambda x: x.abs(),
    "x + 0": lambda x: x + 0,
    "x * 1": lambda x: x * 1,
    "x ** 1": lambda x: x**1,
    "clamp": lambda x: x.clamp(min=-100.0),
    "where": lambda x: tg.where(x == x, x, x),
    "masked_fill": lambda x: x.masked_fill(x != x, 0.0),
    "tril": lambda x: x.tril(5),
    "prod of one": lambda x: x[:1].prod(0),
    "mean of one": lambda x: x[:1].mean(0),
    "logsumexp of one": lambda x: x[:1].logsumexp(0),
    "to another dtype": lambda x: x.double(),
    "to, copied": lambda x: x.to(x.dtype, copy=True),
    "contiguous of a transpose": lambda x: x.T.contiguous(),
    "repeat of a scatter": lambda x: x.scatter_add(0, tg.tensor([[0, 1]]), x),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_what_pytorch_copies_is_a_copy(name, requires_grad):
    """Writing to the result must not reach the argument."""
    x = tg.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=requires_grad)
    before = x.tolist()
    result = COPIES[name](x)
    with tg.no_grad():
        result.fill_(77.0)
    assert x.tolist() == before


@pytest.mark.parametrize("name", ["sum over nothing", "max of 0-d", "cumsum of 0-d", "gather of 0-d", "sort of 0-d"])
def test_reductions_of_0d_are_copies(name):
    x = tg.tensor(5.0)
    f = {
        "sum over nothing": lambda: x.sum(0),
        "max of 0-d": lambda: x.max(0).values,
        "cumsum of 0-d": lambda: x.cumsum(0),
        "gather of 0-d": lambda: x.gather(0, tg.tensor(0)),
        "sort of 0-d": lambda: x.sort().values,
    }[name]
    result = f()
    result.fill_(7.0)
    assert x.item() == 5.0


VIEWS = {
    "reshape": lambda x: x.reshape(4),
    "view": lambda x: x.view(4),
    "flatten": lambda x: x.flatten(),
    "squeeze": lambda x: x.reshape(1, 2, 2).squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "t": lambda x: x.t(),
    "movedim": lambda x: x.movedim(0, 1),
    "narrow": lambda x: x.narrow(0, 0, 1),
    "a row": lambda x: x[0],
    "an entry": lambda x: x[0, 1],
    "a slice": lambda x: x[:, 1:],
    "None": lambda x: x[None],
    "Ellipsis": lambda x: x[..., 0],
    "split": lambda x: x.split(1)[0],
    "chunk": lambda x: x.chunk(2)[1],
    "unbind": lambda x: x.unbind(1)[0],
    "unbind of a vector": lambda x: x.reshape(4).unbind()[2],
    "iteration": lambda x: next(iter(x)),
    "detach": lambda x: x.detach(),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_version(name, torch):
    found = []
    for m in (tg, torch):
        x = m.tensor([[1.0, -2.0], [3.0, 4.0]])
        v = VIEWS[name](x)
        start = x._version
        v.add_(10)
        x.mul_(2)
        found.append((x.tolist(), v.tolist(), x._version - start, v._version == x._version))
    assert found[0] == found[1]


def test_versions_count_like_pytorch(torch):
    found = []
    for m in (tg, torch):
        x = m.zeros(3)
        counts = [x._version]
        for step in (
            lambda x: x.add_(1), lambda x: x.__setitem__(0, 2.0), lambda x: x[1:].mul_(2), lambda x: x.fill_(1),
            lambda x: x.copy_(x * 1), lambda x: x + 1, lambda x: x.clone().add_(1), lambda x: x.zero_(),
            lambda x: x.__iadd__(1), lambda x: x.detach().add_(1), lambda x: x.masked_fill_(x == 0, 2.0),
        ):  # fmt: skip
            step(x)
            counts.append(x._version)
        found.append(counts)
    assert found[0] == found[1]


def test_the_refusal_names_the_operation_and_both_lines():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    loss = (h * h).sum()  # saved here
    h.add_(1)  # written here
    with pytest.raises(RuntimeError) as error:
        loss.backward()
    for part in ("mul", "loss = (h * h).sum()", "h.add_(1)", "test_inplace.py", "inplace operation", "clone()"):
        assert part in str(error.value)


def test_the_refusals_before_backward_say_why():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"leaf.*requires grad.*mul_.*no_grad"):
        x.mul_(2)
    y = x * 2
    view = y[:1]
    with pytest.raises(RuntimeError, match=r"add_.*shared with 1 other.*clone\(\)"):
        y.add_(1)
    assert view.tolist() == [2.0], "a refused write has not been carried out"
    with pytest.raises(RuntimeError, match=r"read-only|expanded"):
        x.detach()[:1].expand(2).add_(1)
