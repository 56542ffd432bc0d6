"""What a recording holds: names, roles, phases, lines, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from agreement import assert_agreement

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.mode import current
from tinygrad_edu.program.instruction import PHASES, Assign, Instruction


def f64(data, **settings):
    return tg.tensor(data, dtype=tg.float64, **settings)


def roles(program):
    return {i.name: i.role for i in program.inputs}


def by_output(program, name):
    return next(line for line in program.instructions if isinstance(line, Instruction) and name in line.outputs)


def test_inputs_know_their_roles():
    x, w, running = f64([1.0, 2.0]), f64([3.0, 4.0], requires_grad=True), f64([0.0, 0.0])
    lr = np.array(0.1)
    with tg.record() as program:
        rate = tg.from_numpy(lr)
        current.get().recorder.live(rate.numpy(), "lr", lambda: 0.25)
        y = (w * x).sum()
        y.backward()
        with tg.no_grad():
            running.mul_(0.9).add_(x, alpha=0.1)
            w -= rate * w.grad
    assert roles(program) == {"x": "input", "w": "param", "running": "state", "lr": "hyper"}
    assert program.input("w").assigned
    assert program.input("running").assigned
    assert program.input("w").array is w.numpy(force=True)
    assert not program.input("x").assigned


def test_phases_lines_and_layers():
    class Layer(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = tg.nn.Linear(2, 1)

        def forward(self, x):
            return self.fc(x)

    model, x = Layer(), tg.ones(3, 2)
    with tg.record() as program:
        loss = model(x).sum()
        loss.backward()
        with tg.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
    phases = [line.phase for line in program.instructions]
    assert phases == sorted(phases, key=["forward", "backward", "update"].index)
    assert set(phases) == {"forward", "backward", "update"}
    product = next(line for line in program.instructions if line.op == "matmul")
    assert product.layer == ("Layer", "fc")
    assert product.line == "return self.fc(x)"
    gradient = by_output(program, "dfc_weight")
    assert gradient.phase == "backward"
    inside = [line for line in program.instructions if line.phase == "backward" and line.op == "matmul"]
    assert all(line.layer == ("Layer", "fc") and line.line == "return self.fc(x)" for line in inside)
    assigned = [line for line in program.instructions if isinstance(line, Assign)]
    assert [line.target for line in assigned] == ["fc_weight", "fc_bias"]
    assert {line.line for line in assigned} == {"p -= 0.1 * p.grad"}


def layer_of_two(x, w):
    hidden = tg.tanh(x @ w)
    return hidden * 2.0


def test_names_of_variables_gradients_and_what_has_none():
    x, w = tg.ones(2, 3), tg.ones(3, 3, requires_grad=True)
    weights = [tg.ones(3, 3, requires_grad=True)]
    with tg.record() as program:
        for _ in range(3):
            x = layer_of_two(x, w)
        lambda_ = x @ weights[0]
        total = lambda_.sum() / 2.0
        total.backward()
    names = [name for line in program.instructions for name in getattr(line, "outputs", ())]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)
    assert [i.name for i in program.inputs] == ["x", "w", "weights_0"]
    assert [n for n in names if n.startswith("hidden")] == ["hidden_1", "hidden_2", "hidden"]
    # x was an input before it was computed three times: the input keeps its name
    assert [n for n in names if n.startswith("x")] == ["x_2", "x_3", "x_4"]
    assert by_output(program, "total").op == "div"
    assert by_output(program, "dtotal").op == "expand"
    assert {"dw", "dweights_0", "dhidden", "dlambda_"} <= {*program.outputs}
    # three uses of w: two sums, the last of which is the gradient
    assert [n for n in names if n.startswith("dw")][-1] == "dw"
    np.testing.assert_allclose(program.run().dw, w.grad.numpy())


def test_a_loop_over_parameters_does_not_rename_them():
    weights = [tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)]
    with tg.record() as program:
        (weights[0] * weights[1]).sum().backward()
        with tg.no_grad():
            for p in weights:
                p -= p.grad
    assert [i.name for i in program.inputs] == ["weights_0", "weights_1"]


def test_names_hide_nothing():
    with tg.record() as program:
        ops = tg.ones(2) * 2.0
        np_ = ops + 1.0
        sum = np_ * np_
        step = sum - 1.0
    names = [line.outputs[0] for line in program.instructions]
    assert names[1:] == ["ops_", "np_", "sum_", "step_"]
    assert step.shape == (2,)
    scope = {}
    exec(program.source(), scope)
    np.testing.assert_array_equal(scope["step"]()["step_"], [8.0, 8.0])


def test_parameters_are_named_by_their_module():
    first, second = tg.nn.Linear(2, 2), tg.nn.Sequential(tg.nn.Linear(2, 2), tg.nn.ReLU())
    x = tg.ones(1, 2)
    with tg.record() as program:
        second(first(x)).sum().backward()
    assert {*roles(program)} == {"x", "first_weight", "first_bias", "second_0_weight", "second_0_bias"}
    assert "loss" in program.outputs
    assert "dsecond_0_weight" in program.outputs


def test_printing():
    x, w = f64([1.0, 2.0]), f64([3.0, 4.0], requires_grad=True)
    with tg.record() as program:
        loss = (w * x).sum()
        loss.backward()
        with tg.no_grad():
            w -= 0.5 * w.grad
    lines = [" ".join(line.split()) for line in str(program).splitlines()]
    expected = """\
        x input float64 (2,)
        w param, written float64 (2,)
        # loss = (w * x).sum()
        t1 = w * x float64 (2,)
        loss = sum(t1, dim=(0,), keepdim=False) float64 ()
        dloss = expand(1.0, shape=()) float64 ()
        w[...] = w_new"""
    for line in expected.splitlines():
        assert line.strip() in lines
    assert [line for line in lines if line in PHASES] == ["forward", "backward", "update"]
    assert "inputs x, w" in repr(program)


def test_a_program_can_be_used_only_after_its_block():
    with tg.record() as program:
        y = tg.ones(2) * 2.0
        with pytest.raises(RuntimeError, match="still being recorded"):
            program.run()
        with pytest.raises(RuntimeError, match="still being recorded"):
            str(program)
    np.testing.assert_array_equal(program.run().y, y.numpy())


def test_errors_leave_the_block_and_the_mode_comes_back():
    with pytest.raises(ZeroDivisionError), tg.record() as program:
        tg.ones(2) * (1 / 0)
    assert current.get().recorder is None
    with pytest.raises(RuntimeError, match=r"left by an error \(ZeroDivisionError"):
        program.source()


def test_nested_recording_raises():
    with tg.record() as outer:
        a = tg.ones(2) * 2.0
        with pytest.raises(RuntimeError, match="being recorded already"), tg.record():
            pass
        b = a + 1.0
    assert {"a", "b"} <= {*outer.outputs}
    assert b.shape == (2,)


def test_running_inside_a_recording_raises():
    with tg.record() as first:
        a = tg.ones(2) * 2.0
    with tg.record(), pytest.raises(RuntimeError, match="outside of the recorded block"):
        first.run()
    with tg.record(), pytest.raises(RuntimeError, match="outside of the recorded block"):
        tg.Program.from_graph(a)


def test_other_threads_are_not_recorded():
    x = tg.ones(2)
    started, done = threading.Event(), threading.Event()

    def elsewhere():
        started.wait(10)
        for _ in range(100):
            tg.exp(x)
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    with tg.record() as program:
        started.set()
        y = x * 2.0
        assert done.wait(10)
        z = y + 1.0
    thread.join()
    assert [line.op for line in program.instructions] == ["mul", "add"]
    assert z.shape == (2,)


def test_literals_stay_in_the_program():
    x = f64([1.0, 2.0])
    with tg.record() as program:
        y = x * 3.0 + tg.ones(2, dtype=tg.float64) + tg.full((2,), 0.5, dtype=tg.float64)
        y[0] = -1.0
    assert [i.name for i in program.inputs] == ["x"]
    np.testing.assert_array_equal(program.run(x=[0.0, 1.0]).y, [-1.0, 4.5])


def test_in_place_on_what_was_computed_is_no_effect():
    x = f64([1.0, 2.0])
    with tg.record() as program:
        h = x * 2.0
        h += 1.0
        h.mul_(3.0)
        h[1] = 0.0
    assert not any(isinstance(line, Assign) for line in program.instructions)
    np.testing.assert_array_equal(h.numpy(), [9.0, 0.0])
    np.testing.assert_array_equal(program.run(x=[2.0, 2.0]).h, [15.0, 0.0])


def test_reading_what_was_assigned_reads_the_new_value():
    w = f64([1.0, 2.0])
    with tg.record() as program:
        w.mul_(2.0)
        y = w + 1.0
        w.copy_(y)
        z = w.flip(0) * 1.0
    assert [line.target for line in program.instructions if isinstance(line, Assign)] == ["w", "w"]
    np.testing.assert_array_equal(w.numpy(), [3.0, 5.0])
    values = program.run()
    np.testing.assert_array_equal(w.numpy(), [7.0, 11.0])
    np.testing.assert_array_equal(values.z, [11.0, 7.0])
    assert z.shape == (2,)


def test_swapping_and_reversing_memory_in_place():
    a, b = f64([1.0, 2.0]), f64([3.0, 4.0])
    with tg.record() as program:
        kept = a.clone()
        a.copy_(b)
        b.copy_(kept)
        b.copy_(b.flip(0))
        both = a * 10.0 + b
    np.testing.assert_array_equal([a.numpy(), b.numpy()], [[3.0, 4.0], [2.0, 1.0]])
    np.testing.assert_array_equal(both.numpy(), [32.0, 41.0])
    np.testing.assert_array_equal(assert_agreement(program).both, [24.0, 13.0])
    np.testing.assert_array_equal([a.numpy(), b.numpy()], [[2.0, 1.0], [4.0, 3.0]])


def test_what_a_rule_saved_before_a_write_follows_the_inputs():
    """The node of h * h keeps the old h, in a copy of its own."""
    x = f64([1.0, 2.0], requires_grad=True)
    with tg.record() as program:
        h = x * 2.0
        h.mul_(h)
        loss = h.sum()
        loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [8.0, 16.0])
    np.testing.assert_array_equal(program.run(x=[3.0, 5.0]).dx, [24.0, 40.0])


def test_numbers_are_read_at_every_run_even_when_nothing_uses_them():
    """A generator goes on as it would have."""
    read = []
    with tg.record() as program:
        current.get().recorder.live(np.array(1.0), "unused", lambda: read.append(1) or 1.0)
        y = tg.ones(2) * 2.0
    program.run()
    program.run(unused=3.0)
    assert len(read) == 2
    assert y.shape == (2,)


def test_what_changes_nothing_is_no_instruction():
    x = f64([1.0, 2.0])
    with tg.record() as program:
        y = ops.cast(x, dtype=tg.float64) * 2.0
    assert [line.op for line in program.instructions] == ["mul"]
    assert y.shape == (2,)


def test_assignment_broadcasts_and_casts():
    w = tg.zeros(2, 3)
    s = f64(2.0)
    with tg.record() as program:
        w.copy_(s * 2.0)
        w.fill_(1.5)
        w.zero_()
        w.assign_(s)
    program.run(s=4.0)
    np.testing.assert_array_equal(w.numpy(), np.full((2, 3), 4.0, np.float32))


def test_gradients_are_not_shared_between_leaves():
    """Both leaves get the same gradient, and one is changed in place."""
    a, b = f64([1.0, 2.0], requires_grad=True), f64([3.0, 4.0], requires_grad=True)
    with tg.record():
        (a + b).sum().backward()
        a.grad.mul_(2.0)
        (a + b).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [3.0, 3.0])
    np.testing.assert_array_equal(b.grad.numpy(), [2.0, 2.0])


def test_gradients_accumulate_into_memory_from_before():
    w, x = f64([1.0, 2.0], requires_grad=True), f64([3.0, 4.0])
    (w * x).sum().backward()
    with tg.record() as program:
        loss = (w * x).sum()
        loss.backward()
    assert roles(program)["w_grad"] == "state"
    program.run(x=[1.0, 1.0])
    np.testing.assert_array_equal(w.grad.numpy(), [7.0, 9.0])


REFUSED = {}


def refused(match):
    def register(function):
        REFUSED[function.__name__] = (function, match)
        return function

    return register


@refused("used at 'column")
def stale_view_of_a_parameter():
    w = f64([[1.0, 2.0], [3.0, 4.0]])
    yield
    view = w.T
    before = view * 1.0
    w.mul_(2.0)
    column = view + before
    assert column is None


@refused("used at 'w2")
def stale_view_met_only_after_the_write():
    w = f64([1.0, 2.0])
    flat = w.reshape(2, 1)
    yield
    w.mul_(2.0)
    w2 = flat + 1.0
    assert w2 is None


@refused("writes in place through a view")
def write_through_a_view_of_an_input():
    w = f64([[1.0, 2.0], [3.0, 4.0]])
    yield
    row = w[0]
    row.zero_()


@refused("used at 'y")
def view_of_a_temporary_that_was_written():
    x = f64([1.0, 2.0])
    yield
    h = x * 2.0
    view = h.reshape(2, 1)
    h += 1.0
    y = view * 2.0
    assert y is None


@refused("made inside the recorded block")
def state_made_inside():
    x = f64([1.0, 2.0])
    yield
    total = f64([0.0, 0.0])
    total += x


@refused("made inside the recorded block")
def zeros_made_inside():
    x = f64([1.0, 2.0])
    yield
    total = tg.zeros(2, dtype=tg.float64)
    total += x


@refused("shares memory with the result")
def numpy_outside_of_tensors():
    yield
    h = f64([1.0, 2.0]) * 2.0
    return tg.from_numpy(h.numpy()[::-1]) + 1.0


@refused("cannot be recorded")
def tensor_of_tensors():
    yield
    h = f64([1.0, 2.0]) * 2.0
    return tg.tensor([h[0], h[1]]) + 1.0


@refused("nonzero cannot be recorded")
def data_dependent_size():
    yield
    return tg.nonzero(f64([1.0, 0.0]))


@refused("multinomial cannot be recorded")
def drawn_outside_of_primitives():
    yield
    return tg.multinomial(f64([0.5, 0.5]), 1)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, match = REFUSED[name]
    steps = iter(function() or ())
    next(steps)
    with pytest.raises(RuntimeError, match=match), tg.record():
        list(steps)


def test_what_sorts_and_shuffles_is_recorded():
    x = f64([3.0, 1.0, 2.0])
    with tg.record() as program:
        found = x.sort(descending=True)
        values, indices = found.values, found.indices
        best = x.topk(2).values
        copy, row_major = x.clone(), x.reshape(3, 1).T.contiguous()
    replayed = program.run(x=[0.0, 5.0, 4.0])
    np.testing.assert_array_equal(replayed["values"], [5.0, 4.0, 0.0])
    np.testing.assert_array_equal(replayed.indices, [1, 2, 0])
    np.testing.assert_array_equal(replayed.best, [5.0, 4.0])
    np.testing.assert_array_equal(replayed["copy"], [0.0, 5.0, 4.0])
    assert [values.shape, indices.shape, best.shape, copy.shape, row_major.shape] == [(3,), (3,), (2,), (3,), (1, 3)]


def test_a_function_is_recorded_through():
    class Square(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2.0 * x

    x = f64([1.0, 2.0], requires_grad=True)
    with tg.record() as program:
        y = Square.apply(x)
        y.sum().backward()
    replayed = program.run(x=[3.0, 4.0])
    np.testing.assert_array_equal(replayed.y, [9.0, 16.0])
    np.testing.assert_array_equal(replayed.dx, [6.0, 8.0])


def test_recording_and_replaying_leave_numba_alone():
    code = (
        "import sys, tinygrad_edu as tg\n"
        "tg.kernels.use('reference')\n"
        "x = tg.ones(2, requires_grad=True)\n"
        "with tg.record() as p: tg.sigmoid(x).sum().backward()\n"
        "str(p), p.source(), p.run(), tg.Program.from_graph(tg.sigmoid(x).sum())\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_setting_data_is_an_assignment():
    w, x = f64([1.0, 2.0], requires_grad=True), f64([3.0, 4.0])
    with tg.record() as program:
        (w * x).sum().backward()
        w.data = w.data - 0.5 * w.grad
    np.testing.assert_array_equal(w.numpy(force=True), [-0.5, 0.0])
    program.run()
    np.testing.assert_array_equal(w.numpy(force=True), [-2.0, -2.0])
    with tg.record(), pytest.raises(RuntimeError, match="outside of the recorded block"):
        w.data = w.data.float()


def test_parameters_that_got_other_memory_are_not_trained_in_the_old_one():
    w, x = f64([1.0, 2.0], requires_grad=True), f64([3.0, 4.0])
    with tg.record() as program:
        loss = (w * x).sum()
        loss.backward()
    step = program.compile(outputs=["loss"])
    w.data = f64([0.0, 1.0])
    for call in (program.run, step):
        with pytest.raises(RuntimeError, match="w has got other memory since"):
            call()
    assert loss.item() == 11.0


def test_memory_that_is_laid_out_anew_stays_the_same_value():
    """Kernels leave memory in any order; showing it moves the numbers to a new array."""
    weight = tg.from_numpy(np.arange(24.0).reshape(2, 3, 4))
    turned = tg.relu(weight.permute(0, 2, 1))
    turned._array = np.asfortranarray(turned._array)
    assert not turned._array.flags.c_contiguous
    with tg.record() as program:
        before = turned * 2.0
        turned.mul_(3.0)
        flat = turned.view(-1) + 1.0
        turned.add_(1.0)
    assert program.input("turned").role == "state"
    assert program.input("turned").array is turned._array
    values = turned.numpy().copy()
    program.run()
    np.testing.assert_array_equal(turned.numpy(), values * 3.0 + 1.0)
    assert [before.shape, flat.shape] == [(2, 4, 3), (24,)]


def test_memory_bound_to_a_program_stays_where_it_is():
    x = tg.from_numpy(np.arange(6.0))
    order = tg.from_numpy(np.arange(6.0).reshape(2, 3))
    order._array = np.asfortranarray(order._array)
    moved = order * 1.0
    moved._array = np.asfortranarray(moved._array)
    with tg.record() as program:
        order.add_(1.0)
        moved.add_(1.0)
        y = x * moved.view(6)
    assert program.input("moved").array is moved._array
    assert program.input("moved").role == "state"
    shown = order.numpy()
    program.run()
    np.testing.assert_array_equal(moved.numpy(), shown)
    np.testing.assert_array_equal(shown, np.arange(6.0).reshape(2, 3) + 2.0)
    assert y.shape == (6,)
