"""Using a program: what runs take and give, programs after the fact, compiled steps, and what each refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agreement, exec_source

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.engine.storage import storage_of
from tinygrad_edu.program import Values


def f64(data, **settings):
    return tg.tensor(data, dtype=tg.float64, **settings)


def linear_step():
    """A program that reads x, trains w and knows its loss."""
    x, w = f64([[1.0, 2.0], [3.0, 4.0]]), f64([0.5, -0.5], requires_grad=True)
    with tg.record() as program:
        loss = (x @ w).sum()
        loss.backward()
        with tg.no_grad():
            w -= 0.1 * w.grad
    return program, x, w


def test_run_takes_arrays_tensors_and_lists():
    program, x, _ = linear_step()
    given = [[0.0, 1.0], [2.0, 0.0]]
    expected = 2.0 * 0.1 - 1.0 * 1.1  # w is [0.1, -1.1] after the recorded step
    values = program.run(x=given)
    np.testing.assert_allclose(values.loss, expected, rtol=1e-12)
    assert isinstance(values, Values)
    assert {*values} == {"loss", "dloss", "dw"}
    np.testing.assert_array_equal(values["dw"], [2.0, 1.0])
    np.testing.assert_array_equal(program.run(x=np.array(given)).dw, [2.0, 1.0])
    np.testing.assert_array_equal(program.run(x=f64(given)).dw, [2.0, 1.0])
    np.testing.assert_array_equal(program.run().dw, x.numpy().sum(0))
    with pytest.raises(AttributeError, match="no value named 'z'; there are loss"):
        values.z  # noqa: B018 - asking raises


@pytest.mark.parametrize("use", ["run", "compiled"])
def test_wrong_inputs_are_refused(use):
    program, x, w = linear_step()
    call = program.run if use == "run" else program.compile()
    before = w.numpy(force=True).copy()
    with pytest.raises(TypeError, match="no input 'y', only w, x"):
        call(y=x)
    with pytest.raises(
        RuntimeError, match=r"input x is float64 \(3, 2\), the program was recorded with float64 \(2, 2\)"
    ):
        call(x=np.zeros((3, 2)))
    with pytest.raises(RuntimeError, match=r"input x is float32 \(2, 2\), .* convert it, or record again"):
        call(x=np.zeros((2, 2), np.float32))
    with pytest.raises(RuntimeError, match=r"w is written by the program.*w\.copy_"):
        call(w=w)
    np.testing.assert_array_equal(w.numpy(force=True), before)


@pytest.mark.parametrize("use", ["run", "compiled"])
def test_writes_are_seen_by_the_graph(use):
    """A value saved for backward and then overwritten by a run is refused, as after any other write."""
    program, _, w = linear_step()
    call = program.run if use == "run" else program.compile()
    loss = (w * w).sum()
    version = storage_of(w._array).version
    call()
    assert storage_of(w._array).version == version + 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_shapes_that_depend_on_data_are_noticed():
    x = f64([1.0, -1.0, 2.0])
    with tg.record() as program:
        kept = x[x > 0.0]
    assert kept.shape == (2,)
    np.testing.assert_array_equal(program.run(x=[0.0, 1.0, 5.0]).kept, [1.0, 5.0])
    with pytest.raises(RuntimeError, match=r"index \(from the line 'kept = x\[x > 0.0\]'\) gave float64 \(1,\)"):
        program.run(x=[0.0, 0.0, 5.0])


def test_warnings_of_numpy_stay_away(recwarn):
    x = f64([1.0, 0.0])
    with tg.record() as program:
        y = tg.log(x) / x
        z = y.sum() / 0.0
    recwarn.clear()
    assert_agreement(program)
    assert [str(w.message) for w in recwarn] == []
    assert z.item() != 0


def test_sources_with_every_kind_of_static_parameter():
    x = f64([[1.0, 2.0], [3.0, 4.0]])
    with tg.record() as program:
        a = x[..., None, ::1, tg.tensor([1, 0])].float()
        b = x.clamp(max=float("inf")) + float("-inf")
        c = (x > 1.5).sum(0)
        d = tg.cat([x[:1], x[1:]], 1)
    text = program.source()
    assert "dtype=float32)" in str(program)
    for expected in ("ops.HOLE", "ops.Cut(", "None", "np.dtype('float32')", "float('-inf')"):
        assert expected in text
    assert_agreement(program)
    assert [t.shape for t in (a, b, c, d)] == [(1, 2, 2), (2, 2), (2,), (1, 4)]


class TestAfterTheFact:
    def test_before_and_after_backward(self):
        x, w = f64([[1.0, 2.0], [3.0, 4.0]]), f64([0.5, -0.5], requires_grad=True)
        hidden = tg.tanh(x @ w)
        loss = (hidden * hidden).sum()
        before = tg.Program.from_graph(loss)
        loss.backward()
        after = tg.Program.from_graph(loss)
        assert [(i.name, i.role) for i in before.inputs] == [("x", "input"), ("w", "param")]
        assert before.source() == after.source()
        values = assert_agreement(after)
        np.testing.assert_allclose(values.dw, w.grad.numpy(), rtol=1e-14)
        np.testing.assert_allclose(values.hidden, hidden.numpy(force=True), rtol=1e-14)
        assert {"hidden", "dhidden", "loss", "dloss", "dw"} == {*values}
        assert w.grad.numpy() is not values.dw
        assert {line.phase for line in after.instructions} == {"forward", "backward"}
        assert next(line for line in after.instructions if line.op == "tanh").line == "hidden = tg.tanh(x @ w)"

    def test_a_leaf_that_was_written_since(self):
        x = f64([1.0, 2.0])
        w = tg.tensor([0.5, -0.5], dtype=tg.float64, requires_grad=True)
        loss = (w * x).sum()
        with tg.no_grad():
            w += 1.0
        with pytest.raises(
            RuntimeError, match=r"'w' \(shape \(2,\)\), the input 'x' of mul at .*, was changed in place at .*w \+= 1.0"
        ):
            tg.Program.from_graph(loss)

    def test_what_has_no_graph(self):
        x, w = f64([1.0, 2.0]), f64([0.5, -0.5], requires_grad=True)
        with pytest.raises(RuntimeError, match="no graph"):
            tg.Program.from_graph(x.sum())
        with pytest.raises(RuntimeError, match="needs a scalar"):
            tg.Program.from_graph(w * x)

    def test_a_leaf_itself(self):
        w = f64(2.0, requires_grad=True)
        assert tg.Program.from_graph(w).run() == {}

    def test_several_outputs_and_numbers(self):
        x = f64([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        first, second = x.unbind(0)
        loss = (2.0 * first - second / 4.0).sum()
        loss.backward()
        np.testing.assert_array_equal(assert_agreement(tg.Program.from_graph(loss)).dx, x.grad.numpy())


class TestCompiled:
    def test_outputs_can_be_chosen(self):
        program, _, _ = linear_step()
        assert list(program.compile(outputs=["loss"])()) == ["loss"]
        with pytest.raises(ValueError, match="no output 'nothing', only loss"):
            program.compile(outputs=["nothing"])

    def test_values_stay_as_they_were_given(self):
        program, _, _ = linear_step()
        step = program.compile()
        first = step(x=[[1.0, 0.0], [0.0, 1.0]])
        kept = first.dw.copy()
        step(x=[[5.0, 5.0], [5.0, 5.0]])
        np.testing.assert_array_equal(first.dw, kept)

    def test_the_source_is_a_file_with_the_users_lines(self):
        step = linear_step()[0].compile()
        assert Path(step.path).read_text() == step.source
        assert "# loss = (x @ w).sum()" in step.source
        assert "# -- backward" in step.source
        assert re.search(r"w\[i\] = w\[i\] - 0.1 \* _?dw", step.source)
        assert step.path in repr(step)

    def test_memory_in_other_orders_and_of_no_axes(self):
        columns = tg.from_numpy(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
        strided = tg.from_numpy(np.arange(12.0)[::2])
        count, factor = tg.tensor(3), f64(0.5)
        with tg.record() as program:
            columns.mul_(2.0)
            strided.copy_(columns.reshape(6) * factor)
            count.add_(1)
            product = columns @ columns.T
            third = columns.T @ columns * count
        assert_agreement(program)
        assert [product.shape, third.shape] == [(2, 2), (3, 3)]
        assert count.item() == 5
        assert_agreement(program, factor=np.float64(2.0))

    def test_numbers_are_read_before_they_are_written(self):
        w = f64([1.0, 2.0])
        with tg.record() as program:
            first = w[0] * 1.0
            w.mul_(3.0)
            double = first * 2.0
        assert_agreement(program)
        assert double.item() == 2.0

    def test_integers_and_masks(self):
        x = tg.tensor([[3, 1], [2, 5]])
        with tg.record() as program:
            large = (x > 1) & ~(x == 5)
            count = large.sum(0)
            rest = (x % 2) * x.max(1).indices
            small = x.to(tg.uint8) + 250
            mean = x.float().mean()
        assert_agreement(program)
        assert [count.dtype, rest.dtype, small.dtype, mean.dtype] == [tg.int64, tg.int64, tg.uint8, tg.float32]

    def test_indices_out_of_bounds_raise(self):
        x, at, classes = f64([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1, -2]), tg.tensor([0, 1])
        with tg.record() as program:
            picked = x[at]
            loss = tg.nn.functional.cross_entropy(x, classes)
        step = program.compile()
        np.testing.assert_array_equal(step(at=[-1, 0]).picked, [[3.0, 4.0], [1.0, 2.0]])
        for at_ in ([2, 0], [0, -3]):
            with pytest.raises(IndexError, match="out of bounds for size 2"):
                step(at=at_)
        with pytest.raises(IndexError, match="not one of the 2 classes"):
            step(classes=[0, 2])
        assert picked.shape == (2, 2)
        assert loss.shape == ()

    def test_nan_and_infinity_come_through(self):
        x = f64([[1.0, np.nan, np.nan], [-np.inf, 0.0, np.inf]])
        with tg.record() as program:
            largest, smallest = x.amax(1), x.amin(0)
            first, last = x.argmax(1), x.argmin(1)
            both, relu, signs = tg.maximum(x, x.flip(1)), tg.relu(x), tg.sign(x)
            logs = tg.log_softmax(x, 1)
        assert_agreement(program)
        assert np.isnan(largest.numpy()).tolist() == [True, False]
        assert [t.shape for t in (smallest, first, last, both, relu, signs, logs)] == [(3,), (2,), (2,), *[(2, 3)] * 4]

    def test_indices_of_every_kind(self):
        x, v = tg.from_numpy(np.arange(60.0).reshape(3, 4, 5)), tg.from_numpy(-np.arange(6.0).reshape(3, 2))
        rows, columns, one = tg.tensor([0, 2]), tg.tensor([[1], [-1], [0]]), tg.tensor(-2)
        with tg.record() as program:
            apart, together = x[rows, :, rows], x[:, columns, rows]
            first, between = x[rows, 1:3, 0], x[1, rows, :, None]
            number, backwards = x[one, rows], x.flip(2)[..., ::2]
            between_two = ops.index(x, rows, rows, template=(ops.Cut(1, None, None), ops.HOLE, None, ops.HOLE))
            put, spread = x.clone(), x.clone()
            put[:, rows, 4] = v
            spread[one] = 7.0
            added = ops.index_add(v, columns, rows, template=(ops.HOLE, ops.HOLE), shape=(4, 5))
        assert_agreement(program)
        assert [apart.shape, together.shape, first.shape] == [(2, 4), (3, 3, 2), (2, 2)]
        assert [between.shape, number.shape, backwards.shape] == [(2, 5, 1), (2, 5), (3, 4, 3)]
        assert between_two.shape == (2, 2, 1)
        assert [put.shape, spread.shape, added.shape] == [(3, 4, 5), (3, 4, 5), (4, 5)]

    def test_transposes_are_not_copied(self):
        x, w = tg.ones(4, 3, requires_grad=True), tg.ones(2, 3, requires_grad=True)
        with tg.record() as program:
            y = x @ w.T
            (y * y).sum().backward()
        calls = re.findall(r"gemm\w*\(.*\)", program.compile().source)
        assert calls == ["gemm_nt_(x, w, y)", "gemm_(dy, w, dx)", "gemm_(x.T, dy, dt1)"]

    def test_numbers_do_not_widen_float32(self):
        x = tg.ones(3, requires_grad=True)
        with tg.record() as program:
            y = ((x * 0.5 + 1.0) ** 2.0).clamp(0.25, float("inf")).sum() / 3.0
            y.backward()
        code = program.compile().source.split('"""')[-1]
        bare = re.sub(r"#.*|f32\(-?[\w.]+\)|\w+\[.*?\]|range\(\d+\)", "", code)
        assert not re.search(r"\d\.\d|inf", bare)
        assert_agreement(program, rtol=1e-6)

    def test_what_cannot_be_compiled_says_so(self):
        x = f64([3.0, 1.0])
        with tg.record() as program:
            large = x[x > 2.0]
        with pytest.raises(
            NotImplementedError,
            match=r"index with a mask as an index cannot be compiled \(from the line 'large = x\[x > 2.0",
        ):
            program.compile()
        np.testing.assert_array_equal(program.run().large, large.numpy())

    def test_a_view_of_a_parameter_is_given_as_it_was_before_the_update(self):
        w = f64([3.0, 1.0, 2.0]).requires_grad_()
        with tg.record() as program:
            turned = w.flip(0)
            (turned * turned).sum().backward()
            with tg.no_grad():
                w -= 0.5 * w.grad
        assert_agreement(program, compiled=False, emitted=True)
        assert turned.shape == (3,)

    def test_half_precision_is_refused(self):
        x = tg.from_numpy(np.ones(3, np.float16))
        with tg.record() as program:
            y = x * 2.0
        with pytest.raises(NotImplementedError, match="mul with dtype float16 cannot be compiled"):
            program.compile()
        assert_agreement(program, compiled=False)
        assert y.dtype == np.float16

    def test_numba_is_met_at_the_first_call_and_the_cache_at_the_second_process(self, tmp_path):
        code = (
            "import sys, tinygrad_edu as tg\n"
            "tg.kernels.use('reference')\n"
            "x, w = tg.ones(3, 2), tg.ones(2, requires_grad=True)\n"
            "with tg.record() as program:\n"
            "    loss = tg.sigmoid(x @ w).sum()\n"
            "    loss.backward()\n"
            "assert 'numba' not in sys.modules\n"
            "step = program.compile()\n"
            "print(float(step().loss), sum(step._function.dispatcher.stats.cache_misses.values()))\n"
        )
        environment = {
            "TINYGRAD_EDU_CACHE": str(tmp_path),
            "TINYGRAD_EDU_QUIET": "1",
            "PATH": "",
            "HOME": str(tmp_path),
        }
        file = tmp_path / "user.py"
        file.write_text(code)
        for misses in (1, 0):
            done = subprocess.run(
                [sys.executable, str(file)],
                check=True,
                text=True,
                capture_output=True,
                env=environment,
                cwd=Path(__file__).parents[2],
            )
            value, missed = done.stdout.split()
            assert float(value) == pytest.approx(3 / (1 + np.exp(-2.0)))
            assert int(missed) == misses


def test_source_runs_in_place_on_what_it_is_given():
    program, _, w = linear_step()
    own = w.numpy(force=True).copy()
    exec_source(program)(x=np.ones((2, 2)), w=own)
    np.testing.assert_allclose(own, w.numpy(force=True) - 0.2, rtol=1e-12)


def test_memory_that_the_program_writes_is_no_input_of_a_compiled_one():
    q = tg.tensor([5.0, 6.0, 7.0], requires_grad=True)
    x = tg.tensor([1.0, 2.0, 3.0])
    with tg.record() as program:
        doubled = x * 2
        with tg.no_grad():
            q.add_(1)
        out = x + doubled
    compiled = program.compile(outputs="out")
    np.testing.assert_array_equal(compiled(x=q.detach().clone())["out"], [18.0, 21.0, 24.0])
    with pytest.raises(RuntimeError, match=r"'x' \(shape \(3,\)\) shares memory with a tensor that the program writes"):
        compiled(x=q.detach())
    assert q.tolist() == [7.0, 8.0, 9.0]
    assert out.shape == (3,)
