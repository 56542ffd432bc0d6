"""Layers, containers and losses as modules against PyTorch: numbers, state_dict, repr, signatures."""

import inspect
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

LAYERS = {
    "ReLU": (), "ReLU6": (), "Sigmoid": (), "Tanh": (), "LeakyReLU": (0.2,), "ELU": (0.5,), "GELU": (), "SiLU": (),
    "Softplus": (2.0, 10.0), "Hardtanh": (-0.5, 0.75), "LogSigmoid": (), "Softmax": (1,), "LogSoftmax": (-1,),
    "Identity": (), "Flatten": (), "Linear": (4, 3),
}  # fmt: skip


def load(module, twin):
    """Give our module PyTorch's numbers."""
    module.load_state_dict({k: tg.tensor(v.numpy()) for k, v in twin.state_dict().items()})
    return module


@pytest.mark.parametrize("name", LAYERS)
def test_layers(torch, name):
    twin = getattr(torch.nn, name)(*LAYERS[name]).double()
    ours = load(getattr(nn, name)(*LAYERS[name]).double(), twin)
    assert repr(ours) == repr(twin)
    x = np.random.normal(size=(5, 4))
    grads = []
    for lib, module in ((tg, ours), (torch, twin)):
        t = lib.tensor(x, requires_grad=True)
        y = module(t)
        (y * y).sum().backward()
        grads.append([y.detach().numpy(), t.grad.numpy(), *(p.grad.numpy() for p in module.parameters())])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


LOSSES = {
    "MSELoss": ("x", "x", {}),
    "L1Loss": ("x", "x", {"reduction": "sum"}),
    "BCELoss": ("p", "p", {"weight": "w"}),
    "BCEWithLogitsLoss": ("x", "p", {"weight": "w", "pos_weight": "w"}),
    "NLLLoss": ("x", "t", {"weight": "w", "ignore_index": 1}),
    "CrossEntropyLoss": ("x", "t", {"weight": "w", "label_smoothing": 0.1, "ignore_index": 2}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(torch, name):
    arrays = {
        "x": np.random.normal(size=(5, 3)),
        "p": np.random.uniform(0.1, 0.9, size=(5, 3)),
        "t": np.array([0, 2, 1, 1, 0]),
        "w": np.array([0.5, 1.5, 2.0]),
    }
    first, second, options = LOSSES[name]
    results = []
    for lib in (tg, torch):
        given = {k: lib.tensor(arrays[v]) if isinstance(v, str) and v in arrays else v for k, v in options.items()}
        loss = getattr(lib.nn, name)(**given)
        x = lib.tensor(arrays[first], requires_grad=True)
        value = loss(x, lib.tensor(arrays[second]))
        value.backward()
        results.append((value.item(), x.grad.numpy(), sorted(loss.state_dict())))
    assert results[0][2] == results[1][2]
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-11, atol=1e-15)


def build(nn):
    """One net of every container, in either library."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(OrderedDict(fc=nn.Linear(3, 4), act=nn.ReLU(inplace=True)))
            self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4, bias=False)])
            self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 1))})
            self.empty = nn.Sequential()

        def forward(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = x + block(x)
            return self.heads["a"](x).sum() + self.heads["b"](x).sum()

    return Net()


def test_a_whole_net(torch):
    twin = build(torch.nn).double().eval()
    ours = load(build(nn).double().eval(), twin)
    assert repr(ours) == repr(twin)
    assert list(ours.state_dict()) == list(twin.state_dict())
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in twin.named_modules()]
    x = np.random.normal(size=(6, 3))
    a, b = ours(tg.tensor(x)), twin(torch.tensor(x))
    a.backward()
    b.backward()
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    for p, q in zip(ours.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_slices_keep_the_names_pytorch_keeps(torch):
    def keys(nn):
        net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
        layers = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
        return list(net[1:].state_dict()), list(layers[1:].state_dict())

    assert keys(nn) == keys(torch.nn)


NAMES = [*LAYERS, *LOSSES, "Dropout"]


@pytest.mark.parametrize("name", NAMES)
def test_constructors_take_the_same_arguments(torch, name):
    ours, theirs = (
        [
            (p.name, p.default)
            for p in inspect.signature(getattr(m, name)).parameters.values()
            if p.kind.name[:3] != "VAR"
        ]
        for m in (nn, torch.nn)
    )
    # Hardtanh's last two are deprecated spellings
    assert ours == theirs[:3] if name == "Hardtanh" else ours == theirs


FUNCTIONS = [
    "relu", "relu6", "leaky_relu", "elu", "silu", "hardtanh", "softmax", "log_softmax", "dropout", "mse_loss",
    "l1_loss", "nll_loss", "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits", "normalize",
]  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_same_arguments(torch, name):
    ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (nn.functional, torch.nn.functional))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


METHODS = [
    "parameters", "named_parameters", "named_modules", "named_buffers", "register_buffer", "register_parameter",
    "add_module", "load_state_dict", "train", "zero_grad", "requires_grad_", "apply", "register_forward_pre_hook",
    "register_full_backward_hook",
]  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_the_same_arguments(torch, name):
    ours, theirs = (inspect.signature(getattr(m.Module, name)).parameters for m in (nn, torch.nn))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
