"""nn.functional by itself: dropout, in-place activations, shapes, what the messages say."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F


def test_dropout_keeps_the_expectation_and_scales():
    x = tg.ones(200, 500, dtype=tg.float64)
    y = F.dropout(x, 0.25).numpy()
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.01
    assert abs(y.mean() - 1) < 0.02


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_dropout_gradient_passes_where_the_value_did(dtype):
    x = tg.randn(50, dtype=dtype, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad.numpy(), np.where(y.detach().numpy() != 0, 2, 0))


def test_dropout_repeats_with_the_seed_and_differs_without():
    x = tg.ones(100)
    tg.manual_seed(5)
    first, second = F.dropout(x), F.dropout(x)
    tg.manual_seed(5)
    assert first.equal(F.dropout(x))
    assert not first.equal(second)


def test_dropout_does_nothing_in_eval_and_everything_at_1():
    x = tg.tensor([1.0, float("nan")], requires_grad=True)
    assert F.dropout(x, 0.9, training=False) is x
    assert F.dropout(x, 0.0) is x
    y = F.dropout(x, 1.0)
    assert y[0].item() == 0
    assert np.isnan(y[1].item())
    y.backward(tg.ones(2))
    assert x.grad.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["relu", "relu6", "silu", "elu", "leaky_relu", "hardtanh", "dropout"])
def test_in_place_is_the_same_in_the_same_memory(name):
    x = tg.randn(20, dtype=tg.float64, requires_grad=True)
    tg.manual_seed(3)
    expected = getattr(F, name)(x * 2.0)
    expected.sum().backward()
    gradient, x.grad = x.grad, None
    tg.manual_seed(3)
    y = x * 2.0
    memory = y.detach()
    assert getattr(F, name)(y, inplace=True) is y
    assert memory.equal(expected.detach())
    y.sum().backward()
    assert x.grad.equal(gradient)


def test_in_place_on_a_leaf_is_refused():
    with pytest.raises(RuntimeError, match="leaf"):
        F.relu(tg.ones(2, requires_grad=True), inplace=True)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1,), ()])
def test_linear_adds_any_bias_that_broadcasts(shape):
    x, w = tg.randn(2, 3, 5), tg.randn(4, 5)
    bias = tg.randn(*shape)
    found = F.linear(x, w, bias)
    np.testing.assert_allclose(found.numpy(), x.numpy() @ w.numpy().T + bias.numpy(), rtol=1e-4, atol=1e-5)


def test_mse_as_a_primitive_wants_equal_shapes():
    with pytest.raises(RuntimeError, match=r"the shapes \(3, 1\) and \(3, 4\) must be equal"):
        tg.ops.mse(tg.ones(3, 1), tg.ones(3, 4))


def test_linear_says_which_sizes_clash():
    with pytest.raises(RuntimeError, match=r"linear: .*\(5, 3\).*\(2, 4\).*in_features"):
        F.linear(tg.zeros(5, 3), tg.zeros(2, 4))
    with pytest.raises(RuntimeError, match=r"float64.*float32"):
        F.linear(tg.zeros(5, 3, dtype=tg.float64), tg.zeros(2, 3))


def test_the_classic_logits_mistake_is_explained():
    with pytest.raises(ValueError, match=r"\(8,\).*\(8, 1\).*reshape"):
        F.binary_cross_entropy_with_logits(tg.zeros(8, 1), tg.zeros(8))


def test_a_loss_made_of_tensors_is_explained():
    with pytest.raises(TypeError, match=r"nn.MSELoss\(\); loss\(input, target\)"):
        tg.nn.MSELoss(tg.ones(2), tg.ones(2))


def test_a_class_out_of_range_is_named_once():
    with pytest.raises(IndexError) as raised:
        F.cross_entropy(tg.zeros(2, 3), tg.tensor([0, 5]))
    assert str(raised.value).endswith(": target 5 is out of bounds for 3 classes")
    assert str(raised.value).count("cross_entropy") == 1


def test_bce_of_something_that_is_no_probability_is_explained():
    with pytest.raises(RuntimeError, match=r"between 0 and 1.*sigmoid"):
        F.binary_cross_entropy(tg.tensor([-0.5]), tg.tensor([1.0]))
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(tg.tensor([float("nan")]), tg.tensor([1.0]))


def test_cross_entropy_is_one_fused_node():
    x = tg.randn(4, 3, requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor([0, 1, 2, 0]), reduction="none")
    assert loss.grad_fn.op is tg.ops.softmax_cross_entropy


def test_ignored_rows_may_hold_anything():
    x = tg.tensor([[1.0, 2.0], [float("inf"), float("nan")]], requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor([1, -100]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(1 + np.exp(-1)))
    np.testing.assert_allclose(x.grad.numpy()[0], [0.26894142, -0.26894142], rtol=1e-6)


def test_float32_stays_float32():
    x, t = tg.randn(4, 3, requires_grad=True), tg.tensor([0, 1, 2, 0])
    losses = [
        F.cross_entropy(x, t, weight=tg.ones(3, dtype=tg.float64), label_smoothing=0.1),
        F.cross_entropy(x, F.softmax(tg.randn(4, 3, dtype=tg.float64), 1)),
        F.binary_cross_entropy(F.sigmoid(x), tg.ones(4, 3, dtype=tg.float64)),
        F.binary_cross_entropy_with_logits(x, tg.ones(4, 3, dtype=tg.float64), pos_weight=tg.ones(3)),
        F.gelu(x).sum(),
        F.elu(x).sum(),
        F.softplus(x).sum(),
        F.normalize(x).sum(),
        F.dropout(x).sum(),
    ]
    for loss in losses:
        assert loss.dtype == tg.float32
        x.grad = None
        loss.backward()
        assert x.grad.dtype == tg.float32


def test_closed_forms():
    assert F.binary_cross_entropy(tg.tensor([0.1]), tg.tensor([1.0])).item() == pytest.approx(2.302585093, rel=1e-6)
    assert F.cross_entropy(tg.zeros(3, 5), tg.tensor([0, 1, 4])).item() == pytest.approx(np.log(5))
    assert F.softplus(tg.tensor(0.0)).item() == pytest.approx(np.log(2))
    assert F.gelu(tg.tensor(1.0, dtype=tg.float64)).item() == pytest.approx(0.8413447460685429, rel=1e-15)
    np.testing.assert_allclose(F.normalize(tg.tensor([[3.0, 4.0], [0.0, 0.0]])).numpy(), [[0.6, 0.8], [0, 0]])


def test_a_program_keeps_looking_for_what_is_to_be_ignored():
    x, target = tg.randn(4, 3, requires_grad=True), tg.tensor([1, 2, 1, 2])
    with tg.record() as program:
        loss = F.cross_entropy(x, target, ignore_index=0)
        loss.backward()
    later = tg.tensor([0, 2, 0, 1])
    assert program.run(target=later).loss == pytest.approx(F.cross_entropy(x, later, ignore_index=0).item(), rel=1e-6)


def test_a_program_refuses_what_it_does_not_look_for():
    x, target = tg.randn(4, 3, requires_grad=True), tg.tensor([1, 2, 1, 2])
    with tg.record() as program:
        loss = F.cross_entropy(x, target)
        loss.backward()
    with pytest.raises(IndexError, match=r"cross_entropy.*-100 is out of bounds"):
        program.run(target=tg.tensor([1, -100, 0, 0]))
