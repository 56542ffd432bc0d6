"""nn.functional against PyTorch: values and gradients in float64, kinks, extremes, and the errors' types."""

import warnings
from functools import partial

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

KINKS = np.array([-np.inf, -800.0, -30.0, -1.0, -0.5, -0.0, 0.0, 1e-30, 0.5, 1.0, 3.0, 6.0, 19.9, 20.0, 20.1, 800.0])


def both(torch, ours, theirs, arrays, upstream=None):
    """Call the twins on the same arrays; returns (value, gradients) of each."""
    results = []
    for function, make in (
        (ours, lambda a: tg.tensor(a, requires_grad=a.dtype.kind == "f")),
        (theirs, lambda a: torch.tensor(a, requires_grad=a.dtype.kind == "f")),
    ):
        inputs = [make(a) for a in arrays]
        out = function(*inputs)
        g = np.ones(out.shape) if upstream is None else upstream(tuple(out.shape))
        if out.requires_grad:
            out.backward(make(g).detach())
        grads = [None if t.grad is None else t.grad.detach().numpy() for t in inputs]
        results.append((out.detach().numpy(), grads))
    return results


def agree(torch, ours, theirs, *arrays, rtol=1e-12, atol=1e-14, random_upstream=True):
    """Values and gradients are the same."""
    seed = np.random.default_rng(1)
    upstream = {}

    def given(shape):
        if "g" not in upstream:
            upstream["g"] = seed.normal(size=shape)
        return upstream["g"]

    (z, grads), (z_t, grads_t) = both(torch, ours, theirs, arrays, given if random_upstream else None)
    assert z.shape == z_t.shape
    assert z.dtype == z_t.dtype
    np.testing.assert_allclose(z, z_t, rtol, atol)
    for g, g_t in zip(grads, grads_t, strict=True):
        assert (g is None) == (g_t is None)
        if g is not None:
            np.testing.assert_allclose(g, g_t, rtol, atol)


ACTIVATIONS = {
    "relu": lambda F, x: F.relu(x),
    "relu6": lambda F, x: F.relu6(x),
    "sigmoid": lambda F, x: F.sigmoid(x),
    "tanh": lambda F, x: F.tanh(x),
    "leaky_relu": lambda F, x: F.leaky_relu(x),
    "leaky_relu_0.3": lambda F, x: F.leaky_relu(x, negative_slope=0.3),
    "elu": lambda F, x: F.elu(x),
    "elu_2": lambda F, x: F.elu(x, 2.0),
    "gelu": lambda F, x: F.gelu(x),
    "gelu_tanh": lambda F, x: F.gelu(x, approximate="tanh"),
    "softplus": lambda F, x: F.softplus(x),
    "softplus_beta": lambda F, x: F.softplus(x, 2.0, 5.0),
    "silu": lambda F, x: F.silu(x),
    "logsigmoid": lambda F, x: F.logsigmoid(x),
    "hardtanh": lambda F, x: F.hardtanh(x),
    "hardtanh_bounds": lambda F, x: F.hardtanh(x, -0.5, 3.0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(torch, name):
    call = ACTIVATIONS[name]
    inner = KINKS if name not in ("silu", "gelu", "gelu_tanh") else KINKS[2:]
    for x in (np.random.normal(size=(3, 4)) * 3, inner, np.zeros((0, 3)), np.array(0.7)):
        # gelu's tail is cancelled differently: 1 + erf and 1 + tanh near -1
        agree(torch, lambda t: call(F, t), lambda t: call(torch.nn.functional, t), x, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [0, 1, -1, 2])
def test_softmax(torch, name, dim):
    x = np.random.normal(size=(2, 3, 4)) * 5
    agree(torch, lambda t: getattr(F, name)(t, dim), lambda t: getattr(torch.nn.functional, name)(t, dim=dim), x)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (1, 2, 3, 2)])
def test_softmax_guesses_the_axis_as_pytorch_does(torch, shape):
    x = np.random.normal(size=shape)
    with pytest.warns(UserWarning, match="Implicit dimension"):
        agree(torch, lambda t: F.softmax(t), lambda t: torch.nn.functional.softmax(t), x)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 5, 4), (0, 4), (2, 0, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(torch, shape, bias):
    arrays = [np.random.normal(size=s) for s in (shape, (3, 4), (3,))][: 3 if bias else 2]
    agree(torch, F.linear, torch.nn.functional.linear, *arrays, atol=1e-13)


def test_linear_with_a_vector_of_weights(torch):
    arrays = [np.random.normal(size=s) for s in ((5, 4), (4,))]
    agree(torch, F.linear, torch.nn.functional.linear, *arrays, atol=1e-13)


@pytest.mark.parametrize(("p", "dim"), [(2.0, 1), (1.0, 0), (3.0, -1), (float("inf"), 1)])
def test_normalize(torch, p, dim):
    x = np.random.normal(size=(3, 4))
    x[1] = 0
    both_ = [lambda t, n=n: n.normalize(t, p=p, dim=dim) for n in (F, torch.nn.functional)]
    agree(torch, *both_, x, atol=1e-13)


def test_one_hot(torch):
    x = np.array([[0, 2], [1, 1]])
    for count in (-1, 4):
        agree(torch, partial(F.one_hot, num_classes=count), partial(torch.nn.functional.one_hot, num_classes=count), x)


REDUCTIONS = ["none", "mean", "sum"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_regression_losses(torch, name, reduction):
    x, y = np.random.normal(size=(2, 3, 4))
    y[0] = x[0]
    calls = [lambda a, b, n=n: getattr(n, name)(a, b, reduction=reduction) for n in (F, torch.nn.functional)]
    agree(torch, *calls, x, y)
    agree(torch, *calls, np.array(1.0), np.array(3.0))
    with pytest.warns(UserWarning, match="Using a target size"):
        agree(torch, *calls, x, y[:1])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_weighted_regression_losses(torch, name, reduction):
    x, y = np.random.normal(size=(2, 3, 4))
    w = np.random.uniform(size=(3, 4))
    calls = [
        lambda a, b, n=n, make=make: getattr(n, name)(a, b, reduction=reduction, weight=make(w))
        for n, make in ((F, tg.tensor), (torch.nn.functional, torch.tensor))
    ]
    agree(torch, *calls, x, y)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy(torch, reduction, weighted):
    x = np.array([[0.0, 1.0, 0.0, 1.0, 1e-40], [0.3, 0.5, 1 - 1e-16, 0.9, 1e-13]])
    y = np.array([[0.0, 1.0, 1.0, 0.0, 0.3], [0.25, 1.0, 0.0, 0.5, 1.0]])
    w = np.random.uniform(size=5)
    calls = [
        lambda a, n=n, make=make: n.binary_cross_entropy(
            a, make(y), weight=make(w) if weighted else None, reduction=reduction
        )
        for n, make in ((F, tg.tensor), (torch.nn.functional, torch.tensor))
    ]
    # PyTorch's 1e-12, below which x (1 - x) is not taken, is rounded to float32
    agree(torch, *calls, x, rtol=5e-9)


def test_binary_cross_entropy_differentiates_the_target_too(torch):
    x, y = np.random.uniform(0.1, 0.9, size=(2, 3))
    agree(torch, F.binary_cross_entropy, torch.nn.functional.binary_cross_entropy, x, y)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", ["", "weight", "pos_weight", "weight pos_weight"])
def test_binary_cross_entropy_with_logits(torch, reduction, weights):
    x = np.array([[-800.0, -30.0, 0.0, 1e-9], [0.5, 3.0, 40.0, 800.0]])
    y = np.array([[0.0, 1.0, 0.5, 0.0], [1.0, 0.25, 1.0, 0.0]])
    arrays = {"weight": np.random.uniform(size=(2, 1)), "pos_weight": np.random.uniform(1, 3, size=4)}
    calls = [
        lambda a, b, n=n, make=make: n.binary_cross_entropy_with_logits(
            a, b, reduction=reduction, **{k: make(arrays[k]) for k in weights.split()}
        )
        for n, make in ((F, tg.tensor), (torch.nn.functional, torch.tensor))
    ]
    # with a pos_weight PyTorch subtracts numbers of the size of the logit
    agree(torch, *calls, x, y, rtol=1e-11, atol=1e-13)


SHAPES = [((4,), ()), ((5, 4), (5,)), ((5, 4, 3), (5, 3)), ((2, 4, 3, 2), (2, 3, 2)), ((0, 4), (0,))]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [None, "some", "all"])
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy", "cross_entropy smoothed"])
def test_classification_losses(torch, name, shapes, weighted, ignore, reduction):
    x = np.random.normal(size=shapes[0]) * 3
    t = np.random.randint(0, 4, size=shapes[1])
    options = {"reduction": reduction}
    if ignore == "some":
        options["ignore_index"] = 2
    elif ignore == "all":
        t = np.full(shapes[1], -100)
    if name.endswith("smoothed"):
        options["label_smoothing"] = 0.3
    w = np.array([0.5, 2.0, 1.5, 0.0])

    def call(functions, make):
        def run(a):
            weight = {"weight": make(w)} if weighted else {}
            return getattr(functions, name.split()[0])(a, make(t), **weight, **options)

        return run

    agree(torch, call(F, tg.tensor), call(torch.nn.functional, torch.tensor), x)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (5, 4, 3)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_against_probabilities(torch, shape, weighted, smoothing, reduction):
    x, y = np.random.normal(size=(2, *shape))
    y = np.exp(y) / np.exp(y).sum(0 if len(shape) == 1 else 1, keepdims=True)
    w = np.array([0.5, 2.0, 1.5, 0.25])

    def call(functions, make):
        weight = {"weight": make(w)} if weighted else {}
        return lambda a, b: functions.cross_entropy(a, b, label_smoothing=smoothing, reduction=reduction, **weight)

    agree(torch, call(F, tg.tensor), call(torch.nn.functional, torch.tensor), x, y)


def test_cross_entropy_of_huge_logits(torch):
    x = np.array([[1e4, -1e4, 0.0], [-1e308, 0.0, 1e308]])
    t = np.array([1, 2])
    calls = [
        lambda a, f=f, make=make: f.cross_entropy(a, make(t), reduction="none")
        for f, make in ((F, tg.tensor), (torch.nn.functional, torch.tensor))
    ]
    agree(torch, *calls, x)


def test_second_derivatives(torch):
    """The composites are differentiable again, with PyTorch's values."""
    x = np.random.normal(size=(4, 3))
    t = np.array([0, 2, 1, 1])
    cases = {
        "cross_entropy": lambda f, a, make: f.cross_entropy(a, make(t)),
        "smoothed": lambda f, a, make: f.cross_entropy(a, make(t), label_smoothing=0.1),
        "mse": lambda f, a, make: f.mse_loss(a, make(x * 0.5)),
        "bce": lambda f, a, make: f.binary_cross_entropy(f.sigmoid(a), make((x > 0) * 1.0)),
        "logits": lambda f, a, make: f.binary_cross_entropy_with_logits(a, make((x > 0) * 1.0)),
        "gelu": lambda f, a, make: f.gelu(a).sum(),
        "softplus": lambda f, a, make: f.softplus(a).sum(),
        "elu": lambda f, a, make: f.elu(a).sum(),
        "silu": lambda f, a, make: f.silu(a).sum(),
    }
    for name, call in cases.items():
        seconds = []
        for lib, f, make in ((tg, F, tg.tensor), (torch, torch.nn.functional, torch.tensor)):
            a = make(x, requires_grad=True)
            (g,) = lib.autograd.grad(call(f, a, make), a, create_graph=True)
            (h,) = lib.autograd.grad((g * g).sum(), a)
            seconds.append(h.detach().numpy())
        np.testing.assert_allclose(*seconds, rtol=1e-9, atol=1e-14, err_msg=name)


ERRORS = {
    "unknown reduction": lambda f, make: f.mse_loss(make([1.0]), make([1.0]), reduction="average"),
    "unknown reduction of classes": lambda f, make: f.cross_entropy(make([[1.0]]), make([0]), reduction="average"),
    "batches differ": lambda f, make: f.cross_entropy(make([[1.0, 2.0]]), make([0, 1])),
    "batches of nll differ": lambda f, make: f.nll_loss(make([[1.0, 2.0]]), make([0, 1])),
    "class out of bounds": lambda f, make: f.cross_entropy(make([[1.0, 2.0]]), make([2])),
    "class of nll out of bounds": lambda f, make: f.nll_loss(make([[1.0, 2.0]]), make([-1])),
    "floating classes": lambda f, make: f.cross_entropy(make([[1.0, 2.0]]), make([1.0])),
    "integer probabilities": lambda f, make: f.cross_entropy(make([[1.0, 2.0]]), make([[1, 0]])),
    "weight of another length": lambda f, make: f.nll_loss(make([[1.0, 2.0]]), make([1]), weight=make([1.0])),
    "probability above 1": lambda f, make: f.binary_cross_entropy(make([1.5]), make([1.0])),
    "bce sizes differ": lambda f, make: f.binary_cross_entropy(make([0.5]), make([1.0, 0.0])),
    "logits' sizes differ": lambda f, make: f.binary_cross_entropy_with_logits(make([[0.5]]), make([1.0])),
    "dropout probability": lambda f, make: f.dropout(make([0.5]), p=1.5),
    "linear sizes": lambda f, make: f.linear(make([[1.0, 2.0]]), make([[1.0]])),
    "linear of integers": lambda f, make: f.linear(make([[1, 2]]), make([[1.0, 2.0]])),
    "silu of integers": lambda f, make: f.silu(make([1])),
    "not a tensor": lambda f, make: f.relu(1.0),
    "one_hot of floats": lambda f, make: f.one_hot(make([1.0])),
    "unknown approximation": lambda f, make: f.gelu(make([1.0]), approximate="sin"),
    "ignored probabilities": lambda f, make: f.cross_entropy(make([[1.0]]), make([[1.0]]), ignore_index=1),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors_have_pytorchs_types(torch, what):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever PyTorch raises
        ERRORS[what](torch.nn.functional, torch.tensor)
    with pytest.raises(theirs.type) as ours:
        ERRORS[what](F, tg.tensor)
    assert len(str(ours.value)) > 20


def test_deprecated_flags(torch):
    x, y = np.random.normal(size=(2, 3))
    for flags in ({"size_average": False}, {"reduce": False}, {"size_average": True}, {"reduce": True}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calls = [lambda a, b, f=f, flags=flags: f.mse_loss(a, b, **flags) for f in (F, torch.nn.functional)]
            agree(torch, *calls, x, y)
